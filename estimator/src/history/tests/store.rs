use super::*;

fn settings(workloads: u32) -> HistorySettings {
    HistorySettings { workloads, ..HistorySettings::default() }
}

fn see(histories: &mut Histories, number: u32, second: u64, settings: &HistorySettings) {
    histories.observe_workload(&key(number), &minute(second, 100, 50), settings);
}

fn known(histories: &Histories) -> Vec<u32> {
    (0..20).filter(|number| histories.workloads.get(&key(*number)).is_some()).collect()
}

#[test]
fn the_workload_not_seen_for_longest_makes_room_unless_it_is_in_use() {
    let (mut histories, three) = (Histories::default(), settings(3));
    for (number, second) in [(0, 0), (1, 100), (2, 200), (0, 300)] {
        see(&mut histories, number, second, &three);
    }
    see(&mut histories, 3, 699, &three);
    assert_eq!(known(&histories), [0, 1, 2], "all are in use");
    see(&mut histories, 3, 700, &three);
    assert_eq!(known(&histories), [0, 2, 3], "1 was not seen for ten minutes");
    see(&mut histories, 4, 701, &three);
    assert_eq!(known(&histories), [0, 2, 3]);
    see(&mut histories, 4, 5000, &settings(1));
    assert_eq!(known(&histories), [4], "a smaller bound holds at once for who is new");
    see(&mut histories, 5, 90_000, &settings(0));
    assert_eq!(known(&histories).len(), 0);
}

#[test]
fn more_than_fit_do_not_push_each_other_out() {
    let (mut histories, three) = (Histories::default(), settings(3));
    (0..600).for_each(|m| (0..6).for_each(|number| see(&mut histories, number, m * 60, &three)));
    assert_eq!(known(&histories), [0, 1, 2]);
    assert_eq!(histories.workloads.get(&key(0)).unwrap().span_observed(), secs(36_000));
}

#[test]
fn what_is_not_seen_for_two_weeks_is_forgotten() {
    let (mut histories, settings) = (Histories::default(), settings(10));
    see(&mut histories, 0, 0, &settings);
    see(&mut histories, 1, 14 * DAY - 1, &settings);
    assert_eq!(known(&histories), [0, 1]);
    see(&mut histories, 1, 14 * DAY + 3600, &settings);
    assert_eq!(known(&histories), [1]);
    let region = |histories: &mut Histories, name: &str, second| {
        histories.observe_region(&name.parse().unwrap(), (at(second), None), cpu(1), cpu(1), &settings);
    };
    region(&mut histories, "share", 15 * DAY);
    region(&mut histories, "system/", 30 * DAY);
    assert_eq!(histories.regions.iter().map(|(region, _)| region.to_string()).collect::<Vec<_>>(), ["system/"]);
}

#[test]
fn a_new_pod_of_a_workload_finds_what_the_old_one_left() {
    let (mut histories, settings) = (Histories::default(), settings(10));
    for (begin, used) in [(0, 2000), (40 * 60, 100)] {
        // Another pod, so another track.
        let mut track = ContainerTrack::default();
        for second in begin..begin + 1800 {
            if let Some(minute) = track.observe(at(second), Some(wall(second)), cpu(used), cpu(0)) {
                histories.observe_workload(&key(7), &minute, &settings);
            }
        }
    }
    let history = histories.workloads.get(&key(7)).unwrap();
    let low = history.quantile(40_000).unwrap().get();
    assert!((100..=115).contains(&low) && history.quantile(60_000).unwrap() >= cpu(2000), "{low}");
    assert_eq!(history.seen(), Some((wall(59), wall(40 * 60 + 1739))));
}
