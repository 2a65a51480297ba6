#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::fixture::*;
use super::*;
use crate::{Hints, Refusal};
use gleaner_model::{Bytes, NumaBinding, NumaPlacement, PageSize, Pod, Pool, PoolName, QosClass};
use std::collections::BTreeMap;

use NumaBinding::{Bound, Exclusive, Unbound};
use QosClass::{Dedicated, Reclaimed, Shared, System};

/// What the pod is answered: hints as `nodes`, those preferred with a star, or the refusal.
fn ask(world: &World, pod: &Pod) -> String {
    let memory = if pod.class() == Reclaimed { pod.reclaimed_memory() } else { pod.memory_request() };
    let hugepages: BTreeMap<PageSize, Bytes> = pod.hugepages();
    let asked = MemoryAsked { pod: &pod.uid, qos: &pod.qos, memory, hugepages: &hugepages };
    match memory_hints(&world.node(), &asked, &world.policy) {
        Ok(Hints::NoPreference) => "any".to_owned(),
        Ok(Hints::List(hints)) => {
            let shown = |hint: &crate::Hint| format!("{}{}", hint.nodes.as_ref().unwrap(), if hint.preferred { "*" } else { "" });
            hints.iter().map(shown).collect::<Vec<_>>().join(" ")
        }
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn bound_pods_are_counted_on_their_nodes_as_evenly_as_these_allow() {
    let world = World::new(&[8, 8, 8], &[])
        .with(wants("a", Dedicated, gi(6), Bound), "0-1")
        .with(wants("b", Shared, gi(7), Bound), "0")
        .with(wants("c", Shared, gi(2), Unbound), "");
    // b goes first, since it can only be on one node; a has what is left of node 0.
    let on = |bytes: fn(&Account) -> Bytes| -> Vec<String> {
        memory_by_node(&world.node(), &world.policy).values().map(|node| bytes(&node.memory).rounded()).collect()
    };
    assert_eq!(on(|account| account.bound), ["8.0Gi", "5.0Gi", "0"]);
    assert_eq!(free(&world), ["0", "3.0Gi", "8.0Gi"]);
    assert_eq!(on(|account| account.excess), ["0", "0", "0"]);
}

#[test]
fn an_exclusive_pod_has_all_that_is_free_on_its_nodes() {
    let world = World::new(&[8, 8], &[4, 4]).with(with_pages(wants("a", Dedicated, gi(1), Exclusive), mi(2)), "1");
    let nodes = memory_by_node(&world.node(), &world.policy);
    let node = &nodes[&numa(1)];
    assert_eq!((node.memory.bound, node.memory.exclusive, node.memory.free()), (gi(1), gi(7).minus(mi(8)), Bytes::ZERO));
    assert_eq!((node.hugepages[&pages("2Mi")].bound, node.hugepages[&pages("2Mi")].free()), (mi(2), Bytes::ZERO));
    assert!(nodes[&numa(0)].open && !node.open);
}

#[test]
fn what_was_promised_beyond_a_node_is_told_and_is_nowhere() {
    let world = World::new(&[2, 2], &[]).with(wants("a", Shared, gi(5), Bound), "1");
    let account = memory_by_node(&world.node(), &world.policy)[&numa(1)].memory.clone();
    assert_eq!((account.bound, account.excess, account.free()), (gi(2), gi(3), Bytes::ZERO));
}

#[test]
fn the_reserve_and_huge_pages_are_no_memory_for_pods() {
    let mut world = World::new(&[6, 2], &[0, 512]);
    world.policy.reserve = gi(1);
    let nodes = memory_by_node(&world.node(), &world.policy);
    let node = |id: u32| &nodes[&numa(id)];
    assert_eq!((node(0).memory.capacity, node(1).memory.capacity), (gi(6), gi(1)));
    assert_eq!(node(0).memory.reserved.plus(node(1).memory.reserved), gi(1));
    assert!(node(0).memory.reserved > node(1).memory.reserved.scaled(5, 1), "by size: {nodes:?}");
    assert_eq!(node(1).hugepages[&pages("2Mi")].capacity, gi(1));
    let all = MemoryPolicy { reserve: gi(7) };
    assert_eq!(all.validate(&world.topology), ["reserve: 7Gi are reserved, but the node has 7.0Gi; some must be left for pods"]);
    assert_eq!(MemoryPolicy::default().validate(&world.topology), Vec::<String>::new());
}

#[test]
fn a_bound_pod_is_hinted_the_nodes_that_have_its_memory() {
    let world = World::new(&[8, 8, 4], &[]).with(wants("a", Shared, gi(5), Bound), "0");
    assert_eq!(ask(&world, &wants("n", Dedicated, gi(3), Bound)), "0* 1* 2*");
    assert_eq!(ask(&world, &wants("n", Shared, gi(4), Bound)), "1* 2*");
    let refused = ask(&world, &wants("n", Dedicated, gi(9), Bound));
    assert_eq!(refused, "memory: asks for 9Gi of memory on one NUMA node; the most free is 8Gi on 1");
}

#[test]
fn with_exclusive_nodes_the_fewest_that_an_empty_machine_would_need_are_preferred() {
    let world = World::new(&[8, 8, 8], &[]);
    assert_eq!(ask(&world, &wants("n", Dedicated, gi(5), Exclusive)), "0* 1* 2* 0-1 0,2 1-2 0-2");
    assert_eq!(ask(&world, &wants("n", Dedicated, gi(12), Exclusive)), "0-1* 0,2* 1-2* 0-2");
    // Two nodes would do on an empty machine, and three it is.
    let taken = World::new(&[8, 8, 8], &[]).with(wants("a", Dedicated, gi(1), Bound), "0");
    assert_eq!(ask(&taken, &wants("n", Dedicated, gi(12), Exclusive)), "1-2*");
    let all = ask(&taken, &wants("n", Dedicated, gi(20), Exclusive));
    assert_eq!(all, "memory: asks for 20Gi of memory on at most 3 NUMA nodes; the most free is 16Gi on 1-2");
}

#[test]
fn nodes_that_were_asked_for_are_taken_at_their_word() {
    let world = World::new(&[8, 8, 2], &[]);
    let on = |placement: NumaPlacement, memory: u64| {
        let mut pod = wants("n", Dedicated, gi(memory), Bound);
        pod.qos.cpu.placement = placement;
        ask(&world, &pod)
    };
    assert_eq!(on(NumaPlacement::Ids(nodes("0,2")), 10), "0,2*");
    assert_eq!(
        on(NumaPlacement::Ids(nodes("0,2")), 11),
        "memory: asks for 11Gi of memory on at most 2 NUMA nodes; the most free is 10Gi on 0,2"
    );
    assert_eq!(on(NumaPlacement::Ids(nodes("7")), 1), "numa_ids: asks for NUMA nodes 7, those with CPUs are 0-2");
    assert_eq!(on(NumaPlacement::Number(2), 1), "0-1* 0,2* 1-2*");
    assert_eq!(on(NumaPlacement::Number(4), 1), "numa_number: asks for 4 NUMA nodes, 3 have CPUs");
}

#[test]
fn a_pod_that_has_its_nodes_keeps_them_whatever_is_free() {
    let full = wants("a", Shared, gi(8), Bound);
    let world = World::new(&[8, 8], &[]).with(full.clone(), "1");
    assert_eq!(ask(&world, &full), "1*");
    let anywhere = wants("b", Shared, gi(100), Unbound);
    let world = world.with(anywhere.clone(), "");
    assert_eq!(ask(&world, &anywhere), "any");
}

#[test]
fn an_unbound_pod_needs_room_on_the_node_as_a_whole() {
    let world = World::new(&[8, 8], &[]).with(wants("a", Shared, gi(6), Unbound), "").with(wants("b", Dedicated, gi(2), Bound), "0");
    assert_eq!(ask(&world, &wants("n", Shared, gi(8), Unbound)), "any");
    let refused = ask(&world, &wants("n", Shared, gi(9), Unbound));
    assert_eq!(refused, "memory: asks for 9Gi of memory, 8Gi of 14Gi are free on NUMA nodes 0-1: 6Gi are requested");
    // A bound shared pod closes its node to unbound ones, which only shared pods mind.
    let closed = world.with(wants("c", Shared, gi(1), Bound), "0");
    assert!(
        ask(&closed, &wants("n", Shared, gi(3), Unbound))
            .starts_with("memory: asks for 3Gi of memory, 2Gi of 8Gi are free on NUMA nodes 1")
    );
    assert_eq!(ask(&closed, &wants("n", System, gi(7), Unbound)), "any");
    assert_eq!(ask(&closed, &wants("n", Reclaimed, gi(99), Unbound)), "any", "what can be lent is not decided here");
}

#[test]
fn a_bound_pod_leaves_room_for_those_without_nodes() {
    let world = World::new(&[8, 8], &[]).with(wants("a", Shared, gi(6), Unbound), "");
    assert_eq!(ask(&world, &wants("n", Dedicated, gi(8), Bound)), "0* 1*");
    let world = world.with(wants("b", Dedicated, gi(4), Bound), "0");
    // On node 1 the unbound pod would be left with node 0, which has 4.
    assert_eq!(ask(&world, &wants("n", Shared, gi(1), Bound)), "0*");
    let refused = ask(&world, &wants("n", Dedicated, gi(7), Bound));
    assert_eq!(refused, "memory: would leave 5Gi of memory on NUMA nodes 0-1 to pods without numa_binding, which request 6Gi");
}

#[test]
fn nodes_of_others_are_named_with_the_rule_that_closes_them() {
    let mut alone = wants("b", Dedicated, gi(1), Bound);
    alone.qos.cpu.numa_share = false;
    let world = World::new(&[8, 8], &[]).with(wants("a", Dedicated, gi(1), Exclusive), "0").with(alone, "1");
    assert_eq!(ask(&world, &wants("n", Dedicated, gi(1), Bound)), "1*");
    assert_eq!(ask(&world, &wants("n", Shared, gi(1), Bound)), "numa_exclusive: NUMA nodes 0 are another pod's alone");
    let mut second = wants("n", Shared, gi(1), Bound);
    second.qos.cpu.placement = NumaPlacement::Ids(nodes("1"));
    assert_eq!(ask(&world, &second), "numa_share: NUMA nodes 1 are shared with dedicated pods only");
    let mut exclusive = wants("n", Dedicated, gi(1), Exclusive);
    exclusive.qos.cpu.placement = NumaPlacement::Ids(nodes("1"));
    assert_eq!(ask(&world, &exclusive), "numa_exclusive: NUMA nodes 1 have bound pods already");
}

#[test]
fn huge_pages_are_counted_by_node_and_size() {
    let world = World::new(&[8, 8], &[4, 16]).with(with_pages(wants("a", Shared, gi(1), Bound), mi(8)), "1");
    let asks = |amount: u64| with_pages(wants("n", Dedicated, gi(1), Bound), mi(amount));
    assert_eq!(ask(&world, &asks(8)), "0* 1*");
    assert_eq!(ask(&world, &asks(10)), "1*");
    assert_eq!(ask(&world, &asks(26)), "hugepages: asks for 26Mi in huge pages of 2Mi on one NUMA node; the most free is 24Mi on 1");
    assert_eq!(ask(&world, &asks(3)), "bad request: hugepages-2Mi: 3Mi is no multiple of the page size");
    let mut giant = wants("n", Shared, gi(1), Unbound);
    giant.containers[0].hugepages = [(pages("1Gi"), gi(1))].into();
    assert_eq!(ask(&world, &giant), "hugepages: asks for 1Gi in huge pages of 1Gi, the node has none");
    let unbound = with_pages(wants("n", System, gi(1), Unbound), mi(34));
    assert_eq!(
        ask(&world, &unbound),
        "hugepages: asks for 34Mi in huge pages of 2Mi, 32Mi of 32Mi are free on NUMA nodes 0-1: 0 are requested"
    );
}

#[test]
fn reclaimed_memory_only_has_to_fit_beside_its_like() {
    let world = World::new(&[8, 8], &[]).with(wants("a", Shared, gi(8), Bound), "0").with(wants("b", Reclaimed, gi(5), Bound), "0");
    assert_eq!(ask(&world, &wants("n", Reclaimed, gi(3), Bound)), "0* 1*");
    assert_eq!(ask(&world, &wants("n", Reclaimed, gi(4), Bound)), "1*");
    let refused = ask(&world, &wants("n", Reclaimed, gi(9), Bound));
    assert_eq!(refused, "memory: asks for 9Gi of reclaimed memory on one NUMA node; the most that is not promised is 8Gi");
}

#[test]
fn a_node_without_memory_stands_for_the_nearest_with() {
    let world = World::new(&[8, 0, 8], &[]).with(wants("a", Dedicated, gi(6), Bound), "1");
    // All distances of this machine are alike, so node 0 is the nearest.
    assert_eq!(free(&world), ["2.0Gi", "0", "8.0Gi"]);
    assert_eq!(ask(&world, &wants("n", Dedicated, gi(3), Bound)), "2*");
    assert_eq!(mems(&world.node(), &world.pods[&pod_uid("a")]), nodes("0"));
}

#[test]
fn on_large_machines_only_the_smallest_sizes_are_hinted() {
    let world = World::new(&[2; 17], &[]);
    let hints = ask(&world, &wants("n", Dedicated, gi(3), Exclusive));
    let sizes: Vec<usize> = hints.split(' ').map(|hint| nodes(hint.trim_end_matches('*')).len()).collect();
    assert_eq!((sizes.iter().filter(|size| **size == 2).count(), sizes.iter().filter(|size| **size == 3).count()), (136, 680));
    assert_eq!(sizes.iter().max(), Some(&3));
    let small = ask(&World::new(&[2; 4], &[]), &wants("n", Dedicated, gi(3), Exclusive));
    assert!(small.ends_with("0-3"), "{small}");
}

/// The memory nodes of each pod.
fn all_mems(world: &World) -> Vec<String> {
    world.pods.iter().map(|(uid, pod)| format!("{uid} {}", mems(&world.node(), pod))).collect()
}

#[test]
fn each_class_has_the_memory_nodes_that_others_leave_it() {
    let world = World::new(&[8; 5], &[])
        .with(wants("d", Dedicated, gi(1), Unbound), "")
        .with(wants("e", Dedicated, gi(1), Exclusive), "0")
        .with(wants("r", Reclaimed, gi(1), Unbound), "")
        .with(wants("rb", Reclaimed, gi(1), Bound), "1")
        .with(wants("s", Shared, gi(1), Unbound), "")
        .with(wants("sb", Shared, gi(1), Bound), "2")
        .with(wants("x", System, gi(1), Unbound), "");
    assert_eq!(all_mems(&world), ["d 1-4", "e 0", "r 2-4", "rb 1", "s 1,3-4", "sb 2", "x 0-4"]);
}

#[test]
fn nobody_is_left_without_memory_nodes() {
    let world = World::new(&[8, 8], &[])
        .with(wants("r", Reclaimed, gi(1), Unbound), "")
        .with(wants("s", Shared, gi(1), Unbound), "")
        .with(wants("sb", Shared, gi(1), Bound), "0-1")
        .with(wants("e", Dedicated, gi(1), Exclusive), "1");
    assert_eq!(all_mems(&world), ["e 1", "r 0", "s 0", "sb 0-1"]);
    let full = World::new(&[8], &[]).with(wants("e", Dedicated, gi(1), Exclusive), "0").with(wants("s", Shared, gi(1), Unbound), "");
    assert_eq!(all_mems(&full), ["e 0", "s 0"]);
}

#[test]
fn the_nodes_of_a_pool_are_kept_where_the_rules_leave_some() {
    let mut world = World::new(&[8, 8, 8], &[]).with(wants("s", Shared, gi(1), Unbound), "").with(wants("sb", Shared, gi(1), Bound), "2");
    let pool = |mems: &str| Pool { cpus: "0".parse().unwrap(), mems: nodes(mems) };
    world.assignment.pools.insert(PoolName::share(), pool("1-2"));
    assert_eq!(all_mems(&world), ["s 1", "sb 2"]);
    world.assignment.pools.insert(PoolName::share(), pool("5"));
    assert_eq!(all_mems(&world), ["s 0-1", "sb 2"], "a node that is gone is no node");
}

#[test]
fn a_bound_pod_without_chosen_nodes_follows_its_own_cpus_or_is_anywhere() {
    let mut world = World::new(&[8, 8], &[]).with(wants("d", Dedicated, gi(1), Bound), "").with(wants("s", Shared, gi(3), Bound), "");
    assert_eq!(all_mems(&world), ["d 0-1", "s 0-1"]);
    assert_eq!(free(&world), ["8.0Gi", "8.0Gi"], "what is bound to no node yet is not counted on one");
    let refused = ask(&world, &wants("n", Shared, gi(13), Unbound));
    assert!(refused.contains("12Gi of 16Gi are free on NUMA nodes 0-1: 4Gi are requested"), "but it is counted: {refused}");
    let own = Pool { cpus: "2-3".parse().unwrap(), mems: nodes("1") };
    world.assignment.pools.insert(PoolName::dedicated(&pod_uid("d")), own);
    assert_eq!(all_mems(&world), ["d 1", "s 0-1"]);
}

fn holding(usage: u64, allowed: u64, high: Option<u64>, max: u64) -> Holding {
    let limit = |mib| gleaner_model::Limit::At(mi(mib));
    Holding {
        usage: mi(usage),
        allowed: mi(allowed),
        high: high.map(limit),
        max: limit(max),
        reclaiming: Reclaiming::Amount,
        exhausted: false,
    }
}

fn steps(state: &Holding) -> Vec<String> {
    let policy = TakeBackPolicy { chunk: mi(64), chunks: 2, margin: mi(16) };
    take_back(state, &policy).iter().map(|step| step.to_string().split(": ").next().unwrap().to_owned()).collect()
}

#[test]
fn memory_is_taken_back_in_order_and_the_limit_comes_last() {
    let start = holding(500, 300, Some(1000), 1000);
    assert_eq!(steps(&start), ["slowed down above 372Mi", "64Mi to be taken back", "64Mi to be taken back"]);
    assert_eq!(steps(&holding(372, 300, Some(372), 1000)), ["slowed down above 300Mi", "64Mi to be taken back", "8.0Mi to be taken back"]);
    assert_eq!(steps(&holding(295, 300, Some(300), 1000)), ["killed above 311Mi"]);
    assert_eq!(steps(&holding(200, 300, Some(300), 311)), ["killed above 300Mi"]);
    assert_eq!(steps(&holding(200, 300, Some(300), 300)), Vec::<String>::new());
    let exhausted = Holding { exhausted: true, ..holding(500, 300, Some(300), 1000) };
    assert_eq!(steps(&exhausted), ["slowed down above 372Mi", "killed above 516Mi"].split_at(1).1, "no more can be had");
    let v1 = Holding { reclaiming: Reclaiming::Everything, ..holding(500, 300, None, 1000) };
    assert_eq!(steps(&v1), ["200Mi to be taken back"]);
    let neither = Holding { reclaiming: Reclaiming::NotOffered, ..holding(500, 300, None, 1000) };
    assert_eq!(steps(&neither), ["killed above 516Mi"]);
    let reason = take_back(&start, &TakeBackPolicy::default())[0].to_string();
    assert_eq!(reason, "slowed down above 300Mi: holds 500Mi, may hold 300Mi");
}

#[test]
fn a_policy_that_takes_nothing_back_is_named() {
    let policy = TakeBackPolicy { chunk: Bytes::ZERO, chunks: 0, margin: Bytes::ZERO };
    assert_eq!(policy.validate().len(), 2, "{:?}", policy.validate());
    assert_eq!(TakeBackPolicy::default().validate(), Vec::<String>::new());
}

/// The nodes after one tick, by name.
fn paced(changes: &[(&str, &str, &str, Resident, u32)], budget: u64) -> Vec<String> {
    let change = |(name, from, to, resident, waited): &(&str, &str, &str, Resident, u32)| {
        ((*name).to_owned(), MemsChange { from: nodes(from), to: nodes(to), resident: resident.clone(), waited: *waited })
    };
    pace(&changes.iter().map(change).collect(), mi(budget)).into_iter().map(|(name, nodes)| format!("{name} {nodes}")).collect()
}

#[test]
fn what_moves_in_a_tick_fits_the_budget_and_the_least_goes_first() {
    let total = |mib| Resident::Total(mi(mib));
    let on = |node: u32, mib: u64| Resident::ByNode([(numa(node), mi(mib)), (numa(9), mi(900))].into());
    assert_eq!(
        paced(&[("a", "0", "1", total(60), 0), ("b", "0", "1", total(50), 0), ("c", "0", "1", on(0, 40), 0)], 100),
        ["a 0-1", "b 1", "c 1"]
    );
    assert_eq!(paced(&[("big", "0", "1", total(500), 0), ("more", "0", "1", total(600), 0)], 100), ["big 1", "more 0-1"], "alone");
    assert_eq!(paced(&[("a", "0", "1", Resident::Unknown, 0), ("b", "0", "1", total(1), 0)], 100), ["a 0-1", "b 1"]);
    assert_eq!(paced(&[("a", "0", "1", Resident::Unknown, 0), ("b", "0", "1", Resident::Unknown, 0)], 100), ["a 1", "b 0-1"]);
    assert_eq!(paced(&[("a", "0", "0-2", Resident::Unknown, 0), ("b", "0", "1", total(500), 0)], 1), ["a 0-2", "b 1"], "growth is free");
    let unlisted = Resident::ByNode(BTreeMap::new());
    assert_eq!(
        paced(&[("a", "0", "1", unlisted, 0), ("b", "0", "1", total(1), 0)], 100),
        ["a 0-1", "b 1"],
        "a node not listed is not empty"
    );
    assert_eq!(paced(&[("a", "0", "1", total(90), 30), ("b", "0", "1", total(20), 0)], 100), ["a 1", "b 0-1"], "who waited long is first");
}

#[test]
fn refusals_say_which_rule_they_break() {
    let world = World::new(&[8], &[]);
    let pod = wants("n", Dedicated, gi(9), Bound);
    let asked = MemoryAsked { pod: &pod.uid, qos: &pod.qos, memory: gi(9), hugepages: &BTreeMap::new() };
    let Refusal { rule, .. } = memory_hints(&world.node(), &asked, &world.policy).unwrap_err();
    assert_eq!(rule, crate::Rule::Memory);
}
