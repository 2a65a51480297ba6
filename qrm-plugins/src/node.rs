use crate::place::PlacePolicy;
use gleaner_model::{Assignment, Pod, PodUid, Topology};
use std::collections::BTreeMap;

/// The node as a solver sees it: the machine, the pods that hold something on it, what they hold, and the rules.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// The machine.
    pub topology: &'a Topology,
    /// Pods that were admitted and have not ended.
    pub pods: &'a BTreeMap<PodUid, Pod>,
    /// Which CPUs and NUMA nodes they have.
    pub assignment: &'a Assignment,
    /// How CPUs are given out.
    pub policy: &'a PlacePolicy,
}
