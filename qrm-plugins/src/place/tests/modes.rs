//! What reclaimed pods have in each mode, what they are left at least, isolated pods, and the reserve by node.

use super::*;

fn mode(mode: ReclaimMode) -> PlacePolicy {
    PlacePolicy { mode, ..PlacePolicy::default() }
}

fn bound(name: &str, class: QosClass, milli: u64) -> Pod {
    let mut pod = pod(name, class, milli);
    pod.qos.memory.numa_binding = NumaBinding::Bound;
    pod
}

/// The placement, which must not change when it is made again.
fn settled(topology: &Topology, pods: &Pods, sizes: &[(&str, u32)], policy: &PlacePolicy) -> Vec<String> {
    let placed = solve(topology, &Assignment::default(), pods, sizes, policy);
    let again = solve(topology, &placed.assignment, pods, sizes, policy);
    assert_eq!((again.moved, shown(&again)), (0, shown(&placed)), "an unchanged input changed something");
    shown(&placed)
}

#[test]
fn each_mode_gives_reclaim_its_own_cpus_and_never_those_of_dedicated_pods() {
    let topology = machine(1, 1, 8, 1);
    let pods = by_uid([dedicated("d", 2000, NumaBinding::Unbound), pod("s", QosClass::Shared, 1000), pod("r", QosClass::Reclaimed, 1000)]);
    let table = [
        (ReclaimMode::Cpuset, ["dedicated-d 0-1", "reclaim 4-7", "share 2-3"]),
        (ReclaimMode::Overlap, ["dedicated-d 0-1", "reclaim 4-7", "share 2-7"]),
        (ReclaimMode::Quota, ["dedicated-d 0-1", "reclaim 2-7", "share 2-7"]),
    ];
    for (name, expected) in table {
        assert_eq!(settled(&topology, &pods, &[("share", 2)], &mode(name)), expected, "{name:?}");
    }
}

#[test]
fn what_shared_pools_do_not_need_follows_their_load_but_is_never_nothing() {
    let topology = machine(1, 2, 4, 1);
    let pods = by_uid([bound("r", QosClass::Reclaimed, 500), pod("s", QosClass::Shared, 1000), pod("u", QosClass::Reclaimed, 500)]);
    let reclaim = |size: u32, least: &[(&str, u32)]| {
        let sizes: Vec<(&str, u32)> = [("share", size)].into_iter().chain(least.iter().copied()).collect();
        settled(&topology, &pods, &sizes, &mode(ReclaimMode::Overlap))
    };
    assert_eq!(reclaim(2, &[]), ["reclaim 4-7", "reclaim-NUMA0 2-3", "share 0-7"]);
    assert_eq!(reclaim(8, &[]), ["reclaim 7", "reclaim-NUMA0 3", "share 0-7"], "one on the node of bound ones, one for the others");
    assert_eq!(reclaim(8, &[("reclaim-NUMA0", 2), ("reclaim-NUMA1", 3)]), ["reclaim 5-7", "reclaim-NUMA0 2-3", "share 0-7"]);
}

#[test]
fn shared_pools_leave_reclaimed_pods_the_least_on_each_node() {
    let topology = machine(1, 2, 4, 1);
    let all = [pod("s", QosClass::Shared, 1000), pod("r", QosClass::Reclaimed, 1000), bound("b", QosClass::Shared, 500)];
    let least = [("reclaim-NUMA0", 2), ("reclaim-NUMA1", 1), ("share", 8), ("share-NUMA0", 8)];
    let with = |count: usize| all.iter().take(count).map(|pod| (pod.uid.clone(), pod.clone())).collect::<Pods>();
    let policy = PlacePolicy::default();
    assert_eq!(settled(&topology, &with(1), &least, &policy), ["share 0-7"], "there is nobody to leave it to");
    assert_eq!(settled(&topology, &with(2), &least, &policy), ["reclaim 2-3,7", "share 0-1,4-6"]);
    assert_eq!(settled(&topology, &with(3), &least, &policy), ["reclaim 2-3,7", "share 4-6", "share-NUMA0 0-1"]);
    let greedy = [("reclaim-NUMA0", 9), ("reclaim-NUMA1", 9), ("share", 8)];
    assert_eq!(settled(&topology, &with(2), &greedy, &policy), ["reclaim 0-3,5-7", "share 4"], "a shared pool keeps one");
}

#[test]
fn an_isolated_pod_has_a_pool_of_its_own_with_the_rules_of_its_node() {
    let topology = machine(1, 2, 4, 1);
    let on_node_0 = |name| {
        let mut pod = bound(name, QosClass::Shared, 500);
        pod.qos.cpu.placement = NumaPlacement::Ids([NumaId::new(0)].into_iter().collect());
        pod
    };
    let pods = by_uid([pod("s", QosClass::Shared, 1000), pod("t", QosClass::Shared, 1000), on_node_0("u"), on_node_0("v")]);
    let sizes = [("share", 1), ("isolation-t", 2), ("isolation-v-NUMA0", 1), ("share-NUMA0", 1)];
    let placed = solve(&topology, &Assignment::default(), &pods, &sizes, &PlacePolicy::default());
    assert_eq!(shown(&placed), ["isolation-t 4-5", "isolation-v-NUMA0 0", "share 6-7", "share-NUMA0 1-3"], "it gets no more than its size");
    let members: Vec<_> = placed.assignment.members.iter().map(|(uid, pool)| format!("{uid} {pool}")).collect();
    assert_eq!(members, ["s share", "t isolation-t", "u share-NUMA0", "v isolation-v-NUMA0"]);
    let told = placed.decisions.iter().find(|(subject, _)| subject.to_string().contains("isolation-t")).unwrap();
    assert_eq!(told.1.to_string(), "CPUs 4-5 (2 new), memory nodes 0-1: of one pod that floods its pool: wants 2 CPUs");
    let out = solve(&topology, &placed.assignment, &pods, &[("share", 2), ("share-NUMA0", 2)], &PlacePolicy::default());
    assert_eq!(shown(&out), ["share 4-7", "share-NUMA0 0-3"]);
}

#[test]
fn an_isolated_pod_keeps_no_dedicated_pod_away() {
    let topology = machine(1, 1, 4, 1);
    let pods = by_uid([dedicated("d", 3000, NumaBinding::Unbound), pod("s", QosClass::Shared, 500), pod("t", QosClass::Shared, 500)]);
    let placed = fresh(&topology, &pods, &[("share", 1), ("isolation-t", 1)]);
    assert_eq!(shown(&placed), ["dedicated-d 0-2", "isolation-t 3", "share 3"]);
}

#[test]
fn the_reserve_can_be_spread_over_the_nodes_or_given_by_node() {
    let topology = machine(2, 1, 4, 2);
    let by_node = |counts: &[(u32, u32)]| ReserveRule::ByNode(counts.iter().map(|(node, count)| (NumaId::new(*node), *count)).collect());
    let table = [
        (ReserveRule::Count(4), "0-1,8-9"),
        (ReserveRule::Spread(4), "0,4,8,12"),
        (ReserveRule::Spread(3), "0,4,8"),
        (by_node(&[(1, 2)]), "4,12"),
        (by_node(&[(0, 1), (1, 4)]), "0,4-5,12-13"),
    ];
    for (reserve, expected) in table {
        let policy = PlacePolicy { reserve, ..PlacePolicy::default() };
        assert_eq!((reserved(&topology, &policy), policy.validate(&topology)), (cpus(expected), vec![]), "{policy:?}");
    }
    let problems = |reserve| PlacePolicy { reserve, ..PlacePolicy::default() }.validate(&topology);
    assert_eq!(
        problems(by_node(&[(0, 9), (7, 1)])),
        ["reserve: 9 CPUs are reserved on NUMA node 0, which has 8", "reserve: 1 CPUs are reserved on NUMA node 7, which has 0"]
    );
    assert_eq!(problems(ReserveRule::Spread(16)), ["reserve: 16 CPUs are reserved, but the node has 16; at least 1 must be left for pods"]);
}

#[test]
fn modes_and_reserves_are_read_as_they_are_written() {
    let read = |text: &str| serde_json::from_str::<PlacePolicy>(text);
    for (text, expected) in [("false", ReclaimMode::Cpuset), ("\"unneeded\"", ReclaimMode::Overlap), ("true", ReclaimMode::Quota)] {
        let policy = read(&format!(r#"{{"overlapShare":{text}}}"#)).unwrap();
        assert_eq!((policy.mode, serde_json::to_string(&policy.mode).unwrap()), (expected, text.to_owned()));
    }
    let error = read(r#"{"overlapShare":"some"}"#).unwrap_err().to_string();
    assert!(error.contains("false, true or unneeded"), "{error}");
    let by_node = ReserveRule::ByNode(BTreeMap::from([(NumaId::new(1), 2)]));
    assert_eq!(read(r#"{"reserve":{"byNode":{"1":2}}}"#).unwrap().reserve, by_node);
    let value = serde_json::to_value(PlacePolicy { reserve: by_node.clone(), ..PlacePolicy::default() }).unwrap();
    assert_eq!(serde_json::from_value::<PlacePolicy>(value).unwrap().reserve, by_node);
    assert_eq!(read(r#"{"reserve":{"spread":4}}"#).unwrap().reserve, ReserveRule::Spread(4));
}
