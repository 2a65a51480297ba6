//! Quantiles of many latencies in little, constant memory: a load must not grow while it measures.

use std::time::Duration;

/// Buckets in each power of two. A quantile is over by at most one part in this many.
const PER_OCTAVE_BITS: u32 = 6;

/// Counts of latencies in microseconds, in buckets whose width grows with the value (the scheme of `HdrHistogram`).
#[derive(Debug, Clone, Default)]
pub(super) struct Latencies {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Latencies {
    /// Counts one latency.
    pub(super) fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let Ok(bucket) = usize::try_from(bucket(micros)) else {
            return;
        };
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
            self.total += 1;
        }
        self.max = self.max.max(micros);
    }

    /// Counts all of another's.
    pub(super) fn merge(&mut self, other: &Latencies) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// The latency in microseconds that `per_mille` of all do not exceed (nearest rank); none when nothing was counted.
    pub(super) fn quantile(&self, per_mille: u32) -> Option<u64> {
        let rank = (u128::from(self.total) * u128::from(per_mille)).div_ceil(1000).max(1);
        let mut seen = 0_u128;
        for (bucket, count) in (0_u64..).zip(&self.counts) {
            seen += u128::from(*count);
            if seen >= rank {
                return Some(upper_end(bucket).min(self.max));
            }
        }
        None
    }

    /// One line: the count and, in microseconds, p50, p99, p99.9 and the largest; `-` where nothing was counted.
    pub(super) fn line(&self) -> String {
        let text = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |v| v.to_string());
        format!(
            "requests={} p50_us={} p99_us={} p999_us={} max_us={}",
            self.total,
            text(self.quantile(500)),
            text(self.quantile(990)),
            text(self.quantile(999)),
            text((self.total > 0).then_some(self.max)),
        )
    }
}

/// Values below one octave's buckets have a bucket each; above, the leading bits choose.
fn bucket(value: u64) -> u64 {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(PER_OCTAVE_BITS + 1);
    (u64::from(shift) << PER_OCTAVE_BITS) + (value >> shift)
}

/// The largest value that falls into a bucket.
fn upper_end(bucket: u64) -> u64 {
    let shift = (bucket >> PER_OCTAVE_BITS).saturating_sub(1);
    let lead = bucket - (shift << PER_OCTAVE_BITS);
    let end = ((u128::from(lead) + 1) << shift) - 1;
    u64::try_from(end).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Latencies {
        let mut all = Latencies::default();
        for value in values {
            all.add(Duration::from_micros(*value));
        }
        all
    }

    #[test]
    fn small_latencies_are_exact() {
        let all = of(&(1..=100).collect::<Vec<_>>());
        assert_eq!(all.quantile(500), Some(50));
        assert_eq!(all.quantile(990), Some(99));
        assert_eq!(all.quantile(1000), Some(100));
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(Latencies::default().quantile(500), None);
        assert_eq!(Latencies::default().line(), "requests=0 p50_us=- p99_us=- p999_us=- max_us=-");
    }

    proptest! {
        #[test]
        fn a_quantile_is_never_under_and_at_most_one_bucket_over(
            mut values in prop::collection::vec(0..u64::MAX / 2, 1..200),
            per_mille in 1..=1000_u32,
        ) {
            let got = of(&values).quantile(per_mille).unwrap();
            values.sort_unstable();
            let rank = (values.len() * usize::try_from(per_mille).unwrap()).div_ceil(1000);
            let exact = values[rank - 1];
            prop_assert!(got >= exact && got - exact <= exact >> PER_OCTAVE_BITS, "{got} for {exact}");
        }

        #[test]
        fn merging_is_counting_together(
            a in prop::collection::vec(0..1_000_000_u64, 0..50),
            b in prop::collection::vec(0..1_000_000_u64, 0..50),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged.line(), of(&[a, b].concat()).line());
        }
    }
}
