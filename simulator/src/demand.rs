//! What a virtual machine wants in each second of a row of its trace, of which only the average and the highest value are known.

use crate::random::Random;

/// The seconds of one machine, row after row.
///
/// A row is a base level, bursts above it and noise:
/// - one burst reaches the highest value exactly; others reach 20 % to 100 % of the way from the base to it. Each begins anywhere in the row and lasts 1 to 30 s.
///   Bursts are added until they make a share of the average that is drawn from 10 % to 90 %.
/// - the base level is what then gives the average;
/// - noise is a random walk back to zero (each second 0.8 of the one before and something new), 5 % of the way from base to highest value and 3 % of the base;
/// - at last all seconds that are not at the highest value are scaled towards 0 or towards the highest value, so that the average is exact.
///
/// Values are whole millicores. Rounding passes its rest on to the next second, so it does not move the average; the highest value is rounded up. Where the
/// highest value alone, held for one second, makes more than the average, it is kept and all other seconds are 0: of the two it is the one that
/// hurts.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    random: Random,
    /// The random walk.
    wander: f32,
    /// What rounding left over.
    rest: f32,
    shape: Vec<f32>,
}

/// 2^23: a positive f32 below it added to it has its whole part, rounded to the nearest, in its lowest 23 bits.
const WHOLE: f32 = 8_388_608.0;
const WHOLE_BITS: u32 = 0x007F_FFFF;
/// The most that a second can be: 4,096 CPUs.
const LARGEST: f32 = 4_096_000.0;
/// Bursts of a row. More change the shape no more, only the time to draw it.
const MOST_BURSTS: u32 = 100;
const LONGEST_BURST: u32 = 30;

impl Demand {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, wander: 0.0, rest: 0.0, shape: Vec::new() }
    }

    /// Fills the seconds of one row. Both values are in millicores, the average is at most the highest value.
    pub(crate) fn row(&mut self, average: f32, max: f32, seconds: &mut [u32]) {
        if seconds.is_empty() {
            return;
        }
        let max = max.clamp(0.0, LARGEST);
        let average = average.clamp(0.0, max);
        // Half a millicore of difference is no shape.
        if max - average < 0.5 {
            seconds.iter_mut().for_each(|second| *second = self.whole(average, u32::MAX));
            return;
        }
        let top = max.ceil();
        let mut shape = std::mem::take(&mut self.shape);
        shape.clear();
        shape.resize(seconds.len(), 0.0);
        let length = whole_f32(seconds.len());
        let peaks = self.bursts(average / top, &mut shape);
        self.levels(average, top, &mut shape);
        scale(&mut shape, top, average * length - top * peaks);
        let highest = nearest(top);
        for (second, level) in seconds.iter_mut().zip(&shape) {
            *second = if *level < top { self.whole(*level, highest) } else { highest };
        }
        self.shape = shape;
    }

    /// Puts bursts into the row, as shares of the way to the highest value, and says how many seconds are at it.
    fn bursts(&mut self, ratio: f32, shape: &mut [f32]) -> f32 {
        let share = 0.1 + 0.8 * self.random.unit();
        // In seconds at the highest value.
        let mut left = share * ratio.min(0.97) * whole_f32(shape.len());
        let (_, first) = self.burst(1.0, left, shape);
        left -= first;
        for _ in 0..MOST_BURSTS {
            // Less than a third of a second is not worth another one.
            if left < 0.3 {
                break;
            }
            let height = 0.2 + 0.8 * self.random.unit();
            let (_, added) = self.burst(height, left, shape);
            left -= added;
        }
        first
    }

    /// One burst of at most so many seconds at the highest value: its length, and what it added.
    fn burst(&mut self, height: f32, left: f32, shape: &mut [f32]) -> (u32, f32) {
        let seconds = u32::try_from(shape.len()).unwrap_or(u32::MAX);
        let most = nearest(left / height - 0.5).clamp(1, LONGEST_BURST.min(seconds));
        let length = (1 + self.random.below(LONGEST_BURST)).min(most);
        let start = self.random.below(seconds - length + 1);
        let range = usize_of(start)..usize_of(start + length);
        let mut added = 0.0;
        for level in shape.get_mut(range).into_iter().flatten() {
            added += (height - *level).max(0.0);
            *level = level.max(height);
        }
        (length, added)
    }

    /// From shares of the way to millicores, with base and noise.
    fn levels(&mut self, average: f32, top: f32, shape: &mut [f32]) {
        let mean = shape.iter().sum::<f32>() / whole_f32(shape.len());
        let base = ((average - top * mean) / (1.0 - mean).max(f32::EPSILON)).max(0.0);
        let spread = 0.05 * (top - base) + 0.03 * base;
        for level in shape {
            self.wander = 0.8 * self.wander + 0.6 * self.random.noise();
            let noisy = base + (top - base) * *level + spread * self.wander;
            // Noise alone does not reach the top, so that what is at it is the one burst.
            *level = if *level >= 1.0 { top } else { noisy.clamp(0.0, 0.999 * top) };
        }
    }

    /// The nearest whole number to this and what was left over, at most `highest`.
    #[inline]
    fn whole(&mut self, level: f32, highest: u32) -> u32 {
        let exact = level + self.rest;
        let whole = nearest(exact).min(highest);
        // Exact: both are far below 2^24.
        self.rest = exact - whole as f32;
        whole
    }
}

/// The nearest whole number, of two the even one, to a number from 0 to [`LARGEST`]; the nearer end for one outside.
#[inline]
fn nearest(value: f32) -> u32 {
    (value.clamp(0.0, LARGEST) + WHOLE).to_bits() & WHOLE_BITS
}

/// A length as f32: rows are short.
fn whole_f32(length: usize) -> f32 {
    f32::from(u16::try_from(length).unwrap_or(u16::MAX))
}

fn usize_of(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Makes the seconds below `top` add up to `wanted` in one step that leaves each between 0 and `top`: towards 0, or towards `top`.
fn scale(shape: &mut [f32], top: f32, wanted: f32) {
    let wanted = wanted.max(0.0);
    let below = |level: &&mut f32| **level < top;
    let (mut sum, mut room) = (0.0, 0.0);
    for level in shape.iter().filter(|level| **level < top) {
        sum += *level;
        room += top - *level;
    }
    if sum > wanted {
        let factor = wanted / sum;
        shape.iter_mut().filter(below).for_each(|level| *level *= factor);
    } else if room > 0.0 {
        let factor = ((room + sum - wanted) / room).clamp(0.0, 1.0);
        shape.iter_mut().filter(below).for_each(|level| *level = top - (top - *level) * factor);
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(seed: u64, average: f32, max: f32, length: usize) -> Vec<u32> {
        let mut seconds = vec![0; length];
        Demand::new(Random::new(seed, &[])).row(average, max, &mut seconds);
        seconds
    }

    fn mean(seconds: &[u32]) -> f64 {
        seconds.iter().copied().map(f64::from).sum::<f64>() / seconds.len() as f64
    }

    proptest! {
        #[test]
        fn average_and_highest_value_hold_where_the_data_allows(seed: u64, max in 0.0f32..16_000.0, share in 0.0f32..=1.0, length in prop::sample::select(vec![10usize, 60, 300])) {
            let average = max * share;
            let seconds = row(seed, average, max, length);
            let highest = seconds.iter().copied().max().unwrap_or(0);
            if max - average >= 0.5 {
                prop_assert_eq!(highest, nearest(max.ceil()), "{:?}", seconds);
            } else {
                prop_assert!(f64::from(highest) <= f64::from(max.ceil()), "{:?}", seconds);
            }
            // One second at the highest value alone.
            let least = f64::from(max.ceil()) / length as f64;
            let wanted = f64::from(average).max(if max - average >= 0.5 { least } else { 0.0 });
            // Whole millicores: half of one in a row is the rest of the rounding.
            prop_assert!((mean(&seconds) - wanted).abs() <= 0.005 * wanted + 1.0 / length as f64, "{} is not {wanted}: {:?}", mean(&seconds), seconds);
        }

        #[test]
        fn no_value_panics(seed: u64, average: f32, max: f32, length in 0usize..40) {
            let seconds = row(seed, average, max, length);
            prop_assert!(seconds.iter().all(|second| *second <= 4_096_000));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_seconds() {
        assert_eq!(row(3, 400.0, 1900.0, 300), row(3, 400.0, 1900.0, 300));
        assert_ne!(row(3, 400.0, 1900.0, 300), row(4, 400.0, 1900.0, 300));
    }

    #[test]
    fn a_flat_row_is_flat() {
        assert_eq!(row(1, 250.0, 250.0, 10), [250; 10]);
        let halves = row(1, 0.5, 0.5, 300);
        assert_eq!((halves.iter().sum::<u32>(), halves.iter().max()), (150, Some(&1)));
        assert_eq!(row(1, 0.0, 0.0, 10), [0; 10]);
    }

    #[test]
    fn a_peak_that_the_average_does_not_allow_is_kept() {
        let seconds = row(1, 1.0, 1200.0, 300);
        assert_eq!((seconds.iter().max(), seconds.iter().filter(|second| **second > 0).count()), (Some(&1200), 1), "{seconds:?}");
    }

    #[test]
    fn peaks_of_machines_do_not_come_at_the_same_second() {
        let at = |seed| row(seed, 400.0, 2000.0, 300).iter().position(|second| *second == 2000).unwrap_or(0);
        let places: std::collections::BTreeSet<usize> = (0..50).map(at).collect();
        assert!(places.len() > 30, "{places:?}");
    }

    #[test]
    fn the_nearest_whole_number_is_found() {
        for (value, whole) in
            [(-1.0, 0), (0.0, 0), (0.4, 0), (0.6, 1), (1.0, 1), (1.5, 2), (2.5, 2), (4_096_000.0, 4_096_000), (f32::INFINITY, 4_096_000)]
        {
            assert_eq!(nearest(value), whole, "{value}");
        }
    }
}
