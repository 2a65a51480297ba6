//! What holds on several NUMA nodes whatever is measured.

use super::numa::two_nodes;
use super::properties::{any_assignment, any_snapshot, any_state, reading};
use super::*;
use crate::headroom::Utilisation;
use gleaner_model::NumaReadings;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Reading<Bytes>> {
    reading(prop_oneof![9 => 0..16 * GIB, 1 => any::<u64>()].prop_map(Bytes::new))
}

fn numa_readings() -> impl Strategy<Value = BTreeMap<NumaId, NumaReadings>> {
    let one = (bytes(), bytes(), bytes(), bytes()).prop_map(|(memory_total, memory_free, inactive_file, memory_low_watermark)| {
        NumaReadings { memory_total, memory_free, inactive_file, memory_low_watermark }
    });
    prop::collection::btree_map((0u32..3).prop_map(NumaId::new), one, 0..4)
}

fn usage() -> impl Strategy<Value = Reading<BTreeMap<CpuId, Permille>>> {
    let one = prop_oneof![9 => 0u32..1000, 1 => any::<u32>()].prop_map(Permille::new);
    reading(prop::collection::btree_map((0u32..9).prop_map(CpuId::new), one, 0..9))
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    (any_snapshot(), usage(), numa_readings()).prop_map(|(mut s, usage, numa)| {
        s.node.cpu_usage_by_cpu = usage;
        s.node.numa = numa;
        s
    })
}

/// Without a reserve beyond the ordinary, raising or not.
fn policies() -> impl Strategy<Value = Policy> {
    (0u64..9000, 1u32..500, any::<bool>(), 1000u32..3000).prop_map(|(reserve, rise, raising, ceiling)| {
        let target = raising.then_some(Permille::new(600));
        let utilisation =
            Utilisation { target, memory_target: target, ceiling: Permille::new(ceiling), rise_per_minute: Permille::new(1000) };
        let mut policy = Policy { cpu_reserve: MilliCpu::new(reserve), rise_per_second: Permille::new(rise), ..policy() };
        policy.headroom.utilisation = utilisation;
        policy
    })
}

fn any_given(state: State, nodes: Option<[u64; 2]>, raised: u64) -> State {
    let by_node = nodes.map(|nodes| {
        let share = |amount| NodeShare { cpu: MilliCpu::new(amount), memory: Bytes::new(amount << 20) };
        (0..).map(NumaId::new).zip(nodes.map(share)).collect()
    });
    let raised = crate::headroom::Raised { cpu: raised, memory: raised };
    State { given: state.given.map(|given| Given { by_node, raised, ..given }), ..state }
}

fn states() -> impl Strategy<Value = State> {
    (any_state(), prop::option::of([0u64..5000, 0u64..5000]), 0u64..2_000_000)
        .prop_map(|(state, nodes, raised)| any_given(state, nodes, raised))
}

fn lend(s: &Snapshot, assignment: &Assignment, policy: &Policy, state: &State) -> (Estimate, State) {
    estimate(s, &two_nodes(), assignment, policy, state)
}

proptest! {
    #[test]
    fn parts_make_up_at_most_the_whole_and_that_is_below_capacity_less_reserve(
        s in snapshots(), assignment in any_assignment(), policy in policies(), state in states()
    ) {
        let (e, _) = lend(&s, &assignment, &policy, &state);
        let (cpu, memory) = (e.by_node.values().map(|n| n.cpu).sum::<MilliCpu>(), e.by_node.values().map(|n| n.memory).sum::<Bytes>());
        prop_assert!(cpu <= e.cpu && memory <= e.memory, "{:?} {} {}", e.by_node, e.cpu_reason, e.memory_reason);
        prop_assert!(e.supply.cpu_by_node.values().copied().sum::<MilliCpu>() <= e.supply.cpu, "{:?}", e.supply);
        prop_assert!(e.supply.memory_by_node.values().copied().sum::<Bytes>() <= e.supply.memory, "{:?}", e.supply);
        prop_assert!(e.cpu <= MilliCpu::from_cpus(8).minus(policy.cpu_reserve), "{}", e.cpu_reason);
        let total = s.node.memory_total.value().copied().unwrap_or_default();
        prop_assert!(e.memory <= total.minus(policy.memory_reserve), "{}", e.memory_reason);
        let most = u64::from(policy.headroom.utilisation.ceiling.get());
        prop_assert!(e.cpu <= e.supply.cpu.scaled(most, 1000), "{}", e.cpu_reason);
        prop_assert!(e.memory <= e.supply.memory.scaled(most, 1000).plus(Bytes::new(1)), "{}", e.memory_reason);
        for (id, share) in &e.by_node {
            let offered = share.cpu >= policy.headroom.fragments.cpu && share.memory >= policy.headroom.fragments.memory;
            prop_assert!(offered || share.cpu.is_zero() && share.memory.is_zero(), "node {id} offers a fragment: {share:?}");
            prop_assert!(!e.unknown.contains_key(id), "node {id} is known and unknown");
        }
    }

    #[test]
    fn each_node_rises_by_at_most_its_step(s in snapshots(), assignment in any_assignment(), policy in policies(), state in states()) {
        let (e, _) = lend(&s, &assignment, &policy, &state);
        let Some(before) = state.given.as_ref().and_then(|given| given.by_node.as_ref()) else { return Ok(()) };
        let last = state.given.as_ref().unwrap();
        let seconds = s.at.since(last.at).as_secs().min(10);
        for (id, cpus) in &e.supply.cpu_by_node {
            let step = 4 * u64::from(policy.rise_per_second.get()) * seconds;
            let was = before.get(id).map_or(0, |n| n.cpu.get());
            prop_assert!(cpus.get() <= was + step, "node {id}: {was} to {cpus} in {seconds} s");
        }
    }

    #[test]
    fn more_use_of_the_others_never_raises_what_is_lent(
        s in snapshots(), assignment in any_assignment(), policy in policies(), state in states(), cpu in 0u32..8, more in 1u32..900
    ) {
        let mut busier = s.clone();
        busier.node.cpu_usage = busier.node.cpu_usage.map(|usage| usage.plus(MilliCpu::new(more.into())));
        let id = CpuId::new(cpu);
        busier.node.cpu_usage_by_cpu = busier.node.cpu_usage_by_cpu.map(|mut usage| {
            usage.entry(id).and_modify(|busy| *busy = Permille::new(busy.get().saturating_add(more)));
            usage
        });
        let node = NumaId::new(cpu / 4);
        if let Some(numa) = busier.node.numa.get_mut(&node) {
            numa.memory_free = numa.memory_free.clone().map(|free| free.minus(Bytes::new(u64::from(more) << 20)));
        }
        busier.node.memory_available = busier.node.memory_available.map(|free| free.minus(Bytes::new(u64::from(more) << 20)));
        let (calm, _) = lend(&s, &assignment, &policy, &state);
        let (busy, _) = lend(&busier, &assignment, &policy, &state);
        prop_assert!(busy.supply.cpu <= calm.supply.cpu, "{}\n{}", calm.cpu_reason, busy.cpu_reason);
        prop_assert!(busy.cpu <= calm.cpu, "{}\n{}\n{:?}\n{:?}", calm.cpu_reason, busy.cpu_reason, calm.by_node, busy.by_node);
        prop_assert!(busy.memory <= calm.memory, "{}\n{}\n{:?}\n{:?}", calm.memory_reason, busy.memory_reason, calm.by_node, busy.by_node);
        prop_assert!(busy.supply.memory <= calm.supply.memory, "{}\n{}", calm.memory_reason, busy.memory_reason);
        prop_assert!(busy.supply.cpu_by_node.get(&node) <= calm.supply.cpu_by_node.get(&node), "{:?}\n{:?}", calm.supply, busy.supply);
        prop_assert!(busy.supply.memory_by_node.get(&node) <= calm.supply.memory_by_node.get(&node), "{:?}\n{:?}", calm.supply, busy.supply);
    }

    #[test]
    fn what_is_stale_gives_nothing(mut s in snapshots(), assignment in any_assignment(), policy in policies(), state in states(), which in 0usize..4) {
        let old = at(1);
        let bytes = Reading::present(Bytes::new(8 * GIB), old);
        match which {
            0 => s.node.cpu_usage = Reading::present(MilliCpu::ZERO, old),
            1 => s.node.memory_available = bytes,
            2 => s.node.cpu_usage_by_cpu = Reading::present(BTreeMap::new(), old),
            _ => s.node.numa.values_mut().for_each(|numa| numa.memory_free = bytes.clone()),
        }
        let (e, _) = lend(&s, &assignment, &policy, &state);
        prop_assert!(which != 0 || e.cpu.is_zero() && e.supply.cpu.is_zero());
        prop_assert!(which != 1 || e.memory.is_zero() && e.supply.memory.is_zero());
        prop_assert!(e.by_node.is_empty(), "{which}: {:?}", e.by_node);
    }

    #[test]
    fn a_state_that_was_stored_goes_on_as_it_was(
        s in snapshots(), t in snapshots(), assignment in any_assignment(), policy in policies(), state in states()
    ) {
        let (_, next) = lend(&s, &assignment, &policy, &state);
        let stored: State = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
        prop_assert_eq!(&stored, &next);
        prop_assert_eq!(lend(&t, &assignment, &policy, &stored), lend(&t, &assignment, &policy, &next));
    }
}
