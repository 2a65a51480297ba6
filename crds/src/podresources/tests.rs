//! Field numbers, wire types and paths, held against the protocol; none of it comes from the generated code.

use prost::Message;

use super::*;
use crate::wire::{Field, entry, inner, one, poll_once, read_fields, recorder, text, truth};

fn assert_wire(message: &impl Message, expected: &[Field]) {
    let found = read_fields(&message.encode_to_vec());
    assert_eq!(found, expected, "left: fields found, right: fields of the protocol");
}

fn nodes() -> TopologyInfo {
    TopologyInfo { nodes: vec![NumaNode { id: 3 }] }
}

fn quantity() -> TopologyAwareQuantity {
    TopologyAwareQuantity {
        resource_value: 1.5,
        node: 2,
        name: "name".to_owned(),
        r#type: "type".to_owned(),
        topology_level: TopologyLevel::Socket.into(),
        annotations: one("a", "b".to_owned()),
    }
}

fn aware() -> TopologyAwareResource {
    TopologyAwareResource {
        resource_name: "cpu".to_owned(),
        is_node_resource: true,
        is_scalar_resource: true,
        aggregated_quantity: 4.5,
        original_aggregated_quantity: 5.5,
        topology_aware_quantity_list: vec![quantity()],
        original_topology_aware_quantity_list: vec![quantity(), quantity()],
    }
}

fn allocatable() -> AllocatableTopologyAwareResource {
    AllocatableTopologyAwareResource {
        resource_name: "cpu".to_owned(),
        is_node_resource: true,
        is_scalar_resource: true,
        aggregated_allocatable_quantity: 4.5,
        topology_aware_allocatable_quantity_list: vec![quantity()],
        aggregated_capacity_quantity: 6.5,
        topology_aware_capacity_quantity_list: vec![quantity(), quantity()],
    }
}

fn memory() -> ContainerMemory {
    ContainerMemory { memory_type: "memory".to_owned(), size: 4096, topology: Some(nodes()) }
}

fn devices() -> ContainerDevices {
    ContainerDevices { resource_name: "x/y".to_owned(), device_ids: vec!["d".to_owned()], topology: Some(nodes()) }
}

#[test]
fn a_pods_messages_have_the_numbers_of_the_protocol() {
    let container = ContainerResources { name: "c".to_owned(), ..Default::default() };
    let pod = PodResources {
        name: "name".to_owned(),
        namespace: "space".to_owned(),
        containers: vec![container.clone()],
        pod_role: "role".to_owned(),
        pod_type: "type".to_owned(),
        labels: one("l", "m".to_owned()),
        annotations: one("a", "b".to_owned()),
    };
    let fields = [
        text(1, "name"),
        text(2, "space"),
        inner(3, &container),
        text(12, "role"),
        text(13, "type"),
        entry(14, "l", "m"),
        entry(15, "a", "b"),
    ];
    assert_wire(&pod, &fields);
    assert_wire(&ListPodResourcesResponse { pod_resources: vec![pod.clone()] }, &[inner(1, &pod)]);
    assert_wire(&GetPodResourcesResponse { pod_resources: Some(pod.clone()) }, &[inner(1, &pod)]);
    let request = GetPodResourcesRequest { pod_name: "name".to_owned(), pod_namespace: "space".to_owned() };
    assert_wire(&request, &[text(1, "name"), text(2, "space")]);
}

#[test]
fn a_containers_messages_have_the_numbers_of_the_protocol() {
    let claim = DynamicResource { claim_name: "claim".to_owned(), ..Default::default() };
    let container = ContainerResources {
        name: "c".to_owned(),
        devices: vec![devices()],
        cpu_ids: vec![1, 300],
        memory: vec![memory()],
        dynamic_resources: vec![claim.clone()],
        resources: vec![aware()],
    };
    // Repeated numbers are packed: 300 takes two bytes.
    let packed = Field::Bytes(3, vec![1, 0xac, 2]);
    let fields = [text(1, "c"), inner(2, &devices()), packed, inner(4, &memory()), inner(5, &claim), inner(15, &aware())];
    assert_wire(&container, &fields);
    assert_wire(&memory(), &[text(1, "memory"), Field::Number(2, 4096), inner(3, &nodes())]);
    assert_wire(&devices(), &[text(1, "x/y"), text(2, "d"), inner(3, &nodes())]);
    assert_wire(&nodes(), &[inner(1, &NumaNode { id: 3 })]);
    assert_wire(&NumaNode { id: 3 }, &[Field::Number(1, 3)]);
}

#[test]
fn a_claims_messages_have_the_numbers_of_the_protocol() {
    let device = CdiDevice { name: "vendor/class=device".to_owned() };
    let resource = ClaimResource {
        cdi_devices: vec![device.clone()],
        driver_name: "driver".to_owned(),
        pool_name: "pool".to_owned(),
        device_name: "device".to_owned(),
    };
    let claim =
        DynamicResource { claim_name: "claim".to_owned(), claim_namespace: "space".to_owned(), claim_resources: vec![resource.clone()] };
    assert_wire(&claim, &[text(2, "claim"), text(3, "space"), inner(4, &resource)]);
    assert_wire(&resource, &[inner(1, &device), text(2, "driver"), text(3, "pool"), text(4, "device")]);
    assert_wire(&device, &[text(1, "vendor/class=device")]);
}

#[test]
fn amounts_by_place_have_the_numbers_of_kubewharfs_protocol() {
    let fields = [Field::Double(1, 1.5), Field::Number(2, 2), text(3, "name"), text(4, "type"), Field::Number(5, 1), entry(6, "a", "b")];
    assert_wire(&quantity(), &fields);
    let list = |number| inner(number, &quantity());
    let fields = [text(1, "cpu"), truth(2), truth(3), Field::Double(4, 4.5), Field::Double(5, 5.5), list(6), list(7), list(7)];
    assert_wire(&aware(), &fields);
    let fields = [text(1, "cpu"), truth(2), truth(3), Field::Double(4, 4.5), list(5), Field::Double(6, 6.5), list(7), list(7)];
    assert_wire(&allocatable(), &fields);
}

#[test]
fn what_the_node_could_give_has_the_numbers_of_the_protocol() {
    let answer =
        AllocatableResourcesResponse { devices: vec![devices()], cpu_ids: vec![5], memory: vec![memory()], resources: vec![allocatable()] };
    let fields = [inner(1, &devices()), Field::Bytes(2, vec![5]), inner(3, &memory()), inner(15, &allocatable())];
    assert_wire(&answer, &fields);
    assert_wire(&AllocatableResourcesRequest {}, &[]);
    assert_wire(&ListPodResourcesRequest {}, &[]);
}

#[test]
fn calls_go_to_kubelets_paths() {
    let (service, paths) = recorder();
    let mut client = pod_resources_lister_client::PodResourcesListerClient::new(service);
    poll_once(client.list(ListPodResourcesRequest {}));
    poll_once(client.get_allocatable_resources(AllocatableResourcesRequest {}));
    poll_once(client.get(GetPodResourcesRequest::default()));
    let expected = ["List", "GetAllocatableResources", "Get"].map(|method| format!("/v1.PodResourcesLister/{method}"));
    assert_eq!(*paths.lock().unwrap(), expected);
    assert_eq!(pod_resources_lister_server::SERVICE_NAME, "v1.PodResourcesLister");
}
