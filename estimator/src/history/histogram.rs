use super::power::{ONE, halved, quotient};
use gleaner_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Buckets that get wider by a fixed share, so that the relative error is the same for small and large values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buckets {
    /// The largest value of the first bucket, which begins at zero.
    pub first: u32,
    /// By how many thousandths each is wider than the one before.
    pub growth: u32,
    /// How many; the last takes all that is larger.
    pub count: u32,
}

impl Buckets {
    /// The largest value of each bucket, smallest first; saturating.
    pub fn edges(self) -> impl Iterator<Item = u32> {
        // With 16 bits after the point, so that narrow buckets grow too.
        let mut width = u64::from(self.first.max(1)) << 16;
        let mut edge = 0_u64;
        (0..self.count.max(1)).map(move |_| {
            edge = edge.saturating_add(width);
            width = width.saturating_add((width / 1000).saturating_mul(u64::from(self.growth)));
            u32::try_from(edge >> 16).unwrap_or(u32::MAX)
        })
    }

    fn of(self, value: u32) -> usize {
        self.edges().take_while(|edge| *edge < value).count().min(self.last())
    }

    fn last(self) -> usize {
        usize::try_from(self.count.max(1) - 1).unwrap_or(usize::MAX)
    }
}

/// The weight of a value at the moment of reference. It doubles each half-life after that, until all weights are halved: after some 12 half-lives a single
/// value is forgotten.
const UNIT: u64 = 1 << 12;
/// How long a value is taken to stand for, when the last one was longer ago than twice this.
const MINUTE: Duration = Duration::from_secs(60);

/// How often each value was seen, the older the less: its weight halves each half-life. One addition a minute and container is what it is made for. When a
/// bucket overflows all weights are halved: then newer values count twice as much as they would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    buckets: Buckets,
    half_life: Duration,
    /// When a value weighs [`UNIT`].
    reference: Timestamp,
    last: Option<Timestamp>,
    observed: Duration,
    /// The largest value in the last bucket that is larger than its edge.
    beyond: u32,
    /// As many as were ever needed.
    weights: Vec<u32>,
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub fn new(buckets: Buckets, half_life: Duration) -> Self {
        Self { buckets, half_life, ..Self::default() }
    }

    /// This one, or an empty one when it was made with other settings.
    pub fn fit(&mut self, buckets: Buckets, half_life: Duration) {
        if (self.buckets, self.half_life) != (buckets, half_life) {
            *self = Self::new(buckets, half_life);
        }
    }

    /// Adds a value. A moment before the last value's counts as that.
    pub fn add(&mut self, value: u32, at: Timestamp) {
        let now = self.last.map_or(at, |last| last.max(at));
        let since = self.last.map_or(MINUTE, |last| now.since(last));
        if self.weights.is_empty() {
            self.reference = now;
        }
        self.last = Some(now);
        let weight = self.weight(now);
        self.observed = self.observed.saturating_add(if since <= 2 * MINUTE { since } else { MINUTE });
        let bucket = self.buckets.of(value);
        if bucket >= self.weights.len() {
            self.weights.reserve_exact(bucket + 1 - self.weights.len());
            self.weights.resize(bucket + 1, 0);
        }
        if self.weights.get(bucket).is_some_and(|held| held.checked_add(weight).is_none()) {
            self.halve(1);
        }
        if let Some(held) = self.weights.get_mut(bucket) {
            *held = held.saturating_add(weight);
        }
        if bucket == self.buckets.last() {
            self.beyond = self.beyond.max(value);
        }
    }

    /// The weight of a value that is added now; moves the reference when that got too long ago.
    fn weight(&mut self, now: Timestamp) -> u32 {
        let ages = quotient(now.since(self.reference), self.half_life);
        let (whole, fraction) = (ages >> 32, ages & (ONE - 1));
        if whole > 0 {
            let whole = u32::try_from(whole).unwrap_or(u32::MAX);
            self.reference = self.reference.after(self.half_life.max(Duration::from_millis(1)).saturating_mul(whole));
            self.halve(whole);
        }
        u32::try_from((2 * UNIT * halved(ONE - fraction)) >> 32).unwrap_or(u32::MAX)
    }

    fn halve(&mut self, times: u32) {
        for weight in &mut self.weights {
            *weight = weight.checked_shr(times).unwrap_or(0);
        }
        let used = self.weights.iter().rposition(|weight| *weight > 0).map_or(0, |last| last + 1);
        self.weights.truncate(used);
        if used <= self.buckets.last() {
            self.beyond = 0;
        }
        if used == 0 {
            // Trust ends with what it was put in.
            self.observed = Duration::ZERO;
        }
    }

    /// The smallest value that at least this many hundred-thousandths of the weight do not exceed: the upper edge of its bucket, so never less than what it
    /// stands for. `None` when nothing was added.
    #[must_use]
    pub fn quantile(&self, per_100_000: u32) -> Option<u32> {
        let total = self.weight_total();
        if total == 0 {
            return None;
        }
        let wanted = (u128::from(total) * u128::from(per_100_000.min(100_000))).div_ceil(100_000).max(1);
        let mut below = 0_u128;
        let found = self.weights.iter().zip(self.buckets.edges()).enumerate().find(|(_, (weight, _))| {
            below += u128::from(**weight);
            below >= wanted
        });
        found.map(|(bucket, (_, edge))| if bucket == self.buckets.last() { edge.max(self.beyond) } else { edge })
    }

    /// The sum of all weights; a value that was added just now weighs 4096 to 8192.
    #[must_use]
    pub fn weight_total(&self) -> u64 {
        self.weights.iter().map(|weight| u64::from(*weight)).sum()
    }

    /// How long was observed, without decay: a measure of trust. A pause of more than two minutes counts as one.
    #[must_use]
    pub fn observed_for(&self) -> Duration {
        self.observed
    }

    /// Gives back memory that it does not need now.
    pub(super) fn compact(&mut self) {
        self.weights.shrink_to_fit();
    }

    /// Bytes beyond the value's own size.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.weights.capacity() * size_of::<u32>()
    }
}
