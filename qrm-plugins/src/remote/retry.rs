use gleaner_model::Timestamp;
use std::time::Duration;

/// The wait after the first failure; it doubles with each that follows.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);

/// When something may be tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Retry {
    failures: u32,
    not_before: Timestamp,
}

impl Retry {
    /// Notes a failure.
    pub(super) fn fail(&mut self, now: Timestamp) {
        let wait = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
        *self = Self { failures: self.failures.saturating_add(1), not_before: now.after(wait) };
    }

    /// Ends the wait; the next failure is followed by a longer one all the same.
    pub(super) fn hasten(&mut self, now: Timestamp) {
        self.not_before = self.not_before.min(now);
    }

    /// Whether its time has come.
    pub(super) fn is_due(self, now: Timestamp) -> bool {
        now >= self.not_before
    }

    /// The earliest moment.
    pub(super) const fn not_before(self) -> Timestamp {
        self.not_before
    }

    /// How often it failed in a row.
    pub(super) const fn failures(self) -> u32 {
        self.failures
    }
}
