use crate::plugin::{ContainerType, PodIdentity};
use gleaner_model::{ContainerName, ResourceCount, ResourceName};
use std::collections::BTreeMap;

/// A pod that wants resources of plugins in other processes.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanting {
    /// Who it is.
    pub pod: PodIdentity,
    /// Its containers, in the order of the manifest.
    pub containers: Vec<Want>,
    /// Whether it was admitted: what it has then stays until it is gone.
    pub running: bool,
}

impl Wanting {
    /// Whether the other one is told of the same pod.
    pub(super) fn is_same_pod(&self, other: &Self) -> bool {
        self.pod == other.pod && self.containers == other.containers
    }
}

/// What one container wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The container.
    pub container: ContainerName,
    /// The part it plays.
    pub kind: ContainerType,
    /// Its place in the pod's list of containers, or of init containers.
    pub index: u64,
    /// How much of what; nothing of what it does not name.
    pub amounts: BTreeMap<ResourceName, ResourceCount>,
}
