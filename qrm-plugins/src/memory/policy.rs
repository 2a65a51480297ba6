use gleaner_model::{Bytes, Topology};
use serde::{Deserialize, Serialize};

/// How memory of NUMA nodes is given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MemoryPolicy {
    /// Memory of the whole node that no pod is promised; each NUMA node keeps a part by its size.
    pub reserve: Bytes,
}

impl Default for MemoryPolicy {
    fn default() -> Self {
        Self { reserve: Bytes::new(512 << 20) }
    }
}

impl MemoryPolicy {
    /// What is wrong with the policy on this machine, one line each; empty when nothing is.
    #[must_use]
    pub fn validate(&self, topology: &Topology) -> Vec<String> {
        let ordinary: Bytes = topology.nodes().map(|(_, node)| node.ordinary_memory()).sum();
        if self.reserve < ordinary {
            return Vec::new();
        }
        vec![format!("reserve: {} are reserved, but the node has {}; some must be left for pods", self.reserve, ordinary.rounded())]
    }
}
