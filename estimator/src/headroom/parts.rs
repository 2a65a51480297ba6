//! A whole and its parts on NUMA nodes. All roundings are to the careful side, so that more of what is taken away never leaves more.

use gleaner_model::NumaId;
use std::collections::BTreeMap;

/// An amount on each NUMA node.
pub(super) type Parts = BTreeMap<NumaId, u64>;

/// What is to be taken away, divided by weights and rounded up: the parts make up the whole, or a little more.
pub(super) fn spread_up(whole: u64, weights: &Parts) -> Parts {
    spread(whole, weights, u128::div_ceil)
}

/// What may be counted in favour, divided by weights and rounded down.
pub(super) fn spread_down(whole: u64, weights: &Parts) -> Parts {
    spread(whole, weights, |product, total| product / total)
}

/// By weights that are all zero nothing is divided.
fn spread(whole: u64, weights: &Parts, divide: impl Fn(u128, u128) -> u128) -> Parts {
    let total = sum(weights).max(1);
    let part = |weight: u64| u64::try_from(divide(u128::from(whole) * u128::from(weight), total)).unwrap_or(u64::MAX);
    weights.iter().map(|(id, weight)| (*id, part(*weight))).collect()
}

/// The parts, cut in proportion and rounded down where they are more than the whole.
pub(super) fn within(whole: u64, parts: Parts) -> Parts {
    if sum(&parts) <= u128::from(whole) { parts } else { spread_down(whole, &parts) }
}

/// All parts together.
pub(super) fn sum(parts: &Parts) -> u128 {
    parts.values().map(|part| u128::from(*part)).sum()
}

/// Adds to each part.
pub(super) fn add(parts: &mut Parts, more: &Parts) {
    for (id, more) in more {
        let part = parts.entry(*id).or_default();
        *part = part.saturating_add(*more);
    }
}

/// The part on one node.
pub(super) fn of(parts: &Parts, id: NumaId) -> u64 {
    parts.get(&id).copied().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(amounts: &[u64]) -> Parts {
        (0..).map(NumaId::new).zip(amounts.iter().copied()).collect()
    }

    #[test]
    fn a_whole_is_divided_by_weights_and_rounded_to_the_careful_side() {
        type Row = (u64, &'static [u64], &'static [u64], &'static [u64]);
        let table: [Row; 5] = [
            (10, &[1, 1], &[5, 5], &[5, 5]),
            (10, &[1, 1, 1], &[4, 4, 4], &[3, 3, 3]),
            (7, &[0, 3], &[0, 7], &[0, 7]),
            (7, &[0, 0], &[0, 0], &[0, 0]),
            (u64::MAX, &[u64::MAX, u64::MAX], &[1 << 63, 1 << 63], &[(1 << 63) - 1, (1 << 63) - 1]),
        ];
        for (whole, weights, up, down) in table {
            let weights = parts(weights);
            assert_eq!((spread_up(whole, &weights), spread_down(whole, &weights)), (parts(up), parts(down)), "{whole} by {weights:?}");
        }
    }

    #[test]
    fn parts_that_fit_stay_and_others_are_cut_in_proportion() {
        let table: [(u64, &[u64], &[u64]); 3] = [(10, &[4, 6], &[4, 6]), (5, &[4, 6], &[2, 3]), (0, &[4, 6], &[0, 0])];
        for (whole, amounts, expected) in table {
            assert_eq!(within(whole, parts(amounts)), parts(expected), "{amounts:?} within {whole}");
        }
    }

    proptest! {
        #[test]
        fn a_part_that_shrinks_is_not_given_more(amounts in prop::collection::vec(0u64..1000, 2..6), whole in 0u64..3000, by in 1u64..500, both: bool) {
            let fewer = parts(&[&[amounts[0].saturating_sub(by)], &amounts[1..]].concat());
            let left = if both { whole.saturating_sub(by.min(amounts[0])) } else { whole };
            let (before, after) = (within(whole, parts(&amounts)), within(left, fewer));
            prop_assert!(sum(&before) <= u128::from(whole) && sum(&after) <= u128::from(left));
            prop_assert!(after[&NumaId::new(0)] <= before[&NumaId::new(0)], "{before:?} {after:?}");
            // What all the others lose too is lost to nobody else.
            prop_assert!(!both || whole > 0 && after.iter().all(|(id, part)| *part <= before[id]) || sum(&parts(&amounts)) <= u128::from(whole), "{before:?} {after:?}");
        }
    }
}
