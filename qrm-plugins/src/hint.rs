//! Where a container could be placed, in the words of kubelet's topology manager.

use gleaner_model::NumaSet;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One way to place a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hint {
    /// The NUMA nodes; `None`: any. An empty set is no node at all, which is something else.
    pub nodes: Option<NumaSet>,
    /// Whether it is as narrow as the request can be placed.
    pub preferred: bool,
}

impl Hint {
    /// Any node, and gladly: what somebody without a preference says.
    #[must_use]
    pub const fn any() -> Self {
        Self { nodes: None, preferred: true }
    }

    /// On these nodes.
    #[must_use]
    pub const fn on(nodes: NumaSet, preferred: bool) -> Self {
        Self { nodes: Some(nodes), preferred }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.nodes {
            None => f.write_str("any node")?,
            Some(nodes) => write!(f, "nodes {nodes}")?,
        }
        f.write_str(if self.preferred { ", preferred" } else { "" })
    }
}

/// What a plugin answers when it is asked where a container could go. An empty list cannot be told from no preference on the wire, so
/// "nowhere" is a [`crate::Refusal`] and never an empty list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hints {
    /// Anywhere.
    NoPreference,
    /// These, the best first; never empty.
    List(Vec<Hint>),
}
