//! How long calls take.

use std::collections::BTreeMap;
use std::time::Duration;

/// Of all calls of one method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// How many.
    pub calls: usize,
    /// Half of them took no longer.
    pub p50: Duration,
    /// Of a hundred, ninety-nine took no longer.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

/// Every call's time, by method.
#[derive(Debug, Default)]
pub(super) struct Recorder(BTreeMap<String, Vec<Duration>>);

impl Recorder {
    pub(super) fn record(&mut self, method: &str, took: Duration) {
        let name = method.rsplit('/').next().unwrap_or(method);
        self.0.entry(name.to_owned()).or_default().push(took);
    }

    pub(super) fn summary(&self) -> BTreeMap<String, Latency> {
        self.0.iter().map(|(name, times)| (name.clone(), summary(times))).collect()
    }
}

fn summary(times: &[Duration]) -> Latency {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    // The nearest rank: the first value that so many of a hundred do not exceed.
    let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
    Latency { calls: sorted.len(), p50: rank(50), p99: rank(99), max: rank(100) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_values_that_were_measured() {
        let millis = |n: u64| Duration::from_millis(n);
        let times: Vec<_> = (1..=200).rev().map(millis).collect();
        assert_eq!(summary(&times), Latency { calls: 200, p50: millis(100), p99: millis(198), max: millis(200) });
        assert_eq!(summary(&[millis(7)]), Latency { calls: 1, p50: millis(7), p99: millis(7), max: millis(7) });
    }
}
