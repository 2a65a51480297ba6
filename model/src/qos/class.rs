use crate::error::ValueError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The QoS class of a pod. The order is that of importance, the most expendable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum QosClass {
    /// What the others leave.
    #[serde(rename = "reclaimed_cores")]
    Reclaimed,
    /// A pool shared with its like; the default.
    #[serde(rename = "shared_cores")]
    Shared,
    /// CPUs of its own.
    #[serde(rename = "dedicated_cores")]
    Dedicated,
    /// Agents of the node.
    #[serde(rename = "system_cores")]
    System,
}

impl QosClass {
    /// All classes, the most expendable first.
    pub const ALL: [Self; 4] = [Self::Reclaimed, Self::Shared, Self::Dedicated, Self::System];

    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reclaimed => "reclaimed_cores",
            Self::Shared => "shared_cores",
            Self::Dedicated => "dedicated_cores",
            Self::System => "system_cores",
        }
    }
}

impl fmt::Display for QosClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for QosClass {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let known = Self::ALL.into_iter().find(|class| class.as_str() == text);
        known.ok_or_else(|| ValueError::malformed(text, "a QoS class (dedicated_cores, shared_cores, reclaimed_cores, system_cores)"))
    }
}
