//! Logarithms in whole numbers: those of the standard library differ in the last digits from machine to machine.

const ONE: i128 = 1_000_000_000;
const LN_2: i64 = 693_147_181;

/// The largest and, negated, the smallest answer: `ln 8`. Further away from its target, a figure says no more.
pub(super) const REACH: i64 = 3 * LN_2;

/// `ln(current / target)` in billionths, at most [`REACH`] on either side; a target of zero is the farthest away.
pub(super) fn log_ratio(current: u64, target: u64) -> i64 {
    let (mut a, mut b) = (i128::from(current), i128::from(target));
    if a >= 8 * b {
        return REACH;
    }
    if b >= 8 * a {
        return -REACH;
    }
    let mut halvings = 0;
    while 3 * a > 4 * b {
        b *= 2;
        halvings += 1;
    }
    while 3 * a < 2 * b {
        a *= 2;
        halvings -= 1;
    }
    // ln(a / b) = 2 artanh((a - b) / (a + b)), and the argument is at most 1/5 now: seven terms are enough for nine digits.
    let ratio = (a - b) * ONE / (a + b);
    let square = ratio * ratio / ONE;
    let (mut power, mut sum) = (ratio, 0);
    for odd in [1, 3, 5, 7, 9, 11, 13] {
        sum += power / odd;
        power = power * square / ONE;
    }
    (i64::try_from(2 * sum).unwrap_or_default() + halvings * LN_2).clamp(-REACH, REACH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values_are_met() {
        let e = 2_718_281_828_u64;
        for (current, target, expected) in [
            (7, 7, 0),
            (u64::MAX, u64::MAX, 0),
            (2, 1, LN_2),
            (1, 4, -2 * LN_2),
            (e, 1_000_000_000, 1_000_000_000),
            (1_000_000_000, e, -1_000_000_000),
            (8, 1, REACH),
            (u64::MAX, 1, REACH),
            (0, 5, -REACH),
            (1, u64::MAX, -REACH),
            (5, 0, REACH),
            (0, 0, REACH),
        ] {
            let got = log_ratio(current, target);
            assert!(got.abs_diff(expected) <= 20, "ln({current} / {target}): {got}, not {expected}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_standard_library(current in 1u64..1_000_000, target in 1u64..1_000_000) {
            let exact = (f64::from(u32::try_from(current).unwrap()) / f64::from(u32::try_from(target).unwrap())).ln() * 1e9;
            let exact = exact.clamp(-(REACH as f64), REACH as f64);
            prop_assert!((log_ratio(current, target) as f64 - exact).abs() <= 20.0, "{exact}");
        }

        #[test]
        fn a_larger_figure_is_never_further_below(current: u64, more in 0u64..1_000, target in 1u64..) {
            let larger = current.saturating_add(more);
            // Each answer is rounded for itself.
            prop_assert!(log_ratio(larger, target) >= log_ratio(current, target) - 40);
        }
    }
}
