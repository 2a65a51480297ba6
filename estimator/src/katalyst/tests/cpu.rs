use super::*;
use crate::Indicator;

fn quota(cpus: u32, target: u32, current: u32, usage: Option<u64>, reserved: u64) -> Option<u64> {
    let (target, current) = (Permille::new(target), Permille::new(current));
    dynamic_quota(&DynamicQuota { cpus, target, current, usage: usage.map(milli), reserved: milli(reserved) }).map(MilliCpu::get)
}

#[test]
fn the_quota_moves_by_how_far_the_node_is_from_its_target() {
    for ((cpus, target, current, usage, reserved), expected) in [
        ((10, 600, 400, Some(2000), 1000), Some(4000)),
        ((10, 600, 600, Some(2000), 1000), Some(2000)),
        ((10, 600, 650, Some(2000), 1000), Some(1500)),
        ((10, 600, 900, Some(2000), 1000), Some(1000)),
        ((10, 600, 400, Some(0), 0), Some(2000)),
        ((10, 600, 400, None, 1000), None),
        ((0, 600, 400, Some(2000), 1000), None),
    ] {
        assert_eq!(quota(cpus, target, current, usage, reserved), expected, "{cpus} CPUs, {current} of {target}, {usage:?}");
    }
}

#[test]
fn a_quota_applies_to_bound_regions_with_a_target_for_use() {
    let named = |name: &str| Indicator { name: name.to_owned(), current: 1, target: 1 };
    for (bound, name, expected) in [(true, "cpu_usage_ratio", true), (false, "cpu_usage_ratio", false), (true, "cpu_sched_wait", false)] {
        assert_eq!(dynamic_quota_applies(bound, &[named("cpi"), named(name)]), expected, "bound {bound}, {name}");
    }
}

#[test]
fn a_quota_is_capped_by_that_of_its_reference_alone() {
    let knobs = |quota, other| BTreeMap::from([(RECLAIMED_QUOTA.to_owned(), milli(quota)), ("other".to_owned(), milli(other))]);
    let of = |a, b| BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
    let restrict = |from: &str, to: &str| BTreeMap::from([(from.to_owned(), to.to_owned())]);
    let given = of(knobs(8, 8), knobs(5, 5));
    for (from, to, expected) in [
        ("a", "b", of(knobs(5, 8), knobs(5, 5))),
        ("b", "a", given.clone()),
        ("a", "gone", given.clone()),
        ("gone", "a", given.clone()),
        ("a", "a", given.clone()),
    ] {
        assert_eq!(restrict_control_knob(&given, &restrict(from, to)), expected, "{from} by {to}");
    }
}

#[test]
fn the_reserve_is_spread_over_the_nodes() {
    for (cpus, least, ratio, expected) in [
        (vec![8, 8], 4000, None, vec![2, 2]),
        (vec![8, 8], 7000, None, vec![3, 3]),
        (vec![8, 8], 0, None, vec![1, 1]),
        (vec![8, 8], 900_000, None, vec![8, 8]),
        (vec![8, 24], 4000, Some(100), vec![1, 3]),
        (vec![8, 24], 4000, Some(2000), vec![8, 24]),
        (vec![1, 0], 4000, None, vec![0, 0]),
        (vec![], 4000, None, vec![]),
    ] {
        let found = reserved_for_reclaim(&nodes(&cpus), milli(least), ratio.map(Permille::new));
        assert_eq!(found, nodes(&expected), "{least} or {ratio:?} of {cpus:?}");
    }
}

const PARAMETERS: RamaParameters = RamaParameters {
    kp_positive: 0.1,
    kp_negative: 0.04,
    adjust_upper: 10.0,
    adjust_lower: -2.0,
    deadband_upper: 0.05,
    deadband_lower: 0.2,
};

fn indicator(target: f64, current: f64) -> RamaIndicator {
    RamaIndicator { target, current, parameters: PARAMETERS }
}

fn rama(indicators: &[RamaIndicator]) -> Rama<'_> {
    let (upper, lower) = (MilliCpu::from_cpus(50), MilliCpu::from_cpus(4));
    Rama { requirement: MilliCpu::from_cpus(20), upper, lower, reserved_for_allocate: MilliCpu::ZERO, reclaim: true, indicators }
}

#[test]
fn the_controller_follows_the_indicator_that_is_worst_off() {
    for (indicators, expected) in [
        (vec![(100.0, 200.0)], 20_000 + 3466),
        (vec![(100.0, 104.0)], 20_000),
        (vec![(100.0, 81.0)], 20_000),
        (vec![(100.0, 75.0)], 20_000 - 575),
        (vec![(100.0, 1.0)], 18_000),
        (vec![(100.0, 1e9)], 30_000),
        (vec![(100.0, 1.0), (100.0, 200.0)], 20_000 + 3466),
        (vec![(100.0, 1.0), (0.0, 200.0), (100.0, f64::NAN), (100.0, f64::INFINITY)], 18_000),
        (vec![(0.0, 200.0)], 20_000),
    ] {
        let indicators: Vec<_> = indicators.into_iter().map(|(target, current)| indicator(target, current)).collect();
        assert_eq!(rama_step(&rama(&indicators)), Some(milli(expected)), "{indicators:?}");
    }
}

#[test]
fn the_controller_does_not_run_where_katalyst_does_not_run_it() {
    let indicators = [indicator(100.0, 200.0)];
    let runs = rama(&indicators);
    assert!(rama_step(&runs).is_some());
    for input in [rama(&[]), Rama { reclaim: false, ..runs }, Rama { reserved_for_allocate: milli(1), ..runs }] {
        assert_eq!(rama_step(&input), None, "{input:?}");
    }
}

fn group(pool: u32, pool_usage: u64, usage: u64, last: u64) -> ReclaimGroup {
    let nodes = nodes(&[16, 8]);
    ReclaimGroup { nodes, pool, pool_usage: milli(pool_usage), usage: milli(usage), quota: Limit::Max, last: milli(last) }
}

#[test]
fn the_headroom_follows_how_much_of_it_is_used() {
    let plain = CpuHeadroomSettings::default();
    let by_use = CpuHeadroomSettings { util_based: true, max_oversold: Permille::new(1500), ..plain.clone() };
    let with_max = CpuHeadroomSettings { max: Permille::new(800), ..by_use.clone() };
    let limited = ReclaimGroup { quota: Limit::At(milli(3000)), ..group(12, 3000, 3000, 12_000) };
    for (what, group, settings, expected) in [
        ("supply", group(12, 3000, 3000, 99_000), &plain, [8, 4]),
        ("supply under a quota", limited.clone(), &plain, [2, 1]),
        ("nothing to supply", group(0, 0, 0, 9000), &by_use, [0, 0]),
        ("little used: more than before", group(12, 3000, 3000, 12_000), &by_use, [11, 5]),
        ("much used: as before", group(12, 9000, 9000, 15_000), &by_use, [10, 5]),
        ("at least the supply", group(12, 9000, 9000, 1000), &by_use, [8, 4]),
        ("too much used: less than before", group(12, 12_000, 12_000, 15_000), &with_max, [8, 4]),
        ("at most the share of the supply", group(12, 3000, 3000, 99_000), &by_use, [12, 6]),
        ("at most the nodes", group(24, 0, 0, 99_000), &by_use, [16, 8]),
        ("rounded up, then cut on each node", group(2, 900, 0, 0), &plain, [1, 0]),
    ] {
        assert_eq!(cpu_headroom(std::slice::from_ref(&group), settings), nodes(&expected), "{what}: {group:?}");
    }
}

proptest! {
    #[test]
    fn a_quota_never_rises_with_use_of_the_node_nor_falls_below_the_reserve(
        cpus: u32, target: u32, current: u32, more: u32, usage: u64, reserved: u64,
    ) {
        let of = |current| quota(cpus, target, current, Some(usage), reserved).unwrap_or(reserved);
        let (before, after) = (of(current), of(current.saturating_add(more)));
        prop_assert!(reserved <= after && after <= before, "{before} then {after}");
    }

    #[test]
    fn the_controller_stays_within_its_bounds_for_any_input(
        target: f64, current: f64, kp: f64, other: f64, requirement: u64, upper: u64, lower: u64,
    ) {
        let parameters = RamaParameters {
            kp_positive: kp, kp_negative: other, adjust_upper: other, adjust_lower: kp, deadband_upper: other, deadband_lower: kp,
        };
        let indicators = [RamaIndicator { target, current, parameters }, indicator(target, current)];
        let input = Rama { requirement: milli(requirement), upper: milli(upper), lower: milli(lower), ..rama(&indicators) };
        let found = rama_step(&input).unwrap().get();
        prop_assert!(lower.min(upper) <= found && found <= upper, "{found}");
    }

    #[test]
    fn a_worse_indicator_never_lowers_the_requirement(target in 1.0f64..1e6, low in 1e-3f64..1e6, more in 0.0f64..1e6) {
        let of = |current| rama_step(&rama(&[indicator(target, current)])).unwrap();
        prop_assert!(of(low) <= of(low + more), "{} then {}", of(low), of(low + more));
    }

    #[test]
    fn the_headroom_of_a_group_is_bounded_and_never_rises_with_use_by_others(
        pool in size(), used: u64, more: u64, usage: u64, last: u64, quota: Option<u64>,
        util_based: bool, target in share(), max in share(), oversold in share(),
    ) {
        let [target, max, max_oversold] = [target, max, oversold].map(Permille::new);
        let settings = CpuHeadroomSettings { util_based, target, max, max_oversold, ..CpuHeadroomSettings::default() };
        let of = |pool_usage| {
            let quota = quota.map_or(Limit::Max, |quota| Limit::At(milli(quota)));
            cpu_headroom(&[ReclaimGroup { quota, ..group(pool, pool_usage, usage, last) }], &settings).values().copied().map(u64::from).sum()
        };
        let (before, after): (u64, u64) = (of(used), of(used.saturating_add(more)));
        prop_assert!(after <= before, "{before} then {after}");
        prop_assert!(!util_based || before <= 24, "{before} on 24 CPUs");
    }

    #[test]
    fn the_reserve_is_within_each_node(cpus in prop::collection::vec(size(), 0..5), least: u64, ratio in prop::option::of(share())) {
        let all = nodes(&cpus);
        let found = reserved_for_reclaim(&all, milli(least), ratio.map(Permille::new));
        prop_assert!(found.keys().eq(all.keys()) && all.iter().all(|(node, cpus)| found[node] <= *cpus), "{found:?}");
    }
}
