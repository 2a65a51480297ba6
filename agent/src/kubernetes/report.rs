use gleaner_model::{Bytes, CpuSet, MilliCpu, NumaId, NumaSet, PodName, PodUid, QosClass, Reason, Topology};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What can be lent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lent {
    /// To all reclaimed pods together.
    pub(crate) cpu: MilliCpu,
    /// To all reclaimed pods together.
    pub(crate) memory: Bytes,
    /// The part of it on each NUMA node, where that is known; empty: it is not.
    pub(crate) by_node: BTreeMap<NumaId, (MilliCpu, Bytes)>,
}

/// What one pod holds, for the allocations of topology zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodHolding {
    /// Namespace and name.
    pub(crate) name: PodName,
    /// As the API server has it.
    pub(crate) api_uid: String,
    /// Its class.
    pub(crate) class: QosClass,
    /// Native CPU requested.
    pub(crate) cpu: MilliCpu,
    /// Native memory requested.
    pub(crate) memory: Bytes,
    /// Reclaimed CPU promised.
    pub(crate) reclaimed_cpu: MilliCpu,
    /// Reclaimed memory promised.
    pub(crate) reclaimed_memory: Bytes,
    /// CPUs of its own; empty for a pod in a pool of several.
    pub(crate) own_cpus: CpuSet,
    /// NUMA nodes that it is bound to; empty: it is not.
    pub(crate) nodes: NumaSet,
}

/// How pressed the node is by what reclaimed pods use: what taints and conditions follow, after hysteresis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Memory is short: new reclaimed pods would only be evicted.
    pub(crate) memory_short: bool,
    /// Reclaimed pods were promised more CPU than there is for them now.
    pub(crate) cpu_suppressed: bool,
}

/// What this node tells the cluster, made at every tick. What of it is written, and when, is the reporter's matter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NodeReport {
    /// What can be lent; `None`: not known, so that what was told before is withdrawn.
    pub(crate) lent: Option<Lent>,
    /// How the node is built.
    pub(crate) topology: Arc<Topology>,
    /// CPUs that pods never get.
    pub(crate) reserved: CpuSet,
    /// Memory of the node.
    pub(crate) memory: Bytes,
    /// Memory that pods never get.
    pub(crate) memory_reserve: Bytes,
    /// What pods hold, by namespace and name.
    pub(crate) pods: Vec<PodHolding>,
    /// How pressed the node is.
    pub(crate) load: Load,
    /// Parts of the agent that do not work, with what is wrong; empty: all is well.
    pub(crate) problems: BTreeMap<String, String>,
    /// Why the cluster's configuration is not in force, where it is not.
    pub(crate) configuration_refused: Option<String>,
    /// Nothing is written to this node's cgroups: nothing is offered to the scheduler either.
    pub(crate) shadow: bool,
    /// How bound pods are put on NUMA nodes.
    pub(crate) alignment: gleaner_qrm_plugins::TopologyChoice,
    /// Named facts for the scheduler, such as the cgroup version.
    pub(crate) attributes: BTreeMap<String, String>,
}

/// What an Event is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    /// This node.
    Node,
    /// A pod.
    Pod {
        /// Namespace and name.
        name: PodName,
        /// As the API server has it.
        api_uid: String,
    },
    /// Another object, such as a configuration.
    Object {
        /// `apiVersion`.
        api_version: String,
        /// `kind`.
        kind: String,
        /// Its namespace; `None` for one of the cluster.
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// `metadata.uid`.
        uid: String,
    },
}

/// Whether an Event tells of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// It does not.
    Normal,
    /// It does.
    Warning,
}

/// Something to tell as an Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventNote {
    /// About what.
    pub(crate) about: About,
    /// Whether it is trouble.
    pub(crate) kind: EventKind,
    /// One word in camel case, such as `ReclaimedPodEvicted`.
    pub(crate) reason: &'static str,
    /// The sentence for people.
    pub(crate) note: String,
}

/// A pod that is to be evicted through the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EvictionOrder {
    /// By what the agent knows it.
    pub(crate) pod: PodUid,
    /// Namespace and name.
    pub(crate) name: PodName,
    /// As the API server has it: another pod of the name is not meant.
    pub(crate) api_uid: String,
    /// How long its processes may take to end.
    pub(crate) grace: Duration,
    /// Why.
    pub(crate) reason: Reason,
}

/// What came of an eviction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EvictionOutcome {
    /// The API server took it: kubelet ends the pod.
    Accepted,
    /// The pod is gone already, or another has its name.
    Gone,
    /// A disruption budget does not allow it now; it is tried again at this distance.
    Blocked {
        /// What the API server said.
        cause: String,
        /// When it is tried again.
        again_in: Duration,
    },
    /// It was refused for good or tried too often.
    Failed(String),
}
