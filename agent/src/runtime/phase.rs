use gleaner_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a pod is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Not admitted yet, and why.
    Pending {
        /// What it waits for.
        why: String,
    },
    /// Admitted; its containers run or are about to.
    Running,
    /// Its containers are being ended.
    Ending {
        /// Why.
        why: String,
    },
    /// All its containers ended well.
    Succeeded,
    /// A container failed for good.
    Failed {
        /// Which, and how.
        why: String,
    },
    /// It had to make room.
    Evicted {
        /// Why.
        why: String,
        /// From when on it may come back, if there is room.
        back: Timestamp,
    },
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending { .. } => "Pending",
            Self::Running => "Running",
            Self::Ending { .. } => "Ending",
            Self::Succeeded => "Succeeded",
            Self::Failed { .. } => "Failed",
            Self::Evicted { .. } => "Evicted",
        })
    }
}

impl Phase {
    /// Why the pod is in this phase, where there is more to say than its name.
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::Pending { why } | Self::Ending { why } | Self::Failed { why } | Self::Evicted { why, .. } => Some(why),
            Self::Running | Self::Succeeded => None,
        }
    }
}
