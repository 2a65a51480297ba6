//! What the Node should say, how far it is from that, and the patches in between. Pure.

use super::node_view::NodeView;
use super::offer::offer;
use super::pacer::{Amount, Gap, Other};
use super::saying::{Saying, configured, ready};
use super::zones::{RECLAIMED, reclaimed};
use crate::kubernetes::{Load, NodeReport, ReportSettings};
use gleaner_crds::cnr::ResourceList;
use gleaner_crds::quantity::{WholeValue, value};
use gleaner_model::{Bytes, MilliCpu};
use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

/// Whether the agent is well and knows what it lends.
pub(crate) const READY: &str = "GleanerReady";
/// Whether the cluster's configuration is in force.
pub(crate) const CONFIGURED: &str = "GleanerConfigured";
/// The taint of a loaded Node.
pub(crate) const TAINT: &str = "gleaner/reclaimed-pressure";
const NO_SCHEDULE: &str = "NoSchedule";

/// What the Node should say: our part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeWanted {
    /// Extended resources and conditions; `None`: they are not ours to write.
    pub(crate) status: Option<NodeStatus>,
    /// Whether the taint is there.
    pub(crate) taint: bool,
}

/// Our part of the Node's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeStatus {
    /// Lent CPU.
    pub(crate) cpu: MilliCpu,
    /// Lent memory.
    pub(crate) memory: Bytes,
    /// Conditions by type.
    pub(crate) conditions: Vec<(&'static str, Saying)>,
}

impl NodeStatus {
    /// Extended resources, the same for capacity and allocatable. `resource.katalyst.kubewharf.io/reclaimed_millicpu` counts milli-cores in plain
    /// numbers, `reclaimed_memory` bytes.
    pub(crate) fn resources(&self) -> ResourceList {
        reclaimed(self.cpu, self.memory)
    }

    /// What is said when the agent goes.
    pub(crate) fn withdrawn(saying: Saying) -> Self {
        Self { cpu: MilliCpu::ZERO, memory: Bytes::ZERO, conditions: vec![(READY, saying)] }
    }
}

/// What the Node should say after this report.
pub(crate) fn wanted(report: &NodeReport, load: Load, settings: &ReportSettings) -> NodeWanted {
    NodeWanted {
        status: settings.node_status.then(|| node_status(report)),
        taint: settings.node_taint && (load.memory_short || load.cpu_suppressed),
    }
}

/// Extended resources and conditions after this report.
pub(crate) fn node_status(report: &NodeReport) -> NodeStatus {
    let offer = offer(report);
    let conditions = vec![(CONFIGURED, configured(report)), (READY, ready(report))];
    NodeStatus { cpu: offer.cpu, memory: offer.memory, conditions }
}

/// How far the Node is from what it should say. Changes of CPU and memory up to the least do not matter.
pub(crate) fn gap(told: &NodeView, wanted: &NodeWanted, least: [u64; 2]) -> Gap {
    let taints = has_taint(told);
    let conditions = wanted.status.iter().flat_map(|status| &status.conditions);
    let same = conditions.into_iter().all(|(type_, saying)| told.condition(type_).is_some_and(|old| old.says(saying)));
    let other = match (wanted.taint, taints) {
        (true, false) => Other::Urgent,
        (false, true) => Other::Changed,
        _ if same => Other::Same,
        _ => Other::Changed,
    };
    Gap { amounts: wanted.status.as_ref().map(|status| amounts(told, status, least)).unwrap_or_default(), other }
}

/// Whether the status needs no write, but for its heartbeat.
pub(crate) fn same_status(told: &NodeView, wanted: &NodeWanted) -> bool {
    let gap = gap(told, &NodeWanted { taint: has_taint(told), ..wanted.clone() }, [0; 2]);
    gap.other == Other::Same && gap.amounts.iter().all(|amount| amount.told == amount.wanted)
}

/// Capacity and allocatable, each as it is. Capacity counts too: kubelet makes allocatable from it.
fn amounts(told: &NodeView, status: &NodeStatus, least: [u64; 2]) -> Vec<Amount> {
    let of = |list: &ResourceList, name: &str| list.get(name).and_then(|quantity| value(&quantity.0).ok()).map_or(0, WholeValue::get);
    let wanted = [status.cpu.get(), status.memory.get()];
    let lists = [&told.status.allocatable, &told.status.capacity];
    let named = || RECLAIMED.into_iter().zip(wanted).zip(least);
    lists.into_iter().flat_map(|list| named().map(move |((name, wanted), least)| Amount::whole(of(list, name), wanted, least))).collect()
}

/// Amounts and conditions, as a strategic merge patch of the status: what is not named stays. A resource that was never there stays away while
/// there is none of it.
pub(crate) fn status_patch(told: &NodeView, status: &NodeStatus, now: &Time) -> Value {
    let known = RECLAIMED.iter().any(|name| told.status.capacity.contains_key(*name) || told.status.allocatable.contains_key(*name));
    let conditions: Vec<Value> = status.conditions.iter().map(|(type_, saying)| condition(told, type_, saying, now)).collect();
    let mut patch = Map::from_iter([("conditions".to_owned(), json!(conditions))]);
    if known || !status.cpu.is_zero() || !status.memory.is_zero() {
        for list in ["capacity", "allocatable"] {
            patch.insert(list.to_owned(), json!(status.resources()));
        }
    }
    json!({"status": patch})
}

fn condition(told: &NodeView, type_: &str, saying: &Saying, now: &Time) -> Value {
    let old = told.condition(type_).filter(|old| old.status == saying.status());
    let since = old.and_then(|old| old.last_transition_time.as_ref()).unwrap_or(now);
    json!({
        "type": type_,
        "status": saying.status(),
        "reason": saying.reason,
        "message": saying.message,
        "lastHeartbeatTime": now,
        "lastTransitionTime": since,
    })
}

/// The taints with or without ours, as a merge patch that holds for this version of the Node only, since the list is replaced as a whole; `None`:
/// nothing to do.
pub(crate) fn taint_patch(told: &NodeView, taint: bool) -> Option<Value> {
    if has_taint(told) == taint {
        return None;
    }
    let ours = taint.then(|| Taint { key: TAINT.to_owned(), effect: NO_SCHEDULE.to_owned(), time_added: None, value: None });
    let taints: Vec<Taint> = told.spec.taints.iter().filter(|taint| taint.key != TAINT).cloned().chain(ours).collect();
    Some(json!({"metadata": {"resourceVersion": told.metadata.resource_version}, "spec": {"taints": taints}}))
}

fn has_taint(told: &NodeView) -> bool {
    told.spec.taints.iter().any(|taint| taint.key == TAINT)
}

/// Takes everything of ours out of the status, as a strategic merge patch.
pub(crate) fn removal_patch() -> Value {
    let nothing = RECLAIMED.map(|name| (name.to_owned(), Value::Null));
    let nothing = Value::Object(Map::from_iter(nothing));
    let conditions = [READY, CONFIGURED].map(|type_| json!({"type": type_, "$patch": "delete"}));
    json!({"status": {"capacity": nothing, "allocatable": nothing, "conditions": conditions}})
}

#[cfg(test)]
mod tests;
