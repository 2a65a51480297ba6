use gleaner_model::{PoolName, ValueError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Containers that share one control target, and for which one policy says how much CPU they need (Katalyst's regions). Dedicated pods are in none: their CPUs are
/// theirs whole. Reclaimed pods are in none: they get what is left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Region {
    /// The pods of a shared pool, or of its part on one NUMA node. As text the pool's name.
    Pool(PoolName),
    /// System pods that join no pool. As text `system/`, which no pool can be called.
    System,
}

const SYSTEM: &str = "system/";

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(name) => name.fmt(f),
            Self::System => f.pad(SYSTEM),
        }
    }
}

impl FromStr for Region {
    type Err = ValueError;
    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == SYSTEM { Ok(Self::System) } else { text.parse().map(Self::Pool) }
    }
}

impl TryFrom<String> for Region {
    type Error = ValueError;
    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.to_string()
    }
}
