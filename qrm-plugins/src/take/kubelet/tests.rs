use super::*;
use crate::fixtures::{cpus, machine};
use crate::take::kubelet::distributed::choose;
use crate::take::tests::machines;
use gleaner_model::Id;
use proptest::prelude::*;

const FULL: StaticOptions = StaticOptions {
    full_pcpus_only: true,
    distribute_cpus_across_numa: false,
    distribute_cpus_across_cores: false,
    prefer_align_cpus_by_uncorecache: false,
};

#[test]
fn full_cpus_are_whole_cores_or_none() {
    let machine = KubeletMachine::of(&machine(1, 2, 4, 2));
    let across = StaticOptions { distribute_cpus_across_numa: true, ..FULL };
    for (why, free, count, options, expected) in [
        ("whole cores", "0-15", 4, FULL, Some("0-1,8-9")),
        ("three threads are no cores", "0-15", 3, FULL, None),
        ("two threads of two cores are no core", "0-9", 6, FULL, None),
        ("the same on both nodes", "0-15", 12, across, Some("0-2,4-6,8-10,12-14")),
        ("node 0 has as many threads, but fewer cores", "0-9,12-15", 12, across, Some("0-1,4-7,8-9,12-15")),
        ("node 1 has no core", "0-7,8-11", 8, across, Some("0-3,8-11")),
    ] {
        let taken = take_static(&machine, &cpus(free), count, options);
        assert_eq!(taken, expected.map(cpus), "{why}: {count} of {free}");
    }
}

#[test]
fn options_that_contradict_each_other_are_named() {
    let both = StaticOptions { distribute_cpus_across_cores: true, ..FULL };
    assert_eq!(both.validate(), ["static: fullPcpusOnly and distributeCpusAcrossCores cannot both be on"]);
    assert!(FULL.validate().is_empty());
}

/// All ways to take `number` of the nodes, `extras` of which give more, in the order in which kubelet tries them.
fn ways(nodes: usize, number: u32, extras: u32) -> Vec<(u32, u32)> {
    let masks = |of: u32, number: u32| {
        let mut masks: Vec<u32> = (0..1 << nodes).filter(|mask: &u32| mask & !of == 0 && mask.count_ones() == number).collect();
        // The first node is the lowest bit: sets with earlier nodes come first.
        masks.sort_by_key(|mask| std::cmp::Reverse(mask.reverse_bits()));
        masks
    };
    masks(u32::MAX, number).into_iter().flat_map(|taken| masks(taken, extras).into_iter().map(move |more| (taken, more))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_most_even_nodes_are_those_that_trying_all_finds(
        free in proptest::collection::vec(0u32..12, 1..7), number in 1u32..7, groups in 0u32..20, group in 1u32..4
    ) {
        let count = groups * group;
        let nodes: Vec<(u32, u32)> = (0..).zip(free.iter().copied()).collect();
        let each = count / number / group * group;
        let extras = (count - each * number) / group;
        let left = |(taken, more): &(u32, u32)| -> Option<Vec<u32>> {
            (0u32..).zip(&free).map(|(at, free)| free.checked_sub((taken >> at & 1) * each + (more >> at & 1) * group)).collect()
        };
        let squares = |left: Vec<u32>| left.into_iter().map(|cpus| cpus * cpus).sum::<u32>();
        let fitting = ways(free.len(), number, extras).into_iter().filter_map(|way| Some((squares(left(&way)?), way)));
        // The first of the smallest.
        let best = fitting.reduce(|best, next| if next.0 < best.0 { next } else { best });
        let expected = best.map(|(_, (taken, more))| {
            (0..).zip(&free).map(|(at, _)| at).filter(|at: &u32| taken >> at & 1 == 1).map(|at| (at, more >> at & 1 == 1)).collect::<Vec<_>>()
        });
        prop_assert_eq!(choose(&nodes, count, number, group), expected, "{} CPUs in groups of {} on {} of {:?}", count, group, number, free);
    }

    #[test]
    fn on_any_machine_a_take_is_exact_and_free_with_all_options(
        topology in machines(20, false), chosen in any::<u64>(), share in 0u32..=110, flags in 0u8..16
    ) {
        let machine = KubeletMachine::of(&topology);
        let all = topology.cpus();
        let free: CpuSet = all.iter().filter(|cpu| cpu.index() % 3 > 0 || chosen >> cpu.index() & 1 == 1).collect();
        let count = free.count() * share / 100;
        let flag = |bit: u8| flags >> bit & 1 == 1;
        let options = StaticOptions {
            full_pcpus_only: flag(0),
            distribute_cpus_across_numa: flag(1),
            distribute_cpus_across_cores: flag(2),
            prefer_align_cpus_by_uncorecache: flag(3),
        };
        let taken = take_static(&machine, &free, count, options);
        let told = format!("{count} of {free} with {options:?} on {topology:?}: {taken:?}");
        prop_assert!(options.full_pcpus_only || taken.is_some() == (count <= free.count()), "{}", told);
        let Some(taken) = taken else { return Ok(()) };
        prop_assert!(taken.count() == count && taken.is_subset(&free), "{}", told);
        let torn = topology.cores().into_values().any(|core| !core.is_disjoint(&taken) && !core.is_subset(&taken));
        prop_assert!(!options.full_pcpus_only || !torn, "{}", told);
    }
}
