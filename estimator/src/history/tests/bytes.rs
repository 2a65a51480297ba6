use super::*;
use proptest::prelude::*;

/// What an entry of a map takes beyond its history: two references to names and one to the history, in nodes that may be half empty.
const OF_A_MAP: usize = 2 * (2 * 16 + 8);

/// Every bucket, every slot and every ring is used.
fn filled(settings: &HistorySettings) -> Histories {
    let mut histories = Histories::default();
    for m in 0..8 * 1440 {
        // The last bucket first, so that the histogram is as large as it can be.
        let used = 9_000_000_u64.checked_shr(m as u32 % 24).unwrap_or(0);
        for second in 0..2 {
            let now = (at(m * 60 + second), Some(wall(m * 60 + second)));
            histories.observe_region(&"share".parse().unwrap(), now, cpu(used), cpu(1000), settings);
        }
        histories.observe_workload(&key(1), &minute(m * 60, used as u32, 1), settings);
    }
    (0..600).for_each(|s| histories.observe_region(&"share".parse().unwrap(), (at(8 * DAY + s), None), cpu(5), cpu(1000), settings));
    histories
}

fn bytes(histories: &Histories) -> (u64, u64) {
    let region = histories.regions.iter().next().unwrap().1.bytes() + OF_A_MAP;
    let workload = histories.workloads.iter().next().unwrap().1.bytes() + OF_A_MAP;
    (region as u64, workload as u64)
}

#[test]
fn nothing_takes_more_than_the_documentation_says() {
    let settings = HistorySettings::default();
    let documented = (settings.bytes_of_region(), settings.bytes_of_workload());
    assert_eq!(documented, (580 + 480 + 11_520 + 640 + 1152, 360 + 640 + 1152));
    let full = filled(&settings);
    let found = bytes(&full);
    assert!(found.0 <= documented.0 && found.1 <= documented.1, "{found:?}, documented {documented:?}");
    assert!(
        found.0 * 10 > documented.0 * 8 && found.1 * 10 > documented.1 * 8,
        "{found:?}: the documented {documented:?} are far too much"
    );
    let text = serde_json::to_string(&full.save(at(0), None)).unwrap();
    let restored = bytes(&Histories::restore(serde_json::from_str(&text).unwrap(), at(0), None));
    assert!(restored <= documented, "restored: {restored:?}, documented {documented:?}");
    assert!(size_of::<ContainerTrack>() + 2 * 48 <= 240, "{}", size_of::<ContainerTrack>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn the_formula_holds_for_other_settings(seconds in 10u32..=600, minutes in 10u32..=2880, buckets in 10u32..=400, slot in prop::sample::select(vec![15u64, 20, 30, 60])) {
        let settings = HistorySettings { seconds, minutes, buckets, slot: gleaner_model::Span::from_secs(slot * 60), ..HistorySettings::default() };
        prop_assert_eq!(settings.validate(), Vec::<String>::new());
        let (found, documented) = (bytes(&filled(&settings)), (settings.bytes_of_region(), settings.bytes_of_workload()));
        prop_assert!(found.0 <= documented.0 && found.1 <= documented.1, "{found:?}, documented {documented:?}");
    }
}
