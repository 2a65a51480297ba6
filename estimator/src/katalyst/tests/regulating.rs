use super::*;

fn at(second: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(second))
}

fn step(requirement: u64, held: u64, second: u64) -> Regulated {
    let (requirement, held) = (milli(requirement), milli(held));
    Regulated { requirement, held, reserved: MilliCpu::ZERO, upper: MilliCpu::from_cpus(100), pairs: false, now: at(second) }
}

fn of(step: &Regulated, state: RegulatorState) -> (u64, Option<Timestamp>) {
    let (figure, state) = regulate(step, state, &RegulatorSettings::default());
    (figure.get(), state.ramped_down)
}

#[test]
fn the_figure_is_whole_and_bounded() {
    for (what, input, expected) in [
        ("rounded up", step(20_100, 20_000, 50), 21_000),
        ("reserve added", Regulated { reserved: milli(1500), ..step(20_000, 20_000, 50) }, 22_000),
        ("whole cores", Regulated { pairs: true, ..step(20_100, 20_000, 50) }, 22_000),
        ("whole cores already", Regulated { pairs: true, ..step(19_100, 20_000, 50) }, 20_000),
        ("at most ten more", step(50_000, 20_000, 50), 30_000),
        ("at most two less", step(1000, 20_000, 50), 18_000),
        ("at least four", step(1000, 4000, 50), 4000),
        ("at most what there is", Regulated { upper: milli(22_500), ..step(50_000, 20_000, 50) }, 22_500),
        ("what there is before the least", Regulated { upper: milli(3000), ..step(50_000, 3000, 50) }, 3000),
    ] {
        assert_eq!(of(&input, RegulatorState::default()).0, expected, "{what}: {input:?}");
    }
}

#[test]
fn after_a_fall_the_figure_stays_for_the_interval_but_may_rise() {
    let (figure, fell) = of(&step(10_000, 20_000, 50), RegulatorState::default());
    assert_eq!((figure, fell), (18_000, Some(at(50))));
    let state = RegulatorState { ramped_down: fell };
    for (second, requirement, expected) in
        [(51, 10_000, (18_000, Some(at(50)))), (79, 10_000, (18_000, Some(at(50)))), (79, 19_000, (19_000, Some(at(50))))]
    {
        assert_eq!(of(&step(requirement, 18_000, second), state), expected, "at {second} with {requirement}");
    }
    assert_eq!(of(&step(10_000, 18_000, 80), state), (16_000, Some(at(80))));
}

#[test]
fn a_clock_that_ran_backwards_holds_the_figure_no_longer_than_the_interval() {
    let (figure, fell) = of(&step(10_000, 20_000, 50), RegulatorState { ramped_down: Some(at(5000)) });
    assert_eq!((figure, fell), (20_000, Some(at(50))));
    assert_eq!(of(&step(10_000, 20_000, 80), RegulatorState { ramped_down: fell }).0, 18_000);
}

proptest! {
    #[test]
    fn it_keeps_its_bounds_for_any_input_and_follows_the_requirement(
        low: u64, more: u64, held: u64, reserved: u64, upper: u64, pairs: bool, last in prop::option::of(0u64..200), second in 0u64..200,
    ) {
        let settings = RegulatorSettings::default();
        let state = RegulatorState { ramped_down: last.map(at) };
        let of = |requirement| {
            let input = Regulated { reserved: milli(reserved), upper: milli(upper), pairs, ..step(requirement, held, second) };
            regulate(&input, state, &settings).0.get()
        };
        let (before, after) = (of(low), of(low.saturating_add(more)));
        prop_assert!(before <= after, "{before} then {after}");
        prop_assert!(after <= upper, "{after}");
        prop_assert!(after <= held.saturating_add(10_000).max(4000), "{after}");
        prop_assert!(before >= held.saturating_sub(2000).min(upper), "{before}");
    }
}
