use super::*;
use proptest::prelude::*;

const ROOM: u64 = 4000;

fn intervals(demands: &[u64]) -> Vec<Interval> {
    let one = |demand: &u64| Interval { length: Duration::from_secs(1), demand: MilliCpu::new(*demand), room: MilliCpu::new(ROOM) };
    demands.iter().map(one).collect()
}

fn promises(milli: &[u64]) -> Vec<MilliCpu> {
    milli.iter().copied().map(MilliCpu::new).collect()
}

fn is(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}

#[test]
fn what_was_lent_and_risked_is_counted() {
    let of = intervals(&[1000, 3500, 1000, 1000]);
    let score = score(&of, &promises(&[1000, 1000, 400, 3000]), Duration::from_secs(1));
    assert!(is(score.mean_lent_cpu, 1.225), "{score:?}");
    assert!(is(score.lent_cpu_hours, 4.9 / 3600.0), "{score:?}");
    assert!(is(score.violation_seconds, 1.0), "only the second interval is above the room: {score:?}");
    assert!(is(score.worst_cut_cpu, 0.6), "{score:?}");
    assert!(is(score.changes_per_hour, 1800.0), "{score:?}");
    assert!(!format!("{score:?}").contains("-0"), "{score:?}"); // an empty sum is no -0
    assert!(is(score.of_clairvoyant.unwrap(), 4.9 / 9.5 * 100.0), "{score:?}");
}

#[test]
fn a_cut_is_the_fall_within_a_minute_and_a_change_is_of_a_hundredth() {
    let table: [(&str, Vec<u64>, f64, f64); 5] = [
        ("one step", vec![1000, 400], 0.6, 1.0),
        ("in two steps", vec![1000, 700, 400], 0.6, 2.0),
        ("too slow to be one cut", (0..=100).map(|second| 1000 - second * 5).collect(), 0.3, 11.0),
        ("to and fro by a hundredth", vec![1000, 1040, 1000, 960], 0.08, 0.0),
        ("little by little", vec![1000, 1020, 1041, 1060], 0.0, 1.0),
    ];
    for (name, milli, cut, changes) in table {
        let score = score(&intervals(&vec![0; milli.len()]), &promises(&milli), Duration::from_secs(1));
        assert!(is(score.worst_cut_cpu, cut), "{name}: {score:?}");
        let counted = score.changes_per_hour * milli.len() as f64 / 3600.0;
        assert!((counted - changes).abs() < 1e-6, "{name}: {counted} changes, {score:?}");
    }
}

#[test]
fn nothing_recorded_is_nothing_lent() {
    assert_eq!(score(&[], &[], Duration::from_secs(60)), Score::default());
}

#[test]
fn demand_above_the_room_breaks_no_promise_when_nothing_is_promised() {
    let score = score(&intervals(&[5000]), &promises(&[0]), Duration::from_secs(60));
    assert!(is(score.violation_seconds, 0.0), "{score:?}");
}

#[test]
fn demand_that_meets_the_room_is_no_violation() {
    let score = score(&intervals(&[3000]), &promises(&[1000]), Duration::from_secs(60));
    assert!(is(score.violation_seconds, 0.0), "{score:?}");
}

proptest! {
    /// Against the definition: the room less the highest demand of the intervals that begin before the horizon.
    #[test]
    fn the_clairvoyant_leaves_room_for_the_peak_ahead(demands in prop::collection::vec(0u64..6000, 0..40), horizon in 0usize..50) {
        let plain: Vec<MilliCpu> = (0..demands.len())
            .map(|i| MilliCpu::new(ROOM).minus(MilliCpu::new(*demands[i..demands.len().min(i + horizon.max(1))].iter().max().unwrap())))
            .collect();
        prop_assert_eq!(clairvoyant(&intervals(&demands), Duration::from_secs(horizon as u64)), plain);
    }

    #[test]
    fn the_clairvoyant_never_breaks_its_promise(demands in prop::collection::vec(0u64..4000, 1..40), horizon in 1u64..50) {
        let of = intervals(&demands);
        let score = score(&of, &clairvoyant(&of, Duration::from_secs(horizon)), Duration::from_secs(horizon));
        prop_assert!(is(score.violation_seconds, 0.0), "{score:?}");
        prop_assert!(score.of_clairvoyant.is_none_or(|share| is(share, 100.0)), "{score:?}");
    }
}
