//! Memory nodes, lent memory by node, and the order in which the kernel kills.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::tests::{MI, cgroups_of, promised, shown};
use super::*;
use crate::Resident;
use crate::fixtures::{by_uid, machine, pod, uid};
use gleaner_model::{KnobKind, NumaBinding, NumaSet, Pool};

fn nodes(text: &str) -> NumaSet {
    text.parse().unwrap()
}

fn bound(mut pod: Pod) -> Pod {
    pod.qos.memory.numa_binding = NumaBinding::Bound;
    pod
}

/// Pods in pools on all CPUs of three nodes, those named bound to these nodes.
fn assignment(pods: &BTreeMap<PodUid, Pod>, on: &[(&str, &str)]) -> Assignment {
    let pool = |pod: &Pod| if pod.class() == QosClass::Reclaimed { PoolName::reclaim() } else { PoolName::share() };
    let all = Pool { cpus: "0-5".parse().unwrap(), mems: nodes("0-2") };
    Assignment {
        pools: pods.values().map(|pod| (pool(pod), all.clone())).collect(),
        members: pods.iter().map(|(uid, pod)| (uid.clone(), pool(pod))).collect(),
        nodes: on.iter().map(|(name, set)| (uid(name), nodes(set))).collect(),
    }
}

/// The values of one knob.
fn values(pods: &BTreeMap<PodUid, Pod>, on: &[(&str, &str)], supply: &Supply, kind: KnobKind) -> Vec<String> {
    let oom = BTreeMap::from([(uid("a"), OomScoreAdj::new(900).unwrap())]);
    let plan = knobs(&machine(1, 3, 2, 1), pods, &cgroups_of(pods), &assignment(pods, on), supply, &oom, &KnobPolicy::default());
    plan.iter()
        .filter(|(id, _)| id.kind == kind)
        .map(|(id, d)| format!("{} {}", id.cgroup.as_str().split('/').nth(3).unwrap(), d.value))
        .collect()
}

fn reclaimed(name: &str, memory_mi: u64) -> Pod {
    promised(pod(name, QosClass::Reclaimed, 1000), memory_mi)
}

fn by_node(memory: &[u64]) -> Supply {
    let parts = (0..).map(NumaId::new).zip(memory.iter().map(|mib| Bytes::new(mib * MI)));
    Supply { memory: Bytes::new(memory.iter().sum::<u64>() * MI), memory_by_node: parts.collect(), ..Supply::default() }
}

#[test]
fn containers_have_the_memory_nodes_that_the_rules_give_them() {
    let pods = by_uid([bound(pod("b", QosClass::Shared, 1000)), pod("s", QosClass::Shared, 1000), reclaimed("r", 100)]);
    let mems = values(&pods, &[("b", "1")], &Supply::default(), KnobKind::CpusetMems);
    assert_eq!(mems, ["r 0-2", "b 1", "s 0,2"]);
}

#[test]
fn a_bound_reclaimed_pod_follows_the_supply_of_its_node_and_the_others_the_rest() {
    let pods = by_uid([bound(reclaimed("a", 100)), bound(reclaimed("b", 300)), bound(reclaimed("c", 100)), reclaimed("d", 200)]);
    let on = [("a", "0"), ("b", "0"), ("c", "1")];
    let high = |supply: &Supply| values(&pods, &on, supply, KnobKind::MemoryHigh);
    // 90% of the promise; node 0 has half of what was promised there.
    assert_eq!(high(&by_node(&[200, 100, 200])), ["a 45Mi", "b 135Mi", "c 90Mi", "d 180Mi"]);
    assert_eq!(high(&by_node(&[400, 0, 100])), ["a 90Mi", "b 270Mi", "c 16Mi", "d 90Mi"]);
    // Nodes of bound pods are not for others, however much they have.
    assert_eq!(high(&by_node(&[900, 900, 100]))[3], "d 90Mi");
    // Of node 1 nothing is known, so nothing is there.
    let gap = Supply { memory_by_node: [(NumaId::new(0), Bytes::new(400 * MI))].into(), ..by_node(&[400]) };
    assert_eq!(high(&gap), ["a 90Mi", "b 270Mi", "c 16Mi", "d 16Mi"]);
    // Not known by node at all: everybody shares.
    let whole = Supply { memory: Bytes::new(350 * MI), ..Supply::default() };
    assert_eq!(high(&whole), ["a 45Mi", "b 135Mi", "c 45Mi", "d 90Mi"]);
    assert_eq!(values(&pods, &on, &by_node(&[0, 0, 0]), KnobKind::MemoryMax), ["a 100Mi", "b 300Mi", "c 100Mi", "d 200Mi"]);
}

#[test]
fn others_have_what_bound_pods_leave_where_no_node_is_left_to_them() {
    let pods = by_uid([bound(reclaimed("a", 100)), bound(reclaimed("b", 100)), bound(reclaimed("c", 100)), reclaimed("d", 200)]);
    let on = [("a", "0"), ("b", "1"), ("c", "2")];
    let high = values(&pods, &on, &by_node(&[150, 50, 150]), KnobKind::MemoryHigh);
    assert_eq!(high, ["a 90Mi", "b 45Mi", "c 90Mi", "d 90Mi"]);
}

#[test]
fn only_pods_with_a_score_are_given_one() {
    let pods = by_uid([reclaimed("a", 100), pod("s", QosClass::Shared, 1000)]);
    assert_eq!(values(&pods, &[], &Supply::default(), KnobKind::OomScoreAdj), ["a 900"]);
}

#[test]
fn memory_nodes_change_when_it_is_their_turn() {
    let pods = by_uid([pod("a", QosClass::Shared, 1000), pod("b", QosClass::Shared, 1000)]);
    let plan_on = |mems: &str| {
        let mut assignment = assignment(&pods, &[]);
        assignment.pools.insert(PoolName::share(), Pool { cpus: "0-5".parse().unwrap(), mems: nodes(mems) });
        let policy = KnobPolicy::default();
        knobs(&machine(1, 3, 2, 1), &pods, &cgroups_of(&pods), &assignment, &Supply::default(), &BTreeMap::new(), &policy)
    };
    let mems = |plan: &Plan| shown(plan).into_iter().filter(|line| line.contains("mems")).collect::<Vec<_>>();
    let tick = |plan: &Plan, held: &BTreeMap<CgroupPath, MemsHeld>| {
        let resident = held.keys().map(|cgroup| (cgroup.clone(), Resident::Total(Bytes::new(80 * MI)))).collect();
        pace_mems(plan, held, &resident, Bytes::new(100 * MI))
    };
    let (first, held) = tick(&plan_on("0"), &BTreeMap::new());
    assert_eq!(first, plan_on("0"), "who comes has nothing to move");
    let wanted = plan_on("1-2");
    let (second, held) = tick(&wanted, &held);
    assert_eq!(mems(&second), ["burstable/a/main cpuset.mems 1-2", "burstable/b/main cpuset.mems 0-2"]);
    assert_eq!(second.len(), wanted.len(), "all other knobs are there");
    assert_eq!(held.values().map(|held| held.waited).collect::<Vec<_>>(), [0, 1]);
    let (third, held) = tick(&wanted, &held);
    assert_eq!((third, held.values().all(|held| held.waited == 0)), (wanted.clone(), true));
    // A container that is gone is forgotten.
    let none = pace_mems(&Plan::new(), &held, &BTreeMap::new(), Bytes::new(1));
    assert_eq!(none, (Plan::new(), BTreeMap::new()));
}
