use super::super::{allocatable, allocatable_of, allocations, container, given, hints, memory_by_node, pod};
use super::{allocation, amount, asked, by_node, holdings, nodes, texts};
use crate::{Allocatable, Allocation, ContainerAllocation, Hint, Hints, OciProperty, Told};
use gleaner_crds::podresources as pods;
use gleaner_crds::resourceplugin as proto;
use gleaner_model::{PodName, QosClass};
use std::collections::BTreeMap;

const LENT: &str = "resource.katalyst.kubewharf.io/reclaimed_millicpu";
const LEVEL: &str = "katalyst.kubewharf.io/qos_level";

fn wire_hint(nodes: &[u64], preferred: bool) -> proto::TopologyHint {
    proto::TopologyHint { nodes: nodes.to_vec(), preferred }
}

fn quantity(node: u64, resource_value: f64) -> proto::TopologyAwareQuantity {
    proto::TopologyAwareQuantity { resource_value, node, topology_level: proto::TopologyLevel::Numa.into(), ..Default::default() }
}

fn told<T>(answer: T) -> Told<T> {
    Told { class: QosClass::Shared, answer }
}

fn of_cpu(allocation: Allocation) -> ContainerAllocation {
    BTreeMap::from([("cpu".to_owned(), allocation)])
}

#[test]
fn hints_come_with_the_request_told_back() {
    let list = Hints::List(vec![Hint::on(nodes("0"), true), Hint::on(nodes("0-1"), false), Hint::on(nodes(""), false)]);
    let found = hints("cpu", asked(), &told(list));
    let expected = proto::ResourceHintsResponse {
        pod_uid: "uid-1".to_owned(),
        pod_namespace: "space".to_owned(),
        pod_name: "pod".to_owned(),
        container_name: "main".to_owned(),
        container_type: proto::ContainerType::Sidecar.into(),
        container_index: 3,
        pod_role: "role".to_owned(),
        pod_type: "type".to_owned(),
        resource_name: "cpu".to_owned(),
        resource_hints: BTreeMap::from([(
            "cpu".to_owned(),
            proto::ListOfTopologyHints { hints: vec![wire_hint(&[0], true), wire_hint(&[0, 1], false), wire_hint(&[], false)] },
        )]),
        labels: texts(&[("l", "m"), (LEVEL, "shared_cores")]),
        annotations: texts(&[("numa_binding", "true"), (LEVEL, "shared_cores")]),
        native_qos_class: "Guaranteed".to_owned(),
    };
    assert_eq!(found, expected);
}

#[test]
fn no_preference_is_no_list_and_any_node_is_not_said_in_one() {
    let any = || Hint::any();
    let some = || Hint::on(nodes("1"), true);
    let reluctant = Hint { nodes: None, preferred: false };
    for (list, expected) in [
        (Hints::NoPreference, None),
        (Hints::List(vec![any()]), None),
        (Hints::List(vec![any(), reluctant]), None),
        (Hints::List(vec![any(), some()]), Some(vec![wire_hint(&[1], true)])),
    ] {
        let found = hints("cpu", asked(), &told(list.clone())).resource_hints;
        let expected = expected.map(|hints| ("cpu".to_owned(), proto::ListOfTopologyHints { hints }));
        assert_eq!(found, expected.into_iter().collect(), "{list:?}");
    }
}

#[test]
fn an_allocation_comes_with_the_request_told_back() {
    let found = given(asked(), &told(of_cpu(allocation())));
    let info = proto::ResourceAllocationInfo {
        oci_property_name: "CpusetCpus".to_owned(),
        is_node_resource: false,
        is_scalar_resource: true,
        allocated_quantity: 2.0,
        allocation_result: "0-1".to_owned(),
        envs: texts(&[("E", "f")]),
        annotations: texts(&[("a", "b")]),
        resource_hints: Some(proto::ListOfTopologyHints { hints: vec![wire_hint(&[0, 1], true)] }),
        ..Default::default()
    };
    let expected = proto::ResourceAllocationResponse {
        pod_uid: "uid-1".to_owned(),
        pod_namespace: "space".to_owned(),
        pod_name: "pod".to_owned(),
        container_name: "main".to_owned(),
        container_type: proto::ContainerType::Sidecar.into(),
        container_index: 3,
        pod_role: "role".to_owned(),
        pod_type: "type".to_owned(),
        resource_name: "cpu".to_owned(),
        allocation_result: Some(proto::ResourceAllocation { resource_allocation: BTreeMap::from([("cpu".to_owned(), info)]) }),
        labels: texts(&[("l", "m"), (LEVEL, "shared_cores")]),
        annotations: texts(&[("numa_binding", "true"), (LEVEL, "shared_cores")]),
        native_qos_class: "Guaranteed".to_owned(),
    };
    assert_eq!(found, expected);
    assert_eq!(given(asked(), &told(ContainerAllocation::new())).allocation_result, None, "given nothing");
}

#[test]
fn properties_have_the_names_of_the_runtime_interface() {
    let cases = [
        (Some(OciProperty::CpusetCpus), "CpusetCpus"),
        (Some(OciProperty::CpusetMems), "CpusetMems"),
        (Some(OciProperty::MemoryLimitInBytes), "MemoryLimitInBytes"),
        (None, ""),
    ];
    for (oci_property, expected) in cases {
        let all = BTreeMap::from([(
            "uid-1".parse().unwrap(),
            BTreeMap::from([("main".parse().unwrap(), of_cpu(Allocation { oci_property, hint: None, ..allocation() }))]),
        )]);
        let found = allocations(&all);
        let info = &found.pod_resources["uid-1"].container_resources["main"].resource_allocation["cpu"];
        assert_eq!((info.oci_property_name.as_str(), &info.resource_hints), (expected, &None));
    }
}

#[test]
fn lent_cpu_goes_out_in_thousandths() {
    let lent = BTreeMap::from([(LENT.to_owned(), allocation())]);
    let info = given(asked(), &told(lent)).allocation_result.unwrap().resource_allocation[LENT].clone();
    assert_eq!((info.allocated_quantity, info.allocation_result.as_str()), (2000.0, "0-1"));
    let node = Allocatable { capacity: by_node(&[(0, 4.0)]), allocatable: by_node(&[(0, 2.5)]) };
    let found = allocatable(LENT, &node).allocatable_resources[LENT].clone();
    assert_eq!((found.aggregated_allocatable_quantity, found.aggregated_capacity_quantity), (2500.0, 4000.0));
}

#[test]
fn a_containers_amounts_are_told_by_node_and_knobs_that_come_from_none_are_left_out() {
    let knob = Allocation { by_node: BTreeMap::new(), ..allocation() };
    let all = BTreeMap::from([("cpu".to_owned(), allocation()), ("knob".to_owned(), knob)]);
    let name = PodName { namespace: "space".to_owned(), name: "pod".to_owned() };
    let ask = || proto::GetTopologyAwareResourcesRequest { pod_uid: "uid-1".to_owned(), container_name: "main".to_owned() };
    let found = container("cpu", ask(), Some((name, all)));
    let aware = proto::TopologyAwareResource {
        is_node_resource: false,
        is_scalar_resource: true,
        aggregated_quantity: 2.0,
        original_aggregated_quantity: 2.0,
        topology_aware_quantity_list: vec![quantity(0, 1.5), quantity(1, 0.5)],
        original_topology_aware_quantity_list: vec![quantity(0, 1.5), quantity(1, 0.5)],
    };
    let expected = proto::GetTopologyAwareResourcesResponse {
        pod_uid: "uid-1".to_owned(),
        pod_name: "pod".to_owned(),
        pod_namespace: "space".to_owned(),
        container_topology_aware_resources: Some(proto::ContainerTopologyAwareResources {
            container_name: "main".to_owned(),
            allocated_resources: BTreeMap::from([("cpu".to_owned(), aware)]),
        }),
    };
    assert_eq!(found, expected);
    let unknown = proto::GetTopologyAwareResourcesResponse { pod_uid: "uid-1".to_owned(), ..Default::default() };
    assert_eq!(container("cpu", ask(), None), unknown);
}

#[test]
fn what_the_node_has_is_told_whole_and_by_node() {
    let node = Allocatable { capacity: by_node(&[(0, 8.0), (1, 8.0)]), allocatable: by_node(&[(0, 7.5), (1, 8.0)]) };
    let found = allocatable("cpu", &node);
    let of = proto::AllocatableTopologyAwareResource {
        is_node_resource: false,
        is_scalar_resource: true,
        aggregated_allocatable_quantity: 15.5,
        topology_aware_allocatable_quantity_list: vec![quantity(0, 7.5), quantity(1, 8.0)],
        aggregated_capacity_quantity: 16.0,
        topology_aware_capacity_quantity_list: vec![quantity(0, 8.0), quantity(1, 8.0)],
    };
    assert_eq!(found.allocatable_resources, BTreeMap::from([("cpu".to_owned(), of)]));
    let found = allocatable_of("cpu", &node);
    assert_eq!((found.resource_name.as_str(), found.is_node_resource, found.is_scalar_resource), ("cpu", false, true));
    assert_eq!((found.aggregated_allocatable_quantity, found.aggregated_capacity_quantity), (15.5, 16.0));
    let values = |list: &[pods::TopologyAwareQuantity]| list.iter().map(|each| (each.node, each.resource_value)).collect::<Vec<_>>();
    assert_eq!(values(&found.topology_aware_allocatable_quantity_list), [(0, 7.5), (1, 8.0)]);
    assert_eq!(values(&found.topology_aware_capacity_quantity_list), [(0, 8.0), (1, 8.0)]);
}

#[test]
fn only_a_container_that_shares_with_nobody_has_cpu_ids_and_memory_blocks() {
    let memory = Allocation { oci_property: Some(OciProperty::CpusetMems), by_node: by_node(&[(0, 4096.0), (1, 0.0)]), ..allocation() };
    let held = || BTreeMap::from([("cpu".to_owned(), allocation()), ("memory".to_owned(), memory.clone())]);
    let found = pod(holdings(true, held()));
    assert_eq!((found.name.as_str(), found.namespace.as_str()), ("pod", "space"));
    assert_eq!((found.pod_role.as_str(), found.pod_type.as_str()), ("role", "type"));
    assert_eq!((found.labels, found.annotations), (texts(&[("l", "m")]), texts(&[("a", "b")])));
    let container = &found.containers[0];
    assert_eq!((container.name.as_str(), &container.cpu_ids), ("main", &vec![0, 1]));
    let topology = pods::TopologyInfo { nodes: vec![pods::NumaNode { id: 0 }] };
    let block = pods::ContainerMemory { memory_type: "memory".to_owned(), size: 4096, topology: Some(topology) };
    assert_eq!(container.memory, [block]);

    let shared = &pod(holdings(false, held())).containers[0];
    assert_eq!((&shared.cpu_ids, &shared.memory), (&vec![], &vec![]));
    let told = |resource: &pods::TopologyAwareResource| (resource.resource_name.clone(), resource.aggregated_quantity);
    let expected = [("cpu".to_owned(), 2.0), ("memory".to_owned(), 2.0)];
    for resources in [&container.resources, &shared.resources] {
        assert_eq!(resources.iter().map(told).collect::<Vec<_>>(), expected);
        assert_eq!(resources[0].topology_aware_quantity_list, resources[0].original_topology_aware_quantity_list);
        assert_eq!(resources[0].topology_aware_quantity_list[1].node, 1);
    }
}

#[test]
fn a_list_of_cpus_that_is_none_names_none_and_bytes_are_whole() {
    let broken = Allocation { result: "many".to_owned(), ..allocation() };
    assert_eq!(pod(holdings(true, of_cpu(broken))).containers[0].cpu_ids, Vec::<i64>::new());
    assert_eq!(memory_by_node(&BTreeMap::from([(gleaner_model::NumaId::new(2), amount(10.5))]))[0].size, 11);
}
