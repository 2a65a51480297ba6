//! Machines of one NUMA node, where being bound changes little.

use super::*;

#[test]
fn on_a_machine_of_one_node_bound_and_unbound_pods_share_it() {
    let topology = machine(1, 1, 8, 1);
    let bound = |mut pod: Pod| {
        pod.qos.memory.numa_binding = NumaBinding::Bound;
        pod
    };
    let mut pods = by_uid([pod("a", QosClass::Shared, 2000), pod("r", QosClass::Reclaimed, 500)]);
    let policy = PlacePolicy::default();
    let first = place(&topology, &Assignment::default(), &pods, &demands(&pods, &BTreeMap::new()), &policy);
    for newcomer in [bound(pod("b", QosClass::Shared, 2000)), bound(pod("q", QosClass::Reclaimed, 500))] {
        pods.insert(newcomer.uid.clone(), newcomer);
    }
    let placed = place(&topology, &first.assignment, &pods, &demands(&pods, &BTreeMap::new()), &policy);
    assert!(placed.refusals.is_empty(), "{:?}", placed.refusals);
    for uid in pods.keys() {
        assert!(placed.assignment.pool_of(uid).is_some_and(|(_, pool)| !pool.cpus.is_empty()), "{uid}: {:?}", placed.assignment);
    }
    let too_much = bound(pod("c", QosClass::Shared, 5000));
    pods.insert(too_much.uid.clone(), too_much);
    let refused = place(&topology, &placed.assignment, &pods, &demands(&pods, &BTreeMap::new()), &policy);
    assert_eq!(refused.refusals.keys().map(PodUid::as_str).collect::<Vec<_>>(), ["c"], "{:?}", refused.refusals);
}
