use super::*;
use proptest::prelude::*;

fn region() -> crate::Region {
    "share".parse().unwrap()
}

fn observe(histories: &mut Histories, now: (Timestamp, Option<WallTime>), used: u64) {
    let settings = HistorySettings::default();
    histories.observe_region(&region(), now, cpu(used), cpu(4000), &settings);
    let (peak, mean) = (used as u32, used as u32 / 2);
    histories.observe_workload(&key(1), &Minute { at: now.0, wall: now.1, peak, mean }, &settings);
}

/// Through text, as the agent does it.
fn again(histories: &Histories, (at, date): (Timestamp, Option<WallTime>), later: (Timestamp, Option<WallTime>)) -> Histories {
    let text = serde_json::to_string(&histories.save(at, date)).unwrap();
    Histories::restore(serde_json::from_str(&text).unwrap(), later.0, later.1)
}

/// A tick each ten seconds, one hour long.
fn an_hour() -> Histories {
    let mut histories = Histories::default();
    (0..360).for_each(|tick| observe(&mut histories, (at(tick * 10), Some(wall(tick * 10))), 500 + tick));
    histories
}

fn peak(histories: &Histories, window: u64) -> Option<u64> {
    histories.regions.get(&region())?.recent_peak(secs(window), cpu(4000)).map(MilliCpu::get)
}

#[test]
fn after_a_reboot_what_was_remembered_is_as_old_as_the_calendar_says() {
    let before = an_hour();
    let end = (at(3600), Some(wall(3600)));
    // After a boot, the clock begins anew; 30 minutes went by.
    let mut after = again(&before, end, (at(20), Some(wall(5400))));
    for tick in 2..12 {
        observe(&mut after, (at(tick * 10), Some(wall(5380 + tick * 10))), 10);
    }
    let found = [60, 1700, 1930, 3600].map(|window| peak(&after, window));
    assert_eq!((found[0], found[1]), (Some(10), Some(10)), "nothing was measured in the pause");
    assert!(found[2] > Some(850) && found[3] > Some(850), "{found:?}");
    let minutes: Vec<bool> =
        after.regions.get(&region()).unwrap().minute_peaks(secs(DAY), cpu(4000)).map(|minute| minute.is_some()).collect();
    assert_eq!(minutes.iter().filter(|known| !**known).count(), 30, "the pause is a hole: {minutes:?}");
    let quantile = |histories: &Histories| histories.workloads.get(&key(1)).unwrap().quantile(90_000);
    assert_eq!(quantile(&after), quantile(&before));
}

#[test]
fn a_pause_is_what_the_clocks_say_and_never_negative() {
    let before = an_hour();
    let (saved, date) = (at(3600), wall(3600));
    for (name, then, now, expected) in [
        ("the same moment", Some(date), (saved, Some(date)), 3600),
        ("the same boot", Some(date), (at(3700), Some(wall(3701))), 3700),
        ("the same boot, no calendar", None, (at(3700), None), 3700),
        ("another boot", Some(date), (at(5), Some(wall(9999))), 9999),
        ("another boot, no calendar", Some(date), (at(5), None), 3600),
        ("an earlier calendar", Some(date), (at(5), Some(wall(0))), 3600),
        ("an earlier calendar in the same boot", Some(date), (at(9000), Some(wall(0))), 3600),
        ("the year 1970", Some(date), (at(5), Some(WallTime::from_unix(0))), 3600),
    ] {
        let after = again(&before, (saved, then), now);
        assert_eq!(after.workloads.history_time(now.0), at(expected), "{name}");
        assert_eq!(after.regions.history_time(now.0.after(secs(7))), at(expected + 7), "{name}");
    }
}

#[test]
fn a_text_that_makes_no_sense_does_no_harm() {
    let text = serde_json::to_string(&an_hour().save(at(3600), Some(wall(3600)))).unwrap();
    let replaced =
        [("\"length\":1800", "\"length\":0"), ("\"most\":120", "\"most\":0"), ("\"offset\":0", "\"offset\":-9223372036854775808")];
    for (from, to) in replaced {
        assert!(text.contains(from), "{from}");
        let checkpoint: Checkpoint = serde_json::from_str(&text.replace(from, to)).unwrap();
        let mut histories = Histories::restore(checkpoint, Timestamp::since_boot(Duration::MAX), Some(WallTime::from_unix(u64::MAX)));
        let told = |histories: &Histories| histories.regions.get(&region()).map(|history| history.expected(wall(0), Duration::MAX, cpu(1)));
        let _ = (peak(&histories, 99), told(&histories));
        observe(&mut histories, (Timestamp::since_boot(Duration::MAX), Some(WallTime::from_unix(u64::MAX))), 5);
        let _ = (peak(&histories, 99), told(&histories));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Ticks with gaps, saved and restored after some of them: all stays as if nothing had been.
    #[test]
    fn saved_and_restored_at_any_point_it_answers_the_same(
        ticks in prop::collection::vec((0u64..200, 0u64..9000, any::<bool>()), 1..150), begin in 0u64..10_000_000, dated: bool,
    ) {
        let (mut one, mut other, mut millis) = (Histories::default(), Histories::default(), begin);
        for (later, used, restart) in ticks {
            millis += later * 173;
            let now = (Timestamp::since_boot(Duration::from_millis(millis)), dated.then(|| wall(millis / 1000)));
            observe(&mut one, now, used);
            observe(&mut other, now, used);
            if restart {
                other = again(&other, now, now);
            }
            prop_assert_eq!(&one, &other);
        }
    }
}
