use super::nth;
use gleaner_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// Stands where nothing was measured.
const HOLE: u32 = u32::MAX;

/// The last values, one a step of a fixed length. A step without a value is a hole and never a zero; of several values in one step the largest counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    step: Duration,
    most: u32,
    /// The step that the last value lies in.
    end: u64,
    values: VecDeque<u32>,
}

impl Ring {
    /// An empty ring of this many steps (at least one) of this length (at least a millisecond).
    #[must_use]
    pub fn new(step: Duration, most: u32) -> Self {
        Self { step, most, end: 0, values: VecDeque::new() }
    }

    /// This ring with another length; with another step an empty one.
    pub fn fit(&mut self, step: Duration, most: u32) {
        if self.step != step {
            *self = Self::new(step, most);
        } else if self.most != most {
            self.most = most;
            let room = self.room();
            self.values.drain(..self.values.len().saturating_sub(room));
            self.values.shrink_to(room);
        }
    }

    /// Adds a value. A moment before the last value's counts as that; the largest value that fits is `u32::MAX - 1`.
    pub fn push(&mut self, at: Timestamp, value: u32) {
        let (step, value, room) = (nth(at, self.step), value.min(HOLE - 1), self.room());
        match (step.checked_sub(self.end), self.values.back_mut()) {
            (None | Some(0), Some(last)) => *last = if *last == HOLE { value } else { value.max(*last) },
            (_, None) => {
                self.end = step;
                self.append(value);
            }
            (Some(later), Some(_)) => {
                let holes = usize::try_from(later - 1).unwrap_or(usize::MAX).min(room);
                for _ in 0..holes {
                    self.append(HOLE);
                }
                self.end = step;
                self.append(value);
            }
        }
    }

    /// The values of a window back from the newest, which is among them, oldest first; `None` where there is a hole.
    pub fn window(&self, window: Duration) -> impl DoubleEndedIterator<Item = Option<u32>> + '_ {
        let steps = window.as_nanos().div_ceil(self.step.as_nanos().max(1)).max(1);
        let skipped = self.values.len().saturating_sub(usize::try_from(steps).unwrap_or(usize::MAX));
        self.values.range(skipped..).map(|value| (*value != HOLE).then_some(*value))
    }

    /// All values, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Option<u32>> + '_ {
        self.window(Duration::MAX)
    }

    /// The largest value of the steps from the one that a moment lies in.
    #[must_use]
    pub fn max_from(&self, from: Timestamp) -> Option<u32> {
        let steps = self.end.saturating_add(1).saturating_sub(nth(from, self.step));
        let skipped = self.values.len().saturating_sub(usize::try_from(steps).unwrap_or(usize::MAX));
        self.values.range(skipped..).filter(|value| **value != HOLE).max().copied()
    }

    /// How far back it can reach.
    #[must_use]
    pub fn reach(&self) -> Duration {
        self.step.saturating_mul(self.most.max(1))
    }

    /// The largest value of a window back from the newest.
    #[must_use]
    pub fn max_since(&self, window: Duration) -> Option<u32> {
        let steps = window.as_nanos().div_ceil(self.step.as_nanos().max(1)).max(1);
        let skipped = self.values.len().saturating_sub(usize::try_from(steps).unwrap_or(usize::MAX));
        // One more than each, so that a hole is 0 and the loop has no branch: it runs over a day of minutes each second.
        let largest = self.values.range(skipped..).fold(0, |largest: u32, value| largest.max(value.wrapping_add(1)));
        largest.checked_sub(1)
    }

    /// The mean of the values of a window back from the newest, rounded down. Holes do not count.
    #[must_use]
    pub fn mean(&self, window: Duration) -> Option<u32> {
        let (sum, count) = self.window(window).flatten().fold((0, 0), |(sum, count), value| (sum + u64::from(value), count + 1));
        sum.checked_div(count).and_then(|mean| u32::try_from(mean).ok())
    }

    /// The variance of the values of a window back from the newest (divided by their number), rounded down; its unit is that of the values, squared.
    #[must_use]
    pub fn variance(&self, window: Duration) -> Option<u64> {
        let start = (0_u128, 0_u128, 0_u128);
        let (squares, sum, count) = self
            .window(window)
            .flatten()
            .map(u128::from)
            .fold(start, |(squares, sum, count), value| (squares + value * value, sum + value, count + 1));
        // (n S2 - S1^2) / n^2 loses nothing to rounding; at most some thousand values of 32 bits each fit well.
        let spread = (count * squares).checked_sub(sum * sum)?;
        spread.checked_div(count * count).and_then(|variance| u64::try_from(variance).ok())
    }

    /// Bytes beyond the value's own size.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.values.capacity() * size_of::<u32>()
    }

    /// Gives back memory that it does not need now.
    pub(super) fn compact(&mut self) {
        self.values.shrink_to_fit();
    }

    fn room(&self) -> usize {
        usize::try_from(self.most.max(1)).unwrap_or(usize::MAX)
    }

    fn append(&mut self, value: u32) {
        let room = self.room();
        while self.values.len() >= room {
            self.values.pop_front();
        }
        if self.values.len() == self.values.capacity() {
            // Doubled as usual, but never beyond what it will hold.
            self.values.reserve_exact(self.values.len().max(16).min(room - self.values.len()));
        }
        self.values.push_back(value);
    }
}
