//! The CustomNodeResource that a report makes, how far the one on the server is from it, and the patches in between. Pure.

use super::offer::offer;
use super::pacer::{Amount, Gap, Other};
use super::saying::{Saying, ready};
use super::zones::{reclaimed, zones};
use crate::kubernetes::{Load, NodeReport};
use gleaner_crds::cnr::{
    CnrCondition, CnrConditionType, ConditionStatus, CustomNodeResource, CustomNodeResourceSpec, CustomNodeResourceStatus, Property,
    QosLevel, QosTaint, ResourceList, Resources, TopologyPolicy, TopologyZone, ZoneType,
};
use gleaner_crds::keys::{cnr_taint, resource};
use gleaner_crds::quantity::{milli_value, value};
use gleaner_qrm_plugins::{TopologyChoice, TopologyPolicy as Policy, TopologyScope};
use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Properties whose names begin so are ours; all others are left alone.
const OURS: &str = "gleaner/";
/// The property of a node that offers nothing because the agent only looks on.
const SHADOW: &str = "gleaner/shadow";

/// What the CustomNodeResource should say: our part of it.
pub(crate) fn cnr(report: &NodeReport, load: Load) -> (CustomNodeResourceSpec, CustomNodeResourceStatus) {
    let offer = offer(report);
    let lent = Some(reclaimed(offer.cpu, offer.memory));
    let spec = CustomNodeResourceSpec { node_resource_properties: properties(report), taints: taints(load) };
    let status = CustomNodeResourceStatus {
        resources: Resources { allocatable: lent.clone(), capacity: lent, ..Resources::default() },
        topology_zone: zones(report, &offer),
        topology_policy: policy(&report.alignment),
        conditions: vec![condition(&ready(report))],
        node_metric_status: None,
    };
    (spec, status)
}

fn properties(report: &NodeReport) -> Vec<Property> {
    let mut named: BTreeMap<String, &str> =
        report.attributes.iter().map(|(name, value)| (format!("{OURS}{name}"), value.as_str())).collect();
    if report.shadow {
        named.insert(SHADOW.to_owned(), "true");
    }
    let property = |(property_name, value): (String, &str)| Property {
        property_name,
        property_values: vec![value.to_owned()],
        property_quantity: None,
    };
    named.into_iter().map(property).collect()
}

fn taints(load: Load) -> Vec<QosTaint> {
    let taint = |key: &str| QosTaint {
        taint: Taint { key: key.to_owned(), effect: "NoSchedule".to_owned(), time_added: None, value: None },
        qos_level: QosLevel::ReclaimedCores,
    };
    let told = [(load.cpu_suppressed, cnr_taint::CPU_PRESSURE), (load.memory_short, cnr_taint::MEMORY_PRESSURE)];
    told.into_iter().filter(|(told, _)| *told).map(|(_, key)| taint(key)).collect()
}

fn condition(saying: &Saying) -> CnrCondition {
    CnrCondition {
        type_: CnrConditionType::AgentReady,
        status: ConditionStatus::from(saying.status().to_owned()),
        last_heartbeat_time: None,
        reason: saying.reason.to_owned(),
        message: saying.message.clone(),
    }
}

/// How the agent puts bound pods on NUMA nodes, in the scheduler's words.
fn policy(choice: &TopologyChoice) -> TopologyPolicy {
    let container = choice.scope == TopologyScope::Container;
    match (choice.policy, container) {
        (Policy::None, _) => TopologyPolicy::None,
        (Policy::BestEffort, true) => TopologyPolicy::BestEffortContainerLevel,
        (Policy::BestEffort, false) => TopologyPolicy::BestEffortPodLevel,
        (Policy::Restricted, true) => TopologyPolicy::RestrictedContainerLevel,
        (Policy::Restricted, false) => TopologyPolicy::RestrictedPodLevel,
        (Policy::SingleNumaNode, true) => TopologyPolicy::SingleNumaNodeContainerLevel,
        (Policy::SingleNumaNode, false) => TopologyPolicy::SingleNumaNodePodLevel,
        (Policy::Numeric, true) => TopologyPolicy::NumericContainerLevel,
        (Policy::Numeric, false) => TopologyPolicy::NumericPodLevel,
    }
}

/// How far the object is from what it should say. The time of the last heartbeat does not count.
pub(crate) fn gap(
    told: &CustomNodeResource,
    spec: &CustomNodeResourceSpec,
    status: &CustomNodeResourceStatus,
    owner: Option<&OwnerReference>,
) -> Gap {
    let empty = CustomNodeResourceStatus::default();
    let old = told.status.as_ref().unwrap_or(&empty);
    let urgent = spec.taints.iter().any(|taint| !told.spec.taints.iter().any(|old| same_taint(old, taint)));
    let same = same_spec(told, spec, owner)
        && old.topology_policy == status.topology_policy
        && conditions(old) == conditions(status)
        && bare(&old.topology_zone) == bare(&status.topology_zone);
    let other = match (urgent, same) {
        (true, _) => Other::Urgent,
        (false, true) => Other::Same,
        (false, false) => Other::Changed,
    };
    Gap { amounts: amounts(old, status), other }
}

/// Whether the status needs no write, but for its heartbeat.
pub(crate) fn same_status(told: &CustomNodeResource, status: &CustomNodeResourceStatus) -> bool {
    let gap = gap(told, &told.spec, status, None);
    told.status.is_some() && gap.other == Other::Same && gap.amounts.iter().all(|amount| amount.told == amount.wanted)
}

/// The whole spec with what others put there, as a merge patch that holds for this version of the object only; `None`: nothing to do.
pub(crate) fn spec_patch(told: &CustomNodeResource, spec: &CustomNodeResourceSpec, owner: Option<&OwnerReference>) -> Option<Value> {
    if same_spec(told, spec, owner) {
        return None;
    }
    let foreign = told.spec.node_resource_properties.iter().filter(|property| !property.property_name.starts_with(OURS));
    let properties: Vec<&Property> = foreign.chain(&spec.node_resource_properties).collect();
    let taints: Vec<&QosTaint> = told.spec.taints.iter().filter(|taint| !our_taint(taint)).chain(&spec.taints).collect();
    let mut metadata = json!({"resourceVersion": told.metadata.resource_version});
    if let Some(owner) = owner.filter(|owner| !owned(told, owner)) {
        let old = told.metadata.owner_references.iter().flatten().filter(|old| old.kind != owner.kind);
        metadata["ownerReferences"] = json!(old.chain([owner]).collect::<Vec<_>>());
    }
    Some(json!({"metadata": metadata, "spec": {"nodeResourceProperties": properties, "taints": taints}}))
}

/// Our part of the status, and the conditions of others, as a merge patch that holds for this version of the object only.
pub(crate) fn status_patch(told: &CustomNodeResource, status: &CustomNodeResourceStatus, at: &Time) -> Value {
    let old = told.status.iter().flat_map(|status| &status.conditions);
    let foreign = old.filter(|condition| condition.type_ != CnrConditionType::AgentReady).cloned();
    let ours = status.conditions.iter().map(|condition| CnrCondition { last_heartbeat_time: Some(at.clone()), ..condition.clone() });
    let conditions: Vec<CnrCondition> = foreign.chain(ours).collect();
    json!({
        "metadata": {"resourceVersion": told.metadata.resource_version},
        "status": {
            "resources": {"allocatable": status.resources.allocatable, "capacity": status.resources.capacity},
            "topologyZone": status.topology_zone,
            "topologyPolicy": status.topology_policy,
            "conditions": conditions,
        },
    })
}

/// What the object says, with nothing offered and the agent gone.
pub(crate) fn withdrawn(told: &CustomNodeResource, saying: &Saying) -> CustomNodeResourceStatus {
    let mut status = told.status.clone().unwrap_or_default();
    let nothing = reclaimed(gleaner_model::MilliCpu::ZERO, gleaner_model::Bytes::ZERO);
    status.resources.allocatable = Some(nothing.clone());
    status.resources.capacity = Some(nothing);
    for zone in &mut status.topology_zone {
        empty_zone(zone);
    }
    status.conditions = vec![condition(saying)];
    status
}

fn empty_zone(zone: &mut TopologyZone) {
    for list in [&mut zone.resources.allocatable, &mut zone.resources.capacity].into_iter().flatten() {
        for name in RECLAIMED {
            if let Some(quantity) = list.get_mut(name) {
                "0".clone_into(&mut quantity.0);
            }
        }
    }
    zone.children.iter_mut().for_each(empty_zone);
}

const RECLAIMED: [&str; 2] = [resource::RECLAIMED_MILLICPU, resource::RECLAIMED_MEMORY];

fn same_spec(told: &CustomNodeResource, spec: &CustomNodeResourceSpec, owner: Option<&OwnerReference>) -> bool {
    let ours = |property: &&Property| property.property_name.starts_with(OURS);
    let old: Vec<&QosTaint> = told.spec.taints.iter().filter(|taint| our_taint(taint)).collect();
    let taints = old.len() == spec.taints.len() && spec.taints.iter().all(|taint| old.iter().any(|old| same_taint(old, taint)));
    taints
        && told.spec.node_resource_properties.iter().filter(ours).eq(spec.node_resource_properties.iter().filter(ours))
        && owner.is_none_or(|owner| owned(told, owner))
}

fn owned(told: &CustomNodeResource, owner: &OwnerReference) -> bool {
    told.metadata.owner_references.iter().flatten().any(|old| old.uid == owner.uid)
}

/// Katalyst's rule: what has the domain as its prefix is the agent's.
fn our_taint(taint: &QosTaint) -> bool {
    taint.taint.key.starts_with(cnr_taint::DOMAIN)
}

fn same_taint(a: &QosTaint, b: &QosTaint) -> bool {
    (&a.taint.key, &a.taint.effect, &a.qos_level) == (&b.taint.key, &b.taint.effect, &b.qos_level)
}

fn conditions(status: &CustomNodeResourceStatus) -> Vec<CnrCondition> {
    let ours = status.conditions.iter().filter(|condition| condition.type_ == CnrConditionType::AgentReady);
    ours.map(|condition| CnrCondition { last_heartbeat_time: None, ..condition.clone() }).collect()
}

/// Zones without what is lent there, with amounts in one spelling.
fn bare(zones: &[TopologyZone]) -> Vec<TopologyZone> {
    let mut zones = zones.to_vec();
    for zone in &mut zones {
        for list in [&mut zone.resources.allocatable, &mut zone.resources.capacity].into_iter().flatten() {
            list.retain(|name, _| !RECLAIMED.contains(&name.as_str()));
            spell(list);
        }
        zone.allocations.iter_mut().filter_map(|allocation| allocation.requests.as_mut()).for_each(spell);
        zone.children = bare(&zone.children);
    }
    zones
}

fn spell(list: &mut ResourceList) {
    for quantity in list.values_mut() {
        if let Ok(amount) = milli_value(&quantity.0) {
            *quantity = amount.to_quantity();
        }
    }
}

/// What is lent: of the whole node, then of each NUMA node. What cannot be read counts as nothing told.
fn amounts(old: &CustomNodeResourceStatus, new: &CustomNodeResourceStatus) -> Vec<Amount> {
    let of = |list: Option<&ResourceList>, name: &str| {
        let quantity = list.and_then(|list| list.get(name));
        quantity.and_then(|quantity| value(&quantity.0).ok()).map_or(0, gleaner_crds::quantity::WholeValue::get)
    };
    let (old_zones, new_zones) = (numa_zones(old), numa_zones(new));
    let names: std::collections::BTreeSet<&str> = old_zones.keys().chain(new_zones.keys()).copied().collect();
    let mut all = Vec::new();
    for name in RECLAIMED {
        let whole = Amount::whole(of(old.resources.allocatable.as_ref(), name), of(new.resources.allocatable.as_ref(), name));
        all.push(whole);
        for zone in &names {
            let in_zone = |zones: &BTreeMap<&str, &ResourceList>| of(zones.get(zone).copied(), name);
            all.push(Amount { told: in_zone(&old_zones), wanted: in_zone(&new_zones), base: whole.told, whole: false });
        }
    }
    all
}

fn numa_zones(status: &CustomNodeResourceStatus) -> BTreeMap<&str, &ResourceList> {
    let below = status.topology_zone.iter().flat_map(|zone| &zone.children);
    let numa = status.topology_zone.iter().chain(below).filter(|zone| zone.type_ == ZoneType::Numa);
    numa.filter_map(|zone| Some((zone.name.as_str(), zone.resources.allocatable.as_ref()?))).collect()
}

#[cfg(test)]
mod tests;
