use crate::names::{PodName, PoolName};
use crate::reason::Reason;
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The whole node.
    Node,
    /// One pool.
    Pool(PoolName),
    /// One pod.
    Pod(PodName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.pad("node"),
            Self::Pool(pool) => f.pad(&format!("pool {pool}")),
            Self::Pod(pod) => pod.fmt(f),
        }
    }
}

/// One thing that Gleaner decided, when, about what, and why. The same value is logged, counted, shown and served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// About what.
    pub subject: Subject,
    /// What and why, with the numbers used.
    pub reason: Reason,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.reason)
    }
}
