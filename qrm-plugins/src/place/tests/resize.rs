//! In-place resize, and changes of class and binding.

use super::*;

fn then(topology: &Topology, before: &Placement, pods: &Pods) -> Placement {
    solve(topology, &before.assignment, pods, &[], &PlacePolicy::default())
}

fn unresized(placement: &Placement) -> Vec<String> {
    placement.unresized.iter().map(|(uid, reason)| format!("{uid} {reason}")).collect()
}

#[test]
fn a_bound_pod_grows_on_its_node_or_keeps_its_size() {
    let topology = machine(1, 2, 4, 1);
    let sized = |milli| by_uid([dedicated("a", milli, NumaBinding::Bound), dedicated("b", 1000, NumaBinding::Bound)]);
    let before = fresh(&topology, &sized(2000), &[]);
    assert_eq!(shown(&before), ["dedicated-a 0-1", "dedicated-b 2", "reclaim 3-7"]);
    let grown = then(&topology, &before, &sized(3000));
    assert_eq!(
        (shown(&grown), unresized(&grown)),
        (["dedicated-a 0-1,3", "dedicated-b 2", "reclaim 4-7"].map(str::to_owned).to_vec(), vec![])
    );
    let stuck = then(&topology, &grown, &sized(4000));
    assert_eq!(stuck.assignment, grown.assignment);
    assert!(stuck.refused.is_empty(), "{:?}", stuck.refused);
    let expected = "a refused: resize: needs 4 CPUs around those that it has on NUMA nodes 0; 3 are free or its own there; it keeps its 3";
    assert_eq!(unresized(&stuck), [expected]);
    assert!(stuck.decisions.iter().any(|(_, reason)| reason.to_string() == expected["a ".len()..]), "{:?}", stuck.decisions);
}

#[test]
fn an_unbound_pod_grows_on_its_node_first_and_then_on_the_nearest() {
    let topology = machine(2, 2, 2, 1);
    let sized = |milli| by_uid([dedicated("a", milli, NumaBinding::Unbound)]);
    let before = fresh(&topology, &sized(1000), &[]);
    let grown = then(&topology, &before, &sized(3000));
    assert_eq!(shown(&grown), ["dedicated-a 0-2", "reclaim 3-7"]);
}

#[test]
fn a_pod_of_whole_cores_grows_and_shrinks_by_whole_cores() {
    let topology = machine(1, 1, 4, 2);
    let sized = |milli| {
        let mut pod = dedicated("a", milli, NumaBinding::Unbound);
        pod.qos.cpu.full_pcpus_pairing = true;
        by_uid([pod])
    };
    let before = fresh(&topology, &sized(3000), &[]);
    assert_eq!(shown(&before), ["dedicated-a 0-1,4-5", "reclaim 2-3,6-7"]);
    let rule = before.decisions[0].1.to_string();
    assert!(rule.ends_with("request 3 rounded up to 4 CPUs of whole cores, as full_pcpus_pairing asks"), "{rule}");
    assert_eq!(shown(&then(&topology, &before, &sized(5000)))[0], "dedicated-a 0-2,4-6");
    assert_eq!(shown(&then(&topology, &before, &sized(1000)))[0], "dedicated-a 0,4");
}

#[test]
fn a_pod_that_is_even_on_its_nodes_stays_so() {
    let topology = machine(1, 2, 4, 1);
    let sized = |milli| {
        let mut pod = dedicated("a", milli, NumaBinding::Bound);
        pod.qos.cpu.placement = NumaPlacement::Number(2);
        pod.qos.cpu.distribute_evenly_across_numa = true;
        by_uid([pod])
    };
    let before = fresh(&topology, &sized(4000), &[]);
    assert_eq!(shown(&before)[0], "dedicated-a 0-1,4-5");
    assert_eq!(shown(&then(&topology, &before, &sized(6000)))[0], "dedicated-a 0-2,4-6");
    assert_eq!(shown(&then(&topology, &before, &sized(2000)))[0], "dedicated-a 0,4");
    let odd = then(&topology, &before, &sized(5000));
    assert_eq!((odd.assignment == before.assignment, unresized(&odd).len()), (true, 1), "{odd:?}");
}

#[test]
fn a_pod_that_is_bound_while_it_runs_moves_whole_or_not_at_all() {
    let topology = machine(1, 2, 4, 1);
    let policy = PlacePolicy { reserve: ReserveRule::Cpus(cpus("0")), ..PlacePolicy::default() };
    let four = |binding| by_uid([dedicated("a", 4000, binding), dedicated("b", 2000, NumaBinding::Bound)]);
    let start = pools_at(&topology, &[("dedicated-a", "1-3,4"), ("dedicated-b", "5-6"), ("reserve", "0"), ("reclaim", "7")]);
    let before = solve(&topology, &start, &four(NumaBinding::Unbound), &[], &policy);
    let stuck = solve(&topology, &before.assignment, &four(NumaBinding::Bound), &[], &policy);
    assert_eq!((&stuck.assignment, unresized(&stuck).len()), (&before.assignment, 1), "{:?}", stuck.unresized);
    let alone = by_uid([dedicated("a", 4000, NumaBinding::Bound)]);
    let moved = solve(&topology, &stuck.assignment, &alone, &[], &policy);
    assert_eq!(shown(&moved), ["dedicated-a 4-7", "reclaim 1-3", "reserve 0"]);
}

#[test]
fn a_pod_that_changes_its_class_keeps_its_pool_when_it_cannot_have_what_it_asks() {
    let topology = machine(1, 1, 4, 1);
    let with = |a| by_uid([a, pod("s", QosClass::Shared, 1000)]);
    let before = fresh(&topology, &with(with_pool(pod("a", QosClass::Shared, 1000), "web")), &[]);
    assert_eq!(shown(&before), ["share 0-1", "web 2-3"]);
    let stuck = then(&topology, &before, &with(dedicated("a", 4000, NumaBinding::Unbound)));
    assert_eq!(stuck.assignment.members, before.assignment.members);
    assert!(stuck.refused.is_empty() && unresized(&stuck)[0].starts_with("a refused: floor: "), "{stuck:?}");
    let placed = then(&topology, &before, &with(dedicated("a", 2000, NumaBinding::Unbound)));
    assert_eq!(shown(&placed), ["dedicated-a 2-3", "share 0-1"]);
    let back = then(&topology, &placed, &with(pod("a", QosClass::Shared, 1000)));
    assert_eq!(shown(&back), ["share 0-3"]);
}

#[test]
fn a_pod_that_gives_up_numa_share_takes_no_last_cpu_from_those_beside_it() {
    let topology = machine(1, 1, 4, 1);
    let alone = |numa_share| {
        let mut pod = dedicated("a", 1000, NumaBinding::Unbound);
        pod.qos.cpu.numa_share = numa_share;
        by_uid([pod, super::pod("s", QosClass::Shared, 1000)])
    };
    let before = fresh(&topology, &alone(true), &[]);
    let after = then(&topology, &before, &alone(false));
    assert_eq!(after.assignment, before.assignment);
    assert!(unresized(&after)[0].starts_with("a refused: numa_share: "), "{:?}", after.unresized);
}
