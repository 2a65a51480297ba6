//! What goes wrong in Katalyst's resource plugins and must not here.

use super::*;

#[test]
fn a_guaranteed_pod_never_silently_gets_fewer_cpus() {
    let topology = machine(1, 2, 4, 1);
    // Interrupts have a CPU of each node: four are left on none.
    let policy = PlacePolicy { interrupt: cpus("0,4"), ..PlacePolicy::default() };
    let pods = by_uid([dedicated("a", 4000, NumaBinding::Bound)]);
    let placed = solve(&topology, &Assignment::default(), &pods, &[], &policy);
    assert_eq!(refusals(&placed), ["a refused: numa_binding: needs one NUMA node with 4 free CPUs; the largest free is 3 on node 0"]);
    let mut chosen = Assignment::default();
    chosen.nodes.insert(uid("a"), "1".parse().unwrap());
    let there = "a refused: numa_binding: needs 4 CPUs on NUMA nodes 1, which were chosen for it, 3 are free there";
    assert_eq!(refusals(&solve(&topology, &chosen, &pods, &[], &policy)), [there]);
}

#[test]
fn unbound_reclaimed_pods_are_never_left_without_a_cpu_by_bound_ones() {
    let topology = machine(1, 2, 4, 1);
    let bound = |name: &str| {
        let mut pod = pod(name, QosClass::Reclaimed, 1000);
        pod.qos.memory.numa_binding = NumaBinding::Bound;
        pod
    };
    let pods = by_uid([bound("a"), bound("b"), pod("r", QosClass::Reclaimed, 1000)]);
    let mut start = Assignment::default();
    start.nodes.extend([("a", "0"), ("b", "1")].map(|(pod, node)| (uid(pod), node.parse().unwrap())));
    let placed = solve(&topology, &start, &pods, &[], &PlacePolicy::default());
    assert_eq!(shown(&placed), ["reclaim 0-7", "reclaim-NUMA0 0-3", "reclaim-NUMA1 4-7"]);
    let said: Vec<String> = placed.decisions.iter().map(|(subject, reason)| format!("{subject}: {reason}")).collect();
    let told =
        said.iter().any(|said| said.starts_with("pool reclaim:") && said.contains("only NUMA nodes of bound reclaimed pods have any"));
    assert!(told, "{said:?}");
}

#[test]
fn a_failed_readmission_leaves_the_old_allocation() {
    let topology = machine(1, 1, 4, 1);
    let sized = |milli| by_uid([dedicated("a", milli, NumaBinding::Bound), pod("s", QosClass::Shared, 1000)]);
    let before = fresh(&topology, &sized(2000), &[]);
    for milli in [4000, 9000, 0] {
        let after = solve(&topology, &before.assignment, &sized(milli), &[], &PlacePolicy::default());
        assert_eq!((&after.assignment, after.refused.len(), after.unresized.len()), (&before.assignment, 0, 1), "{milli}m: {after:?}");
    }
}

#[test]
fn equals_are_placed_in_the_order_of_their_names_whatever_the_order_of_their_arrival() {
    let topology = machine(1, 2, 4, 1);
    let pools = ["web", "db", "api"].map(|pool| with_pool(pod(pool, QosClass::Shared, 1000), pool));
    let [web, db, api] = pools;
    let bound = ["x", "y"].map(|name| dedicated(name, 1000, NumaBinding::Bound));
    let [x, y] = bound;
    let one = fresh(&topology, &by_uid([web.clone(), db.clone(), api.clone(), x.clone(), y.clone()]), &[]);
    let other = fresh(&topology, &by_uid([y, x, api, db, web]), &[]);
    assert_eq!(one, other);
    assert_eq!(shown(&one), ["api 2-3", "db 4-5", "dedicated-x 0", "dedicated-y 1", "web 6-7"]);
}
