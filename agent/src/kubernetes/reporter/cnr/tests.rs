#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::super::cnr_gap::{gap, same_status, spec_patch, status_patch};
use super::super::fixture::{GIB, cpus, lending, pod, report};
use super::super::offer::split;
use super::super::pacer::Other;
use super::*;
use crate::kubernetes::{Lent, PodHolding};
use gleaner_crds::cnr::{ResourceList, ZoneType};
use gleaner_crds::keys::resource;
use gleaner_crds::quantity::{milli_value, value};
use gleaner_model::{CpuId, NodeInfo, NumaId, QosClass, RawCpu, Topology};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

fn status(report: &NodeReport) -> CustomNodeResourceStatus {
    cnr(report, Load::default()).1
}

/// All NUMA zones by name.
fn numa(status: &CustomNodeResourceStatus) -> BTreeMap<String, TopologyZone> {
    let below = status.topology_zone.iter().flat_map(|zone| &zone.children);
    let all = status.topology_zone.iter().chain(below).filter(|zone| zone.type_ == ZoneType::Numa);
    all.map(|zone| (zone.name.clone(), zone.clone())).collect()
}

fn amount(list: &ResourceList, name: &str) -> u64 {
    list.get(name).map_or(0, |quantity| value(&quantity.0).unwrap().get())
}

fn milli(list: &ResourceList, name: &str) -> u64 {
    list.get(name).map_or(0, |quantity| milli_value(&quantity.0).unwrap().get())
}

/// The object after everything was written.
fn written(report: &NodeReport, load: Load) -> CustomNodeResource {
    let (spec, status) = cnr(report, load);
    let mut object = CustomNodeResource::new("n", spec);
    object.status = Some(status);
    object.metadata.resource_version = Some("5".to_owned());
    object
}

#[test]
fn the_tree_has_sockets_and_in_them_numa_nodes_with_what_they_have() {
    let status = status(&report());
    let tree: Vec<(String, Vec<String>)> = status
        .topology_zone
        .iter()
        .map(|zone| (format!("{} {}", zone.type_, zone.name), zone.children.iter().map(|c| c.name.clone()).collect()))
        .collect();
    let expected =
        [("Socket 0", ["0", "1"]), ("Socket 1", ["2", "3"])].map(|(socket, nodes)| (socket.to_owned(), nodes.map(str::to_owned).to_vec()));
    assert_eq!(tree, expected);
    let first = serde_json::to_value(&status.topology_zone[0].children[0]).unwrap();
    let memory = 8 * GIB;
    assert_eq!(
        first,
        json!({
            "type": "Numa",
            "name": "0",
            "resources": {
                "capacity": {"cpu": "8", "memory": memory.to_string(), resource::RECLAIMED_MILLICPU: "2000", resource::RECLAIMED_MEMORY: (4 * GIB).to_string()},
                "allocatable": {"cpu": "7", "memory": (memory - GIB / 4).to_string(), resource::RECLAIMED_MILLICPU: "2000", resource::RECLAIMED_MEMORY: (4 * GIB).to_string()},
            },
            "attributes": [{"name": "numa_distance", "value": "10,12,21,21"}, {"name": "reserved_cpu_list", "value": "0"}],
            "siblings": [
                {"type": "Numa", "name": "1", "attributes": [{"name": "distance", "value": "12"}]},
                {"type": "Numa", "name": "2", "attributes": [{"name": "distance", "value": "21"}]},
                {"type": "Numa", "name": "3", "attributes": [{"name": "distance", "value": "21"}]},
            ],
        }),
    );
}

#[test]
fn pods_hold_what_they_are_tied_to() {
    let pods = vec![
        pod("dedicated", QosClass::Dedicated, "1-3,4", "0-1"),
        pod("bound", QosClass::Shared, "", "1"),
        pod("free", QosClass::Shared, "", ""),
        pod("reclaimed", QosClass::Reclaimed, "", "0"),
        pod("anywhere", QosClass::Reclaimed, "", ""),
    ];
    let zones = numa(&status(&NodeReport { pods, ..report() }));
    let held = |node: &str| serde_json::to_value(&zones[node].allocations).unwrap();
    let memory = 3 * GIB;
    assert_eq!(
        held("0"),
        json!([
            {"consumer": "ns/dedicated/uid-dedicated", "requests": {"cpu": "3", "memory": (memory * 3 / 4).to_string()}},
            {"consumer": "ns/reclaimed/uid-reclaimed", "requests": {resource::RECLAIMED_MILLICPU: "2000", resource::RECLAIMED_MEMORY: memory.to_string()}},
        ]),
    );
    assert_eq!(
        held("1"),
        json!([
            {"consumer": "ns/bound/uid-bound", "requests": {"cpu": "2", "memory": memory.to_string()}},
            {"consumer": "ns/dedicated/uid-dedicated", "requests": {"cpu": "1", "memory": (memory / 4).to_string()}},
        ]),
    );
    assert_eq!(held("2"), json!([]));
}

/// One socket, one NUMA node with two caches of two CPUs, and a node that has only memory.
fn two_caches() -> Topology {
    let cpu = |cpu: u32| RawCpu { cpu: CpuId::new(cpu), core: cpu.into(), package: 0, l3: Some(u64::from(cpu / 2)), numa: NumaId::new(0) };
    let node = |node| NodeInfo { id: NumaId::new(node), memory: Bytes::new(GIB), distances: BTreeMap::new(), hugepages: BTreeMap::new() };
    Topology::build((0..4).map(cpu).collect(), vec![node(0), node(1)]).unwrap()
}

#[test]
fn a_numa_node_with_several_caches_has_a_zone_for_each() {
    let pods = vec![pod("dedicated", QosClass::Dedicated, "2-3", "0")];
    let report = NodeReport { topology: Arc::new(two_caches()), pods, ..report() };
    let caches = numa(&status(&report))["0"].children.clone();
    let told = serde_json::to_value(&caches).unwrap();
    assert_eq!(told[0]["type"], "CacheGroup");
    assert_eq!(told[0]["resources"], json!({"capacity": {"cpu": "2"}, "allocatable": {"cpu": "1"}}));
    assert_eq!(told[0]["attributes"], json!([{"name": "cpu_lists", "value": "0-1"}]));
    assert_eq!(told[1]["allocations"], json!([{"consumer": "ns/dedicated/uid-dedicated", "requests": {"cpu": "2"}}]));
}

#[test]
fn a_node_without_cpus_is_in_no_socket() {
    let status = status(&NodeReport { topology: Arc::new(two_caches()), ..report() });
    let top: Vec<String> = status.topology_zone.iter().map(|zone| format!("{} {}", zone.type_, zone.name)).collect();
    assert_eq!(top, ["Socket 0", "Numa 1"]);
}

#[test]
fn what_is_not_known_by_numa_node_is_not_told_of_them() {
    let lent = Lent { by_node: BTreeMap::new(), ..super::super::fixture::lent(8000, GIB) };
    let status = status(&NodeReport { lent: Some(lent), ..report() });
    assert_eq!(amount(status.resources.allocatable.as_ref().unwrap(), resource::RECLAIMED_MILLICPU), 8000);
    let zones = numa(&status);
    assert!(zones.values().all(|zone| !zone.resources.allocatable.as_ref().unwrap().contains_key(resource::RECLAIMED_MILLICPU)));
}

#[test]
fn shadow_offers_nothing_and_says_so() {
    let report = NodeReport { shadow: true, ..report() };
    let (spec, status) = cnr(&report, Load::default());
    let lists = numa(&status).into_values().filter_map(|zone| zone.resources.allocatable).chain(status.resources.allocatable.clone());
    assert!(lists.into_iter().all(|list| amount(&list, resource::RECLAIMED_MILLICPU) == 0));
    assert_eq!(status.conditions[0].reason, "Shadow");
    let names: Vec<&str> = spec.node_resource_properties.iter().map(|property| property.property_name.as_str()).collect();
    assert_eq!(names, ["gleaner/cgroup", "gleaner/shadow"]);
}

#[test]
fn load_taints_for_reclaimed_pods_only() {
    let taints = cnr(&report(), Load { memory_short: true, cpu_suppressed: true }).0.taints;
    let told = serde_json::to_value(&taints).unwrap();
    let taint =
        |key: &str| json!({"key": format!("node.katalyst.kubewharf.io/{key}"), "effect": "NoSchedule", "qosLevel": "reclaimed_cores"});
    assert_eq!(told, json!([taint("CPUPressure"), taint("MemoryPressure")]));
}

#[test]
fn what_was_written_is_no_difference_in_any_spelling() {
    let report = NodeReport { pods: vec![pod("p", QosClass::Dedicated, "1-2", "0")], ..report() };
    let mut told = written(&report, Load::default());
    let (spec, status) = cnr(&report, Load::default());
    assert!(same_status(&told, &status));
    let old = told.status.as_mut().unwrap();
    let lists = [&mut old.resources.allocatable, &mut old.topology_zone[0].children[0].resources.allocatable];
    for list in lists.into_iter().flatten() {
        list.get_mut(resource::RECLAIMED_MILLICPU).unwrap().0 =
            if amount(list, resource::RECLAIMED_MILLICPU) == 8000 { "8k" } else { "2k" }.to_owned();
    }
    old.topology_zone[0].children[0]
        .resources
        .capacity
        .as_mut()
        .unwrap()
        .insert("memory".to_owned(), k8s_openapi::apimachinery::pkg::api::resource::Quantity("8Gi".to_owned()));
    old.conditions[0].last_heartbeat_time = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    assert!(same_status(&told, &status));
    assert_eq!(spec_patch(&told, &spec, None), None);
}

#[test]
fn every_part_that_changes_is_a_difference() {
    let base = report();
    let told = written(&base, Load::default());
    let other = |report: &NodeReport, load| {
        let (spec, status) = cnr(report, load);
        gap(&told, &spec, &status, None, [0; 2]).other
    };
    let loaded = Load { memory_short: true, cpu_suppressed: false };
    let choice = TopologyChoice { policy: Policy::Numeric, ..TopologyChoice::default() };
    let cases = [
        ("nothing", base.clone(), Load::default(), Other::Same),
        ("what is lent", lending(4000, GIB), Load::default(), Other::Same),
        ("a pod", NodeReport { pods: vec![pod("p", QosClass::Shared, "", "0")], ..base.clone() }, Load::default(), Other::Changed),
        ("reserved CPUs", NodeReport { reserved: cpus("0-1"), ..base.clone() }, Load::default(), Other::Changed),
        ("policy", NodeReport { alignment: choice, ..base.clone() }, Load::default(), Other::Changed),
        ("attributes", NodeReport { attributes: BTreeMap::new(), ..base.clone() }, Load::default(), Other::Changed),
        (
            "a problem",
            NodeReport { problems: BTreeMap::from([("a".to_owned(), "b".to_owned())]), ..base.clone() },
            Load::default(),
            Other::Changed,
        ),
        ("load", base.clone(), loaded, Other::Urgent),
    ];
    for (what, report, load, expected) in cases {
        assert_eq!(other(&report, load), expected, "{what}");
    }
}

#[test]
fn what_others_wrote_stays() {
    let mut told = written(&report(), Load::default());
    told.spec.node_resource_properties.insert(0, Property { property_name: "nic".to_owned(), ..Property::default() });
    let foreign = Taint { key: "other".to_owned(), effect: "NoSchedule".to_owned(), time_added: None, value: None };
    told.spec.taints.push(QosTaint { taint: foreign, qos_level: QosLevel::SharedCores });
    let gone = CnrCondition { type_: CnrConditionType::AgentNotFound, ..condition(&ready(&report())) };
    told.status.as_mut().unwrap().conditions.push(gone);
    let (spec, status) = cnr(&report(), Load { memory_short: true, cpu_suppressed: false });
    let patch = spec_patch(&told, &spec, None).unwrap();
    assert_eq!(patch["metadata"]["resourceVersion"], "5");
    assert_eq!(patch["spec"]["nodeResourceProperties"][0]["propertyName"], "nic");
    assert_eq!(patch["spec"]["taints"].as_array().unwrap().len(), 2, "{patch}");
    let patch = status_patch(&told, &status, &Time(jiff::Timestamp::UNIX_EPOCH));
    let types: Vec<_> = patch["status"]["conditions"].as_array().unwrap().iter().map(|c| c["type"].clone()).collect();
    assert_eq!(types, ["AgentNotFound", "AgentReady"]);
    assert!(patch["status"].get("nodeMetricStatus").is_none());
}

#[test]
fn who_stops_offers_nothing_anywhere() {
    let told = written(&report(), Load::default());
    let status = withdrawn(&told, &super::super::saying::stopped());
    let lists = numa(&status).into_values().flat_map(|zone| [zone.resources.allocatable, zone.resources.capacity]).flatten();
    for list in lists.chain(status.resources.allocatable.clone()) {
        assert_eq!(amount(&list, resource::RECLAIMED_MEMORY) + amount(&list, resource::RECLAIMED_MILLICPU), 0, "{list:?}");
    }
    assert_eq!((status.conditions[0].status.as_str(), status.conditions[0].reason.as_str()), ("False", "AgentStopped"));
    assert_eq!(numa(&status)["1"].resources.capacity.as_ref().unwrap()["cpu"].0, "8");
}

fn holdings() -> impl Strategy<Value = Vec<PodHolding>> {
    let node = (0..4_u32, 0..4_u32).prop_map(|(a, b)| format!("{},{}", a.min(b), a.max(b)));
    let one = (0..4_u8, prop::collection::btree_set(1..32_u32, 0..6), node, 0..50_000_u64, 0..10 * GIB).prop_map(
        |(kind, own, nodes, cpu, memory)| {
            let own = own.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let base = match kind {
                0 => pod("p", QosClass::Dedicated, &own, ""),
                1 => pod("p", QosClass::Shared, "", &nodes),
                2 => pod("p", QosClass::Reclaimed, "", &nodes),
                _ => pod("p", QosClass::Shared, "", ""),
            };
            if kind == 2 {
                PodHolding { reclaimed_cpu: MilliCpu::new(cpu), reclaimed_memory: Bytes::new(memory), ..base }
            } else {
                PodHolding { cpu: MilliCpu::new(cpu), memory: Bytes::new(memory), ..base }
            }
        },
    );
    prop::collection::vec(one, 0..12).prop_map(|mut pods| {
        for (index, pod) in pods.iter_mut().enumerate() {
            pod.api_uid = format!("uid-{index}");
            pod.name.name = format!("p{index}");
        }
        pods
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn parts_make_up_the_whole(whole in any::<u64>(), weights in prop::collection::vec(0..1_000_000_u64, 1..9)) {
        let parts = split(whole, &weights);
        prop_assert_eq!(parts.iter().map(|part| u128::from(*part)).sum::<u128>(), u128::from(whole), "{:?}", parts);
    }

    #[test]
    fn zones_make_up_the_node_and_allocations_the_pods(pods in holdings(), cpu in 0..32_000_u64, reserve in 0..GIB) {
        let report = NodeReport { pods: pods.clone(), memory_reserve: Bytes::new(reserve), ..lending(cpu / 4 * 4, GIB) };
        let status = status(&report);
        let zones = numa(&status);
        let sum = |name: &str| zones.values().map(|zone| amount(zone.resources.allocatable.as_ref().unwrap(), name)).sum::<u64>();
        prop_assert_eq!(sum(resource::RECLAIMED_MILLICPU), cpu / 4 * 4);
        prop_assert_eq!(sum(resource::RECLAIMED_MEMORY), GIB);
        prop_assert_eq!(sum(resource::CPU), 31);
        prop_assert_eq!(sum(resource::MEMORY), 32 * GIB - reserve);
        for pod in &pods {
            let consumer = format!("{}/{}", pod.name, pod.api_uid);
            let held = zones.values().flat_map(|zone| &zone.allocations).filter(|held| held.consumer == consumer);
            let held: Vec<&ResourceList> = held.filter_map(|held| held.requests.as_ref()).collect();
            let tied = !pod.own_cpus.is_empty() || !pod.nodes.is_empty();
            let own = MilliCpu::from_cpus(pod.own_cpus.count()).get();
            let expected = if own > 0 { own } else { pod.cpu.get() };
            let of = |amount: u64| if tied { amount } else { 0 };
            prop_assert_eq!(held.iter().map(|list| milli(list, resource::CPU)).sum::<u64>(), of(expected), "{}", &consumer);
            prop_assert_eq!(held.iter().map(|list| amount(list, resource::MEMORY)).sum::<u64>(), of(pod.memory.get()), "{}", &consumer);
            prop_assert_eq!(held.iter().map(|list| amount(list, resource::RECLAIMED_MILLICPU)).sum::<u64>(), of(pod.reclaimed_cpu.get()));
        }
    }

    #[test]
    fn the_order_of_pods_makes_no_difference(pods in holdings()) {
        let turned = pods.iter().rev().cloned().collect();
        prop_assert_eq!(status(&NodeReport { pods, ..report() }), status(&NodeReport { pods: turned, ..report() }));
    }
}
