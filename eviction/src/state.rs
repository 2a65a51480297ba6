use gleaner_model::{PodUid, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What one tick leaves to the next. The default is that of an agent that has only just started.
///
/// Causes are kept as the time for which they were watched, not as their first moment: between two ticks far apart nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The last tick.
    pub(crate) at: Option<Timestamp>,
    /// The last tick that had victims.
    pub(crate) evicted_at: Option<Timestamp>,
    /// For how long free memory has been low.
    pub(crate) low_for: Option<Duration>,
    /// For how long memory pressure has been high.
    pub(crate) pressure_for: Option<Duration>,
    /// For how long each pod has been suppressed beyond its tolerance.
    pub(crate) suppressed_for: BTreeMap<PodUid, Duration>,
}

impl State {
    /// Free memory is low or tasks wait for memory, by the policy's thresholds.
    #[must_use]
    pub fn memory_short(&self) -> bool {
        self.low_for.is_some() || self.pressure_for.is_some()
    }

    /// Some pod is suppressed beyond its tolerance.
    #[must_use]
    pub fn cpu_suppressed(&self) -> bool {
        !self.suppressed_for.is_empty()
    }
}
