use gleaner_model::Timestamp;
use std::time::Duration;

/// So many at once, then one each interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// How many at once.
    pub(super) burst: u32,
    /// The time in which one more is allowed; not zero.
    pub(super) each: Duration,
}

/// A token bucket, kept as the moment at which it is full again; one that is full is the same as none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    full_at: Timestamp,
}

impl Bucket {
    /// Whether there is a token.
    pub(super) fn has(&self, rate: Rate, now: Timestamp) -> bool {
        self.full_at.since(now) <= rate.each.saturating_mul(rate.burst.saturating_sub(1))
    }

    /// Takes a token.
    pub(super) fn take(&mut self, rate: Rate, now: Timestamp) {
        self.full_at = self.full_at.max(now).after(rate.each);
    }

    /// Whether all its tokens are there.
    pub(super) fn is_full(&self, now: Timestamp) -> bool {
        self.full_at <= now
    }
}
