//! What a pod's annotations ask for, parsed once into types.
//!
//! The keys are Katalyst's, since its users' pods carry them. Unlike Katalyst, values may be JSON strings, numbers or booleans, and
//! what is unknown or contradicts itself is an error that names key and value.

mod class;
mod config;
mod error;
mod machine;
mod object;
mod parse;

pub use class::QosClass;
pub use config::{ClassSelector, QosConfig};
pub use error::QosError;

use crate::idset::NumaSet;
use crate::names::PoolName;
use crate::units::Permille;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The annotation keys that this parser reads.
pub mod annotation {
    /// The QoS class.
    pub const QOS_LEVEL: &str = "katalyst.kubewharf.io/qos_level";
    /// JSON object of CPU wishes.
    pub const CPU_ENHANCEMENT: &str = "katalyst.kubewharf.io/cpu_enhancement";
    /// JSON object of memory and NUMA wishes.
    pub const MEMORY_ENHANCEMENT: &str = "katalyst.kubewharf.io/memory_enhancement";
    /// JSON object of network wishes.
    pub const NETWORK_ENHANCEMENT: &str = "katalyst.kubewharf.io/network_enhancement";
    /// Inside [`CPU_ENHANCEMENT`]: how many NUMA nodes. Long even inside the JSON, as Katalyst has it.
    pub const NUMA_NUMBER: &str = "katalyst.kubewharf.io/numa_number";
    /// Inside [`CPU_ENHANCEMENT`]: which NUMA nodes.
    pub const NUMA_IDS: &str = "katalyst.kubewharf.io/numa_ids";
}

/// Whether the pod's CPUs and memory must come from chosen NUMA nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumaBinding {
    /// Any nodes.
    #[default]
    Unbound,
    /// Inside its nodes (`numa_binding`).
    Bound,
    /// Inside its nodes, alone on them (`numa_binding` and `numa_exclusive`).
    Exclusive,
}

/// Which NUMA nodes a pod asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumaPlacement {
    /// Whatever fits.
    #[default]
    Any,
    /// This many nodes (`numa_number`).
    Number(u32),
    /// These very nodes (`numa_ids`, which outranks `numa_number`).
    Ids(NumaSet),
}

/// Wishes of the memory enhancement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoryEnhancement {
    /// NUMA binding.
    pub numa_binding: NumaBinding,
    /// Resident memory over request above which the pod may be evicted; 1000 is the request itself.
    pub rss_overuse_threshold: Option<Permille>,
    /// The wished place in the order in which the kernel kills; brought into the class's range where it is used.
    pub oom_priority: Option<i32>,
}

/// What a pod wants of CPU bursts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CpuBurstPolicy {
    /// As the node is configured.
    Default,
    /// None.
    Closed,
    /// A fixed share.
    Static,
    /// By need.
    Dynamic,
}

/// CPU bursts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CpuBurst {
    /// The policy; `None`: as the node is configured.
    pub policy: Option<CpuBurstPolicy>,
    /// Burst over limit, at most 100 %.
    pub percent: Option<Permille>,
    /// Usage over limit from which a dynamic burst begins.
    pub threshold: Option<Permille>,
}

/// Wishes of the CPU enhancement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CpuEnhancement {
    /// The pool to be in: of shared pods the pool's name, of system pods the beginning of the names of pools to join.
    pub pool: Option<PoolName>,
    /// Whether others may be on the same NUMA node (`numa_share`, true unless said otherwise).
    pub numa_share: bool,
    /// Promised over available CPU that a reclaimed pod bears before it is evicted; `None`: any.
    pub suppression_tolerance: Option<Permille>,
    /// Bursts.
    pub burst: CpuBurst,
    /// Use as few sockets as the request needs.
    pub align_by_socket: bool,
    /// The same number of CPUs on each node.
    pub distribute_evenly_across_numa: bool,
    /// Whole cores only.
    pub full_pcpus_pairing: bool,
    /// Which NUMA nodes.
    pub placement: NumaPlacement,
}

impl Default for CpuEnhancement {
    fn default() -> Self {
        Self {
            pool: None,
            numa_share: true,
            suppression_tolerance: None,
            burst: CpuBurst::default(),
            align_by_socket: false,
            distribute_evenly_across_numa: false,
            full_pcpus_pairing: false,
            placement: NumaPlacement::Any,
        }
    }
}

/// Which network namespace a pod must or would rather be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceType {
    /// The host's.
    HostNs,
    /// Rather the host's.
    HostNsPreferred,
    /// Not the host's.
    AntiHostNs,
    /// Rather not the host's.
    AntiHostNsPreferred,
}

/// Wishes of the network enhancement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetworkEnhancement {
    /// The network namespace.
    pub namespace: Option<NamespaceType>,
    /// Whether the network card must be near the pod's CPUs.
    pub topology_affinity_restricted: bool,
}

/// Everything that a pod's annotations ask for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QosSpec {
    /// Its class; `shared_cores` where nothing selects one.
    pub class: QosClass,
    /// CPU wishes.
    pub cpu: CpuEnhancement,
    /// Memory wishes.
    pub memory: MemoryEnhancement,
    /// Network wishes.
    pub network: NetworkEnhancement,
}

impl QosSpec {
    /// A pod of this class that asks for nothing else.
    #[must_use]
    pub fn of(class: QosClass) -> Self {
        Self { class, cpu: CpuEnhancement::default(), memory: MemoryEnhancement::default(), network: NetworkEnhancement::default() }
    }

    /// Reads a pod's annotations.
    ///
    /// # Errors
    /// All that is wrong, sorted; never empty.
    pub fn parse(annotations: &BTreeMap<String, String>, config: &QosConfig) -> Result<Self, Vec<QosError>> {
        parse::spec(annotations, config)
    }

    /// Whether a machine with these NUMA nodes can have what is asked for by their number or ids.
    ///
    /// # Errors
    /// A node that the machine does not have, or more nodes than it has.
    pub fn check_against(&self, nodes: &NumaSet) -> Result<(), QosError> {
        machine::check(&self.cpu.placement, nodes)
    }
}

#[cfg(test)]
mod tests;
