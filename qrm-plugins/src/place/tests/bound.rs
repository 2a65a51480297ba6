//! Shared and reclaimed pods with `numa_binding`.

use super::*;

fn bound(name: &str, class: QosClass, milli: u64) -> Pod {
    let mut pod = pod(name, class, milli);
    pod.qos.memory.numa_binding = NumaBinding::Bound;
    pod
}

fn on_node(mut assignment: Assignment, pod: &str, node: &str) -> Assignment {
    assignment.nodes.insert(uid(pod), node.parse().unwrap());
    assignment
}

fn mems(placement: &Placement, pool: &str) -> String {
    placement.assignment.pools[&pool.parse().unwrap()].mems.to_string()
}

fn nodes(placement: &Placement) -> Vec<String> {
    placement.assignment.nodes.iter().map(|(uid, nodes)| format!("{uid} {nodes}")).collect()
}

fn rule_of(placement: &Placement, subject: &str) -> String {
    let said = placement.decisions.iter().map(|(subject, reason)| (subject.to_string(), reason.to_string()));
    said.filter(|(of, _)| of == subject).map(|(_, reason)| reason).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_bound_shared_pod_has_the_node_that_was_chosen_and_its_memory() {
    let topology = machine(1, 2, 4, 1);
    let pods = by_uid([bound("a", QosClass::Shared, 1000), pod("s", QosClass::Shared, 1000)]);
    let placed = solve(&topology, &on_node(Assignment::default(), "a", "1"), &pods, &[], &PlacePolicy::default());
    assert_eq!(shown(&placed), ["share 0-3", "share-NUMA1 4-7"]);
    assert_eq!((mems(&placed, "share-NUMA1"), mems(&placed, "share"), nodes(&placed)), ("1".into(), "0-1".into(), vec!["a 1".to_owned()]));
    let rule = rule_of(&placed, "pool share-NUMA1");
    assert!(rule.ends_with("numa_binding, on NUMA node 1: wants 1 CPUs; nobody else needs the rest"), "{rule}");
}

#[test]
fn without_a_chosen_node_the_one_with_most_free_by_requests_is_taken() {
    let topology = machine(1, 2, 4, 1);
    let pods = by_uid([bound("a", QosClass::Shared, 3000), bound("b", QosClass::Shared, 2000), bound("c", QosClass::Shared, 1000)]);
    let placed = fresh(&topology, &pods, &[]);
    assert_eq!(nodes(&placed), ["a 0", "b 1", "c 1"]);
    let more: Pods = pods.into_iter().chain(by_uid([bound("d", QosClass::Shared, 2000)])).collect();
    let full = solve(&topology, &placed.assignment, &more, &[], &PlacePolicy::default());
    assert_eq!(refusals(&full), ["d refused: numa_binding: needs one NUMA node with 2 CPU free; the largest free is 1 on node 0"]);
    assert_eq!(full.assignment, placed.assignment);
}

#[test]
fn pools_of_one_node_divide_it_and_reclaim_has_the_rest() {
    let topology = machine(1, 2, 8, 1);
    let pods = by_uid([bound("a", QosClass::Shared, 2000), with_pool(bound("b", QosClass::Shared, 1000), "web")]);
    let start = on_node(on_node(Assignment::default(), "a", "0"), "b", "0");
    let alone = solve(&topology, &start, &pods, &[], &PlacePolicy::default());
    assert_eq!(shown(&alone), ["reclaim 8-15", "share-NUMA0 0-4", "web-NUMA0 5-7"]);
    let with: Pods = pods.into_iter().chain(by_uid([pod("r", QosClass::Reclaimed, 1000)])).collect();
    let with = solve(&topology, &alone.assignment, &with, &[("share-NUMA0", 3)], &PlacePolicy::default());
    assert_eq!(shown(&with), ["reclaim 3-4,6-15", "share-NUMA0 0-2", "web-NUMA0 5"]);
}

#[test]
fn a_node_with_bound_shared_pods_is_closed_to_the_others_until_their_requests_do_not_fit_elsewhere() {
    let topology = machine(1, 2, 4, 1);
    let start = on_node(Assignment::default(), "a", "0");
    let placed = |others: u64, size: u32| {
        let pods = by_uid([bound("a", QosClass::Shared, 1000), pod("s", QosClass::Shared, others)]);
        solve(&topology, &start, &pods, &[("share", size)], &PlacePolicy::default())
    };
    assert_eq!(shown(&placed(4000, 7)), ["share 4-7", "share-NUMA0 0-3"], "its load opens nothing, only requests do");
    let shared = placed(6000, 6);
    assert_eq!(shown(&shared), ["share 0-1,4-7", "share-NUMA0 2-3"]);
    let rule = rule_of(&shared, "pool share");
    assert!(rule.contains("also on NUMA nodes 0 with bound pods, since their requests do not fit elsewhere"), "{rule}");
}

#[test]
fn on_the_only_node_bound_and_unbound_pools_divide_by_their_requests() {
    let topology = machine(1, 1, 8, 1);
    let pods = by_uid([bound("a", QosClass::Shared, 6000), pod("s", QosClass::Shared, 6000)]);
    assert_eq!(shown(&fresh(&topology, &pods, &[])), ["share 0-3", "share-NUMA0 4-7"]);
    let one = machine(1, 1, 1, 1);
    let pods = by_uid([bound("a", QosClass::Shared, 500), pod("s", QosClass::Shared, 500)]);
    assert_eq!(shown(&fresh(&one, &pods, &[])), ["share 0", "share-NUMA0 0"]);
}

#[test]
fn dedicated_pods_leave_the_requests_of_bound_shared_pods_on_their_node() {
    let topology = machine(1, 2, 4, 1);
    let mut d = dedicated("d", 3000, NumaBinding::Bound);
    d.qos.cpu.placement = NumaPlacement::Ids("0".parse().unwrap());
    let pods = by_uid([bound("a", QosClass::Shared, 2000)]);
    let before = fresh(&topology, &pods, &[]);
    let after = solve(&topology, &before.assignment, &pods.into_iter().chain(by_uid([d])).collect(), &[], &PlacePolicy::default());
    let expected = "d refused: floor: 3 CPUs for it would leave 1 of 4 to the shared pods bound to NUMA node 0, which need at least 2";
    assert_eq!(refusals(&after), [expected]);
}

#[test]
fn a_bound_reclaimed_pod_has_the_reclaim_cpus_of_its_node_and_the_others_those_elsewhere() {
    let topology = machine(1, 2, 4, 1);
    let pods = by_uid([bound("b", QosClass::Reclaimed, 1000), pod("r", QosClass::Reclaimed, 1000), pod("s", QosClass::Shared, 2000)]);
    let placed = solve(&topology, &on_node(Assignment::default(), "b", "1"), &pods, &[], &PlacePolicy::default());
    assert_eq!(shown(&placed), ["reclaim 2-3", "reclaim-NUMA1 4-7", "share 0-1"]);
    assert_eq!((mems(&placed, "reclaim-NUMA1"), mems(&placed, "reclaim")), ("1".into(), "0-1".into()));
}

#[test]
fn a_bound_reclaimed_pod_is_given_one_cpu_of_what_shared_pools_use() {
    let topology = machine(1, 2, 4, 1);
    let pods = by_uid([bound("b", QosClass::Reclaimed, 1000), pod("s", QosClass::Shared, 8000)]);
    let placed = solve(&topology, &on_node(Assignment::default(), "b", "1"), &pods, &[], &PlacePolicy::default());
    assert_eq!(shown(&placed), ["reclaim-NUMA1 7", "share 0-6"]);
}

#[test]
fn a_new_bound_reclaimed_pod_is_refused_where_its_node_has_nothing_and_a_running_one_joins_the_others() {
    let topology = machine(1, 2, 2, 1);
    let mut full = dedicated("d", 2000, NumaBinding::Bound);
    full.qos.cpu.placement = NumaPlacement::Ids("1".parse().unwrap());
    let pods = by_uid([bound("b", QosClass::Reclaimed, 1000), full]);
    let start = on_node(Assignment::default(), "b", "1");
    let new = solve(&topology, &start, &pods, &[], &PlacePolicy::default());
    assert_eq!(refusals(&new), ["b refused: numa_binding: NUMA node 1 has no CPU that shared pods could leave to reclaimed pods"]);
    let mut running = start;
    running.members.insert(uid("b"), "reclaim-NUMA1".parse().unwrap());
    let placed = solve(&topology, &running, &pods, &[], &PlacePolicy::default());
    assert_eq!((shown(&placed), refusals(&placed)), (vec!["dedicated-d 2-3".to_owned(), "reclaim 0-1".to_owned()], vec![]));
    assert_eq!(placed.assignment.members[&uid("b")], PoolName::reclaim());
    assert_eq!(nodes(&placed), ["b 1", "d 1"], "it goes back when its node has CPUs again");
}

#[test]
fn reclaimed_pods_run_on_dedicated_cpus_only_where_that_is_allowed() {
    let topology = machine(1, 4, 2, 1);
    let mut alone = dedicated("n", 1000, NumaBinding::Bound);
    alone.qos.cpu.numa_share = false;
    let pods = by_uid([
        dedicated("d", 2000, NumaBinding::Bound),
        dedicated("x", 1000, NumaBinding::Exclusive),
        alone,
        pod("r", QosClass::Reclaimed, 1000),
    ]);
    let policy = PlacePolicy { overlap_dedicated: true, ..PlacePolicy::default() };
    let placed = solve(&topology, &Assignment::default(), &pods, &[], &policy);
    assert_eq!(shown(&placed), ["dedicated-d 0-1", "dedicated-n 2", "dedicated-x 4-5", "reclaim 0-1,6-7"]);
    let rule = rule_of(&placed, "pool reclaim");
    assert!(rule.ends_with("what the others leave, and the CPUs of dedicated pods"), "{rule}");
}

#[test]
fn the_cpus_of_interrupts_are_nobodys() {
    let topology = machine(1, 2, 4, 1);
    let policy = PlacePolicy { interrupt: cpus("0,5"), ..reserve(2) };
    let pods = by_uid([dedicated("x", 1000, NumaBinding::Exclusive), pod("s", QosClass::Shared, 1000), pod("y", QosClass::System, 0)]);
    let placed = solve(&topology, &Assignment::default(), &pods, &[], &policy);
    assert_eq!(shown(&placed), ["dedicated-x 3", "interrupt 0,5", "reserve 1-2", "share 4,6-7", "system 1-2,4,6-7"]);
    assert_eq!(reserved(&topology, &policy), cpus("1-2"));
    let problems =
        |interrupt: &str, reserve| PlacePolicy { interrupt: cpus(interrupt), reserve, ..PlacePolicy::default() }.validate(&topology);
    let both = problems("1,9", ReserveRule::Cpus(cpus("0-1")));
    let expected =
        ["interrupt: CPUs 9 are not online, the node has 0-7", "interrupt: CPUs 1 are in reserve too; a CPU is kept for one of them"];
    assert_eq!(both, expected);
    let none_left = "reserve: 2 CPUs are reserved and 6 kept for interrupts, but the node has 8; at least 1 must be left for pods";
    assert_eq!(problems("0-5", ReserveRule::Count(2)), [none_left]);
    assert_eq!(
        problems("0-7", ReserveRule::Count(0)),
        ["interrupt: 8 CPUs are kept, but the node has 8; at least 1 must be left for pods"]
    );
}

#[test]
fn sidecars_and_init_containers_are_in_the_pool_of_their_pod() {
    let topology = machine(1, 1, 4, 1);
    let mut pod = dedicated("a", 1000, NumaBinding::Unbound);
    let container = |name: &str, kind, milli| {
        let mut container = pod.containers[0].clone();
        container.name = name.parse().unwrap();
        container.kind = kind;
        container.cpu.request = Some(MilliCpu::new(milli));
        container
    };
    let more = [container("init", ContainerKind::Init, 1500), container("side", ContainerKind::Sidecar, 1000)];
    pod.containers.extend(more);
    assert_eq!(shown(&fresh(&topology, &by_uid([pod]), &[])), ["dedicated-a 0-1", "reclaim 2-3"]);
}
