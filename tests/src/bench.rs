//! What the benches share: paired runs, the figures of a series, and lines of results.
//!
//! A bench prints one line a figure, `name: figure (budget) verdict`, and never fails for being slow: the machine it runs on may be busy,
//! and whoever reads the lines knows whether it was. What it could not measure is `pending`, with the reason.
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

mod cgroup;
mod process;
mod stock;

use gleaner_host::clock;
use std::time::Duration;

pub use cgroup::OwnCgroup;
pub use process::{cpu_seconds, status};
pub use stock::{Beginning, StockNode};

/// What a run returns, and how long it took in microseconds.
pub fn timed<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let begun = clock::now();
    let result = std::hint::black_box(run());
    let took = clock::now().since(begun);
    (result, took.as_secs_f64() * 1e6)
}

/// Looks again and again until there is an answer; `None` when there is none within the limit.
pub fn watch<T>(limit: Duration, every: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = clock::now().after(limit);
    while clock::now() < end {
        if let Some(found) = look() {
            return Some(found);
        }
        crate::pause(every);
    }
    None
}

/// A series of measurements, sorted.
#[derive(Debug, Clone)]
pub struct Series(Vec<f64>);

impl Series {
    /// Takes the measurements in any order.
    #[must_use]
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value that this share (0 to 1) of the measurements does not exceed, by the nearest rank; not a number when there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        // The rank is found by counting, since a float has no lossless way to an index.
        let last = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let wanted = share * f64::from(last);
        let rank = (1..last).find(|rank| f64::from(*rank) >= wanted).unwrap_or(last);
        let index = usize::try_from(rank.saturating_sub(1)).unwrap_or(usize::MAX);
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }

    /// The median.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Least, median and largest with a unit, for a line of results.
    #[must_use]
    pub fn spread(&self, unit: &str) -> String {
        format!("min {:.1} median {:.1} max {:.1} {unit}", self.quantile(0.0), self.median(), self.quantile(1.0))
    }
}

/// Two ways to do the same, run in turn so that what else happens on the machine hits both alike.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Microseconds of the first way.
    pub a: Series,
    /// Microseconds of the second way.
    pub b: Series,
}

impl Pair {
    /// Runs A, B, A, B and so on. One pair before that is not counted: it fills caches.
    pub fn run<A, B>(rounds: u32, mut a: impl FnMut() -> A, mut b: impl FnMut() -> B) -> Self {
        // What the runs return is dropped outside of the time taken.
        let mut both = || (timed(&mut a).1, timed(&mut b).1);
        let _ = both();
        let (a, b) = (0..rounds).map(|_| both()).unzip();
        Self { a: Series::new(a), b: Series::new(b) }
    }

    /// Median of the first way over median of the second.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.a.median() / self.b.median()
    }
}

/// Prints a figure that has a budget and whether it is within.
pub fn within(name: &str, figure: f64, budget: f64, unit: &str) {
    let verdict = if figure <= budget { "ok" } else { "OVER" };
    println!("{name}: {} {unit} (at most {budget} {unit}) {verdict}", rounded(figure));
}

/// Prints a figure without a budget.
pub fn info(name: &str, figure: &str) {
    println!("{name}: {figure} (no budget)");
}

/// Prints that a figure could not be had here, and why.
pub fn pending(name: &str, budget: &str, why: &str) {
    println!("{name}: not measured ({budget}) pending: {why}");
}

/// Enough digits to tell two figures apart, whatever their size.
fn rounded(figure: f64) -> String {
    if figure.abs() < 1.0 { format!("{figure:.4}") } else { format!("{figure:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let series = Series::new((1..=100).rev().map(f64::from).collect());
        for (share, expected) in [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let got = series.quantile(share);
            assert!(close(got, expected), "quantile {share}: {got}, not {expected}");
        }
        assert!(close(Series::new(vec![7.0]).median(), 7.0));
        assert!(Series::new(Vec::new()).median().is_nan());
    }

    #[test]
    fn both_ways_run_in_turn_and_one_pair_is_not_counted() {
        let order = std::cell::RefCell::new(String::new());
        let pair = Pair::run(3, || order.borrow_mut().push('a'), || order.borrow_mut().push('b'));
        assert_eq!(*order.borrow(), "abababab");
        assert_eq!((pair.a.0.len(), pair.b.0.len()), (3, 3));
    }
}
