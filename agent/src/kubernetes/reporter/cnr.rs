//! The CustomNodeResource that a report makes. Pure.

use super::offer::offer;
use super::saying::{Saying, ready};
use super::zones::{RECLAIMED, reclaimed, zones};
use crate::kubernetes::{Load, NodeReport};
use gleaner_crds::cnr::{
    CnrCondition, CnrConditionType, ConditionStatus, CustomNodeResource, CustomNodeResourceSpec, CustomNodeResourceStatus, Property,
    QosLevel, QosTaint, Resources, TopologyPolicy, TopologyZone,
};
use gleaner_crds::keys::cnr_taint;
use gleaner_model::{Bytes, MilliCpu};
use gleaner_qrm_plugins::{TopologyChoice, TopologyPolicy as Policy, TopologyScope};
use k8s_openapi::api::core::v1::Taint;
use std::collections::BTreeMap;

/// Properties whose names begin so are ours; all others are left alone.
pub(super) const OURS: &str = "gleaner/";
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

/// What the object says, with nothing offered and the agent gone.
pub(crate) fn withdrawn(told: &CustomNodeResource, saying: &Saying) -> CustomNodeResourceStatus {
    let mut status = told.status.clone().unwrap_or_default();
    let nothing = reclaimed(MilliCpu::ZERO, Bytes::ZERO);
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

#[cfg(test)]
mod tests;
