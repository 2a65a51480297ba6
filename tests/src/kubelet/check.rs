//! What the kubelet relies on in answers, held against each of them.

use gleaner_crds::keys::oci_property;
use gleaner_crds::resourceplugin::{
    ContainerType, ResourceAllocationInfo, ResourceAllocationResponse, ResourceHintsResponse, ResourceRequest, TopologyHint,
};
use gleaner_model::{CpuSet, NumaSet};
use std::collections::{BTreeMap, BTreeSet};

/// The fields by which an answer says what it answers.
#[derive(Debug, PartialEq, Eq)]
struct Identity<'a> {
    texts: [(&'static str, &'a str); 7],
    kind: i32,
    index: u64,
}

macro_rules! identity {
    ($message:expr) => {
        Identity {
            texts: [
                ("pod_uid", &$message.pod_uid),
                ("pod_namespace", &$message.pod_namespace),
                ("pod_name", &$message.pod_name),
                ("container_name", &$message.container_name),
                ("pod_role", &$message.pod_role),
                ("pod_type", &$message.pod_type),
                ("resource_name", &$message.resource_name),
            ],
            kind: $message.container_type,
            index: $message.container_index,
        }
    };
}

fn same(asked: &Identity<'_>, answered: &Identity<'_>) -> Result<(), String> {
    for ((name, asked), (_, answered)) in asked.texts.iter().zip(&answered.texts) {
        if asked != answered {
            return Err(format!("{name} is {answered:?}, asked was {asked:?}"));
        }
    }
    if (asked.kind, asked.index) != (answered.kind, answered.index) {
        return Err(format!(
            "container_type {} and container_index {}, asked was {} and {}",
            answered.kind, answered.index, asked.kind, asked.index
        ));
    }
    Ok(())
}

/// The hints of an answer; none when there is no preference.
pub(super) fn hints(asked: &ResourceRequest, machine: &BTreeSet<u64>, answer: ResourceHintsResponse) -> Result<Vec<TopologyHint>, String> {
    same(&identity!(asked), &identity!(answer))?;
    if let Some(other) = answer.resource_hints.keys().find(|key| **key != asked.resource_name) {
        return Err(format!("hints for {other:?}, asked was {:?}", asked.resource_name));
    }
    let hints: Vec<_> = answer.resource_hints.into_values().flat_map(|list| list.hints).collect();
    for hint in &hints {
        let nodes: BTreeSet<u64> = hint.nodes.iter().copied().collect();
        if nodes.is_empty() || nodes.len() != hint.nodes.len() || !nodes.is_subset(machine) {
            return Err(format!("a hint at nodes {:?} of a machine with {machine:?}", hint.nodes));
        }
    }
    Ok(hints)
}

/// The allocations of an answer. An init container may get none.
pub(super) fn allocation(
    asked: &ResourceRequest,
    answer: ResourceAllocationResponse,
) -> Result<BTreeMap<String, ResourceAllocationInfo>, String> {
    same(&identity!(asked), &identity!(answer))?;
    let all = answer.allocation_result.unwrap_or_default().resource_allocation;
    // A container beside the main one may come before it, and gets what that gets when it has come.
    let followers = [ContainerType::Init, ContainerType::Sidecar].map(i32::from);
    let may_be_empty = followers.contains(&asked.container_type) && all.is_empty();
    if !may_be_empty && !all.contains_key(&asked.resource_name) {
        return Err(format!("nothing of {:?} among the allocations {:?}", asked.resource_name, all.keys()));
    }
    all.iter().try_for_each(|(resource, each)| info(resource, each))?;
    Ok(all)
}

/// One allocation on its own.
pub(super) fn info(resource: &str, info: &ResourceAllocationInfo) -> Result<(), String> {
    let (text, quantity) = (info.allocation_result.as_str(), info.allocated_quantity);
    let wrong = |what: &str| Err(format!("{} of {resource} is {text:?}: {what}", info.oci_property_name));
    match info.oci_property_name.as_str() {
        // Something that the container runtime is not told of.
        "" => Ok(()),
        oci_property::CPUSET_CPUS => match text.parse::<CpuSet>() {
            Ok(cpus) if cpus.is_empty() => wrong("no CPU"),
            Ok(cpus) if (f64::from(cpus.count()) - quantity).abs() > f64::EPSILON => {
                wrong(&format!("{} CPUs, and allocated_quantity is {quantity}", cpus.count()))
            }
            Ok(_) => Ok(()),
            Err(e) => wrong(&e.to_string()),
        },
        oci_property::CPUSET_MEMS => match text.parse::<NumaSet>() {
            Ok(nodes) if nodes.is_empty() => wrong("no node"),
            Ok(_) => Ok(()),
            Err(e) => wrong(&e.to_string()),
        },
        oci_property::MEMORY_LIMIT => match text.parse::<i64>() {
            Ok(_) => Ok(()),
            Err(e) => wrong(&e.to_string()),
        },
        _ => wrong("a property that the kubelet does not set"),
    }
}
