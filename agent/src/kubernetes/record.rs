use gleaner_model::{ContainerName, Pod, PodUid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a pod is in its life, as the API server has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ApiPhase {
    /// Accepted, not all containers run yet.
    Pending,
    /// At least one container runs or ran.
    Running,
    /// Over: it holds nothing any more (`Succeeded`, `Failed`).
    Ended,
}

/// One pod of this node, as the API server or the kubelet tells of it: only what the node needs to know. It is also what is stored, so that the
/// node keeps its classes while nobody can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ApiPod {
    /// What the solvers see. `pod.uid` is the one that kubelet names the pod's cgroup by: of a static pod the hash of its configuration
    /// (`kubernetes.io/config.hash`), not the uid of its mirror.
    pub(crate) pod: Pod,
    /// `metadata.uid`: what the API server knows it by.
    pub(crate) api_uid: String,
    /// Everything that is wrong with its annotations and amounts, a line each. What is wrong counts as not written: the pod is then of the class
    /// that it would have without.
    pub(crate) problems: Vec<String>,
    /// Where it is in its life.
    pub(crate) phase: ApiPhase,
    /// Whether it is being deleted.
    pub(crate) deleting: bool,
    /// Whether it is a static pod, which nobody can evict.
    pub(crate) is_static: bool,
    /// The runtime's ids of its containers (without `containerd://`), as far as the status tells, with their names.
    pub(crate) container_ids: BTreeMap<String, ContainerName>,
}

/// What the source of pods tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PodsEvent {
    /// All pods of this node: at first, and whenever what happened in between is not known.
    Listed(Vec<ApiPod>),
    /// One pod is new or changed.
    Changed(Box<ApiPod>),
    /// One pod is gone from the API server.
    Gone(PodUid),
    /// Whether the source can be reached; the text says what is wrong.
    Reach(Option<String>),
}
