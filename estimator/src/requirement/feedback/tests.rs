#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::history::RegionHistory;
use proptest::prelude::*;

/// What a tick is told, in seconds and thousandths.
#[derive(Debug, Clone)]
struct Told {
    millis: u64,
    usage: u64,
    wanted: u64,
    capacity: u64,
    held: Option<u64>,
    /// Figures and targets.
    indicators: Vec<(u64, u64)>,
}

/// A region that uses 4 CPUs, wants a tenth more, could have 16, and whose only indicator has a target of 200.
fn told(millis: u64, current: u64) -> Told {
    Told { millis, usage: 4000, wanted: 4400, capacity: 16_000, held: None, indicators: vec![(current, 200)] }
}

fn tick_with(told: &Told, settings: &FeedbackSettings, state: &FeedbackState) -> (Option<u64>, FeedbackState) {
    let history = RegionHistory::default();
    let named = |(current, target): &(u64, u64)| Indicator { name: "x".to_owned(), current: *current, target: *target };
    let indicators: Vec<Indicator> = told.indicators.iter().map(named).collect();
    let evidence = Evidence {
        now: Timestamp::since_boot(Duration::from_millis(told.millis)),
        wall: None,
        capacity: MilliCpu::new(told.capacity),
        requested: MilliCpu::ZERO,
        members: &[],
        usage: MilliCpu::new(told.usage),
        wanted: MilliCpu::new(told.wanted),
        history: &history,
        indicators: &indicators,
        held: told.held.map(MilliCpu::new),
    };
    let (requirement, state) = feedback(&evidence, settings, state);
    assert!(requirement.is_none_or(|requirement| requirement.rule == RequirementRule::Feedback));
    (requirement.map(|requirement| requirement.cpu.get()), state)
}

fn tick(told: &Told, state: &FeedbackState) -> (Option<u64>, FeedbackState) {
    tick_with(told, &FeedbackSettings::default(), state)
}

/// One tick a second with these figures, from a state.
fn seconds(from: u64, figures: &[u64], mut state: FeedbackState) -> (Vec<u64>, FeedbackState) {
    let mut asked = Vec::new();
    for (second, current) in (from..).zip(figures) {
        let (cpu, next) = tick(&told(second * 1000, *current), &state);
        asked.push(cpu.unwrap());
        state = next;
    }
    (asked, state)
}

#[test]
fn it_begins_at_what_is_wanted_whatever_the_indicator_says() {
    for current in [0, 200, 400, u64::MAX] {
        assert_eq!(tick(&told(5000, current), &FeedbackState::default()).0, Some(4400), "figure {current}");
    }
}

#[test]
fn without_an_indicator_it_knows_nothing_and_forgets_nothing() {
    let (_, learned) = seconds(0, &[800; 10], FeedbackState::default());
    for indicators in [vec![], vec![(900, 0)]] {
        let (cpu, state) = tick(&Told { indicators: indicators.clone(), ..told(11_000, 0) }, &learned);
        assert_eq!((cpu, &state), (None, &learned), "{indicators:?}");
    }
}

#[test]
fn noise_in_the_dead_band_moves_nothing() {
    let (_, learned) = seconds(0, &[800; 10], FeedbackState::default());
    let (settled, calm) = seconds(10, &[200; 200], learned);
    let noise: Vec<u64> = (0..1000).map(|n| [200, 210, 101, 150, 209, 130][n % 6]).collect();
    let (asked, after) = seconds(210, &noise, calm.clone());
    assert!(asked.iter().all(|cpu| Some(cpu) == settled.last()), "moved from {:?}: {asked:?}", settled.last());
    assert_eq!((after.margin, after.missed), (calm.margin, calm.missed));
}

#[test]
fn protecting_is_fast_and_giving_back_slow_and_late() {
    // As far above the upper edge of the dead band as below its lower edge.
    let (_, high) = seconds(0, &[420; 11], FeedbackState::default());
    let gained = high.margin;
    let (_, waiting) = seconds(11, &[50; 59], high);
    assert_eq!(waiting.margin, gained, "given back before its time");
    let (_, low) = seconds(70, &[50; 10], waiting);
    let lost = gained - low.margin;
    assert!(lost > 0 && lost * 20 <= gained, "gained {gained}, lost {lost}");
}

#[test]
fn the_indicator_that_is_worst_rules() {
    let (_, before) = seconds(0, &[400; 5], FeedbackState::default());
    let with = |indicators: &[(u64, u64)]| tick(&Told { indicators: indicators.to_vec(), ..told(5000, 0) }, &before).0.unwrap();
    let alone = with(&[(900, 200)]);
    assert_eq!(with(&[(0, 100), (900, 200), (5, 4)]), alone);
    assert!(with(&[(0, 100), (5, 4)]) < alone);
    assert_eq!(with(&[(0, 100), (77, 0)]), with(&[(0, 100)]), "a target of zero is no target");
}

#[test]
fn what_matters_is_elapsed_time_and_not_the_number_of_ticks() {
    let run = |step: u64| {
        let ticks = (0..=20_000 / step).map(|n| told(n * step, 500));
        ticks.fold(FeedbackState::default(), |state, told| tick(&told, &state).1)
    };
    let (fine, coarse) = (run(100), run(2000));
    assert!(fine.margin.abs_diff(coarse.margin) < 1000, "{fine:?} {coarse:?}");
    // Uneven ticks, as when pressure asks for samples in between.
    let uneven = [0, 100, 1000, 1100, 1200, 3000, 7000, 7001, 11_000, 15_000, 20_000].map(|millis| told(millis, 500));
    let uneven = uneven.iter().fold(FeedbackState::default(), |state, told| tick(told, &state).1);
    assert!(fine.margin.abs_diff(uneven.margin) < 1000, "{fine:?} {uneven:?}");
}

#[test]
fn a_small_region_gives_back_at_short_ticks_too() {
    let small = |millis, current| Told { usage: 8, wanted: 9, capacity: 1000, ..told(millis, current) };
    let high = (0..30).fold(FeedbackState::default(), |state, n| tick(&small(n * 1000, 900), &state).1);
    let (cpu, low) = (0..9000).fold((None, high.clone()), |(_, state), n| tick(&small(30_000 + n * 100, 0), &state));
    assert_eq!((cpu, low.margin), (Some(9), 0), "from {high:?}");
}

#[test]
fn a_gap_keeps_what_was_learned_and_makes_no_jump() {
    let (asked, before) = seconds(0, &[500; 20], FeedbackState::default());
    let (after, state) = tick(&told(3_600_000, 900), &before);
    let most = LONGEST.as_secs() * 60_000_000;
    assert!(state.margin > before.margin && state.margin - before.margin <= most, "{before:?} {state:?}");
    let last = *asked.last().unwrap();
    assert!(after.unwrap() >= last && after.unwrap() <= last * 3 / 2, "{last} to {after:?}");
    let (calm, state) = tick(&told(3_600_000, 200), &before);
    assert_eq!(state.margin, before.margin);
    assert!(calm.unwrap() >= last * 95 / 100, "{last} to {calm:?}");
}

#[test]
fn a_clock_that_starts_again_stops_nothing() {
    let (_, before) = seconds(1_000_000, &[500; 20], FeedbackState::default());
    let (_, after) = seconds(5, &[0; 60], before.clone());
    assert_eq!(after.margin, before.margin, "the wait begins anew");
    let (_, later) = seconds(65, &[0; 10], after);
    assert!(later.margin < before.margin, "nothing is given back: {later:?}");
}

#[test]
fn long_saturation_does_not_wind_up() {
    // An hour of a target missed by far, at the capacity: the margin is what reaches the capacity, not more.
    let narrow = |second: u64, current| Told { capacity: 6000, ..told(second * 1000, current) };
    let full = (0..3600).fold(FeedbackState::default(), |state, second| tick(&narrow(second, 1000), &state).1);
    assert_eq!(full.asked.div_ceil(1000), 6000, "{full:?}");
    assert!(full.margin < 450_000_000, "{full:?}");
    let mut state = full;
    let falls = (3600..).find(|second| {
        let (cpu, next) = tick(&narrow(*second, 0), &state);
        state = next;
        cpu.unwrap() < 6000
    });
    // The wait of 60 s, and what little the last step reached beyond the capacity.
    assert!(falls.unwrap() < 3600 + 60 + 60, "first falls after {} s", falls.unwrap() - 3600);
}

#[test]
fn a_region_that_does_not_use_what_it_has_gets_no_more() {
    // A figure that no CPU mends: half of what is asked for is unused, and there it ends.
    let (asked, state) = seconds(0, &[1000; 3600], FeedbackState::default());
    let last = *asked.last().unwrap();
    assert!((8000..8500).contains(&last), "{last} {state:?}");
    let (idle, _) = (0..100)
        .fold((None, FeedbackState::default()), |(_, state), second| tick(&Told { usage: 100, ..told(second * 1000, 1000) }, &state));
    assert_eq!(idle, Some(4400), "pods that have only just started want much and use little");
}

#[test]
fn a_miss_at_what_another_policy_asked_for_is_worked_off_from_there() {
    let held = |second: u64| Told { held: Some(6000), ..told(second * 1000, 500) };
    let (cpu, _) = (0..6).fold((None, FeedbackState::default()), |(_, state), second| tick(&held(second), &state));
    assert!(cpu.unwrap() > 6000, "after 5 s: {cpu:?}");
    let (own, _) = (0..6).fold((None, FeedbackState::default()), |(_, state), second| tick(&told(second * 1000, 500), &state));
    assert!(own.unwrap() < 6000, "{own:?}");
}

prop_compose! {
    fn any_told()(
        millis in prop_oneof![0u64..100_000, any::<u64>()],
        amounts in prop::array::uniform4(prop_oneof![Just(0), 0u64..20_000, any::<u64>()]),
        held: bool,
        indicators in prop::collection::vec((prop_oneof![0u64..2000, any::<u64>()], prop_oneof![0u64..500, any::<u64>()]), 0..4),
    ) -> Told {
        let [usage, wanted, capacity, in_force] = amounts;
        Told { millis, usage, wanted, capacity, held: held.then_some(in_force), indicators }
    }
}

fn any_permille() -> impl Strategy<Value = Permille> {
    prop_oneof![0u32..2000, any::<u32>()].prop_map(Permille::new)
}

prop_compose! {
    fn any_settings()(shares in prop::array::uniform9(any_permille()), wait in 0u64..100) -> FeedbackSettings {
        let [tolerance_above, tolerance_below, protect, protect_at_once, give_back, rise_per_second, fall_per_second, in_use, largest_margin] =
            shares;
        FeedbackSettings {
            tolerance_above, tolerance_below, protect, protect_at_once, give_back, rise_per_second, fall_per_second, in_use, largest_margin,
            give_back_after: gleaner_model::Span::from_secs(wait),
            ..FeedbackSettings::default()
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes_in_the_figure_is_between_what_is_wanted_and_the_capacity(
        settings in any_settings(),
        all in prop::collection::vec(any_told(), 1..20),
    ) {
        let mut state = FeedbackState::default();
        for told in &all {
            let (cpu, next) = tick_with(told, &settings, &state);
            if let Some(cpu) = cpu {
                prop_assert!(cpu >= told.wanted && cpu <= told.capacity.max(told.wanted), "{cpu}: {told:?}");
            } else {
                prop_assert!(told.indicators.iter().all(|(_, target)| *target == 0));
            }
            prop_assert!(next.margin <= state.margin.max(share_of(ONE, settings.largest_margin)));
            state = next;
        }
    }

    #[test]
    fn a_state_that_was_written_down_is_the_same_when_it_is_read(all in prop::collection::vec(any_told(), 1..10)) {
        let mut state = FeedbackState::default();
        for told in &all {
            state = tick(told, &state).1;
            let text = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(&serde_json::from_str::<FeedbackState>(&text).unwrap(), &state, "{}", text);
        }
    }

    #[test]
    fn steps_are_bounded_by_elapsed_time(all in prop::collection::vec((0u64..6000, 0u64..2000, 1000u64..9000), 1..40)) {
        let (mut millis, mut state, mut last) = (0, FeedbackState::default(), None::<u64>);
        for (step, current, usage) in all {
            millis += step;
            let told = Told { usage, wanted: usage * 11 / 10, ..told(millis, current) };
            let (cpu, next) = tick(&told, &state);
            let cpu = cpu.unwrap();
            if let Some(last) = last {
                let step = step.min(5000);
                // Rounding to thousandths of a CPU is in the last figure and in this one.
                let (highest, lowest) = (last + last * step / 10_000 + 2, last - last * step / 100_000 - 2);
                prop_assert!(cpu <= highest.max(told.wanted), "{last} to {cpu} in {step} ms");
                prop_assert!(cpu >= lowest.min(told.capacity), "{last} to {cpu} in {step} ms");
            }
            (state, last) = (next, Some(cpu));
        }
    }

    #[test]
    fn a_worse_figure_or_more_that_is_wanted_never_asks_for_less(
        before in prop::collection::vec(0u64..2000, 0..30),
        current in 0u64..2000, worse in 0u64..2000,
        wanted in 4000u64..20_000, more in 0u64..10_000,
    ) {
        let (_, state) = seconds(0, &before, FeedbackState::default());
        let at = |current, wanted| tick(&Told { wanted, ..told(31_000, current) }, &state).0.unwrap();
        prop_assert!(at(current + worse, wanted) >= at(current, wanted));
        prop_assert!(at(current, wanted + more) >= at(current, wanted));
    }
}
