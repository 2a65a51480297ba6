use super::*;
use proptest::prelude::*;

const BASIS: u64 = 4000;

/// Second by second.
fn region(uses: impl IntoIterator<Item = (u64, u64)>) -> RegionHistory {
    let (mut region, settings) = (RegionHistory::default(), HistorySettings::default());
    uses.into_iter().for_each(|(second, used)| region.observe(at(second), Some(wall(second)), cpu(used), cpu(BASIS), &settings));
    region
}

fn peak(region: &RegionHistory, window: u64) -> Option<MilliCpu> {
    region.recent_peak(secs(window), cpu(BASIS))
}

#[test]
fn what_was_remembered_grows_and_shrinks_with_the_requests() {
    let region = region((0..61).map(|second| (second, if second == 30 { 2000 } else { 1000 })));
    for (basis, expected) in [(4000, 2000), (8000, 4000), (1000, 500), (0, 500), (5000, 2500)] {
        assert_eq!(region.recent_peak(secs(60), cpu(basis)), Some(cpu(expected)), "{basis}");
        let quantile = region.quantile(100_000, cpu(basis)).unwrap().get();
        assert!((expected..=expected * 105 / 100 + 1).contains(&quantile), "{basis}: {quantile}");
        let seconds: Vec<u64> = region.last_seconds(cpu(basis)).map(MilliCpu::get).collect();
        assert_eq!((seconds.len(), seconds[29], seconds[30]), (61, expected / 2, expected), "{basis}");
    }
    assert_eq!(region.minute_peaks(secs(99), cpu(BASIS)).collect::<Vec<_>>(), [Some(cpu(2000))]);
    assert_eq!(region.minute_means(secs(99), cpu(BASIS)).collect::<Vec<_>>(), [Some(cpu(1017))]);
}

#[test]
fn a_recent_peak_is_that_of_the_window_seconds_minutes_and_the_minute_that_goes_on() {
    // The minutes: 900, then 100 each, and 300 twenty seconds ago.
    let region = region(
        (0..631).map(|second| (second, [(10, 900), (610, 300)].into_iter().find(|(s, _)| *s == second).map_or(100, |(_, used)| used))),
    );
    for (window, expected) in [(0, 100), (10, 100), (19, 100), (20, 300), (120, 300), (500, 300), (619, 900), (10_000, 900)] {
        assert_eq!(peak(&region, window), Some(cpu(expected)), "{window} s");
    }
    assert_eq!(peak(&RegionHistory::default(), 60), None);
}

#[test]
fn after_a_pause_what_was_before_it_is_as_old_as_it_is() {
    let region = region((0..120).map(|second| (second, 900)).chain((7200..7230).map(|second| (second, 100))));
    for (window, expected) in [(60, 100), (300, 100), (7000, 100), (7200, 900)] {
        assert_eq!(peak(&region, window), Some(cpu(expected)), "{window} s");
    }
    assert_eq!(region.span_observed(), secs(120), "the pause was not observed");
    assert_eq!(region.last_seconds(cpu(BASIS)).count(), 30, "nor is it zero");
}

#[test]
fn ticks_may_be_irregular_repeated_or_go_back() {
    let one = region((0..200).map(|second| (second, second)));
    let twice = region((0..200).flat_map(|second| [(second, second), (second, second)]));
    assert_eq!((peak(&one, 30), one.quantile(99_000, cpu(BASIS))), (peak(&twice, 30), twice.quantile(99_000, cpu(BASIS))));
    let back = region([(100, 10), (50, 700), (101, 20)]);
    assert_eq!((peak(&back, 0), peak(&back, 1), peak(&back, 60)), (Some(cpu(20)), Some(cpu(700)), Some(cpu(700))));
}

#[test]
fn a_calendar_that_is_set_does_not_touch_rings_and_histogram() {
    let settings = HistorySettings::default();
    let (mut one, mut other) = (RegionHistory::default(), RegionHistory::default());
    for second in 0..20_000 {
        let used = cpu(second % 977);
        one.observe(at(second), Some(wall(second)), used, cpu(BASIS), &settings);
        let date = match second / 1000 % 4 {
            0 => None,
            1 => Some(wall(second)),
            2 => Some(WallTime::from_unix(0)),
            _ => Some(wall(second * 2)),
        };
        other.observe(at(second), date, used, cpu(BASIS), &settings);
    }
    let told = |region: &RegionHistory| {
        let minutes: Vec<_> = region.minute_peaks(secs(DAY), cpu(BASIS)).chain(region.minute_means(secs(DAY), cpu(BASIS))).collect();
        let seconds: Vec<_> = region.last_seconds(cpu(BASIS)).collect();
        (minutes, seconds, [50_000, 90_000, 99_000].map(|share| region.quantile(share, cpu(BASIS))), region.span_observed())
    };
    assert_eq!(told(&one), told(&other));
}

#[test]
fn a_day_is_expected_to_be_as_those_before() {
    let settings = HistorySettings::default();
    let mut region = RegionHistory::default();
    for tick in 0..3 * DAY / 20 {
        let (second, hour) = (tick * 20, tick * 20 % DAY / 3600);
        let used = if (9..17).contains(&hour) { 3000 } else { 500 };
        region.observe(at(second), Some(wall(second)), cpu(used), cpu(BASIS), &settings);
    }
    let expect = |hour: u64, hours: u64| region.expected(wall(3 * DAY + hour * 3600), secs(hours * 3600), cpu(2 * BASIS));
    for (hour, hours, peak, mean) in [(3, 1, 1000, 1000), (8, 1, 1000, 1000), (8, 2, 6000, 3500), (10, 1, 6000, 6000)] {
        assert_eq!(expect(hour, hours), Some(Expected { peak: cpu(peak), mean: cpu(mean), days: 3 }), "{hours} hours from {hour} on");
    }
    let hours = region.profile().hours();
    assert_eq!((hours[3].unwrap().peak, hours[12].unwrap().peak), (1250, 7500), "in parts of the basis: {hours:?}");
}

proptest! {
    #[test]
    fn no_figure_is_below_what_was_used(uses in prop::collection::vec((0u64..100, 0u64..200_000), 1..60), basis in 0u64..200_000) {
        let (mut region, mut second) = (RegionHistory::default(), 0);
        let mut all = Vec::new();
        for (later, used) in uses {
            second += later;
            region.observe(at(second), Some(wall(second)), cpu(used), cpu(basis), &HistorySettings::default());
            all.push((second, used));
            for window in [0, 1, 30, 90, 600, 3600] {
                let used = all.iter().filter(|(s, _)| s + window >= second).map(|(_, used)| *used).max();
                let found = region.recent_peak(secs(window), cpu(basis)).map(MilliCpu::get);
                prop_assert!(found >= used, "{window} s: {found:?} is below {used:?}");
            }
            let closed = all.iter().filter(|(s, _)| s / 60 < second / 60).map(|(_, used)| *used).max();
            prop_assert!(region.quantile(100_000, cpu(basis)).map(MilliCpu::get) >= closed);
        }
    }

    #[test]
    fn nothing_panics(ticks in prop::collection::vec((any::<Duration>(), any::<Option<u64>>(), any::<u64>(), any::<u64>()), 1..60), window: Duration) {
        let mut region = RegionHistory::default();
        for (moment, date, used, basis) in ticks {
            let date = date.map(WallTime::from_unix);
            region.observe(Timestamp::since_boot(moment), date, cpu(used), cpu(basis), &HistorySettings::default());
            prop_assert!(region.recent_peak(window, cpu(basis)).is_some());
            let _ = (region.quantile(50_000, cpu(basis)), date.map(|date| region.expected(date, window, cpu(basis))));
        }
    }
}
