//! What can be lent on each NUMA node.

use super::*;
use gleaner_model::{NumaReadings, NumaSet};

const NOW: u64 = 1000;

/// Two nodes of 4 CPUs and 8 GiB each.
pub(super) fn two_nodes() -> Topology {
    Topology::regular(1, 2, 4, 1, Bytes::new(8 * GIB)).unwrap()
}

/// One NUMA node's memory with a low watermark of 64 MiB.
pub(super) fn numa(free: u64, inactive_file: u64, when: Timestamp) -> NumaReadings {
    let reading = |bytes| Reading::present(Bytes::new(bytes), when);
    NumaReadings {
        memory_total: reading(8 * GIB),
        memory_free: reading(free),
        inactive_file: reading(inactive_file),
        memory_low_watermark: reading(GIB / 16),
    }
}

/// A node that uses so much of each CPU in thousandths, with 6 GiB free of 8 on both NUMA nodes.
pub(super) fn busy(usage: [u32; 8], pods: &[(Pod, Option<ContainerReadings>)]) -> Snapshot {
    let all: u64 = usage.iter().map(|cpu| u64::from(*cpu)).sum();
    let mut s = snapshot(NOW, all, pods);
    s.node.cpu_usage_by_cpu = Reading::present((0..).map(CpuId::new).zip(usage.map(Permille::new)).collect(), at(NOW));
    s.node.numa = [0, 1].map(|id| (NumaId::new(id), numa(6 * GIB, 0, at(NOW)))).into();
    s
}

fn used(name: &str, class: QosClass, milli: u64) -> (Pod, Option<ContainerReadings>) {
    (pod(name, class, 1000), Some(measured(milli, 0, at(NOW))))
}

/// Pools by name and first and last CPU, and the pods in them.
fn assignment(pools: &[(&str, std::ops::Range<u32>)], members: &[(&str, &str)]) -> Assignment {
    let pools = pools.iter().map(|(name, cpus)| (pool(name), Pool { cpus: cpus.clone().map(CpuId::new).collect(), ..Pool::default() }));
    Assignment {
        pools: pools.collect(),
        members: members.iter().map(|(pod, name)| (uid(pod), pool(name))).collect(),
        ..Assignment::default()
    }
}

/// As if all of it had been lent before.
pub(super) fn on_two(snapshot: &Snapshot, assignment: &Assignment, policy: &Policy) -> Estimate {
    estimate(snapshot, &two_nodes(), assignment, policy, &settled(snapshot, assignment)).0
}

fn cpus(estimate: &Estimate) -> Vec<u64> {
    estimate.by_node.values().map(|share| share.cpu.get()).collect()
}

fn memory_of(estimate: &Estimate) -> Vec<u64> {
    estimate.by_node.values().map(|share| share.memory.get() >> 20).collect()
}

fn bound(pod: Pod) -> Pod {
    let mut pod = pod;
    pod.qos.memory.numa_binding = NumaBinding::Bound;
    pod
}

#[test]
fn a_nodes_cpus_are_lent_less_what_is_taken_of_them() {
    use QosClass::{Dedicated, Reclaimed, Shared, System};
    let idle = [0; 8];
    let none = assignment(&[], &[]);
    let web = in_pool(pod("a", Shared, 1000), "web");
    let table = [
        ("the reserve is divided", idle, vec![], none.clone(), [3500, 3500]),
        ("the CPUs of the pool reserve are not", idle, vec![], assignment(&[("reserve", 0..1)], &[]), [3000, 4000]),
        (
            "dedicated CPUs are where they are",
            idle,
            vec![used("d", Dedicated, 0)],
            assignment(&[("dedicated-d", 4..7)], &[("d", "dedicated-d")]),
            [3500, 500],
        ),
        ("a dedicated pod without CPUs may come anywhere", idle, vec![used("d", Dedicated, 0)], none.clone(), [3000, 3000]),
        (
            "a shared pool is where its CPUs are",
            idle,
            vec![(web, Some(measured(1000, 0, at(NOW))))],
            assignment(&[("web", 3..7)], &[("a", "web")]),
            [3500 - 275, 3500 - 825],
        ),
        (
            "bound pods are on their node, wherever the pool's CPUs are",
            idle,
            vec![(bound(pod("a", Shared, 1000)), Some(measured(1000, 0, at(NOW))))],
            assignment(&[("share-NUMA1", 0..4)], &[("a", "share-NUMA1")]),
            [3500, 2400],
        ),
        ("system pods are anywhere", idle, vec![used("s", System, 1000)], none.clone(), [2950, 2950]),
        ("busy CPUs are not free", [0, 0, 0, 0, 500, 500, 500, 500], vec![], none.clone(), [3500, 1500]),
        (
            "what reclaimed pods use is, where their CPUs are busy",
            [0, 0, 0, 0, 1000, 1000, 0, 0],
            vec![used("r", Reclaimed, 1500)],
            assignment(&[("reclaim", 2..8)], &[("r", "reclaim")]),
            [3500, 3000],
        ),
        (
            "and not where others are",
            [1000, 1000, 0, 0, 1000, 1000, 0, 0],
            vec![used("r", Reclaimed, 2000)],
            assignment(&[("reclaim-NUMA1", 4..8)], &[("r", "reclaim-NUMA1")]),
            [1500, 3500],
        ),
    ];
    for (name, usage, pods, assignment, expected) in table {
        let estimate = on_two(&busy(usage, &pods), &assignment, &policy());
        assert_eq!(cpus(&estimate), expected, "{name}: {}", estimate.cpu_reason);
        assert!(estimate.unknown.is_empty(), "{name}: {:?}", estimate.unknown);
    }
}

#[test]
fn nodes_are_cut_in_proportion_to_what_the_whole_lends() {
    // Node 0 is full twice over, so that the whole node is left less than node 1 has.
    let pods = [(bound(pod("a", QosClass::Shared, 1000)), Some(measured(5000, 0, at(NOW))))];
    let placed = assignment(&[("share-NUMA0", 0..4)], &[("a", "share-NUMA0")]);
    let estimate = on_two(&busy([0; 8], &pods), &placed, &policy());
    assert_eq!((estimate.cpu.get(), cpus(&estimate)), (1500, vec![0, 1500]), "{}", estimate.cpu_reason);
}

#[test]
fn a_cpu_without_a_reading_counts_as_busy() {
    let mut s = busy([0; 8], &[]);
    let seven = (0..7).map(|cpu| (CpuId::new(cpu), Permille::new(0))).collect();
    s.node.cpu_usage_by_cpu = Reading::present(seven, at(NOW));
    assert_eq!(cpus(&on_two(&s, &Assignment::default(), &policy())), [3500, 2500]);
}

#[test]
fn a_nodes_memory_is_what_is_free_there() {
    let half = GIB >> 20 >> 1;
    let free = (6 * GIB - GIB / 16) >> 20;
    let reclaimed = |mib: u64| (pod("r", QosClass::Reclaimed, 0), Some(measured(0, mib << 20, at(NOW))));
    let on = |nodes: &str| Assignment {
        nodes: BTreeMap::from([(uid("r"), nodes.parse::<NumaSet>().unwrap())]),
        ..assignment(&[("reclaim", 0..8)], &[("r", "reclaim")])
    };
    let zero = numa(5 * GIB, GIB, at(NOW));
    let full = numa(0, 0, at(NOW));
    let calm = || numa(6 * GIB, 0, at(NOW));
    let table = [
        ("free memory", vec![], [calm(), calm()], on("0"), [free - half, free - half]),
        ("page cache not used lately, less what must be written", vec![], [zero, calm()], on("0"), [free - half - 205, free - half]),
        ("nothing is free", vec![], [full, calm()], on("0"), [0, free - half]),
        ("what a bound reclaimed pod holds", vec![reclaimed(1024)], [calm(), calm()], on("1"), [free - half, free - half + 1024]),
        ("what an unbound one holds", vec![reclaimed(1024)], [calm(), calm()], on(""), [free - half + 512, free - half + 512]),
        ("no more than is in use there", vec![reclaimed(9 << 10)], [calm(), calm()], on("1"), [free - half, free - half + 2048]),
    ];
    for (name, pods, [zero, one], assignment, expected) in table {
        let mut s = busy([0; 8], &pods);
        s.node.memory_available = Reading::present(Bytes::new(15 * GIB), at(NOW));
        s.node.numa = [(NumaId::new(0), zero), (NumaId::new(1), one)].into();
        let lent = on_two(&s, &assignment, &policy());
        let got: Vec<u64> = lent.supply.memory_by_node.values().map(|bytes| bytes.get() >> 20).collect();
        let near = got.iter().zip(expected).all(|(got, wanted)| got.abs_diff(wanted) <= 1);
        assert!(near && got.len() == 2, "{name}: {got:?} is not {expected:?}: {}", lent.memory_reason);
    }
}

#[test]
fn both_sums_are_at_most_the_whole() {
    let mut s = busy([0; 8], &[]);
    s.node.memory_available = Reading::present(Bytes::new(4 * GIB), at(NOW));
    let estimate = on_two(&s, &Assignment::default(), &policy());
    let whole = estimate.memory.get() >> 20;
    assert_eq!(memory_of(&estimate), [whole / 2, whole / 2], "{}", estimate.memory_reason);
}

#[test]
fn a_node_with_too_little_of_one_offers_neither_and_the_sum_is_less_by_it() {
    let mut s = busy([0, 0, 0, 0, 1000, 1000, 1000, 450], &[]);
    s.node.memory_available = Reading::present(Bytes::new(15 * GIB), at(NOW));
    let estimate = on_two(&s, &Assignment::default(), &policy());
    let shares: Vec<NodeShare> = estimate.by_node.values().copied().collect();
    assert_eq!(shares[1], NodeShare::default(), "50m are of no use");
    assert_eq!(estimate.cpu, MilliCpu::new(3550 - 50), "{}", estimate.cpu_reason);
    assert_eq!(cpu_rule(&estimate).0, ReclaimRule::Fragment);
    assert_eq!(estimate.memory, estimate.supply.memory_by_node[&NumaId::new(0)], "{}", estimate.memory_reason);
    assert_eq!(
        (estimate.supply.cpu, estimate.supply.cpu_by_node[&NumaId::new(1)]),
        (MilliCpu::new(3550), MilliCpu::new(50)),
        "which pods keep"
    );
}

#[test]
fn a_node_of_which_a_reading_is_missing_offers_nothing_and_says_so() {
    let stale = |reading: &mut Reading<Bytes>| *reading = Reading::present(Bytes::new(GIB), at(NOW - 11));
    let mut s = busy([0; 8], &[]);
    s.node.numa.remove(&NumaId::new(1));
    stale(&mut s.node.numa.get_mut(&NumaId::new(0)).unwrap().inactive_file);
    let estimate = on_two(&s, &Assignment::default(), &policy());
    let said: Vec<&str> = estimate.unknown.values().map(String::as_str).collect();
    assert_eq!(said, ["inactive page cache: the reading is 11000 ms old", "memory: could not be read"]);
    assert!(estimate.by_node.is_empty() && estimate.supply.memory_by_node.is_empty());
    assert!(!estimate.cpu.is_zero() && !estimate.memory.is_zero(), "the whole is known");

    let mut s = busy([0; 8], &[]);
    s.node.cpu_usage_by_cpu = Reading::Absent(Absence::NotYet);
    let estimate = on_two(&s, &Assignment::default(), &policy());
    assert_eq!(estimate.unknown[&NumaId::new(0)], "usage by CPU: not sampled yet");
    assert!(estimate.by_node.is_empty() && !estimate.cpu.is_zero());
    assert_eq!(estimate.supply.memory_by_node.len(), 2, "memory is known");

    let mut s = busy([0; 8], &[]);
    s.node.cpu_usage = Reading::Absent(Absence::NotYet);
    let estimate = on_two(&s, &Assignment::default(), &policy());
    assert!(
        estimate.by_node.is_empty() && estimate.unknown.is_empty(),
        "the whole is not known, which is said of it: {:?}",
        estimate.unknown
    );
}

#[test]
fn each_node_falls_at_once_and_rises_by_steps_of_its_own() {
    let slow = Policy { rise_per_second: Permille::new(100), ..policy() };
    let mut state = State::default();
    let mut seen = Vec::new();
    let load = |second| match second {
        4 => [0, 0, 0, 0, 900, 900, 900, 0],
        _ => [0; 8],
    };
    for second in 0..6 {
        let mut s = busy(load(second), &[]);
        let now = at(NOW + second);
        s.at = now;
        for reading in [&mut s.node.memory_total, &mut s.node.memory_available, &mut s.node.memory_low_watermark] {
            *reading = Reading::present(*reading.value().unwrap(), now);
        }
        let (estimate, next) = estimate(&s, &two_nodes(), &Assignment::default(), &slow, &state);
        seen.push(estimate.supply.cpu_by_node.values().map(|cpus| cpus.get()).collect::<Vec<_>>());
        state = next;
    }
    assert_eq!(seen, [[0, 0], [400, 400], [800, 800], [1200, 1200], [1600, 800], [2000, 1200]]);
}

#[test]
fn after_a_restart_each_node_goes_on_from_its_part() {
    let slow = Policy { rise_per_second: Permille::new(100), ..policy() };
    let s = busy([0; 8], &[]);
    let state = State::resume(MilliCpu::new(4000), Bytes::new(8 * GIB), at(NOW));
    let (lent, next) = estimate(&s, &two_nodes(), &Assignment::default(), &slow, &state);
    assert_eq!(cpus(&lent), [2000, 2000]);
    assert_eq!(memory_of(&lent), [4096, 4096]);
    // A node that was not known in between begins anew.
    let mut unknown = s.clone();
    unknown.node.numa.remove(&NumaId::new(0));
    let (_, next) = estimate(&unknown, &two_nodes(), &Assignment::default(), &slow, &next);
    let (lent, _) = estimate(&s, &two_nodes(), &Assignment::default(), &slow, &next);
    assert_eq!(memory_of(&lent), [0, 4096]);
}

#[test]
fn a_machine_of_one_node_has_no_parts() {
    let estimate = run(&snapshot(NOW, 0, &[]), &Assignment::default());
    assert!(estimate.by_node.is_empty() && estimate.unknown.is_empty() && estimate.supply.memory_by_node.is_empty());
}
