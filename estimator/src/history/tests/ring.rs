use super::*;
use proptest::prelude::*;

fn ring(pushes: &[(u64, u32)]) -> Ring {
    let mut ring = Ring::new(secs(1), 5);
    pushes.iter().for_each(|(second, value)| ring.push(at(*second), *value));
    ring
}

#[test]
fn a_gap_leaves_holes_and_a_step_back_changes_the_last_value_only() {
    type Row = (&'static str, &'static [(u64, u32)], &'static [Option<u32>]);
    let table: [Row; 8] = [
        ("nothing", &[], &[]),
        ("in a row", &[(1, 4), (2, 5)], &[Some(4), Some(5)]),
        ("a zero is a value", &[(1, 0), (2, 0)], &[Some(0), Some(0)]),
        ("a gap", &[(1, 4), (4, 5)], &[Some(4), None, None, Some(5)]),
        ("a long gap", &[(1, 4), (1000, 5)], &[None, None, None, None, Some(5)]),
        ("the same moment again", &[(1, 4), (1, 9), (1, 5)], &[Some(9)]),
        ("back", &[(9, 4), (1, 9), (10, 2)], &[Some(9), Some(2)]),
        ("full", &[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)], &[Some(2), Some(3), Some(4), Some(5), Some(6)]),
    ];
    for (name, pushes, expected) in table {
        assert_eq!(ring(pushes).iter().collect::<Vec<_>>(), expected, "{name}: {pushes:?}");
    }
}

#[test]
fn moments_leave_holes_out() {
    let ring = ring(&[(1, 2), (2, 4), (5, 9)]);
    let table =
        [(0, Some(9), Some(9), Some(0)), (3, Some(9), Some(9), Some(0)), (4, Some(9), Some(6), Some(6)), (99, Some(9), Some(5), Some(8))];
    for (window, max, mean, variance) in table {
        let found = (ring.max_since(secs(window)), ring.mean(secs(window)), ring.variance(secs(window)));
        assert_eq!(found, (max, mean, variance), "{window} s");
    }
    let empty = Ring::default();
    assert_eq!((empty.max_since(secs(9)), empty.mean(secs(9)), empty.variance(secs(9)), empty.max_from(at(0))), (None, None, None, None));
    assert_eq!([0, 2, 3, 5, 6].map(|from| ring.max_from(at(from))), [Some(9), Some(9), Some(9), Some(9), None]);
}

#[test]
fn another_length_keeps_the_newest_and_another_step_nothing() {
    let mut ring = ring(&[(1, 1), (2, 2), (3, 3)]);
    ring.fit(secs(1), 2);
    assert_eq!(ring.iter().collect::<Vec<_>>(), [Some(2), Some(3)]);
    ring.fit(secs(1), 9);
    ring.push(at(5), 5);
    assert_eq!(ring.iter().collect::<Vec<_>>(), [Some(2), Some(3), None, Some(5)]);
    ring.fit(secs(60), 9);
    assert_eq!(ring.iter().count(), 0);
}

proptest! {
    /// Against a list of all that was pushed.
    #[test]
    fn it_is_the_last_steps_of_all_that_was_pushed(
        steps in prop::collection::vec((0u64..4, 0u32..1000), 1..80), most in 1u32..20, window in 0u64..30,
    ) {
        let (mut ring, mut naive, mut second) = (Ring::new(secs(1), most), std::collections::BTreeMap::<u64, u32>::new(), 0);
        for (later, value) in &steps {
            second += later;
            ring.push(at(second), *value);
            let held = naive.entry(second).or_default();
            *held = (*held).max(*value);
        }
        let first = naive.keys().next().copied().unwrap();
        let oldest = |length: u64| (second + 1).saturating_sub(length).max((second + 1).saturating_sub(u64::from(most))).max(first);
        let expected: Vec<Option<u32>> = (oldest(1000)..=second).map(|s| naive.get(&s).copied()).collect();
        prop_assert_eq!(ring.iter().collect::<Vec<_>>(), expected);
        let values: Vec<u64> = naive.range(oldest(window.max(1))..).map(|(_, value)| u64::from(*value)).collect();
        let (sum, count) = (values.iter().sum::<u64>(), values.len() as u64);
        prop_assert_eq!(ring.max_since(secs(window)).map(u64::from), values.iter().max().copied());
        prop_assert_eq!(ring.mean(secs(window)).map(u64::from), Some(sum / count));
        let variance = (count * values.iter().map(|v| v * v).sum::<u64>() - sum * sum) / (count * count);
        prop_assert_eq!(ring.variance(secs(window)), Some(variance));
    }

    #[test]
    fn nothing_panics_and_the_length_is_kept(
        pushes in prop::collection::vec((any::<Duration>(), any::<u32>()), 0..40), step: Duration, most in 0u32..100, window: Duration,
    ) {
        let mut ring = Ring::new(step, most);
        for (moment, value) in pushes {
            ring.push(Timestamp::since_boot(moment), value);
            prop_assert!(ring.iter().count() <= most.max(1) as usize && ring.heap_bytes() <= most.max(1) as usize * 4);
            let known = (ring.max_since(window), ring.mean(window), ring.variance(window), ring.max_from(Timestamp::since_boot(window)));
            prop_assert!(known.0.is_some() && known.1 <= known.0, "{known:?}");
        }
    }
}
