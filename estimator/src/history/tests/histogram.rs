use super::*;
use proptest::prelude::*;

const BUCKETS: Buckets = Buckets { first: 10, growth: 50, count: 160 };

fn histogram() -> Histogram {
    Histogram::new(BUCKETS, secs(DAY))
}

#[test]
fn the_last_edge_is_far_enough_for_any_machine() {
    let edges: Vec<u32> = BUCKETS.edges().collect();
    assert_eq!((edges.len(), edges[0], edges[1], edges[2]), (160, 10, 20, 31));
    assert!(edges.is_sorted() && edges[159] > 480_000, "{edges:?}");
}

#[test]
fn a_quantile_is_the_upper_edge_of_its_bucket() {
    let mut histogram = histogram();
    assert_eq!((histogram.quantile(50_000), histogram.weight_total(), histogram.observed_for()), (None, 0, secs(0)));
    [5, 15, 25, 25].into_iter().for_each(|value| histogram.add(value, at(60)));
    for (share, expected) in [(0, 10), (25_000, 10), (25_001, 20), (50_000, 20), (50_001, 31), (100_000, 31), (u32::MAX, 31)] {
        assert_eq!(histogram.quantile(share), Some(expected), "{share}");
    }
}

#[test]
fn what_is_beyond_the_last_edge_is_told_as_it_is_until_it_is_forgotten() {
    let mut histogram = Histogram::new(Buckets { count: 3, ..BUCKETS }, secs(60));
    histogram.add(7_000_000, at(60));
    assert_eq!(histogram.quantile(100_000), Some(7_000_000));
    (2..40).for_each(|minute| histogram.add(15, at(60 * minute)));
    assert_eq!(histogram.quantile(100_000), Some(20));
}

#[test]
fn a_value_weighs_half_after_each_half_life() {
    let mut histogram = histogram();
    (0..3).for_each(|_| histogram.add(5, at(0)));
    histogram.add(25, at(DAY));
    // 1.5 against 1, so six tenths.
    assert_eq!((histogram.quantile(59_900), histogram.quantile(60_100)), (Some(10), Some(31)));
    histogram.add(25, at(2 * DAY));
    assert_eq!((histogram.quantile(33_200), histogram.quantile(33_500)), (Some(10), Some(31)), "0.75 against 0.5 and 1");
}

#[test]
fn time_that_was_observed_does_not_decay_but_pauses_do_not_count() {
    let mut histogram = histogram();
    for (second, expected) in [(1000, 60), (1060, 120), (1060, 120), (1000, 120), (1170, 230), (9000, 290)] {
        histogram.add(1, at(second));
        assert_eq!(histogram.observed_for(), secs(expected), "at {second} s");
    }
    histogram.add(1, at(9000 + 40 * DAY));
    assert_eq!(histogram.observed_for(), secs(60), "all was forgotten, so the trust in it too");
}

#[test]
fn more_values_than_a_bucket_can_weigh_keep_their_shares() {
    let mut histogram = histogram();
    for round in 0..400_000 {
        histogram.add(5, at(DAY - 1));
        if round % 4 == 0 {
            histogram.add(25, at(DAY - 1));
        }
    }
    assert_eq!((histogram.quantile(79_000), histogram.quantile(81_000)), (Some(10), Some(31)));
}

#[test]
fn other_settings_begin_anew_and_the_same_do_not() {
    let mut one = histogram();
    one.add(5, at(0));
    let before = one.clone();
    one.fit(BUCKETS, secs(DAY));
    assert_eq!(one, before);
    for (buckets, half_life) in [(Buckets { growth: 51, ..BUCKETS }, DAY), (BUCKETS, DAY + 1)] {
        let mut other = before.clone();
        other.fit(buckets, secs(half_life));
        assert_eq!(other, Histogram::new(buckets, secs(half_life)));
    }
}

proptest! {
    /// Against the exact quantile by weights in floating point: the answer lies in its bucket, or beside it where the weights are so close that rounding decides.
    #[test]
    #[allow(clippy::cast_precision_loss, reason = "compared with floating point")]
    fn a_quantile_is_the_exact_one_within_a_bucket(
        values in prop::collection::vec((0u64..7200, 0u32..60_000), 1..200), share in 0u32..=100_000, half_life in 3600u64..DAY * 3,
    ) {
        let (mut histogram, mut second, mut exact) = (Histogram::new(BUCKETS, secs(half_life)), 0, Vec::new());
        for (later, value) in values {
            second += later;
            histogram.add(value, at(second));
            exact.push((value, second));
        }
        exact.sort_unstable();
        let weight = |moment: u64| (-((second - moment) as f64) / half_life as f64).exp2();
        let total: f64 = exact.iter().map(|(_, moment)| weight(*moment)).sum();
        let quantile = |share: f64| {
            let mut below = 0.0;
            let found = exact.iter().find(|(_, moment)| { below += weight(*moment); below >= share * total - 1e-12 });
            found.or(exact.last()).map(|(value, _)| BUCKETS.edges().find(|edge| edge >= value).unwrap()).unwrap()
        };
        let found = histogram.quantile(share).unwrap();
        // Weights are whole numbers: 1/4096 each, of at most 200 values whose weights sum to one at least.
        let (low, high) = (quantile(f64::from(share) / 1e5 - 2e-3), quantile(f64::from(share) / 1e5 + 2e-3));
        prop_assert!((low..=high).contains(&found), "{found} is not from {low} to {high}");
    }

    #[test]
    fn nothing_panics_and_no_quantile_is_below_what_it_stands_for(
        adds in prop::collection::vec((any::<u32>(), any::<Duration>()), 1..40), half_life: Duration, first: u32, growth: u32, count in 0u32..200, share: u32,
    ) {
        let mut histogram = Histogram::new(Buckets { first, growth, count }, half_life);
        for (value, moment) in adds {
            histogram.add(value, Timestamp::since_boot(moment));
            prop_assert!(histogram.quantile(share).is_some());
            prop_assert!(histogram.quantile(100_000) >= Some(value), "{value}");
            prop_assert!(histogram.heap_bytes() <= count.max(1) as usize * 4);
        }
    }
}
