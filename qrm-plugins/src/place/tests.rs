#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod bound;
mod defects;
mod modes;
mod one_node;
mod resize;

use super::*;
use crate::demand::demands;
use crate::fixtures::{by_uid, cpus, machine, pod, uid, with_pool};
use gleaner_model::{Bytes, ContainerKind, CpuId, MilliCpu, NodeInfo, NumaBinding, NumaId, NumaPlacement, Pool, QosClass, RawCpu};
use proptest::prelude::*;

type Pods = BTreeMap<PodUid, Pod>;

fn solve(topology: &Topology, current: &Assignment, pods: &Pods, sizes: &[(&str, u32)], policy: &PlacePolicy) -> Placement {
    let sizes = sizes.iter().map(|(pool, size)| (pool.parse().unwrap(), *size)).collect();
    place(topology, current, pods, &demands(pods, &sizes), policy)
}

fn fresh(topology: &Topology, pods: &Pods, sizes: &[(&str, u32)]) -> Placement {
    solve(topology, &Assignment::default(), pods, sizes, &PlacePolicy::default())
}

/// Pools as text, those without CPUs are not there.
fn shown(placement: &Placement) -> Vec<String> {
    placement.assignment.pools.iter().map(|(name, pool)| format!("{name} {}", pool.cpus)).collect()
}

fn refusals(placement: &Placement) -> Vec<String> {
    placement.refused.iter().map(|(uid, reason)| format!("{uid} {reason}")).collect()
}

fn dedicated(name: &str, milli: u64, binding: NumaBinding) -> Pod {
    let mut pod = pod(name, QosClass::Dedicated, milli);
    pod.qos.memory.numa_binding = binding;
    pod
}

fn reserve(count: u32) -> PlacePolicy {
    PlacePolicy { reserve: ReserveRule::Count(count), ..PlacePolicy::default() }
}

#[test]
fn share_gets_whole_cores_and_reclaim_the_rest() {
    let topology = machine(1, 1, 4, 2);
    let pods = by_uid([pod("r", QosClass::Reclaimed, 1000), pod("s", QosClass::Shared, 3000)]);
    assert_eq!(shown(&fresh(&topology, &pods, &[("share", 4)])), ["reclaim 2-3,6-7", "share 0-1,4-5"]);
}

#[test]
fn without_reclaimed_pods_shared_pools_get_everything() {
    let topology = machine(1, 1, 8, 1);
    let pods = by_uid([pod("a", QosClass::Shared, 1000), with_pool(pod("b", QosClass::Shared, 1000), "web")]);
    assert_eq!(shown(&fresh(&topology, &pods, &[("share", 3), ("web", 1)])), ["share 0-5", "web 6-7"]);
    assert_eq!(shown(&fresh(&topology, &BTreeMap::new(), &[])), ["reclaim 0-7"]);
}

#[test]
fn a_pool_that_grows_or_shrinks_moves_only_the_difference() {
    let topology = machine(1, 2, 4, 2);
    let pods = by_uid([pod("r", QosClass::Reclaimed, 1000), pod("s", QosClass::Shared, 1000)]);
    let policy = PlacePolicy::default();
    let small = fresh(&topology, &pods, &[("share", 4)]);
    let large = solve(&topology, &small.assignment, &pods, &[("share", 6)], &policy);
    assert_eq!((large.moved, shown(&large)), (2, vec!["reclaim 3-7,11-15".to_owned(), "share 0-2,8-10".to_owned()]));
    let again = solve(&topology, &large.assignment, &pods, &[("share", 5)], &policy);
    assert_eq!((again.moved, shown(&again)), (1, vec!["reclaim 3-7,10-15".to_owned(), "share 0-2,8-9".to_owned()]));
    // The half core goes first.
    let back = solve(&topology, &again.assignment, &pods, &[("share", 4)], &policy);
    assert_eq!((back.moved, shown(&back)), (1, vec!["reclaim 2-7,10-15".to_owned(), "share 0-1,8-9".to_owned()]));
}

#[test]
fn pools_that_want_too_much_are_cut_in_proportion() {
    let topology = machine(1, 1, 4, 1);
    let pods =
        by_uid([pod("a", QosClass::Shared, 1000), with_pool(pod("b", QosClass::Shared, 1000), "web"), pod("r", QosClass::Reclaimed, 1000)]);
    assert_eq!(shown(&fresh(&topology, &pods, &[("share", 8), ("web", 4)])), ["reclaim 3", "share 0-1", "web 2"]);
    let small = machine(1, 1, 2, 1);
    assert_eq!(shown(&fresh(&small, &pods, &[("share", 8), ("web", 4)])), ["reclaim 1", "share 0", "web 0"]);
}

#[test]
fn on_one_cpu_shared_pods_run_and_reclaimed_pods_are_refused() {
    let topology = machine(1, 1, 1, 1);
    let pods = by_uid([pod("a", QosClass::Shared, 1000), pod("r", QosClass::Reclaimed, 1000)]);
    let alone = fresh(&topology, &pods, &[]);
    assert_eq!(shown(&alone), ["share 0"]);
    assert_eq!(refusals(&alone), ["r refused: capacity: no CPU is left for pool reclaim: of 1 CPUs 0 are reserved, 0 dedicated, 1 shared"]);
    let overlap = PlacePolicy { mode: ReclaimMode::Quota, ..PlacePolicy::default() };
    assert_eq!(shown(&solve(&topology, &Assignment::default(), &pods, &[], &overlap)), ["reclaim 0", "share 0"]);
}

#[test]
fn with_overlap_reclaim_is_where_share_is() {
    let topology = machine(1, 1, 4, 1);
    let pods = by_uid([
        pod("a", QosClass::Shared, 1000),
        with_pool(pod("b", QosClass::Shared, 1000), "web"),
        dedicated("d", 1000, NumaBinding::Unbound),
        pod("r", QosClass::Reclaimed, 1000),
    ]);
    let overlap = PlacePolicy { mode: ReclaimMode::Quota, ..PlacePolicy::default() };
    let placed = solve(&topology, &Assignment::default(), &pods, &[("share", 1), ("web", 1)], &overlap);
    assert_eq!(shown(&placed), ["dedicated-d 0", "reclaim 1-3", "share 1-2", "web 3"]);
}

#[test]
fn the_reserve_is_the_lowest_whole_cores_and_nobody_elses() {
    let topology = machine(2, 1, 2, 2);
    let pods = by_uid([dedicated("d", 4000, NumaBinding::Unbound), pod("s", QosClass::Shared, 1000)]);
    let placed = solve(&topology, &Assignment::default(), &pods, &[], &reserve(3));
    assert_eq!(shown(&placed), ["dedicated-d 2-3,6-7", "reserve 0-1,4", "share 5"]);
    let big = solve(&topology, &Assignment::default(), &by_uid([dedicated("d", 6000, NumaBinding::Unbound)]), &[], &reserve(3));
    assert_eq!(refusals(&big), ["d refused: reserve: requests 6 CPU, the node has 8, 3 of them reserved"]);
}

#[test]
fn a_bound_pod_is_on_one_node_with_its_memory_or_refused_with_the_largest_hole() {
    let topology = machine(1, 2, 4, 1);
    let pods = by_uid([dedicated("a", 3000, NumaBinding::Bound), dedicated("b", 2000, NumaBinding::Bound)]);
    let placed = fresh(&topology, &pods, &[]);
    assert_eq!(shown(&placed), ["dedicated-a 0-2", "dedicated-b 4-5", "reclaim 3,6-7"]);
    assert_eq!(placed.assignment.pools[&PoolName::dedicated(&uid("b"))].mems.to_string(), "1");
    let more: Pods = pods.into_iter().chain(by_uid([dedicated("c", 3000, NumaBinding::Bound)])).collect();
    let full = solve(&topology, &placed.assignment, &more, &[], &PlacePolicy::default());
    assert_eq!(refusals(&full), ["c refused: numa_binding: needs one NUMA node with 3 free CPUs; the largest free is 2 on node 1"]);
}

#[test]
fn a_pod_goes_where_it_fits_tightest() {
    let topology = machine(1, 2, 4, 1);
    let first = by_uid([dedicated("a", 2000, NumaBinding::Bound)]);
    let placed = fresh(&topology, &first, &[]);
    let both: Pods = first.into_iter().chain(by_uid([dedicated("b", 2000, NumaBinding::Unbound)])).collect();
    let placed = solve(&topology, &placed.assignment, &both, &[], &PlacePolicy::default());
    assert_eq!(shown(&placed), ["dedicated-a 0-1", "dedicated-b 2-3", "reclaim 4-7"]);
}

#[test]
fn an_unbound_pod_that_fits_no_node_spreads_over_the_nearest() {
    let topology = machine(2, 2, 2, 1);
    let pods = by_uid([dedicated("a", 4000, NumaBinding::Unbound)]);
    let policy = PlacePolicy { reserve: ReserveRule::Cpus(cpus("0")), ..PlacePolicy::default() };
    let placed = solve(&topology, &Assignment::default(), &pods, &[], &policy);
    assert_eq!(shown(&placed), ["dedicated-a 4-7", "reclaim 1-3", "reserve 0"]);
    assert_eq!(placed.assignment.pools[&PoolName::dedicated(&uid("a"))].mems.to_string(), "0-3");
}

#[test]
fn named_and_counted_nodes_are_taken_at_their_word() {
    let topology = machine(1, 4, 2, 1);
    let on = |placement: NumaPlacement, even: bool, milli: u64| {
        let mut pod = dedicated("a", milli, NumaBinding::Bound);
        pod.qos.cpu.placement = placement;
        pod.qos.cpu.distribute_evenly_across_numa = even;
        let placed = fresh(&topology, &by_uid([pod]), &[]);
        placed.assignment.pool_of(&uid("a")).map_or_else(|| refusals(&placed).join(""), |(_, pool)| pool.cpus.to_string())
    };
    assert_eq!(on(NumaPlacement::Number(2), false, 3000), "0-2");
    assert_eq!(on(NumaPlacement::Ids("1,3".parse().unwrap()), true, 2000), "2,6");
    assert!(on(NumaPlacement::Number(2), true, 3000).contains("needs 3 CPUs on 2 NUMA nodes, the same number on each"));
    assert!(on(NumaPlacement::Ids("7".parse().unwrap()), false, 1000).contains("on NUMA nodes 7, 0 are free there"));
}

#[test]
fn an_exclusive_pod_has_its_node_for_itself() {
    let topology = machine(1, 2, 4, 1);
    let pods = by_uid([
        dedicated("a", 2000, NumaBinding::Exclusive),
        dedicated("b", 1000, NumaBinding::Unbound),
        pod("s", QosClass::Shared, 1000),
    ]);
    assert_eq!(shown(&fresh(&topology, &pods, &[])), ["dedicated-a 0-3", "dedicated-b 4", "share 5-7"]);
    let two = by_uid([
        dedicated("a", 2000, NumaBinding::Exclusive),
        dedicated("b", 2000, NumaBinding::Exclusive),
        pod("s", QosClass::Shared, 1000),
    ]);
    assert_eq!(
        refusals(&fresh(&topology, &two, &[])),
        ["b refused: floor: 2 CPUs for it would leave 0 of 4 to the pools of shared and reclaimed pods, which need at least 1"]
    );
}

#[test]
fn a_node_that_is_not_to_be_shared_has_dedicated_pods_alone() {
    let topology = machine(1, 2, 4, 1);
    let mut a = dedicated("a", 2000, NumaBinding::Bound);
    a.qos.cpu.numa_share = false;
    let pods = by_uid([a, dedicated("b", 1000, NumaBinding::Bound), pod("s", QosClass::Shared, 1000)]);
    assert_eq!(shown(&fresh(&topology, &pods, &[])), ["dedicated-a 0-1", "dedicated-b 2", "share 4-7"]);
}

#[test]
fn whole_cores_are_whole_or_refused() {
    let topology = machine(1, 1, 4, 2);
    let paired = |milli: u64| {
        let mut pod = dedicated("a", milli, NumaBinding::Unbound);
        pod.qos.cpu.full_pcpus_pairing = true;
        by_uid([pod])
    };
    let half = PlacePolicy { reserve: ReserveRule::Cpus(cpus("0,5")), ..PlacePolicy::default() };
    assert_eq!(shown(&solve(&topology, &Assignment::default(), &paired(4000), &[], &half))[0], "dedicated-a 2-3,6-7");
    let refused = |milli, policy: &PlacePolicy| refusals(&solve(&topology, &Assignment::default(), &paired(milli), &[], policy)).join("");
    assert!(refused(6000, &half).contains("needs 6 CPUs in whole cores, 4 are free"), "{}", refused(6000, &half));
}

#[test]
fn a_core_of_another_owner_is_taken_last() {
    let topology = machine(1, 1, 2, 2);
    let first = by_uid([dedicated("a", 1000, NumaBinding::Unbound)]);
    let placed = fresh(&topology, &first, &[]);
    let both: Pods = first.into_iter().chain(by_uid([dedicated("b", 1000, NumaBinding::Unbound)])).collect();
    let placed = solve(&topology, &placed.assignment, &both, &[], &PlacePolicy::default());
    assert_eq!(shown(&placed), ["dedicated-a 0", "dedicated-b 1", "reclaim 2-3"]);
}

#[test]
fn a_new_dedicated_pod_takes_from_reclaim_before_share() {
    let topology = machine(1, 2, 4, 1);
    let pods = by_uid([pod("r", QosClass::Reclaimed, 1000), pod("s", QosClass::Shared, 1000)]);
    let before = fresh(&topology, &pods, &[("share", 3)]);
    assert_eq!(shown(&before), ["reclaim 3-7", "share 0-2"]);
    let more: Pods = pods.into_iter().chain(by_uid([dedicated("d", 2000, NumaBinding::Bound)])).collect();
    let after = solve(&topology, &before.assignment, &more, &[("share", 3)], &PlacePolicy::default());
    assert_eq!(shown(&after), ["dedicated-d 4-5", "reclaim 3,6-7", "share 0-2"]);
    let said: Vec<String> = after.decisions.iter().map(|(subject, reason)| format!("{subject}: {reason}")).collect();
    assert_eq!(
        said,
        [
            "ns/d: CPUs 4-5 (2 new), memory nodes 1: numa_binding: CPUs and memory on one NUMA node, whole cores",
            "pool reclaim: CPUs 3,6-7 (0 new), memory nodes 0-1: what the others leave",
        ]
    );
}

#[test]
fn dedicated_pods_leave_each_living_pool_its_least() {
    let topology = machine(1, 1, 4, 1);
    let pods = by_uid([dedicated("d", 3000, NumaBinding::Unbound), pod("r", QosClass::Reclaimed, 1000), pod("s", QosClass::Shared, 1000)]);
    let placed = fresh(&topology, &pods, &[]);
    assert_eq!(
        refusals(&placed),
        ["d refused: floor: 3 CPUs for it would leave 1 of 4 to the pools of shared and reclaimed pods, which need at least 2"]
    );
    let overlap = PlacePolicy { mode: ReclaimMode::Quota, ..PlacePolicy::default() };
    assert!(solve(&topology, &Assignment::default(), &pods, &[], &overlap).refused.is_empty());
}

#[test]
fn a_dedicated_pod_moves_only_when_its_cpus_are_gone() {
    let topology = machine(1, 1, 8, 1);
    let pods = by_uid([dedicated("a", 2000, NumaBinding::Unbound), dedicated("b", 2000, NumaBinding::Unbound)]);
    let before = fresh(&topology, &pods, &[]);
    assert_eq!(shown(&before), ["dedicated-a 0-1", "dedicated-b 2-3", "reclaim 4-7"]);
    let after = solve(&topology, &before.assignment, &pods, &[], &reserve(1));
    assert_eq!(shown(&after), ["dedicated-a 1,4", "dedicated-b 2-3", "reclaim 5-7", "reserve 0"]);
}

#[test]
fn a_smaller_request_gives_back_and_a_larger_one_keeps_what_it_can() {
    let topology = machine(1, 1, 4, 2);
    let sized = |milli| by_uid([dedicated("a", milli, NumaBinding::Unbound)]);
    let before = fresh(&topology, &sized(4000), &[]);
    assert_eq!(shown(&before), ["dedicated-a 0-1,4-5", "reclaim 2-3,6-7"]);
    let less = solve(&topology, &before.assignment, &sized(2000), &[], &PlacePolicy::default());
    assert_eq!(shown(&less)[0], "dedicated-a 0,4");
    let more = solve(&topology, &before.assignment, &sized(6000), &[], &PlacePolicy::default());
    assert_eq!((more.moved, shown(&more)[0].as_str()), (2, "dedicated-a 0-2,4-6"));
}

#[test]
fn system_pods_are_everywhere_but_on_dedicated_cpus_or_where_they_ask() {
    let topology = machine(1, 1, 8, 1);
    let pods = by_uid([
        dedicated("d", 2000, NumaBinding::Unbound),
        pod("s", QosClass::Shared, 1000),
        pod("x", QosClass::System, 0),
        with_pool(pod("y", QosClass::System, 0), "res"),
    ]);
    let placed = solve(&topology, &Assignment::default(), &pods, &[], &reserve(2));
    assert_eq!(shown(&placed), ["dedicated-d 2-3", "reserve 0-1", "share 4-7", "system 0-1,4-7", "system-res 0-1"]);
}

#[test]
fn the_l3_cache_with_the_tightest_fit_is_taken() {
    let cpu = |cpu: u32, l3: u64| RawCpu { cpu: CpuId::new(cpu), core: u64::from(cpu), package: 0, l3: Some(l3), numa: NumaId::new(0) };
    let raw = (0..8).map(|id| cpu(id, u64::from(id / 4))).chain((8..10).map(|id| cpu(id, 9))).collect();
    let node = NodeInfo { id: NumaId::new(0), memory: Bytes::new(1), distances: BTreeMap::new(), hugepages: BTreeMap::new() };
    let topology = Topology::build(raw, vec![node]).unwrap();
    let taken = |milli| shown(&fresh(&topology, &by_uid([dedicated("a", milli, NumaBinding::Unbound)]), &[]))[0].clone();
    assert_eq!(taken(2000), "dedicated-a 8-9");
    assert_eq!(taken(3000), "dedicated-a 0-2");
    assert_eq!(taken(6000), "dedicated-a 0-3,8-9");
}

#[test]
fn a_node_without_memory_uses_the_nearest_that_has() {
    let raw = |cpu: u32, numa: u32| RawCpu { cpu: CpuId::new(cpu), core: u64::from(cpu), package: 0, l3: None, numa: NumaId::new(numa) };
    let node = |id: u32, bytes: u64, distances: [u32; 3]| NodeInfo {
        id: NumaId::new(id),
        memory: Bytes::new(bytes),
        distances: (0..3).map(NumaId::new).zip(distances).collect(),
        hugepages: BTreeMap::new(),
    };
    let nodes = vec![node(0, 1, [10, 30, 20]), node(1, 0, [30, 10, 15]), node(2, 1, [20, 15, 10])];
    let topology = Topology::build(vec![raw(0, 0), raw(1, 1), raw(2, 2)], nodes).unwrap();
    let mut pod = dedicated("a", 1000, NumaBinding::Bound);
    pod.qos.cpu.placement = NumaPlacement::Ids("1".parse().unwrap());
    let placed = fresh(&topology, &by_uid([pod]), &[]);
    assert_eq!(placed.assignment.pools[&PoolName::dedicated(&uid("a"))].mems.to_string(), "2");
}

#[test]
fn a_policy_that_the_machine_cannot_hold_is_named() {
    let topology = machine(1, 1, 4, 1);
    let problems = |reserve, min_share_cpus| PlacePolicy { reserve, min_share_cpus, ..PlacePolicy::default() }.validate(&topology);
    assert_eq!(problems(ReserveRule::Count(4), 1), ["reserve: 4 CPUs are reserved, but the node has 4; at least 1 must be left for pods"]);
    assert_eq!(problems(ReserveRule::Cpus(cpus("3-5")), 1), ["reserve: CPUs 4-5 are not online, the node has 0-3"]);
    assert_eq!(problems(ReserveRule::Count(2), 3), ["minShareCpus: 3 is more than the 2 CPUs that are not reserved"]);
    assert_eq!(problems(ReserveRule::Count(0), 1), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn taken_reserve_is_the_count_asked_for(count in 0u32..20) {
        let topology = machine(1, 2, 3, 2);
        prop_assert_eq!(reserved(&topology, &reserve(count)).count(), count.min(12));
    }
}

#[test]
fn a_node_with_whole_cores_is_better_than_a_tighter_one_with_torn_cores() {
    let topology = machine(1, 2, 2, 2);
    let policy = PlacePolicy { reserve: ReserveRule::Cpus(cpus("0-1")), ..PlacePolicy::default() };
    let placed = solve(&topology, &Assignment::default(), &by_uid([dedicated("a", 2000, NumaBinding::Bound)]), &[], &policy);
    assert_eq!(shown(&placed)[0], "dedicated-a 2,6");
}

/// An assignment with these pools of shared and reclaimed pods.
fn pools_at(topology: &Topology, pools: &[(&str, &str)]) -> Assignment {
    let pool = |set: &str| Pool { cpus: cpus(set), mems: topology.memory_nodes() };
    Assignment {
        pools: pools.iter().map(|(name, set)| (name.parse().unwrap(), pool(set))).collect(),
        members: BTreeMap::new(),
        ..Assignment::default()
    }
}

#[test]
fn a_pool_that_shrinks_gives_its_half_cores_back_first() {
    let topology = machine(1, 1, 8, 2);
    let pods = by_uid([pod("r", QosClass::Reclaimed, 1000), pod("s", QosClass::Shared, 1000)]);
    let start = pools_at(&topology, &[("share", "0-2,10"), ("reclaim", "3-9,11-15")]);
    let after = solve(&topology, &start, &pods, &[("share", 2)], &PlacePolicy::default());
    assert_eq!(after.assignment.cpus_of(&PoolName::share()), cpus("2,10"));
}

#[test]
fn what_one_pool_gives_back_another_takes_before_reclaim_loses_any() {
    let topology = machine(1, 1, 8, 1);
    let pods =
        by_uid([pod("r", QosClass::Reclaimed, 1000), pod("s", QosClass::Shared, 1000), with_pool(pod("w", QosClass::Shared, 1000), "web")]);
    let start = pools_at(&topology, &[("share", "4-6"), ("web", "7"), ("reclaim", "0-3")]);
    let after = solve(&topology, &start, &pods, &[("share", 2), ("web", 2)], &PlacePolicy::default());
    assert_eq!((after.moved, shown(&after)), (1, ["reclaim 0-3", "share 4-5", "web 6-7"].map(str::to_owned).to_vec()));
}

#[test]
fn a_pool_grows_on_its_own_nodes_before_nearer_ones() {
    let topology = machine(2, 2, 2, 1);
    let pods = by_uid([pod("r", QosClass::Reclaimed, 1000), pod("s", QosClass::Shared, 1000)]);
    let start = pools_at(&topology, &[("share", "0-1,4"), ("reclaim", "2-3,5-7")]);
    let after = solve(&topology, &start, &pods, &[("share", 4)], &PlacePolicy::default());
    assert_eq!(after.assignment.cpus_of(&PoolName::share()), cpus("0-1,4-5"));
}

#[test]
fn a_policy_is_read_as_it_is_configured_and_typing_errors_are_refused() {
    let read = |text: &str| serde_json::from_str::<PlacePolicy>(text);
    assert_eq!(read("{}").unwrap(), PlacePolicy::default());
    assert_eq!(read(r#"{"reserve":{"count":2}}"#).unwrap(), reserve(2));
    let all =
        PlacePolicy { reserve: ReserveRule::Cpus(cpus("0,4")), mode: ReclaimMode::Quota, min_share_cpus: 2, ..PlacePolicy::default() };
    assert_eq!(read(r#"{"reserve":{"cpus":"0,4"},"overlapShare":true,"minShareCpus":2}"#).unwrap(), all);
    let kept = PlacePolicy { interrupt: cpus("1"), overlap_dedicated: true, ..PlacePolicy::default() };
    assert_eq!(read(r#"{"interrupt":"1","overlapDedicated":true}"#).unwrap(), kept);
    assert!(read(r#"{"overlapshare":true}"#).is_err());
}
