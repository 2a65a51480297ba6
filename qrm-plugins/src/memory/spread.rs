//! Splitting an amount over nodes.

/// `units` over nodes that have this much room each, as evenly as the rooms allow, and what does not fit anywhere. A remainder goes to the
/// nodes with more room, of equals to the later ones.
pub(super) fn even(units: u64, rooms: &[u64]) -> (Vec<u64>, u64) {
    let mut order: Vec<(u64, usize)> = rooms.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut parts = vec![0; rooms.len()];
    let mut left = units;
    // The smallest first: what it cannot take goes to larger ones.
    for ((room, at), nodes) in order.into_iter().zip((1..=u64::try_from(rooms.len()).unwrap_or(u64::MAX)).rev()) {
        let part = (left / nodes).min(room);
        if let Some(slot) = parts.get_mut(at) {
            *slot = part;
        }
        left -= part;
    }
    (parts, left)
}

/// `total` in proportion to the weights, so that the parts are exactly the total, or the sum of the weights where that is less.
pub(super) fn in_proportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let mut sum: u128 = weights.iter().copied().map(u128::from).sum();
    let mut left = u128::from(total).min(sum);
    let part = |weight: &u64| {
        let weight = u128::from(*weight);
        // Of what is left in proportion to what is left: the last has the rest.
        let part = (left * weight).checked_div(sum).unwrap_or(0);
        left -= part;
        sum -= weight;
        u64::try_from(part).unwrap_or(u64::MAX)
    };
    weights.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_amount_is_spread_as_evenly_as_the_rooms_allow() {
        for (units, rooms, parts, left) in [
            (10, vec![8, 8], vec![5, 5], 0),
            (10, vec![8, 3], vec![7, 3], 0),
            (7, vec![8, 8], vec![3, 4], 0),
            (8, vec![2, 2, 4], vec![2, 2, 4], 0),
            (12, vec![8, 3], vec![8, 3], 1),
            (1, vec![0, 0], vec![0, 0], 1),
            (3, vec![], vec![], 3),
            (0, vec![4], vec![0], 0),
        ] {
            assert_eq!(even(units, &rooms), (parts, left), "{units} over {rooms:?}");
        }
    }

    #[test]
    fn a_reserve_is_kept_by_size_to_the_last_byte() {
        assert_eq!(in_proportion(10, &[30, 10]), [7, 3]);
        assert_eq!(in_proportion(1, &[1, 1, 1]), [0, 0, 1]);
        assert_eq!(in_proportion(10, &[4, 0, 2]), [4, 0, 2], "no more than there is");
        assert_eq!(in_proportion(10, &[0, 0]), [0, 0]);
        assert_eq!(in_proportion(u64::MAX, &[u64::MAX, u64::MAX]).iter().map(|part| u128::from(*part)).sum::<u128>(), u128::from(u64::MAX));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_lost_and_no_room_exceeded(units in 0u64..200, rooms in proptest::collection::vec(0u64..60, 0..6)) {
            let (parts, left) = even(units, &rooms);
            prop_assert_eq!(parts.iter().sum::<u64>() + left, units);
            prop_assert!(parts.iter().zip(&rooms).all(|(part, room)| part <= room), "{parts:?} in {rooms:?}");
            prop_assert!(left == 0 || parts == rooms, "{left} left of {units}, {parts:?} in {rooms:?}");
            // Even: a node has less than another only when it is full, or by the remainder.
            for (a, room) in parts.iter().zip(&rooms) {
                prop_assert!(parts.iter().all(|b| a + 1 >= *b || a == room), "{parts:?} in {rooms:?}");
            }
        }

        #[test]
        fn proportions_are_exact_and_within_the_weights(total in 0u64..1000, weights in proptest::collection::vec(0u64..200, 0..6)) {
            let parts = in_proportion(total, &weights);
            prop_assert_eq!(parts.iter().sum::<u64>(), total.min(weights.iter().sum()));
            prop_assert!(parts.iter().zip(&weights).all(|(part, weight)| part <= weight), "{parts:?} of {weights:?}");
        }
    }
}
