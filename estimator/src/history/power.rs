//! Powers of two with fractions, in integers, so that every machine gets the same.

use super::millis;
use std::time::Duration;

/// One, with 32 bits after the point.
pub(super) const ONE: u64 = 1 << 32;
const LN_2: u64 = 2_977_044_472;
/// `2^-(i / 16)`.
const SIXTEENTHS: [u64; 16] = [
    4_294_967_296,
    4_112_874_773,
    3_938_502_376,
    3_771_522_796,
    3_611_622_603,
    3_458_501_653,
    3_311_872_529,
    3_171_459_999,
    3_037_000_500,
    2_908_241_642,
    2_784_941_738,
    2_666_869_345,
    2_553_802_834,
    2_445_529_972,
    2_341_847_524,
    2_242_560_872,
];

/// How many times `unit` fits into `span`, with 32 bits after the point; saturating. A unit of zero counts as a millisecond.
pub(super) fn quotient(span: Duration, unit: Duration) -> u64 {
    let (span, unit) = (millis(span), millis(unit).max(1));
    if span < ONE {
        return (span << 32) / unit;
    }
    u64::try_from((u128::from(span) << 32) / u128::from(unit)).unwrap_or(u64::MAX)
}

/// `2^-x`, both with 32 bits after the point; off by less than `2^-21`.
pub(super) fn halved(x: u64) -> u64 {
    let (whole, fraction) = (x >> 32, x & (ONE - 1));
    let Some(sixteenths) = usize::try_from(fraction >> 28).ok().and_then(|i| SIXTEENTHS.get(i)) else { return 0 };
    // e^-r by its first terms, for r below ln 2 / 16.
    let r = times(fraction & ((1 << 28) - 1), LN_2);
    let square = times(r, r);
    let rest = ONE - r + square / 2 - times(square, r) / 6;
    u32::try_from(whole).ok().and_then(|whole| times(*sixteenths, rest).checked_shr(whole)).unwrap_or(0)
}

/// The product of two numbers of at most one.
fn times(a: u64, b: u64) -> u64 {
    u64::try_from((u128::from(a) * u128::from(b)) >> 32).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::cast_precision_loss, reason = "compared with floating point")]
    fn it_is_close_to_floating_point() {
        for x in (0..ONE * 40).step_by(12_345_678) {
            let (own, exact) = (halved(x) as f64 / ONE as f64, (-(x as f64) / ONE as f64).exp2());
            assert!((own - exact).abs() < 5e-7, "2^-{}: {own}, should be {exact}", x as f64 / ONE as f64);
        }
        assert_eq!((halved(0), halved(ONE), halved(u64::MAX)), (ONE, ONE / 2, 0));
    }

    #[test]
    fn a_quotient_of_anything_is_finite() {
        let secs = Duration::from_secs;
        assert_eq!(quotient(secs(90), secs(60)), ONE * 3 / 2);
        assert_eq!(quotient(secs(90), secs(0)), 90_000 * ONE);
        assert_eq!(quotient(Duration::MAX, secs(0)), u64::MAX);
        assert_eq!(quotient(secs(14 * 86_400 * 10), secs(14 * 86_400)), 10 * ONE);
    }
}
