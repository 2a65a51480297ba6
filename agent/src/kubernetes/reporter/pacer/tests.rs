#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use proptest::prelude::*;

fn settings() -> ReportSettings {
    ReportSettings::default()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(seconds))
}

fn lent(told: u64, wanted: u64) -> Gap {
    Gap { amounts: vec![Amount::whole(told, wanted, 0)], other: Other::Same }
}

/// A pacer that wrote `said` at second 1000.
fn after(said: u64) -> Pacer {
    let mut pacer = Pacer::new("node-1");
    pacer.wrote(&lent(said, said), at(1000));
    pacer
}

/// The first second at which it would write, looking once a second.
fn first(pacer: &mut Pacer, gap: &Gap) -> u64 {
    (1000..9000).find(|second| pacer.decide(gap, at(*second), &settings()) == Verdict::Write).unwrap()
}

#[test]
fn the_first_time_it_writes_whatever_is_there() {
    assert_eq!(Pacer::new("node-1").decide(&lent(5, 5), at(0), &settings()), Verdict::Write);
}

#[test]
fn each_kind_of_difference_has_its_pace() {
    let other = |other| Gap { amounts: vec![Amount::whole(1000, 1000, 0)], other };
    let cases = [
        ("a fall beyond the threshold", lent(1000, 949), 1010..=1010),
        ("a fall within the threshold", lent(1000, 950), 1600..=1720),
        ("a rise beyond the threshold", lent(1000, 1051), 1120..=1145),
        ("a rise within the threshold", lent(1000, 1050), 1600..=1720),
        ("nothing", lent(1000, 1000), 1600..=1720),
        ("nothing lent at all any more", lent(1000, 0), 1000..=1000),
        ("another allocation", other(Other::Changed), 1120..=1145),
        ("a new taint", other(Other::Urgent), 1010..=1010),
    ];
    for (what, gap, expected) in cases {
        let written = first(&mut after(1000), &gap);
        assert!(expected.contains(&written), "{what}: written at {written}, expected {expected:?}");
    }
}

#[test]
fn what_a_kubelet_set_to_zero_is_put_back_at_the_pace_of_falls() {
    assert_eq!(first(&mut after(1000), &lent(0, 1000)), 1010);
}

#[test]
fn who_writes_against_us_is_not_written_against_at_once() {
    assert_eq!(first(&mut after(0), &lent(500, 0)), 1010);
}

#[test]
fn a_taint_that_does_not_stay_is_not_written_again_and_again() {
    let urgent = Gap { amounts: vec![Amount::whole(1000, 1000, 0)], other: Other::Urgent };
    let mut pacer = after(1000);
    assert_eq!(first(&mut pacer, &urgent), 1010);
    pacer.wrote(&urgent, at(1010));
    assert!((1130..=1155).contains(&first(&mut pacer, &urgent)), "{pacer:?}");
    pacer.decide(&lent(1000, 1000), at(1020), &settings());
    assert_eq!(first(&mut pacer, &urgent), 1020, "another taint after one that stayed");
}

#[test]
fn a_rise_has_to_last() {
    let mut pacer = after(1000);
    for second in 1000..1500 {
        let wanted = if second % 60 == 0 { 1000 } else { 2000 };
        let verdict = pacer.decide(&lent(1000, wanted), at(second), &settings());
        assert!(matches!(verdict, Verdict::Wait(_)), "second {second}: {verdict:?}");
    }
}

/// Tells a gap at this second, as the loop does when the pacer lets it.
fn tell(pacer: &mut Pacer, gap: &Gap, second: u64) {
    pacer.decide(gap, at(second), &settings());
    pacer.wrote(gap, at(second));
}

#[test]
fn a_rise_after_one_that_was_taken_back_has_to_last_longer() {
    let mut pacer = after(1000);
    for (expected, second) in [(120..=145, 1000), (240..=289, 3000), (480..=577, 5000), (600..=721, 7000)] {
        pacer.wrote(&lent(1000, 1000), at(second));
        let written = (second..).find(|now| pacer.decide(&lent(1000, 2000), at(*now), &settings()) == Verdict::Write).unwrap();
        assert!(expected.contains(&(written - second)), "told after {} s, expected {expected:?}", written - second);
        tell(&mut pacer, &lent(1000, 2000), written);
        tell(&mut pacer, &lent(2000, 1000), written + 100);
    }
}

#[test]
fn a_rise_that_lasted_is_followed_by_the_next_as_usual() {
    let mut pacer = after(1000);
    tell(&mut pacer, &lent(1000, 2000), 1200);
    tell(&mut pacer, &lent(2000, 1000), 1300);
    tell(&mut pacer, &lent(1000, 2000), 1700);
    tell(&mut pacer, &lent(2000, 2000), 2300);
    tell(&mut pacer, &lent(2000, 1000), 2400);
    let written = (2400..).find(|now| pacer.decide(&lent(1000, 2000), at(*now), &settings()) == Verdict::Write).unwrap();
    assert!((2520..=2545).contains(&written), "told at {written}");
}

#[test]
fn where_little_is_lent_only_what_is_much_of_the_node_matters() {
    let of = |told, wanted| Gap { amounts: vec![Amount::whole(told, wanted, 100)], other: Other::Same };
    for (told, wanted, expected) in [(200, 100, 1600..=1720), (200, 99, 1010..=1010), (50, 0, 1000..=1000), (50, 149, 1600..=1720)] {
        let mut pacer = Pacer::new("node-1");
        pacer.wrote(&of(told, told), at(1000));
        let written = first(&mut pacer, &of(told, wanted));
        assert!(expected.contains(&written), "from {told} to {wanted}: written at {written}, expected {expected:?}");
    }
}

#[test]
fn what_moved_from_one_zone_to_another_is_told() {
    let zone = |told, wanted| Amount { told, wanted, base: 1000, whole: false, least: 0 };
    let moved = Gap { amounts: vec![Amount::whole(1000, 1000, 0), zone(500, 0), zone(500, 1000)], other: Other::Same };
    assert_eq!(first(&mut after(1000), &moved), 1010);
    let little = Gap { amounts: vec![Amount::whole(1000, 1000, 0), zone(20, 0), zone(980, 1000)], other: Other::Same };
    assert!(first(&mut after(1000), &little) >= 1600);
}

#[test]
fn refreshes_of_many_nodes_are_spread() {
    let mut tenths = [0_u32; 12];
    for node in 0..2000 {
        let mut pacer = Pacer::new(&format!("worker-{node}"));
        pacer.wrote(&lent(1, 1), at(0));
        let Verdict::Wait(until) = pacer.decide(&lent(1, 1), at(0), &settings()) else { panic!("written at once") };
        let late = until.since(at(600)).as_secs_f64();
        assert!((0.0..=120.0).contains(&late), "worker-{node}: {late}");
        tenths[usize::try_from(Duration::from_secs_f64(late).as_secs() / 10).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|count| (110..230).contains(count)), "nodes in each twelfth: {tenths:?}");
}

#[test]
fn one_node_refreshes_at_another_distance_each_time() {
    let mut pacer = Pacer::new("node-1");
    let mut distances = std::collections::BTreeSet::new();
    for _ in 0..50 {
        pacer.wrote(&lent(1, 1), at(0));
        if let Verdict::Wait(until) = pacer.decide(&lent(1, 1), at(0), &settings()) {
            distances.insert(until);
        }
    }
    assert!(distances.len() > 40, "{}", distances.len());
}

/// Runs a pacer over amounts, one a second, and returns when it wrote (second, amount), with writes that succeed at once.
fn run(wanted: &[u64]) -> Vec<(u64, u64)> {
    let (mut pacer, mut told, mut written) = (Pacer::new("node-1"), 0, Vec::new());
    for (second, wanted) in (0..).zip(wanted) {
        let gap = lent(told, *wanted);
        if pacer.decide(&gap, at(second), &settings()) == Verdict::Write {
            pacer.wrote(&gap, at(second));
            told = *wanted;
            written.push((second, told));
        }
    }
    written
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_tide_makes_it_write_more_often_than_its_pace(parts in prop::collection::vec((0_u64..64_000, 1_usize..200), 1..40)) {
        let tide: Vec<u64> = parts.iter().flat_map(|(amount, seconds)| std::iter::repeat_n(*amount, *seconds)).collect();
        let written = run(&tide);
        for pair in written.windows(2) {
            let distance = pair[1].0 - pair[0].0;
            prop_assert!(distance >= 10 || pair[1].1 == 0, "{:?}", pair);
            prop_assert!(distance >= 120 || pair[1].1 <= pair[0].1, "risen too soon: {:?}", pair);
        }
        let withdrawn: Vec<_> = written.iter().skip(1).filter(|(_, amount)| *amount == 0).collect();
        for pair in withdrawn.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= 120, "withdrawn too often: {:?}", pair);
        }
    }

    #[test]
    fn what_stays_is_told_to_within_the_threshold(parts in prop::collection::vec((0_u64..64_000, 1_usize..200), 1..10), last in 0_u64..64_000) {
        let mut tide: Vec<u64> = parts.iter().flat_map(|(amount, seconds)| std::iter::repeat_n(*amount, *seconds)).collect();
        // A refresh and a fifth: by then everything is told.
        tide.extend(std::iter::repeat_n(last, 721));
        let told = run(&tide).last().unwrap().1;
        prop_assert!(told.abs_diff(last) * 20 <= told, "told {told}, true {last}");
    }

    #[test]
    fn a_fall_is_never_told_late(high in 1_000_u64..64_000, share in 0_u64..94) {
        let mut tide = vec![high; 900];
        tide.extend(std::iter::repeat_n(high * share / 100, 30));
        let written = run(&tide);
        let low = written.iter().find(|(second, _)| *second >= 900);
        prop_assert!(low.is_some_and(|(second, _)| *second <= 910), "{written:?}");
    }
}

/// A day in seconds, as schedulers see it: what is lent follows the ebb of a service, with noise.
fn day(noise: u64) -> Vec<u64> {
    let capacity = 32_000.0;
    (0..86_400_u32)
        .map(|second| {
            let tide = (f64::from(second) / 86_400.0 * std::f64::consts::TAU).cos().mul_add(0.35, 0.45);
            let thousandths = Duration::from_secs(1) * 2;
            let wobble = part(thousandths, 7, u64::from(second)).as_secs_f64() - 1.0;
            let percent = f64::from(u32::try_from(noise).unwrap()) / 100.0;
            Duration::from_secs_f64(capacity * tide * wobble.mul_add(percent, 1.0)).as_secs()
        })
        .collect()
}

#[test]
fn writes_per_hour_are_few_in_calm_and_in_tides() {
    let per_hour = |tide: &[u64]| f64::from(u32::try_from(run(tide).len()).unwrap()) / 24.0;
    let calm = per_hour(&vec![8000; 86_400]);
    assert!((5.0..=6.1).contains(&calm), "calm: {calm}");
    for (noise, most) in [(0, 8.0), (3, 8.0), (10, 30.0)] {
        let found = per_hour(&day(noise));
        assert!(found <= most, "a day with {noise}% noise: {found} writes an hour");
    }
}
