//! What is answered on the socket of pod resources: from the values to the messages.

use super::on_wire;
use crate::serve::decider::{ContainerHoldings, PodHoldings};
use crate::{Allocatable, Allocation, Amount, OciProperty};
use gleaner_crds::keys::resource;
use gleaner_crds::podresources as proto;
use gleaner_model::{ContainerName, CpuSet, Id, NumaId};
use std::collections::BTreeMap;

/// One pod.
pub(in crate::serve) fn pod(holdings: PodHoldings) -> proto::PodResources {
    let PodHoldings { pod, containers } = holdings;
    proto::PodResources {
        name: pod.name.name,
        namespace: pod.name.namespace,
        containers: containers.iter().map(|(name, held)| container(name, held)).collect(),
        pod_role: pod.role,
        pod_type: pod.kind,
        labels: pod.labels,
        annotations: pod.annotations,
    }
}

/// As kubelet has it, only CPUs and memory that a container shares with nobody are named: readers take them off what is left for others.
fn container(name: &ContainerName, held: &ContainerHoldings) -> proto::ContainerResources {
    // What goes along with a resource, as a limit does, is no amount. Memory of several nodes is one as a whole: where it is, only the kernel knows.
    let is_amount = |given: &Allocation| !given.by_node.is_empty() || given.oci_property == Some(OciProperty::CpusetMems);
    let by_place = held.given.iter().filter(|(_, given)| is_amount(given));
    let memory = held.given.get(resource::MEMORY).filter(|_| held.exclusive).map(|given| &given.by_node);
    proto::ContainerResources {
        name: name.as_str().to_owned(),
        cpu_ids: if held.exclusive { cpus(held.given.values()) } else { Vec::new() },
        memory: memory.map(memory_by_node).unwrap_or_default(),
        resources: by_place.map(|(key, given)| aware(key, given)).collect(),
        ..Default::default()
    }
}

/// What the node has of a resource.
pub(in crate::serve) fn allocatable_of(resource: &str, node: &Allocatable) -> proto::AllocatableTopologyAwareResource {
    let sum = |amounts: &BTreeMap<NumaId, Amount>| amounts.values().map(|amount| on_wire(resource, *amount)).sum();
    proto::AllocatableTopologyAwareResource {
        resource_name: resource.to_owned(),
        is_node_resource: false,
        is_scalar_resource: true,
        aggregated_allocatable_quantity: sum(&node.allocatable),
        topology_aware_allocatable_quantity_list: by_node(resource, &node.allocatable),
        aggregated_capacity_quantity: sum(&node.capacity),
        topology_aware_capacity_quantity_list: by_node(resource, &node.capacity),
    }
}

/// Memory in the words of upstream: one block for each node that has any.
pub(in crate::serve) fn memory_by_node(amounts: &BTreeMap<NumaId, Amount>) -> Vec<proto::ContainerMemory> {
    let block = |(node, amount): (&NumaId, &Amount)| proto::ContainerMemory {
        memory_type: resource::MEMORY.to_owned(),
        size: amount.bytes().get(),
        topology: Some(proto::TopologyInfo { nodes: vec![proto::NumaNode { id: i64::from(node.index()) }] }),
    };
    amounts.iter().filter(|(_, amount)| **amount > Amount::ZERO).map(block).collect()
}

/// The CPUs that the runtime is told. A text that is no list of CPUs names none.
fn cpus<'a>(given: impl Iterator<Item = &'a Allocation>) -> Vec<i64> {
    let lists = given.filter(|given| given.oci_property == Some(OciProperty::CpusetCpus));
    let cpus: CpuSet = lists.filter_map(|given| given.result.parse::<CpuSet>().ok()).fold(CpuSet::default(), |all, some| all.union(&some));
    cpus.iter().map(|cpu| i64::from(cpu.index())).collect()
}

fn aware(resource: &str, given: &Allocation) -> proto::TopologyAwareResource {
    let (whole, places) = (on_wire(resource, given.quantity), by_node(resource, &given.by_node));
    proto::TopologyAwareResource {
        resource_name: resource.to_owned(),
        is_node_resource: false,
        is_scalar_resource: true,
        aggregated_quantity: whole,
        original_aggregated_quantity: whole,
        topology_aware_quantity_list: places.clone(),
        original_topology_aware_quantity_list: places,
    }
}

fn by_node(resource: &str, amounts: &BTreeMap<NumaId, Amount>) -> Vec<proto::TopologyAwareQuantity> {
    let quantity = |(node, amount): (&NumaId, &Amount)| proto::TopologyAwareQuantity {
        resource_value: on_wire(resource, *amount),
        node: u64::from(node.index()),
        topology_level: proto::TopologyLevel::Numa.into(),
        ..Default::default()
    };
    amounts.iter().map(quantity).collect()
}
