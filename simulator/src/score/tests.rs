use super::*;
use proptest::prelude::*;

const MACHINE: Machine = Machine { capacity: MilliCpu::new(10_000), reserve: MilliCpu::new(1000) };

fn cpu(milli: u64) -> MilliCpu {
    MilliCpu::new(milli)
}

/// Steps of demand and promise, all scored.
fn tally(rules: Rules, steps: &[(Option<u64>, u64)]) -> Score {
    let mut tally = Tally::new(rules);
    steps.iter().for_each(|(demand, promise)| tally.step(demand.map(cpu), cpu(*promise), Part::Scored));
    assert_eq!(tally.score(Part::WarmUp), Score::default());
    tally.score(Part::Scored)
}

fn seconds(steps: &[(Option<u64>, u64)]) -> Score {
    tally(Rules::new(MACHINE, 1), steps)
}

#[test]
fn sums_are_those_made_by_hand() {
    // Free: 5000, 5000, 1000, 0 (the demand alone is too much), 9000.
    let score = seconds(&[(Some(4000), 5000), (Some(4000), 5001), (Some(8000), 3000), (Some(9500), 0), (Some(0), 2000)]);
    let expected = Score {
        seconds: 5,
        unknown_seconds: 0,
        capacity: 50_000,
        demand: 25_500,
        promised: 15_001,
        lent: 5000 + 5000 + 1000 + 2000,
        violation_seconds: 2,
        worst_cut: cpu(5001),
        evictions: 0,
        changes: 3,
    };
    assert_eq!(score, expected);
}

#[test]
fn a_promise_of_nothing_is_no_violation_and_one_of_exactly_what_is_free_neither() {
    assert_eq!(seconds(&[(Some(20_000), 0), (Some(8000), 1000)]).violation_seconds, 0);
    assert_eq!(seconds(&[(Some(20_000), 1), (Some(8000), 1001)]).violation_seconds, 2);
}

#[test]
fn a_step_of_five_minutes_counts_five_minutes() {
    let score = tally(Rules::new(MACHINE, 300), &[(Some(4000), 6000), (Some(4000), 1000)]);
    let told = (score.seconds, score.violation_seconds, score.lent, score.worst_cut);
    assert_eq!(told, (600, 300, 300 * (5000 + 1000), cpu(5000)));
}

#[test]
fn the_worst_cut_is_the_largest_fall_within_a_minute() {
    let falling = |each: u64, steps: u64| -> Vec<_> { (0..steps).map(|step| (Some(0), 9000 - each * step)).collect() };
    assert_eq!(seconds(&falling(10, 61)).worst_cut, cpu(600));
    assert_eq!(seconds(&falling(10, 200)).worst_cut, cpu(600), "what is longer ago than a minute is no cut");
    let mut back = falling(100, 20);
    back.push((Some(0), 9000));
    assert_eq!(seconds(&back).worst_cut, cpu(1900), "that it came back does not undo it");
}

#[test]
fn changes_are_counted_from_the_last_one_and_small_ones_add_up() {
    let promises = |promises: &[u64]| seconds(&promises.iter().map(|promise| (Some(0), *promise)).collect::<Vec<_>>()).changes;
    assert_eq!(promises(&[5000, 5100, 4900, 5000]), 0, "1 % of 10 CPUs is 100m, and no more than that is no change");
    assert_eq!(promises(&[5000, 5101, 5001, 5000]), 2);
    assert_eq!(promises(&[5000, 5060, 5120, 5180, 5240]), 2);
}

/// Promises that hold for so many seconds each.
fn evictions(promises: &[(u64, usize)]) -> u64 {
    let steps: Vec<_> = promises.iter().flat_map(|(promise, times)| vec![(Some(0), *promise); *times]).collect();
    seconds(&steps).evictions
}

#[test]
fn pods_that_do_not_fit_for_more_than_ten_seconds_are_evicted() {
    assert_eq!(evictions(&[(5999, 60), (3000, 10), (5000, 100)]), 0, "5 run; ten seconds are tolerated");
    assert_eq!(evictions(&[(5999, 60), (3000, 11)]), 2);
    assert_eq!(evictions(&[(5999, 60), (3999, 5), (1000, 6)]), 4, "what counts is the promise when patience ends");
    assert_eq!(evictions(&[(5999, 59), (0, 100)]), 0, "nothing was started yet");
    assert_eq!(evictions(&[(5000, 60), (0, 10), (5000, 1), (0, 10)]), 0, "patience begins anew");
}

#[test]
fn evicted_pods_come_back_after_a_minute_of_room() {
    assert_eq!(evictions(&[(5000, 60), (2000, 11), (5000, 60), (2000, 11)]), 6);
    assert_eq!(evictions(&[(5000, 60), (2000, 11), (5000, 59), (2000, 11)]), 3, "the second time there was no minute");
    assert_eq!(evictions(&[(5000, 60), (2000, 11), (5000, 30), (3000, 30), (2000, 11)]), 4, "one had room in all of the minute");
}

#[test]
fn an_unknown_step_is_not_scored_and_ends_what_was_watched() {
    let steps = [vec![(Some(1000), 5000); 60], vec![(None, 0); 7], vec![(Some(1000), 0); 20]].concat();
    let score = seconds(&steps);
    let told = (score.seconds, score.unknown_seconds, score.lent, score.demand);
    assert_eq!(told, (80, 7, 60 * 5000, 80_000));
    assert_eq!((score.worst_cut, score.evictions, score.changes), (cpu(0), 0, 0));
}

#[test]
fn parts_are_counted_apart_and_add_up() {
    let mut tally = Tally::new(Rules::new(MACHINE, 1));
    tally.step(Some(cpu(1000)), cpu(9000), Part::WarmUp);
    tally.step(Some(cpu(1000)), cpu(4000), Part::Scored);
    let (warm_up, scored) = (tally.score(Part::WarmUp), tally.score(Part::Scored));
    assert_eq!((warm_up.violation_seconds, scored.violation_seconds), (1, 0));
    // The cut begins in the one and ends in the other; it counts where it ends.
    assert_eq!((warm_up.worst_cut, scored.worst_cut), (cpu(0), cpu(5000)));
    let both = warm_up.and(scored);
    assert_eq!((both.seconds, both.lent, both.worst_cut), (2, 8000 + 4000, cpu(5000)));
}

fn clairvoyant(demand: &[Option<u64>], horizon: Option<usize>) -> u64 {
    let mut clairvoyant = Clairvoyant::new(MACHINE, 1, horizon);
    demand.iter().for_each(|demand| clairvoyant.step(demand.map(cpu), Part::Scored));
    clairvoyant.settle(MilliCpu::ZERO);
    assert_eq!(clairvoyant.lent(Part::WarmUp), 0);
    clairvoyant.lent(Part::Scored)
}

#[test]
fn a_clairvoyant_lends_what_stays_free() {
    let demand = [1000, 2000, 7000, 3000, 1000].map(Some);
    assert_eq!(clairvoyant(&demand, Some(1)), 8000 + 7000 + 2000 + 6000 + 8000);
    assert_eq!(clairvoyant(&demand, Some(2)), 7000 + 2000 + 2000 + 6000 + 8000);
    assert_eq!(clairvoyant(&demand, Some(3)), 2000 * 3 + 6000 + 8000);
    assert_eq!(clairvoyant(&demand, None), 2000 * 3 + 6000 + 8000);
    let with_hole = [Some(1000), None, Some(7000)];
    assert_eq!(clairvoyant(&with_hole, Some(2)), 8000 + 2000);
}

#[test]
fn what_is_still_to_come_bounds_what_waits() {
    let mut clairvoyant = Clairvoyant::new(MACHINE, 300, None);
    clairvoyant.step(Some(cpu(1000)), Part::WarmUp);
    clairvoyant.step(Some(cpu(6000)), Part::Scored);
    clairvoyant.step(Some(cpu(2000)), Part::Scored);
    clairvoyant.settle(cpu(4000));
    assert_eq!((clairvoyant.lent(Part::WarmUp), clairvoyant.lent(Part::Scored)), (300 * 3000, 300 * (3000 + 5000)));
}

proptest! {
    #[test]
    fn the_clairvoyant_is_the_plain_definition(demand in prop::collection::vec(prop::option::weighted(0.9, 0u64..12_000), 0..60), horizon in 1usize..20) {
        let plain = |from: usize| {
            let window = &demand[from..demand.len().min(from + horizon)];
            MACHINE.free(cpu(window.iter().flatten().copied().max().unwrap_or(0))).get()
        };
        let expected: u64 = (0..demand.len()).filter(|at| demand[*at].is_some()).map(plain).sum();
        prop_assert_eq!(clairvoyant(&demand, Some(horizon)), expected);
    }

    #[test]
    fn nothing_is_lent_that_is_not_free_or_not_promised(steps in prop::collection::vec((prop::option::of(0u64..12_000), 0u64..12_000), 0..200)) {
        let score = seconds(&steps);
        let free: u64 = steps.iter().filter_map(|(demand, _)| demand.map(|demand| MACHINE.free(cpu(demand)).get())).sum();
        prop_assert!(score.lent <= score.promised && score.lent <= free, "{:?}", score);
        prop_assert_eq!(score.seconds + score.unknown_seconds, steps.len() as u64);
        prop_assert_eq!(score.lent == score.promised, score.violation_seconds == 0);
    }
}
