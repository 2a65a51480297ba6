use crate::requirement::Indicator;
use gleaner_model::{MilliCpu, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What another process supplied for a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// When it was received.
    pub at: Timestamp,
    /// For how long it holds; afterwards it counts as not supplied.
    pub valid_for: Duration,
    /// How much CPU the region needs. It replaces the policy's figure, but is never less than what is used and waited for now.
    pub requirement: Option<MilliCpu>,
    /// Figures with targets, for the policy `feedback`.
    pub indicators: Vec<Indicator>,
}

impl Advice {
    /// Whether it still holds.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now.since(self.at) <= self.valid_for
    }
}
