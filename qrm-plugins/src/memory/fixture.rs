//! Machines and pods for the tests of this module.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::MemoryPolicy;
use crate::fixtures::{machine, pod, uid};
use crate::{Node, PlacePolicy};
use gleaner_model::{
    Assignment, Bytes, Id, NodeInfo, NumaBinding, NumaId, NumaSet, PageCount, PageSize, Pod, PodUid, PoolName, QosClass, RawCpu,
    Requirement, Topology,
};
use std::collections::BTreeMap;

pub(super) const GI: u64 = 1 << 30;

pub(super) fn gi(count: u64) -> Bytes {
    Bytes::new(count * GI)
}

pub(super) fn mi(count: u64) -> Bytes {
    Bytes::new(count << 20)
}

pub(super) fn nodes(text: &str) -> NumaSet {
    text.parse().unwrap()
}

pub(super) fn pages(size: &str) -> PageSize {
    size.parse().unwrap()
}

/// Nodes with this memory in GiB and this many huge pages of 2 MiB, and two CPUs each.
pub(super) fn with_memory(memory: &[u64], huge: &[u64]) -> Topology {
    let regular = machine(1, u32::try_from(memory.len()).unwrap(), 2, 1);
    let cpus = regular.cpus();
    let raw = cpus.iter().map(|cpu| {
        let info = regular.cpu(cpu).unwrap();
        RawCpu { cpu, core: u64::from(info.core.index()), package: 0, l3: None, numa: info.numa }
    });
    let infos = regular.nodes().zip(memory).enumerate().map(|(at, ((id, node), memory))| NodeInfo {
        id,
        memory: gi(*memory),
        distances: node.distances.clone(),
        hugepages: huge.get(at).map(|count| (pages("2Mi"), PageCount::new(*count))).into_iter().collect(),
    });
    Topology::build(raw.collect(), infos.collect()).unwrap()
}

/// A node and who is on it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) topology: Topology,
    pub(super) pods: BTreeMap<PodUid, Pod>,
    pub(super) assignment: Assignment,
    place: PlacePolicy,
    pub(super) policy: MemoryPolicy,
}

impl World {
    pub(super) fn new(memory: &[u64], huge: &[u64]) -> Self {
        Self {
            topology: with_memory(memory, huge),
            pods: BTreeMap::new(),
            assignment: Assignment::default(),
            place: PlacePolicy::default(),
            policy: MemoryPolicy { reserve: Bytes::ZERO },
        }
    }

    pub(super) fn node(&self) -> Node<'_> {
        Node { topology: &self.topology, pods: &self.pods, assignment: &self.assignment, policy: &self.place }
    }

    /// With a pod more, on these NUMA nodes if it is bound.
    pub(super) fn with(mut self, pod: Pod, on: &str) -> Self {
        if !on.is_empty() {
            self.assignment.nodes.insert(pod.uid.clone(), nodes(on));
        }
        let pool = if pod.class() == QosClass::Dedicated { PoolName::dedicated(&pod.uid) } else { PoolName::share() };
        self.assignment.members.insert(pod.uid.clone(), pool);
        self.pods.insert(pod.uid.clone(), pod);
        self
    }
}

/// A pod that asks for this much memory; of a reclaimed pod it is reclaimed memory.
pub(super) fn wants(name: &str, class: QosClass, memory: Bytes, binding: NumaBinding) -> Pod {
    let mut pod = pod(name, class, 1000);
    let amount = Some(memory).filter(|memory| !memory.is_zero());
    if class == QosClass::Reclaimed {
        pod.containers[0].reclaimed_memory = amount;
    } else {
        pod.containers[0].memory = Requirement { request: amount, limit: None };
    }
    pod.qos.memory.numa_binding = binding;
    pod
}

pub(super) fn with_pages(mut pod: Pod, amount: Bytes) -> Pod {
    pod.containers[0].hugepages = [(pages("2Mi"), amount)].into();
    pod
}

pub(super) fn free(world: &World) -> Vec<String> {
    super::memory_by_node(&world.node(), &world.policy).values().map(|node| node.memory.free().rounded()).collect()
}

pub(super) fn numa(id: u32) -> NumaId {
    NumaId::new(id)
}

pub(super) fn pod_uid(name: &str) -> PodUid {
    uid(name)
}
