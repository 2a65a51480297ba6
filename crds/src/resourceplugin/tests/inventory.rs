//! Messages about what is there and who holds it.

use super::super::*;
use super::{allocation, assert_wire, hints};
use crate::wire::{Field, entry, inner, inner_entry, one, text, truth};

fn quantity() -> TopologyAwareQuantity {
    TopologyAwareQuantity {
        resource_value: 1.5,
        node: 3,
        name: "name".to_owned(),
        r#type: "type".to_owned(),
        topology_level: TopologyLevel::Socket.into(),
        annotations: one("a", "1".to_owned()),
    }
}

#[test]
fn an_allocation_with_all_that_is_applied() {
    let mount = Mount { container_path: "/c".to_owned(), host_path: "/h".to_owned(), read_only: true };
    assert_wire(&mount, &[text(1, "/c"), text(2, "/h"), truth(3)]);
    let device = DeviceSpec { container_path: "/c".to_owned(), host_path: "/h".to_owned(), permissions: "rw".to_owned() };
    assert_wire(&device, &[text(1, "/c"), text(2, "/h"), text(3, "rw")]);

    let info = ResourceAllocationInfo {
        oci_property_name: "CpusetCpus".to_owned(),
        is_node_resource: true,
        is_scalar_resource: true,
        allocated_quantity: 2.5,
        allocation_result: "0-3".to_owned(),
        envs: one("e", "1".to_owned()),
        annotations: one("a", "2".to_owned()),
        resource_hints: Some(hints()),
        topology_assignments: [(4, 5)].into(),
        mounts: vec![mount.clone()],
        devices: vec![device.clone()],
    };
    let expected = [
        text(1, "CpusetCpus"),
        truth(2),
        truth(3),
        Field::Double(4, 2.5),
        text(5, "0-3"),
        entry(6, "e", "1"),
        entry(7, "a", "2"),
        inner(8, &hints()),
        Field::Bytes(9, vec![0x08, 4, 0x10, 5]),
        inner(10, &mount),
        inner(11, &device),
    ];
    assert_wire(&info, &expected);
    let info = ResourceAllocationInfo { is_node_resource: true, ..Default::default() };
    let allocation = ResourceAllocation { resource_allocation: one("cpu", info.clone()) };
    assert_wire(&allocation, &[inner_entry(1, "cpu", &info)]);
}

#[test]
fn all_allocations() {
    let containers = ContainerResources { container_resources: one("container", allocation()) };
    assert_wire(&containers, &[inner_entry(1, "container", &allocation())]);
    let response = GetResourcesAllocationResponse { pod_resources: one("uid", containers.clone()) };
    assert_wire(&response, &[inner_entry(1, "uid", &containers)]);
}

#[test]
fn what_a_container_holds() {
    let request = GetTopologyAwareResourcesRequest { pod_uid: "uid".to_owned(), container_name: "container".to_owned() };
    assert_wire(&request, &[text(1, "uid"), text(2, "container")]);

    let head = [Field::Double(1, 1.5), Field::Number(2, 3), text(3, "name"), text(4, "type")];
    let fields = head.into_iter().chain([Field::Number(5, 1), entry(6, "a", "1")]);
    assert_wire(&quantity(), &fields.collect::<Vec<_>>());

    let resource = TopologyAwareResource {
        is_node_resource: true,
        is_scalar_resource: true,
        aggregated_quantity: 3.0,
        original_aggregated_quantity: 4.0,
        topology_aware_quantity_list: vec![quantity()],
        original_topology_aware_quantity_list: vec![quantity(), quantity()],
    };
    let lists = [inner(5, &quantity()), inner(6, &quantity()), inner(6, &quantity())];
    let fields = [truth(1), truth(2), Field::Double(3, 3.0), Field::Double(4, 4.0)].into_iter().chain(lists);
    assert_wire(&resource, &fields.collect::<Vec<_>>());

    let container =
        ContainerTopologyAwareResources { container_name: "container".to_owned(), allocated_resources: one("cpu", resource.clone()) };
    assert_wire(&container, &[text(1, "container"), inner_entry(2, "cpu", &resource)]);
    let response = GetTopologyAwareResourcesResponse {
        pod_uid: "uid".to_owned(),
        pod_name: "name".to_owned(),
        pod_namespace: "namespace".to_owned(),
        container_topology_aware_resources: Some(container.clone()),
    };
    assert_wire(&response, &[text(1, "uid"), text(2, "name"), text(3, "namespace"), inner(4, &container)]);
}

#[test]
fn what_the_node_could_give() {
    let resource = AllocatableTopologyAwareResource {
        is_node_resource: true,
        is_scalar_resource: true,
        aggregated_allocatable_quantity: 3.0,
        topology_aware_allocatable_quantity_list: vec![quantity()],
        aggregated_capacity_quantity: 4.0,
        topology_aware_capacity_quantity_list: vec![quantity()],
    };
    let fields = [truth(1), truth(2), Field::Double(3, 3.0), inner(4, &quantity()), Field::Double(5, 4.0), inner(6, &quantity())];
    assert_wire(&resource, &fields);
    let response = GetTopologyAwareAllocatableResourcesResponse { allocatable_resources: one("cpu", resource.clone()) };
    assert_wire(&response, &[inner_entry(1, "cpu", &resource)]);
}

#[test]
fn options_and_registration() {
    let options = ResourcePluginOptions {
        pre_start_required: true,
        with_topology_alignment: false,
        need_reconcile: true,
        associated_devices: vec!["gpu".to_owned()],
        extra_resources: vec!["nic".to_owned()],
    };
    assert_wire(&options, &[truth(1), truth(3), text(4, "gpu"), text(5, "nic")]);
    let aligned = ResourcePluginOptions { with_topology_alignment: true, ..Default::default() };
    assert_wire(&aligned, &[truth(2)]);
    let register = RegisterRequest {
        version: "v1alpha1".to_owned(),
        endpoint: "a.sock".to_owned(),
        resource_name: "cpu".to_owned(),
        options: Some(options.clone()),
    };
    assert_wire(&register, &[text(1, "v1alpha1"), text(2, "a.sock"), text(3, "cpu"), inner(4, &options)]);
}

#[test]
fn devices() {
    // A negative id is a plain varint of ten bytes, not zigzag.
    let node = NumaNode { id: -1 };
    assert_wire(&node, &[Field::Number(1, u64::MAX)]);
    let topology = TopologyInfo { nodes: vec![node.clone()] };
    assert_wire(&topology, &[inner(1, &node)]);
    let device = AssociatedDevice { id: "0".to_owned(), health: "Healthy".to_owned(), topology: Some(topology.clone()) };
    assert_wire(&device, &[text(1, "0"), text(2, "Healthy"), inner(3, &topology)]);
    let update = UpdateAllocatableAssociatedDevicesRequest { device_name: "gpu".to_owned(), devices: vec![device.clone()] };
    assert_wire(&update, &[text(1, "gpu"), inner(2, &device)]);
}
