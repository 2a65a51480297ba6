#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::fixtures::{machine, pod, uid};
use crate::{PlacePolicy, ReserveRule, demands, place};
use gleaner_model::{Assignment, NumaPlacement, PodUid, PoolName, Requirement, Topology};
use proptest::prelude::*;

/// Two packages of two nodes of two cores of two threads; each node has 1 GiB.
fn four_nodes() -> Topology {
    machine(2, 2, 2, 2)
}

fn bound(name: &str, class: QosClass, milli: u64) -> Pod {
    let mut pod = pod(name, class, milli);
    pod.qos.memory.numa_binding = NumaBinding::Bound;
    pod
}

fn choice(policy: TopologyPolicy) -> TopologyChoice {
    TopologyChoice { policy, ..TopologyChoice::default() }
}

fn chosen(pod: &Pod, choice: &TopologyChoice, others: &OtherHints) -> Result<Option<NumaSet>, Refusal> {
    let (topology, pods, assignment, policy) = (four_nodes(), BTreeMap::new(), Assignment::default(), PlacePolicy::default());
    let node = Node { topology: &topology, pods: &pods, assignment: &assignment, policy: &policy };
    choose_nodes(&node, pod, choice, &MemoryPolicy { reserve: Bytes::ZERO }, None, others)
}

fn device(nodes: &[&str]) -> OtherHints {
    let list = nodes.iter().map(|nodes| Hint::on(nodes.parse().unwrap(), true)).collect();
    BTreeMap::from([("gpu".to_owned(), Hints::List(list))])
}

#[test]
fn the_default_is_no_policy_for_whole_pods() {
    let default = TopologyChoice::default();
    assert_eq!((default.policy, default.scope, default.prefer_closest_numa), (TopologyPolicy::None, TopologyScope::Pod, false));
    let read: TopologyChoice = serde_json::from_str(r#"{"policy": "restricted", "preferClosestNuma": true}"#).unwrap();
    assert_eq!(read, TopologyChoice { policy: TopologyPolicy::Restricted, prefer_closest_numa: true, ..default });
}

#[test]
fn bound_pods_go_where_all_resources_agree_and_others_anywhere() {
    use TopologyPolicy::{BestEffort, None, Restricted, SingleNumaNode};
    let one = bound("a", QosClass::Dedicated, 2000);
    let mut two = bound("a", QosClass::Dedicated, 6000);
    two.qos.cpu.placement = NumaPlacement::Number(2);
    let cases = [
        (&one, None, device(&[]), "0"),
        (&one, None, device(&["2", "3"]), "2"),
        (&one, SingleNumaNode, device(&["3"]), "3"),
        // The device is on one of the two nodes that the CPUs need.
        (&two, BestEffort, device(&["2"]), "2-3"),
        (&two, Restricted, device(&["2-3"]), "2-3"),
        // It cannot be where the CPUs are: these decide.
        (&one, BestEffort, device(&["0-1"]), "0"),
    ];
    for (pod, policy, others, expected) in cases {
        let others = if others["gpu"] == Hints::List(Vec::new()) { OtherHints::new() } else { others };
        let got = chosen(pod, &choice(policy), &others).map(|nodes| nodes.map(|nodes| nodes.to_string()));
        assert_eq!(got, Ok(Some(expected.to_owned())), "{policy}, {} CPU, {others:?}", pod.cpu_request());
    }
    for policy in [None, BestEffort] {
        let got = chosen(&pod("a", QosClass::Dedicated, 2000), &choice(policy), &device(&["2"]));
        assert_eq!(got, Ok(Option::None), "{policy}: a pod without numa_binding is placed anywhere");
    }
}

#[test]
fn what_cannot_be_had_is_refused_with_its_rule() {
    let rule = |pod: &Pod, policy, others: &OtherHints| chosen(pod, &choice(policy), others).expect_err("must be refused").rule;
    let none = OtherHints::new();
    assert_eq!(rule(&bound("a", QosClass::Dedicated, 5000), TopologyPolicy::None, &none), Rule::NumaBinding);
    let mut two = bound("a", QosClass::Dedicated, 6000);
    two.qos.cpu.placement = NumaPlacement::Number(2);
    assert_eq!(rule(&two, TopologyPolicy::SingleNumaNode, &none), Rule::TopologyPolicy);
    let mut fat = bound("a", QosClass::Shared, 1000);
    fat.containers[0].memory = Requirement { request: Some(Bytes::new(2 << 30)), limit: None };
    assert_eq!(rule(&fat, TopologyPolicy::None, &none), Rule::Memory);
}

#[test]
fn cpu_is_that_of_the_whole_pod_and_memory_as_the_scope_says() {
    let mut pod = bound("a", QosClass::Dedicated, 3000);
    pod.containers[0].memory = Requirement { request: Some(Bytes::new(600 << 20)), limit: None };
    let mut second = pod.containers[0].clone();
    second.name = "second".parse().unwrap();
    second.cpu.request = Some(MilliCpu::new(1000));
    pod.containers.push(second);
    let of = |scope| chosen(&pod, &TopologyChoice { scope, ..TopologyChoice::default() }, &OtherHints::new());
    assert_eq!(of(TopologyScope::Pod).expect_err("1200 MiB on nodes of 1 GiB").rule, Rule::Memory);
    assert_eq!(of(TopologyScope::Container), Ok(Some("0".parse().unwrap())));
    pod.containers[1].cpu.request = Some(MilliCpu::new(2000));
    let small = TopologyChoice { scope: TopologyScope::Container, ..TopologyChoice::default() };
    assert_eq!(chosen(&pod, &small, &OtherHints::new()).expect_err("5 CPUs on nodes of 4").rule, Rule::NumaBinding);
}

fn some_pod(name: usize) -> impl Strategy<Value = Pod> {
    let class = prop_oneof![Just(QosClass::Dedicated), Just(QosClass::Shared), Just(QosClass::Reclaimed)];
    let placement = prop_oneof![3 => Just(NumaPlacement::Any), 1 => (1u32..4).prop_map(NumaPlacement::Number)];
    (class, 1u64..8, 0u64..700, placement, 0u8..8).prop_map(move |(class, halves, mib, placement, flags)| {
        let mut pod = bound(&format!("p{name}"), class, halves * 500);
        pod.containers[0].memory = Requirement { request: Some(Bytes::new(mib << 20)), limit: None };
        pod.qos.cpu.placement = placement;
        pod.qos.cpu.numa_share = flags & 3 != 3;
        if flags & 4 == 4 && class == QosClass::Dedicated {
            pod.qos.memory.numa_binding = NumaBinding::Exclusive;
        }
        pod
    })
}

fn policies() -> impl Strategy<Value = TopologyChoice> {
    use TopologyPolicy::{BestEffort, None, Numeric, Restricted, SingleNumaNode};
    let policy = prop::sample::select(vec![None, BestEffort, Restricted, SingleNumaNode, Numeric]);
    let scope = prop::sample::select(vec![TopologyScope::Pod, TopologyScope::Container]);
    (policy, scope, any::<bool>()).prop_map(|(policy, scope, prefer_closest_numa)| TopologyChoice { policy, scope, prefer_closest_numa })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn nodes_that_are_chosen_can_be_had(
        shape in (1u32..=2, 1u32..=3, 1u32..=3, 1u32..=2), reserve in 0u32..3, choice in policies(), device in proptest::option::of(1u32..64),
        pods in (0..6usize).map(some_pod).collect::<Vec<_>>()
    ) {
        let topology = machine(shape.0, shape.1, shape.2, shape.3);
        let policy = PlacePolicy { reserve: ReserveRule::Count(reserve), ..PlacePolicy::default() };
        let mut admitted: BTreeMap<PodUid, Pod> = BTreeMap::new();
        let mut assignment = Assignment::default();
        let there = |bits: u32| (0..topology.nodes().count()).filter(move |bit| bits >> bit & 1 == 1);
        let hints = device.map(|bits| there(bits).map(|id| Hint::on(NumaSet::of(NumaId::new(u32::try_from(id).unwrap())), true)).collect::<Vec<_>>());
        let others: OtherHints = hints.filter(|hints| !hints.is_empty()).map(|hints| ("gpu".to_owned(), Hints::List(hints))).into_iter().collect();
        for pod in pods {
            let node = Node { topology: &topology, pods: &admitted, assignment: &assignment, policy: &policy };
            let Ok(nodes) = choose_nodes(&node, &pod, &choice, &MemoryPolicy::default(), None, &others) else { continue };
            let nodes = nodes.unwrap();
            let mut with = admitted.clone();
            with.insert(pod.uid.clone(), pod.clone());
            let mut wanted = demands(&with, &BTreeMap::new());
            if let Some(demand) = wanted.dedicated.get_mut(&pod.uid) {
                demand.placement = NumaPlacement::Ids(nodes.clone());
            }
            let mut start = assignment.clone();
            start.nodes.insert(pod.uid.clone(), nodes.clone());
            let placed = place(&topology, &start, &with, &wanted, &policy);
            prop_assert!(placed.refused.is_empty(), "{} on {nodes}: {:?}\n{:#?}", pod.uid, placed.refused, with);
            prop_assert_eq!(placed.assignment.nodes.get(&uid(pod.uid.as_str())), Some(&nodes));
            prop_assert!(pod.class() != QosClass::Dedicated || placed.assignment.pools.contains_key(&PoolName::dedicated(&pod.uid)));
            admitted = with;
            assignment = placed.assignment;
        }
    }
}
