//! How far the CustomNodeResource on the server is from what it should say, and the patches in between. Pure.

use super::cnr::OURS;
use super::pacer::{Amount, Gap, Other};
use super::zones::RECLAIMED;
use gleaner_crds::cnr::{
    CnrCondition, CnrConditionType, CustomNodeResource, CustomNodeResourceSpec, CustomNodeResourceStatus, Property, QosTaint, ResourceList,
    TopologyZone, ZoneType,
};
use gleaner_crds::keys::cnr_taint;
use gleaner_crds::quantity::{WholeValue, milli_value, value};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How far the object is from what it should say. The time of the last heartbeat does not count; changes of CPU and memory up to the least do not
/// matter.
pub(crate) fn gap(
    told: &CustomNodeResource,
    spec: &CustomNodeResourceSpec,
    status: &CustomNodeResourceStatus,
    owner: Option<&OwnerReference>,
    least: [u64; 2],
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
    Gap { amounts: amounts(old, status, least), other }
}

/// Whether the status needs no write, but for its heartbeat.
pub(crate) fn same_status(told: &CustomNodeResource, status: &CustomNodeResourceStatus) -> bool {
    let gap = gap(told, &told.spec, status, None, [0; 2]);
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
    let mut metadata = BTreeMap::from([("resourceVersion", json!(told.metadata.resource_version))]);
    if let Some(owner) = owner.filter(|owner| !owned(told, owner)) {
        let old = told.metadata.owner_references.iter().flatten().filter(|old| old.kind != owner.kind);
        metadata.insert("ownerReferences", json!(old.chain([owner]).collect::<Vec<_>>()));
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
fn amounts(old: &CustomNodeResourceStatus, new: &CustomNodeResourceStatus, least: [u64; 2]) -> Vec<Amount> {
    let of = |list: Option<&ResourceList>, name: &str| {
        let quantity = list.and_then(|list| list.get(name));
        quantity.and_then(|quantity| value(&quantity.0).ok()).map_or(0, WholeValue::get)
    };
    let (old_zones, new_zones) = (numa_zones(old), numa_zones(new));
    let names: BTreeSet<&str> = old_zones.keys().chain(new_zones.keys()).copied().collect();
    let mut all = Vec::new();
    for (name, least) in RECLAIMED.into_iter().zip(least) {
        let whole = Amount::whole(of(old.resources.allocatable.as_ref(), name), of(new.resources.allocatable.as_ref(), name), least);
        all.push(whole);
        for zone in &names {
            let in_zone = |zones: &BTreeMap<&str, &ResourceList>| of(zones.get(zone).copied(), name);
            all.push(Amount { told: in_zone(&old_zones), wanted: in_zone(&new_zones), base: whole.told, whole: false, least });
        }
    }
    all
}

fn numa_zones(status: &CustomNodeResourceStatus) -> BTreeMap<&str, &ResourceList> {
    let below = status.topology_zone.iter().flat_map(|zone| &zone.children);
    let numa = status.topology_zone.iter().chain(below).filter(|zone| zone.type_ == ZoneType::Numa);
    numa.filter_map(|zone| Some((zone.name.as_str(), zone.resources.allocatable.as_ref()?))).collect()
}
