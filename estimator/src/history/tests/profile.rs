use super::*;
use gleaner_model::{Permille, Span};
use proptest::prelude::*;

fn settings() -> HistorySettings {
    HistorySettings { peak_fade: Permille::new(100), day_weight: Permille::new(300), ..HistorySettings::default() }
}

/// One minute each minute of `from..to`, in minutes since Monday, of this peak; the mean is half of it.
fn add(profile: &mut Profile, minutes: std::ops::Range<u64>, peak: u32) {
    minutes.for_each(|m| profile.add(&minute(m * 60, peak, peak / 2), &settings()));
}

fn expected(peak: u32, mean: u32, days: u32) -> Option<Expected<u32>> {
    Some(Expected { peak, mean, days })
}

#[test]
fn a_slot_counts_when_it_is_over_and_half_of_it_was_seen() {
    let mut profile = Profile::default();
    add(&mut profile, 16..31, 100);
    assert_eq!(profile.expect(wall(0), secs(1800)), None, "fourteen minutes were seen");
    add(&mut profile, 31..60, 100);
    assert_eq!(profile.expect(wall(1800), secs(60)), None, "it goes on");
    add(&mut profile, 60..61, 900);
    assert_eq!(profile.expect(wall(1800), secs(1800)), expected(100, 50, 1));
    assert_eq!(profile.expect(wall(3599), secs(0)), expected(100, 50, 1), "no horizon is the slot itself");
    assert_eq!(profile.expect(wall(1800), secs(1801)), None, "the next slot was not seen");
    assert_eq!(profile.expect(wall(DAY + 1800), secs(9)), expected(100, 50, 1), "Tuesday is a workday too");
    assert_eq!(profile.expect(wall(5 * DAY + 1800), secs(9)), None, "no weekend was seen");
}

#[test]
fn what_is_expected_is_the_most_of_all_slots_that_the_horizon_touches() {
    let (mut profile, settings) = (Profile::default(), settings());
    for day in 0..3 {
        (0..48).for_each(|slot| profile.observe(wall(day * DAY + slot * 1800), slot as u32 * 10, slot as u32, &settings));
    }
    profile.observe(wall(0), 0, 0, &settings);
    assert_eq!(profile.expect(wall(1800), secs(1800)), expected(10, 1, 3));
    assert_eq!(profile.expect(wall(1799), secs(2)), expected(10, 0, 3));
    assert_eq!(profile.expect(wall(8 * 1800), secs(4 * 1800)), expected(110, 9, 3));
    assert_eq!(profile.expect(wall(23 * 3600), secs(3 * 3600)), expected(470, 16, 3), "over midnight");
    assert_eq!(profile.expect(wall(0), Duration::MAX), None, "the weekend was not seen");
    [5, 6].iter().for_each(|day| (0..48).for_each(|slot| profile.observe(wall(day * DAY + slot * 1800), 7, 7, &settings)));
    assert_eq!(profile.expect(wall(0), Duration::MAX).map(|e| (e.peak, e.days)), Some((470, 2)));
}

#[test]
fn a_peak_rises_at_once_and_falls_slowly_and_a_mean_follows() {
    let (mut profile, settings) = (Profile::default(), settings());
    let mut next = |day: u64, peak, mean| {
        profile.observe(wall(day * DAY), peak, mean, &settings);
        profile.expect(wall(0), secs(0))
    };
    assert_eq!(next(0, 1000, 500), expected(1000, 500, 1));
    assert_eq!(next(1, 2000, 600), expected(2000, 530, 2));
    assert_eq!(next(2, 1000, 530), expected(1900, 530, 3));
    assert_eq!(next(3, 1899, 0), expected(1899, 371, 4), "it arrives");
}

#[test]
fn a_calendar_that_was_set_drops_the_open_slot_and_nothing_else() {
    // In minutes: until when it ran as it should, and how far the calendar was set.
    for (name, set) in [("ahead", 3 * 3600), ("far ahead", 40 * 365 * 86_400), ("back", -3 * 3600), ("a little", 6)] {
        let mut profile = Profile::default();
        add(&mut profile, 24 * 60..24 * 60 + 50, 100);
        let before = profile.clone();
        let after = |m: u64| {
            let date = wall(0).unix().saturating_add_signed(set + 60 * i64::try_from(m).unwrap());
            Minute { wall: Some(WallTime::from_unix(date)), ..minute(m * 60, 900, 900) }
        };
        profile.add(&after(24 * 60 + 50), &settings());
        let slot = |profile: &Profile, hour: u64| profile.expect(wall(hour * 1800), secs(0));
        assert_eq!((0..48).map(|s| slot(&profile, s)).collect::<Vec<_>>(), (0..48).map(|s| slot(&before, s)).collect::<Vec<_>>(), "{name}");
        (51..200).for_each(|m| profile.add(&after(24 * 60 + m), &settings()));
        assert_eq!(slot(&profile, 0), expected(100, 50, 1), "{name}: what was recorded stays");
        assert_ne!(slot(&profile, 1), expected(900, 475, 1), "{name}: before and after are not mixed");
        let seen = |profile: &Profile| (0..7 * 48).map(|s| slot(profile, s)).filter(|found| found.is_some_and(|e| e.peak == 900)).count();
        assert!(seen(&profile) > seen(&before), "{name}: it goes on at the new time");
    }
}

#[test]
fn without_a_calendar_it_stays_as_it_is() {
    let mut profile = Profile::default();
    add(&mut profile, 0..45, 100);
    let before = profile.clone();
    (45..300).for_each(|m| profile.add(&Minute { wall: None, ..minute(m * 60, 900, 900) }, &settings()));
    assert_eq!(profile, before);
}

#[test]
fn replicas_add_to_the_same_slot_and_a_late_one_to_none_that_is_over() {
    let mut profile = Profile::default();
    for m in 0..30 {
        [(1, 100), (59, 300)].iter().for_each(|(second, peak)| profile.add(&minute(m * 60 + second, *peak, *peak), &settings()));
    }
    add(&mut profile, 30..32, 10);
    assert_eq!(profile.expect(wall(0), secs(0)), expected(300, 200, 1));
    let before = profile.clone();
    profile.add(&minute(60, 9000, 9000), &settings());
    assert_eq!(profile, before);
    let mut few = Profile::default();
    (0..20).for_each(|replica| (0..7).for_each(|m| few.add(&minute(m * 60 + replica, 1, 1), &settings())));
    few.add(&minute(1800, 1, 1), &settings());
    assert_eq!(few.days(), 0, "twenty replicas for seven minutes are seven minutes");
}

#[test]
fn an_hour_is_known_when_all_its_slots_are() {
    let (mut profile, settings) = (Profile::default(), settings());
    assert_eq!(profile.hours(), [None; 24]);
    (0..20).for_each(|slot| {
        profile.observe(wall(slot * 1800), if slot % 2 == 0 { 500 } else { 400 }, if slot < 10 { 100 } else { 300 }, &settings)
    });
    profile.observe(wall(20 * 1800), 900, 300, &settings);
    let mut hours = [None; 24];
    hours[..5].fill(expected(500, 100, 1));
    hours[5..10].fill(expected(500, 300, 1));
    assert_eq!(profile.hours(), hours, "half an hour is not enough for the eleventh");
    profile.observe(wall(21 * 1800), 700, 100, &settings);
    hours[10] = expected(900, 200, 1);
    assert_eq!(profile.hours(), hours);
}

#[test]
fn another_length_of_slots_begins_anew() {
    let mut profile = Profile::default();
    add(&mut profile, 0..300, 100);
    let hourly = HistorySettings { slot: Span::from_secs(3600), ..settings() };
    (300..500).for_each(|m| profile.add(&minute(m * 60, 50, 50), &hourly));
    assert_eq!(profile.expect(wall(0), secs(0)), None);
    assert_eq!(profile.expect(wall(6 * 3600), secs(0)), expected(50, 50, 1));
}

proptest! {
    #[test]
    fn nothing_panics_and_what_is_expected_was_seen(
        minutes in prop::collection::vec((any::<Duration>(), any::<Option<u64>>(), any::<u32>(), any::<u32>()), 1..60),
        slot: Duration, fade: u32, weight: u32, from: u64, horizon: Duration,
    ) {
        let slot = slot.max(secs(60));
        let settings = HistorySettings { slot: Span::new(slot), peak_fade: Permille::new(fade), day_weight: Permille::new(weight), ..settings() };
        let (mut profile, mut whole) = (Profile::default(), Profile::default());
        for (moment, date, peak, mean) in minutes {
            let minute = Minute { at: Timestamp::since_boot(moment), wall: date.map(WallTime::from_unix), peak, mean: mean.min(peak) };
            profile.add(&minute, &settings);
            whole.observe(WallTime::from_unix(date.unwrap_or(0)), peak, mean.min(peak), &settings);
            let _ = (profile.expect(WallTime::from_unix(from), horizon), profile.hours(), whole.hours());
            for found in [profile.expect(WallTime::from_unix(from), horizon), whole.expect(WallTime::from_unix(date.unwrap_or(0)), secs(0))] {
                prop_assert!(found.is_none_or(|e| e.days > 0), "{found:?}");
            }
        }
    }
}
