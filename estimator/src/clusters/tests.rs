#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod properties;

use super::*;

type Shape = [u32; HOURS];

/// Day and night, the same inverted, flat, two peaks: a mean of 1000 each.
fn shapes() -> [(&'static str, Shape); 4] {
    let by_hour = |of: fn(usize) -> u32| std::array::from_fn(of);
    [
        ("day and night", by_hour(|hour| if (7..19).contains(&hour) { 1500 } else { 500 })),
        ("inverted", by_hour(|hour| if (7..19).contains(&hour) { 500 } else { 1500 })),
        ("flat", by_hour(|_| 1000)),
        ("two peaks", by_hour(|hour| if (8..11).contains(&hour) || (18..21).contains(&hour) { 2200 } else { 600 })),
    ]
}

/// A day of this shape; the peaks are 30 % above the means.
fn day(shape: &Shape, level: u32) -> Day {
    let means = shape.map(|value| Some(value * level / 1000));
    Day { means, peaks: means.map(|mean| mean.map(|mean| mean * 13 / 10)) }
}

/// The same with the hours from `first` on alone.
fn only(day: &Day, first: usize, count: usize) -> Day {
    let seen =
        |hours: &[Option<u32>; HOURS]| std::array::from_fn(|hour| if (hour + HOURS - first) % HOURS < count { hours[hour] } else { None });
    Day { means: seen(&day.means), peaks: seen(&day.peaks) }
}

/// Five workloads of each shape, of different sizes.
fn learned() -> Clusters {
    let days: Vec<Day> = shapes().iter().flat_map(|(_, shape)| [100, 250, 1000, 3000, 40_000].map(|level| day(shape, level))).collect();
    Clusters::learn(&days)
}

fn at(hour: u64) -> WallTime {
    WallTime::from_unix(1_700_438_400 + hour * 3600)
}

fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}

#[test]
fn workloads_of_one_shape_are_one_cluster_whatever_their_size() {
    let clusters = learned();
    let mut found: Vec<Shape> = clusters.0.iter().map(|cluster| cluster.means).collect();
    let mut expected = shapes().map(|(_, shape)| shape).to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{clusters:?}");
    assert!(clusters.0.iter().all(|cluster| cluster.members == 5), "{clusters:?}");
}

#[test]
fn a_few_odd_workloads_do_not_take_the_clusters_from_the_many() {
    // Each odd one works in one hour alone, so it is farther from all others than any two of the rest.
    let odd = (0..20).map(|busy| day(&std::array::from_fn(|hour| if hour == busy { 24_000 } else { 0 }), 1000));
    let many = shapes().into_iter().flat_map(|(_, shape)| [day(&shape, 500), day(&shape, 2000)]);
    let clusters = Clusters::learn(&odd.chain(many).collect::<Vec<_>>());
    assert_eq!(clusters.0.len(), MOST, "{clusters:?}");
    for (name, shape) in shapes() {
        assert!(clusters.0.iter().any(|cluster| cluster.means == shape && cluster.members == 2), "{name}: {clusters:?}");
    }
}

#[test]
fn the_most_common_cluster_is_the_first() {
    let [(_, tidal), _, (_, flat), _] = shapes();
    let clusters = Clusters::learn(&[day(&tidal, 300), day(&flat, 100), day(&flat, 200)]);
    assert_eq!(clusters.0.iter().map(|cluster| (cluster.members, cluster.means)).collect::<Vec<_>>(), [(2, flat), (1, tidal)]);
}

#[test]
fn a_day_with_a_gap_or_without_any_use_teaches_nothing() {
    let [.., (_, flat), _] = shapes();
    let days = [Day::default(), only(&day(&flat, 100), 0, 23), day(&flat, 0)];
    assert_eq!(Clusters::learn(&days), Clusters::default());
    assert_eq!(Clusters::learn(&[]), Clusters::default());
}

#[test]
fn a_new_workload_is_told_the_whole_day_of_its_like_at_its_own_level() {
    for (name, shape) in shapes() {
        let whole = day(&shape, 800);
        let like = learned().like(&only(&whole, 4, 6)).unwrap();
        let expected = whole.peaks.map(|peak| MilliCpu::new(peak.unwrap().into()));
        assert_eq!((like.hourly_peaks, like.distance), (expected, Permille::new(0)), "{name}");
        assert_eq!(learned().0[like.cluster].means, shape, "{name}");
    }
}

#[test]
fn hours_that_fit_several_clusters_as_well_are_told_the_highest() {
    // From midnight to 6 all four shapes are flat.
    let [(_, tidal), .., (_, flat), (_, peaks)] = shapes();
    let like = learned().like(&only(&day(&flat, 1000), 0, 6)).unwrap();
    let highest = |hour: usize| [tidal[hour] * 2, flat[hour], peaks[hour] * 10 / 6].into_iter().max().unwrap() * 13 / 10;
    for hour in 0..HOURS {
        let (told, expected) = (like.hourly_peaks[hour].get(), u64::from(highest(hour)));
        assert!(told.abs_diff(expected) <= 2, "hour {hour}: told {told}, expected {expected}");
    }
}

#[test]
fn what_is_like_nothing_has_no_like() {
    let [(_, tidal), .., (_, flat), _] = shapes();
    let mut jagged = day(&flat, 1000);
    for hour in (0..HOURS).step_by(2) {
        jagged.means[hour] = Some(0);
    }
    let table = [
        ("nothing seen", Day::default()),
        ("one hour", only(&day(&flat, 1000), 3, 1)),
        ("peaks without means", Day { means: [None; HOURS], ..day(&flat, 1000) }),
        ("idle", day(&flat, 0)),
        ("on and off each hour", jagged),
    ];
    for (name, partial) in table {
        assert_eq!(learned().like(&partial), None, "{name}: {partial:?}");
    }
    assert_eq!(Clusters::default().like(&day(&tidal, 100)), None, "nothing learned");
}

#[test]
fn hours_in_which_a_cluster_does_nearly_nothing_do_not_tell_a_level() {
    let office: Shape = std::array::from_fn(|hour| if (8..18).contains(&hour) { 2386 } else { 10 });
    let clusters = Clusters::learn(&[day(&office, 1000)]);
    assert_eq!(clusters.like(&only(&day(&office, 1000), 0, 5)), None);
    assert!(clusters.like(&only(&day(&office, 1000), 6, 5)).is_some());
}

#[test]
fn an_hour_is_never_told_below_what_the_workload_did_in_it() {
    let [.., (_, flat), _] = shapes();
    let mut partial = only(&day(&flat, 1000), 0, 6);
    partial.peaks[2] = Some(9000);
    partial.peaks[3] = None;
    partial.means[3] = Some(1500);
    partial.peaks[20] = Some(7000);
    let like = Clusters::learn(&[day(&flat, 1000)]).like(&partial).unwrap();
    for (hour, expected) in [(2, 9000), (20, 7000)] {
        assert_eq!(like.hourly_peaks[hour], MilliCpu::new(expected), "hour {hour}: {like:?}");
    }
    assert!(like.hourly_peaks[3] >= MilliCpu::new(1500), "{like:?}");
}

#[test]
fn the_peak_is_that_of_all_hours_touched() {
    let like = Like { hourly_peaks: std::array::from_fn(|hour| MilliCpu::new(hour as u64 + 1)), distance: Permille::new(0), cluster: 0 };
    let table = [
        ("a moment", at(5), Duration::ZERO, 6),
        ("within the hour", at(5), Duration::from_secs(3599), 6),
        ("to the full hour", at(5), hours(1), 7),
        ("a fraction of a second past the hour", at(5).after(Duration::from_secs(3599)), Duration::from_millis(1), 7),
        ("over midnight", at(23), hours(2), 24),
        ("the next days", at(24 + 2), hours(3), 6),
        ("a whole day", at(0), hours(24), 24),
        ("many days", at(3), hours(24 * 90), 24),
        ("for ever", at(3), Duration::MAX, 24),
        ("the end of time", WallTime::from_unix(u64::MAX), Duration::MAX, u64::MAX / 3600 % 24 + 1),
    ];
    for (name, wall, horizon, expected) in table {
        assert_eq!(like.peak(wall, horizon), MilliCpu::new(expected), "{name}: {wall:?} for {horizon:?}");
    }
}

#[test]
fn clusters_are_saved_and_restored_and_stay_few_and_small() {
    let clusters = learned();
    let text = serde_json::to_string(&clusters).unwrap();
    assert_eq!(serde_json::from_str::<Clusters>(&text).unwrap(), clusters, "{text}");
    assert!(size_of::<Cluster>() <= 200, "{}", size_of::<Cluster>());
    let nine = format!("[{}]", vec![serde_json::to_string(&clusters.0[0]).unwrap(); 9].join(","));
    let error = serde_json::from_str::<Clusters>(&nine).unwrap_err().to_string();
    assert!(error.contains("9 clusters of workloads; at most 8"), "{error}");
}
