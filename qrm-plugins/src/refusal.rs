use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a request cannot be met: the rule that stopped it, and the numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{rule}: {cause}")]
pub struct Refusal {
    /// The rule.
    pub rule: Rule,
    /// What was asked and what there is.
    pub cause: String,
}

impl Refusal {
    /// A refusal by this rule.
    #[must_use]
    pub fn by(rule: Rule, cause: impl Into<String>) -> Self {
        Self { rule, cause: cause.into() }
    }
}

/// The rules that can stop a request. The names are those of the annotations where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The request itself makes no sense.
    BadRequest,
    /// There is not as much on the node, or not free.
    Capacity,
    /// CPUs kept for the system or for interrupts.
    Reserve,
    /// What shared and reclaimed pools need at least.
    Floor,
    /// `numa_binding`.
    NumaBinding,
    /// `numa_exclusive`.
    NumaExclusive,
    /// `numa_share` of this pod or of one on the node.
    NumaShare,
    /// `numa_ids`.
    NumaIds,
    /// `numa_number`.
    NumaNumber,
    /// `align_by_socket`.
    AlignBySocket,
    /// `distribute_evenly_across_numa`.
    DistributeEvenly,
    /// `full_pcpus_pairing`.
    FullPcpusPairing,
    /// `cpuset_pool`.
    Pool,
    /// Resizing a running container.
    Resize,
    /// The policy by which hints are merged.
    TopologyPolicy,
    /// The hint that the caller chose does not do.
    Hint,
    /// Memory of the NUMA nodes.
    Memory,
    /// Huge pages of the NUMA nodes.
    Hugepages,
}

impl Rule {
    /// Its name as it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad request",
            Self::Capacity => "capacity",
            Self::Reserve => "reserve",
            Self::Floor => "floor",
            Self::NumaBinding => "numa_binding",
            Self::NumaExclusive => "numa_exclusive",
            Self::NumaShare => "numa_share",
            Self::NumaIds => "numa_ids",
            Self::NumaNumber => "numa_number",
            Self::AlignBySocket => "align_by_socket",
            Self::DistributeEvenly => "distribute_evenly_across_numa",
            Self::FullPcpusPairing => "full_pcpus_pairing",
            Self::Pool => "cpuset_pool",
            Self::Resize => "resize",
            Self::TopologyPolicy => "topology policy",
            Self::Hint => "hint",
            Self::Memory => "memory",
            Self::Hugepages => "hugepages",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
