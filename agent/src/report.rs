//! What the agent shows: one value for the status page, the JSON, the metrics and the explanations.

mod explain;
pub(crate) mod metrics;
mod table;
mod view;

pub(crate) use explain::explain;
pub(crate) use table::table;
pub(crate) use view::{cut, draw};

use crate::config::Mode;
use crate::health::PartHealth;
use crate::kubernetes::EventCounts;
use crate::runtime::Phase;
use gleaner_estimator::Estimate;
use gleaner_model::{
    Bytes, CgroupPath, CpuSet, Decision, KnobKind, KnobValue, MilliCpu, NumaSet, PodUid, PoolName, QosClass, Reason, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything about the node at one moment; served as `/state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeState {
    /// When.
    pub(crate) at: Timestamp,
    /// The node's name.
    pub(crate) node: String,
    /// Where pods come from and how containers are changed.
    pub(crate) mode: Mode,
    /// The container runtime that asks before it creates containers, while it is connected.
    #[serde(default)]
    pub(crate) runtime: Option<String>,
    /// Nothing is written.
    pub(crate) shadow: bool,
    /// The agent is ending its pods.
    pub(crate) stopping: bool,
    /// `v1`, `hybrid` or `v2`.
    pub(crate) cgroups: String,
    /// Ticks since the start.
    pub(crate) ticks: u64,
    /// Online CPUs.
    pub(crate) cpus: CpuSet,
    /// Usage of the whole node, while it is known.
    pub(crate) cpu_usage: Option<MilliCpu>,
    /// Memory of the whole node.
    pub(crate) memory: Bytes,
    /// Pods, by namespace and name.
    pub(crate) pods: Vec<PodState>,
    /// Manifests that cannot be run: file and what is wrong.
    pub(crate) refused: BTreeMap<String, Vec<String>>,
    /// The pods that those manifests ask for, as far as their names could be read: name and file.
    pub(crate) refused_names: BTreeMap<String, String>,
    /// Pools, by name.
    pub(crate) pools: BTreeMap<PoolName, PoolState>,
    /// What can be lent, and why.
    pub(crate) estimate: Option<Estimate>,
    /// The last decisions, the newest last.
    pub(crate) decisions: Vec<Decision>,
    /// How many decisions were made since the start, by kind.
    pub(crate) decision_counts: BTreeMap<String, u64>,
    /// What became of Events that were to be told to the cluster.
    #[serde(default)]
    pub(crate) events: EventCounts,
    /// How each part does.
    pub(crate) health: BTreeMap<String, PartHealth>,
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PodState {
    /// Namespace and name, with a slash between.
    pub(crate) name: String,
    /// Its uid.
    pub(crate) uid: PodUid,
    /// Its class.
    pub(crate) class: QosClass,
    /// Where it is in its life.
    #[serde(flatten)]
    pub(crate) phase: Phase,
    /// What is wrong with its containers.
    pub(crate) trouble: Option<String>,
    /// Its pool.
    pub(crate) pool: Option<PoolName>,
    /// CPUs that the kernel lets it run on; while that is not known, those of its pool.
    pub(crate) cpus: CpuSet,
    /// Memory nodes of its pool.
    pub(crate) mems: NumaSet,
    /// CPU requested, or promised to a reclaimed pod.
    pub(crate) cpu_request: MilliCpu,
    /// CPU used, while it is known.
    pub(crate) cpu_usage: Option<MilliCpu>,
    /// Memory requested, or promised to a reclaimed pod.
    pub(crate) memory_request: Bytes,
    /// Working set, while it is known.
    pub(crate) memory: Option<Bytes>,
    /// Restarts of its containers.
    pub(crate) restarts: u32,
    /// What its knobs should hold, and why.
    pub(crate) knobs: Vec<KnobState>,
    /// The last decisions about it.
    pub(crate) decisions: Vec<Decision>,
}

/// One knob of a pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KnobState {
    /// On which cgroup.
    pub(crate) cgroup: CgroupPath,
    /// Which knob.
    pub(crate) knob: KnobKind,
    /// Whether this kernel has it; where it has not, nothing is written.
    pub(crate) offered: bool,
    /// What it should hold.
    pub(crate) value: KnobValue,
    /// Why.
    pub(crate) reason: Reason,
}

/// One pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PoolState {
    /// Its CPUs.
    pub(crate) cpus: CpuSet,
    /// Its memory nodes.
    pub(crate) mems: NumaSet,
    /// How many pods are in it.
    pub(crate) pods: usize,
    /// What they use together, as far as it is known.
    pub(crate) cpu_usage: MilliCpu,
    /// The last decisions about it.
    pub(crate) decisions: Vec<Decision>,
}

impl NodeState {
    /// Of a node of which nothing is known.
    #[cfg(test)]
    pub(crate) fn empty(at: Timestamp) -> Self {
        Self {
            at,
            node: String::new(),
            mode: Mode::Standalone,
            runtime: None,
            shadow: false,
            stopping: false,
            cgroups: String::new(),
            ticks: 0,
            cpus: CpuSet::new(),
            cpu_usage: None,
            memory: Bytes::ZERO,
            pods: Vec::new(),
            refused: BTreeMap::new(),
            refused_names: BTreeMap::new(),
            pools: BTreeMap::new(),
            estimate: None,
            decisions: Vec::new(),
            decision_counts: BTreeMap::new(),
            events: EventCounts::default(),
            health: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use gleaner_estimator::{Estimate, NodeShare, Supply};
    use gleaner_model::{Bytes, MilliCpu, NumaId, Reason, ReclaimRule, Timestamp};
    use std::collections::BTreeMap;

    const GIB: u64 = 1 << 30;

    /// Of a machine of three NUMA nodes: one lends, one has too little, of one nothing is known.
    pub(super) fn three_nodes() -> Estimate {
        let (cpu, memory) = (MilliCpu::new(1500), Bytes::new(2 * GIB));
        let supply = Supply {
            cpu: MilliCpu::new(1560),
            memory: Bytes::new(3 * GIB),
            cpu_by_node: BTreeMap::from([(NumaId::new(0), cpu), (NumaId::new(1), MilliCpu::new(60))]),
            memory_by_node: BTreeMap::from([(NumaId::new(0), memory), (NumaId::new(1), Bytes::new(GIB))]),
        };
        let none = MilliCpu::ZERO;
        let rule = ReclaimRule::Fragment;
        Estimate {
            at: Timestamp::default(),
            cpu,
            memory,
            regions: BTreeMap::new(),
            isolated: BTreeMap::new(),
            least_reclaimed: BTreeMap::new(),
            cpu_reason: Reason::ReclaimableCpu {
                given: cpu,
                rule,
                capacity: none,
                reserve: none,
                dedicated: none,
                demand: none,
                free: none,
                supply: supply.cpu,
                missing: None,
            },
            memory_reason: Reason::ReclaimableMemory {
                given: memory,
                rule,
                capacity: Bytes::ZERO,
                reserve: Bytes::ZERO,
                demand: Bytes::ZERO,
                free: Bytes::ZERO,
                supply: supply.memory,
                missing: None,
            },
            supply,
            pools: BTreeMap::new(),
            by_node: BTreeMap::from([(NumaId::new(0), NodeShare { cpu, memory }), (NumaId::new(1), NodeShare::default())]),
            unknown: BTreeMap::from([(NumaId::new(2), "free memory: EIO".to_owned())]),
        }
    }
}
