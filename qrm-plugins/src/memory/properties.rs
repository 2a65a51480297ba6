//! What holds whatever is asked.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::fixture::*;
use super::*;
use crate::Hints;
use gleaner_model::{Bytes, Limit, NumaBinding, NumaSet, Pod, QosClass};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A pod and the nodes that were chosen for it, as bits of four.
fn tenant() -> impl Strategy<Value = (QosClass, u64, NumaBinding, u32, u64, bool)> {
    let class = prop_oneof![Just(QosClass::Shared), Just(QosClass::Dedicated), Just(QosClass::Reclaimed), Just(QosClass::System)];
    let binding = prop_oneof![Just(NumaBinding::Unbound), Just(NumaBinding::Bound), Just(NumaBinding::Exclusive)];
    (class, 0u64..6, binding, 0u32..16, 0u64..4, any::<bool>())
}

fn pod_of(name: &str, (class, memory, binding, _, huge, share): (QosClass, u64, NumaBinding, u32, u64, bool)) -> Pod {
    let mut pod = with_pages(wants(name, class, gi(memory), binding), mi(2 * huge));
    pod.qos.cpu.numa_share = share;
    pod
}

fn world() -> impl Strategy<Value = World> {
    let memory = proptest::collection::vec(0u64..9, 1..5);
    (memory, proptest::collection::vec(0u64..9, 0..5), proptest::collection::vec(tenant(), 0..7), 0u64..3).prop_map(
        |(mut memory, huge, pods, reserve)| {
            memory[0] += 1;
            let mut world = World::new(&memory, &huge);
            world.policy.reserve = gi(reserve);
            for (at, tenant) in pods.into_iter().enumerate() {
                let on: NumaSet = (0..4).filter(|bit| tenant.3 >> bit & 1 == 1).map(numa).collect();
                let on = if tenant.2 == NumaBinding::Unbound { String::new() } else { on.to_string() };
                world = world.with(pod_of(&format!("p{at}"), tenant), &on);
            }
            world
        },
    )
}

/// One change of nodes: from, to, what is known, for how long it waited.
fn change() -> impl Strategy<Value = MemsChange> {
    let set = || (1u32..16).prop_map(|bits| (0..4).filter(|bit| bits >> bit & 1 == 1).map(numa).collect::<NumaSet>());
    let resident = prop_oneof![
        Just(Resident::Unknown),
        (0u64..300).prop_map(|mib| Resident::Total(mi(mib))),
        proptest::collection::vec(0u64..100, 0..5)
            .prop_map(|parts| Resident::ByNode((0..).map(numa).zip(parts.into_iter().map(mi)).collect())),
    ];
    (set(), set(), resident, 0u32..40).prop_map(|(from, to, resident, waited)| MemsChange { from, to, resident, waited })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_are_never_more_than_the_whole(world in world()) {
        let by_node = memory_by_node(&world.node(), &world.policy);
        for node in by_node.values() {
            for account in std::iter::once(&node.memory).chain(node.hugepages.values()) {
                let sum = account.reserved.plus(account.bound).plus(account.exclusive).plus(account.free());
                prop_assert_eq!(sum, account.capacity, "{:?}", account);
            }
        }
        // What bound pods request is somewhere, or is told to be too much.
        let bound = |pod: &&Pod| {
            let there: NumaSet = world.topology.nodes().map(|(id, _)| id).collect();
            let chosen = world.assignment.nodes.get(&pod.uid).is_some_and(|nodes| !nodes.intersection(&there).is_empty());
            pod.qos.memory.numa_binding != NumaBinding::Unbound && chosen && pod.class() != QosClass::Reclaimed
        };
        let requested: Bytes = world.pods.values().filter(bound).map(Pod::memory_request).sum();
        let counted: Bytes = by_node.values().map(|node| node.memory.bound.plus(node.memory.excess)).sum();
        prop_assert_eq!(requested, counted);
    }

    #[test]
    fn every_pod_has_memory_nodes_and_they_have_memory(world in world()) {
        for pod in world.pods.values() {
            let mems = mems(&world.node(), pod);
            prop_assert!(!mems.is_empty() && mems.is_subset(&world.topology.memory_nodes()), "{}: {mems}", pod.uid);
        }
    }

    #[test]
    fn a_hint_that_is_taken_fits_and_is_repeated(world in world(), asks in tenant()) {
        let pod = pod_of("n", asks);
        let memory = if pod.class() == QosClass::Reclaimed { pod.reclaimed_memory() } else { pod.memory_request() };
        let hugepages = pod.hugepages();
        let asked = MemoryAsked { pod: &pod.uid, qos: &pod.qos, memory, hugepages: &hugepages };
        let excess = |world: &World| -> Bytes {
            let accounts = |node: &NodeMemory| node.memory.excess.plus(node.hugepages.values().map(|account| account.excess).sum());
            memory_by_node(&world.node(), &world.policy).values().map(accounts).sum()
        };
        let before = excess(&world);
        let Ok(Hints::List(hints)) = memory_hints(&world.node(), &asked, &world.policy) else { return Ok(()) };
        prop_assert!(!hints.is_empty());
        prop_assert!(hints.iter().all(|hint| hint.nodes.as_ref().is_some_and(|nodes| !nodes.is_empty())), "{hints:?}");
        let taken = hints[0].nodes.clone().unwrap();
        let world = world.with(pod.clone(), &taken.to_string());
        let lone = world.assignment.nodes.values().all(|nodes| nodes.len() == 1);
        // Pods on several nodes are spread anew, so only then is the sum exact for each.
        prop_assert!(!lone || excess(&world) == before, "{} before, {} after", before, excess(&world));
        let again = memory_hints(&world.node(), &asked, &world.policy);
        prop_assert_eq!(again, Ok(Hints::List(vec![crate::Hint::on(taken, true)])));
    }

    #[test]
    fn a_tick_moves_no_more_than_the_budget_unless_one_alone(changes in proptest::collection::vec(change(), 0..8), budget in 1u64..200) {
        let wanted: BTreeMap<usize, MemsChange> = changes.into_iter().enumerate().collect();
        let nodes = pace(&wanted, mi(budget));
        let cost = |id: &usize| {
            let change = &wanted[id];
            let left = change.from.difference(&change.to);
            match &change.resident {
                _ if left.is_empty() => Bytes::ZERO,
                Resident::Unknown => mi(budget),
                Resident::Total(bytes) => *bytes,
                Resident::ByNode(parts) if left.iter().any(|node| !parts.contains_key(&node)) => mi(budget),
                Resident::ByNode(parts) => left.iter().map(|node| parts[&node]).sum(),
            }
        };
        let moved: Vec<usize> = nodes.iter().filter(|(id, nodes)| **nodes == wanted[id].to && !cost(id).is_zero()).map(|(id, _)| *id).collect();
        let sum: Bytes = moved.iter().map(cost).sum();
        prop_assert!(sum <= mi(budget) || moved.len() == 1, "{moved:?} move {sum}");
        for (id, nodes) in &nodes {
            let change = &wanted[id];
            prop_assert!(*nodes == change.to || *nodes == change.from.union(&change.to), "{id}: {nodes} of {change:?}");
        }
        prop_assert_eq!(nodes, pace(&wanted, mi(budget)), "the same again");
    }

    #[test]
    fn everybody_gets_there_however_many_come_after(changes in proptest::collection::vec(change(), 1..8), budget in 1u64..200) {
        let mut wanted: BTreeMap<String, MemsChange> = (0..).map(|n: u32| format!("old-{n}")).zip(changes).collect();
        let old: Vec<String> = wanted.keys().cloned().collect();
        let mut ticks = 0;
        while old.iter().any(|id| wanted.contains_key(id)) {
            ticks += 1;
            prop_assert!(ticks < 60, "still waiting: {wanted:?}");
            // In every tick a small one comes, which would always be first.
            wanted.insert(format!("new-{ticks}"), MemsChange { from: nodes("0"), to: nodes("1"), resident: Resident::Total(Bytes::new(1)), waited: 0 });
            for (id, nodes) in pace(&wanted, mi(budget)) {
                let change = wanted.get_mut(&id).unwrap();
                if nodes == change.to {
                    wanted.remove(&id);
                } else {
                    change.from = nodes;
                    change.waited += 1;
                }
            }
        }
    }

    #[test]
    fn no_step_lowers_a_limit_to_what_is_held_and_the_limit_is_last(
        usage in 0u64..500, allowed in 0u64..500, high in proptest::option::of(0u64..600), max in 0u64..600, kind in 0u8..3, exhausted: bool, chunk in 1u64..99,
    ) {
        let reclaiming = [Reclaiming::Amount, Reclaiming::Everything, Reclaiming::NotOffered][usize::from(kind)];
        let high = high.map(|mib| Limit::At(mi(mib)));
        let state = Holding { usage: mi(usage), allowed: mi(allowed), high, max: Limit::At(mi(max)), reclaiming, exhausted };
        let policy = TakeBackPolicy { chunk: mi(chunk), chunks: 3, margin: mi(10) };
        let steps = take_back(&state, &policy);
        let rank = |step: &MemoryStep| match step { MemoryStep::SlowDown { .. } => 0, MemoryStep::Reclaim { .. } => 1, MemoryStep::Limit { .. } => 2 };
        prop_assert!(steps.is_sorted_by_key(rank), "{steps:?}");
        for step in &steps {
            match step {
                MemoryStep::SlowDown { high, .. } => {
                    prop_assert!(*high >= state.allowed && Limit::At(*high) < state.high.unwrap());
                    prop_assert!(high.plus(mi(3 * chunk)) >= state.usage, "further down than a tick can take back: {steps:?}");
                }
                MemoryStep::Reclaim { bytes, .. } => {
                    prop_assert!(!bytes.is_zero() && (reclaiming == Reclaiming::Everything || *bytes <= mi(chunk)), "{steps:?}");
                    prop_assert!(!exhausted && usage > allowed);
                }
                MemoryStep::Limit { max, .. } => {
                    prop_assert!(*max >= mi(usage + 10) && *max >= state.allowed && Limit::At(*max) < state.max, "{steps:?}");
                    prop_assert!(steps.iter().all(|s| rank(s) != 1), "while memory is still taken back: {steps:?}");
                }
            }
        }
    }
}
