//! What is wrong with one kind of call, and how long it rests for that.

use super::calls::{Backoff, Trouble};
use gleaner_model::Timestamp;
use std::time::Duration;

/// A watch that did not fail for so long works.
const CALM: Duration = Duration::from_secs(15);

/// See the module.
pub(super) struct Faults {
    backoff: Backoff,
    /// For the health line.
    pub(super) problem: Option<String>,
    rests: Option<Timestamp>,
}

impl Faults {
    /// Nothing failed yet.
    pub(super) fn new(node: &str, what: &str) -> Self {
        Self { backoff: Backoff::new(node, what), problem: None, rests: None }
    }

    /// It failed: it rests, longer each time.
    pub(super) fn failed(&mut self, trouble: Trouble, now: Timestamp) {
        self.rests = Some(now.after(self.backoff.next(trouble.leave_alone)));
        self.problem = Some(trouble.line);
    }

    /// It worked.
    pub(super) fn works(&mut self) {
        self.backoff.reset();
        (self.problem, self.rests) = (None, None);
    }

    /// Whether it failed last time.
    pub(super) const fn lasts(&self) -> bool {
        self.rests.is_some()
    }

    /// Until when nothing is to be tried.
    pub(super) fn rests(&self, now: Timestamp) -> Option<Timestamp> {
        self.rests.filter(|until| *until > now)
    }

    /// For calls that say nothing while they go on: when nothing failed for a while, it works. Returns when that will be.
    pub(super) fn quiet(&mut self, now: Timestamp) -> Option<Timestamp> {
        let calm = self.rests?.after(CALM);
        if calm <= now {
            self.works();
            return None;
        }
        Some(calm)
    }
}
