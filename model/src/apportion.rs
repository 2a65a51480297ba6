use std::cmp::Reverse;
use std::collections::BTreeMap;

/// `total` in proportion to the weights, at least `least` each, by largest remainder; ties go by key. `total` is at least `least` times the
/// number of weights, which are not all zero. As long as it is not above their sum nobody gets more than its weight, or `least`.
#[must_use]
pub fn apportion<K: Ord + Clone>(weights: &BTreeMap<K, u32>, total: u32, least: u32) -> BTreeMap<K, u32> {
    let sum: u64 = weights.values().map(|w| u64::from(*w)).sum();
    let exact = |weight: u32| u64::from(weight) * u64::from(total);
    let floor = |weight: u32| u32::try_from(exact(weight).checked_div(sum).unwrap_or(0)).unwrap_or(u32::MAX).max(least);
    let mut sizes: BTreeMap<K, u32> = weights.iter().map(|(key, weight)| (key.clone(), floor(*weight))).collect();
    let mut by_remainder: Vec<(&K, &u32)> = weights.iter().collect();
    // Whoever was raised to the least has more than its part already.
    by_remainder.retain(|(_, weight)| exact(**weight) >= u64::from(least).saturating_mul(sum));
    by_remainder.sort_by_key(|(key, weight)| (Reverse(exact(**weight).checked_rem(sum)), *key));
    let mut given: u64 = sizes.values().map(|s| u64::from(*s)).sum();
    for (key, _) in by_remainder {
        if given < u64::from(total) {
            sizes.entry(key.clone()).and_modify(|size| *size += 1);
            given += 1;
        }
    }
    // The least may have brought the sum above the total; the largest pay, of equals the last.
    while given > u64::from(total) {
        let Some((_, largest)) = sizes.iter_mut().max_by_key(|(_, size)| **size).filter(|(_, size)| **size > least) else { break };
        *largest -= 1;
        given -= 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(weights: &[u32], total: u32) -> Vec<u32> {
        let weights = (0u32..).zip(weights.iter().copied()).collect();
        apportion(&weights, total, 1).into_values().collect()
    }

    #[test]
    fn what_is_there_is_cut_in_proportion_and_everybody_gets_the_least() {
        assert_eq!(shares(&[4, 2], 3), [2, 1]);
        assert_eq!(shares(&[1, 1, 1], 8), [3, 3, 2]);
        assert_eq!(shares(&[100, 1, 1], 4), [2, 1, 1]);
        assert_eq!(shares(&[100, 100, 1, 1, 1], 6), [2, 1, 1, 1, 1]);
        assert_eq!(shares(&[u32::MAX, 1], 2), [1, 1]);
        assert_eq!(shares(&[3, 5, 1], 8), [3, 4, 1], "the last has more than its part already");
        let weights = BTreeMap::from([("a", 3), ("b", 0), ("c", 1)]);
        assert_eq!(apportion(&weights, 2, 0), BTreeMap::from([("a", 2), ("b", 0), ("c", 0)]));
    }
}
