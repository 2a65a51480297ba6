//! What is answered on a plugin's socket: from the values to the messages.

use super::annotations::{flattened, labels};
use super::on_wire;
use crate::{Allocatable, Allocation, Allocations, Amount, ContainerAllocation, Hint, Hints, OciProperty, Told};
use gleaner_crds::keys::oci_property;
use gleaner_crds::resourceplugin as proto;
use gleaner_model::{ContainerName, Id, NumaId, PodName};
use std::collections::BTreeMap;

/// The answer to "where", with the request told back.
///
/// No preference is a list that is absent: kubelet looks it up by the resource's name and takes what it does not find for nil. A list cannot say
/// "any node" in one of its hints, since kubelet reads one without nodes as one for no node; such a hint is left out beside others, and
/// alone it is no preference.
pub(in crate::serve) fn hints(resource: &str, asked: proto::ResourceRequest, told: &Told<Hints>) -> proto::ResourceHintsResponse {
    let list: Vec<_> = match &told.answer {
        Hints::NoPreference => Vec::new(),
        Hints::List(list) => list.iter().filter_map(hint).collect(),
    };
    let entry = (!list.is_empty()).then(|| (resource.to_owned(), proto::ListOfTopologyHints { hints: list }));
    proto::ResourceHintsResponse {
        labels: labels(&asked.labels, told.class),
        annotations: flattened(&asked.annotations, told.class),
        resource_hints: entry.into_iter().collect(),
        pod_uid: asked.pod_uid,
        pod_namespace: asked.pod_namespace,
        pod_name: asked.pod_name,
        container_name: asked.container_name,
        container_type: asked.container_type,
        container_index: asked.container_index,
        pod_role: asked.pod_role,
        pod_type: asked.pod_type,
        resource_name: asked.resource_name,
        native_qos_class: asked.native_qos_class,
    }
}

/// The answer to an allocation, with the request told back. What is given nothing has no result.
pub(in crate::serve) fn given(asked: proto::ResourceRequest, told: &Told<ContainerAllocation>) -> proto::ResourceAllocationResponse {
    proto::ResourceAllocationResponse {
        labels: labels(&asked.labels, told.class),
        annotations: flattened(&asked.annotations, told.class),
        allocation_result: (!told.answer.is_empty()).then(|| resources(&told.answer)),
        pod_uid: asked.pod_uid,
        pod_namespace: asked.pod_namespace,
        pod_name: asked.pod_name,
        container_name: asked.container_name,
        container_type: asked.container_type,
        container_index: asked.container_index,
        pod_role: asked.pod_role,
        pod_type: asked.pod_type,
        resource_name: asked.resource_name,
        native_qos_class: asked.native_qos_class,
    }
}

/// Everything that was given.
pub(in crate::serve) fn allocations(all: &Allocations) -> proto::GetResourcesAllocationResponse {
    let containers = |of: &BTreeMap<ContainerName, ContainerAllocation>| proto::ContainerResources {
        container_resources: of.iter().map(|(name, given)| (name.as_str().to_owned(), resources(given))).collect(),
    };
    let pods = all.iter().map(|(uid, of)| (uid.as_str().to_owned(), containers(of)));
    proto::GetResourcesAllocationResponse { pod_resources: pods.collect() }
}

/// What one container was given, by NUMA node. Knobs that only go with a resource come from no node and are left out. A container that is not
/// known has no entry and is no error: callers ask all plugins about each container, and one error would cost them the other answers.
pub(in crate::serve) fn container(
    resource: &str,
    asked: proto::GetTopologyAwareResourcesRequest,
    found: Option<(PodName, ContainerAllocation)>,
) -> proto::GetTopologyAwareResourcesResponse {
    let Some((pod, given)) = found else {
        return proto::GetTopologyAwareResourcesResponse { pod_uid: asked.pod_uid, ..Default::default() };
    };
    let by_place = given.iter().filter(|(key, given)| *key == resource || !given.by_node.is_empty());
    let aware = proto::ContainerTopologyAwareResources {
        container_name: asked.container_name,
        allocated_resources: by_place.map(|(key, given)| (key.clone(), aware(key, given))).collect(),
    };
    proto::GetTopologyAwareResourcesResponse {
        pod_uid: asked.pod_uid,
        pod_name: pod.name,
        pod_namespace: pod.namespace,
        container_topology_aware_resources: Some(aware),
    }
}

/// What the node has of a resource, by NUMA node.
pub(in crate::serve) fn allocatable(resource: &str, node: &Allocatable) -> proto::GetTopologyAwareAllocatableResourcesResponse {
    let of = proto::AllocatableTopologyAwareResource {
        is_node_resource: false,
        is_scalar_resource: true,
        aggregated_allocatable_quantity: sum(resource, &node.allocatable),
        topology_aware_allocatable_quantity_list: by_node(resource, &node.allocatable),
        aggregated_capacity_quantity: sum(resource, &node.capacity),
        topology_aware_capacity_quantity_list: by_node(resource, &node.capacity),
    };
    proto::GetTopologyAwareAllocatableResourcesResponse { allocatable_resources: BTreeMap::from([(resource.to_owned(), of)]) }
}

/// `None` for any node, which the wire cannot say.
fn hint(hint: &Hint) -> Option<proto::TopologyHint> {
    let nodes = hint.nodes.as_ref()?.iter().map(|node| u64::from(node.index()));
    Some(proto::TopologyHint { nodes: nodes.collect(), preferred: hint.preferred })
}

fn resources(given: &ContainerAllocation) -> proto::ResourceAllocation {
    proto::ResourceAllocation { resource_allocation: given.iter().map(|(key, given)| (key.clone(), info(key, given))).collect() }
}

fn info(resource: &str, given: &Allocation) -> proto::ResourceAllocationInfo {
    let property = given.oci_property.map_or("", |property| match property {
        OciProperty::CpusetCpus => oci_property::CPUSET_CPUS,
        OciProperty::CpusetMems => oci_property::CPUSET_MEMS,
        OciProperty::MemoryLimitInBytes => oci_property::MEMORY_LIMIT,
    });
    proto::ResourceAllocationInfo {
        oci_property_name: property.to_owned(),
        is_node_resource: false,
        is_scalar_resource: true,
        allocated_quantity: on_wire(resource, given.quantity),
        allocation_result: given.result.clone(),
        envs: given.envs.clone(),
        annotations: given.annotations.clone(),
        resource_hints: given.hint.as_ref().and_then(hint).map(|hint| proto::ListOfTopologyHints { hints: vec![hint] }),
        ..Default::default()
    }
}

fn aware(resource: &str, given: &Allocation) -> proto::TopologyAwareResource {
    // Nothing is taken back from a container while it runs, so what it has is what it was given.
    let (whole, places) = (on_wire(resource, given.quantity), by_node(resource, &given.by_node));
    proto::TopologyAwareResource {
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

fn sum(resource: &str, amounts: &BTreeMap<NumaId, Amount>) -> f64 {
    amounts.values().map(|amount| on_wire(resource, *amount)).sum()
}
