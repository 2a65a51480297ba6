//! The machine's CPUs, cores, caches, packages and NUMA nodes as a plain value.

use crate::error::TopologyError;
use crate::hugepages::{PageCount, PageSize};
use crate::ids::{CacheId, CoreId, CpuId, Id, NumaId, PackageId};
use crate::idset::{CpuSet, NumaSet};
use crate::units::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One online CPU as a reader of the hardware found it. The keys only say what belongs together; [`Topology::build`] numbers the groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCpu {
    /// The kernel's number.
    pub cpu: CpuId,
    /// The same for all threads of one core, different over the whole machine.
    pub core: u64,
    /// The same for all CPUs of one package.
    pub package: u64,
    /// The same for all CPUs that share an L3 cache; `None` where the machine tells of none.
    pub l3: Option<u64>,
    /// The NUMA node, by the kernel's number.
    pub numa: NumaId,
}

/// One NUMA node as a reader of the hardware found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The kernel's number.
    pub id: NumaId,
    /// Memory of the node; zero for a node that has only CPUs.
    pub memory: Bytes,
    /// Distance to other nodes by the kernel's table (10 is local); empty where the machine tells none.
    pub distances: BTreeMap<NumaId, u32>,
    /// How many huge pages of each size the node keeps; a size that the kernel does not offer is not here.
    pub hugepages: BTreeMap<PageSize, PageCount>,
}

/// Where one online CPU is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuInfo {
    /// Its core.
    pub core: CoreId,
    /// Its package.
    pub package: PackageId,
    /// The group that shares its L3 cache; `None` where the machine tells of none.
    pub l3: Option<CacheId>,
    /// Its NUMA node.
    pub numa: NumaId,
}

/// One NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumaNode {
    /// Its online CPUs; empty for a node that has only memory.
    pub cpus: CpuSet,
    /// Its memory; zero for a node that has only CPUs.
    pub memory: Bytes,
    /// Distance to each node by the kernel's table (10 is local); empty where the machine tells none.
    pub distances: BTreeMap<NumaId, u32>,
    /// How many huge pages of each size it keeps, in use or not; a size that the kernel does not offer is not here. Their memory is a part of
    /// the node's, and of no use for anything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hugepages: BTreeMap<PageSize, PageCount>,
}

impl NumaNode {
    /// Memory for everything that does not ask for huge pages.
    #[must_use]
    pub fn ordinary_memory(&self) -> Bytes {
        self.memory.minus(self.hugepages.iter().map(|(size, count)| size.times(*count)).sum())
    }
}

/// The online part of a machine. Groups are numbered from 0 in the order of their lowest CPU; NUMA nodes keep the kernel's numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    cpus: BTreeMap<CpuId, CpuInfo>,
    nodes: BTreeMap<NumaId, NumaNode>,
}

impl Topology {
    /// Puts readings together.
    ///
    /// # Errors
    /// When there is no CPU, a CPU or node is described twice, or a CPU names a node that is not described.
    pub fn build(mut cpus: Vec<RawCpu>, nodes: Vec<NodeInfo>) -> Result<Self, TopologyError> {
        cpus.sort_by_key(|c| c.cpu);
        if cpus.is_empty() {
            return Err(TopologyError::NoCpu);
        }
        let mut known: BTreeMap<NumaId, NumaNode> = BTreeMap::new();
        for node in nodes {
            let value = NumaNode { cpus: CpuSet::new(), memory: node.memory, distances: node.distances, hugepages: node.hugepages };
            if known.insert(node.id, value).is_some() {
                return Err(TopologyError::DuplicateNode(node.id.index()));
            }
        }
        let (mut cores, mut packages, mut caches) = (Numbering::default(), Numbering::default(), Numbering::default());
        let mut placed = BTreeMap::new();
        for raw in cpus {
            let unknown = || TopologyError::UnknownNode { cpu: raw.cpu.index(), node: raw.numa.index() };
            known.get_mut(&raw.numa).ok_or_else(unknown)?.cpus.insert(raw.cpu);
            let info = CpuInfo {
                core: CoreId::new(cores.of(raw.core)),
                package: PackageId::new(packages.of(raw.package)),
                l3: raw.l3.map(|key| CacheId::new(caches.of(key))),
                numa: raw.numa,
            };
            if placed.insert(raw.cpu, info).is_some() {
                return Err(TopologyError::DuplicateCpu(raw.cpu.index()));
            }
        }
        Ok(Self { cpus: placed, nodes: known })
    }

    /// All online CPUs.
    #[must_use]
    pub fn cpus(&self) -> CpuSet {
        self.cpus.keys().copied().collect()
    }

    /// Where a CPU is; `None` when it is not online.
    #[must_use]
    pub fn cpu(&self, id: CpuId) -> Option<&CpuInfo> {
        self.cpus.get(&id)
    }

    /// All NUMA nodes, those without CPUs or without memory too.
    pub fn nodes(&self) -> impl Iterator<Item = (NumaId, &NumaNode)> {
        self.nodes.iter().map(|(id, node)| (*id, node))
    }

    /// One NUMA node.
    #[must_use]
    pub fn node(&self, id: NumaId) -> Option<&NumaNode> {
        self.nodes.get(&id)
    }

    /// Nodes that have memory: those a memory binding may name.
    #[must_use]
    pub fn memory_nodes(&self) -> NumaSet {
        self.nodes().filter(|(_, node)| !node.memory.is_zero()).map(|(id, _)| id).collect()
    }

    /// Memory of all nodes.
    #[must_use]
    pub fn memory(&self) -> Bytes {
        self.nodes.values().map(|node| node.memory).sum()
    }

    /// The nodes that these CPUs are on.
    #[must_use]
    pub fn nodes_of(&self, cpus: &CpuSet) -> NumaSet {
        cpus.iter().filter_map(|cpu| self.cpu(cpu)).map(|info| info.numa).collect()
    }

    /// The online CPUs of each core.
    #[must_use]
    pub fn cores(&self) -> BTreeMap<CoreId, CpuSet> {
        self.group(|info| Some(info.core))
    }

    /// The online CPUs of each package.
    #[must_use]
    pub fn packages(&self) -> BTreeMap<PackageId, CpuSet> {
        self.group(|info| Some(info.package))
    }

    /// The online CPUs of each L3 cache; empty where the machine tells of none.
    #[must_use]
    pub fn l3_groups(&self) -> BTreeMap<CacheId, CpuSet> {
        self.group(|info| info.l3)
    }

    /// The online threads of the core that a CPU is on, itself included; empty when it is not online.
    #[must_use]
    pub fn siblings(&self, cpu: CpuId) -> CpuSet {
        let Some(core) = self.cpu(cpu).map(|info| info.core) else { return CpuSet::new() };
        self.cpus.iter().filter(|(_, info)| info.core == core).map(|(id, _)| *id).collect()
    }

    /// The most online threads that a core has.
    #[must_use]
    pub fn threads_per_core(&self) -> u32 {
        self.cores().values().map(CpuSet::count).max().unwrap_or(1)
    }

    /// The kernel's distance between two nodes; `None` where the machine tells none.
    #[must_use]
    pub fn distance(&self, from: NumaId, to: NumaId) -> Option<u32> {
        self.nodes.get(&from)?.distances.get(&to).copied()
    }

    fn group<K: Ord>(&self, key: impl Fn(&CpuInfo) -> Option<K>) -> BTreeMap<K, CpuSet> {
        let mut groups: BTreeMap<K, CpuSet> = BTreeMap::new();
        for (id, info) in &self.cpus {
            if let Some(key) = key(info) {
                groups.entry(key).or_default().insert(*id);
            }
        }
        groups
    }
}

/// Numbers keys from 0 in the order in which they first come.
#[derive(Default)]
struct Numbering {
    seen: BTreeMap<u64, u32>,
}

impl Numbering {
    fn of(&mut self, key: u64) -> u32 {
        let next = u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
        *self.seen.entry(key).or_insert(next)
    }
}

/// Machines of regular shape, for tests and simulations.
impl Topology {
    /// `packages` x `nodes_per_package` x `cores_per_node` x `threads`, one L3 cache a node, thread siblings as far apart as there are
    /// cores (as the kernel numbers Intel machines), `memory` on each node, distances 10, 12 inside a package and 21 across.
    ///
    /// # Errors
    /// As [`Topology::build`].
    pub fn regular(packages: u32, nodes_per_package: u32, cores_per_node: u32, threads: u32, memory: Bytes) -> Result<Self, TopologyError> {
        let node_count = packages * nodes_per_package;
        let cores = node_count * cores_per_node;
        let package_of = |node: u32| node / nodes_per_package.max(1);
        let cpus = (0..threads).flat_map(|thread| (0..cores).map(move |core| (thread, core))).map(|(thread, core)| {
            let node = core / cores_per_node.max(1);
            RawCpu {
                cpu: CpuId::new(thread * cores + core),
                core: u64::from(core),
                package: u64::from(package_of(node)),
                l3: Some(u64::from(node)),
                numa: NumaId::new(node),
            }
        });
        let distance = |a: u32, b: u32| match (a == b, package_of(a) == package_of(b)) {
            (true, _) => 10,
            (false, true) => 12,
            (false, false) => 21,
        };
        let all: BTreeSet<u32> = (0..node_count).collect();
        let nodes = all.iter().map(|a| NodeInfo {
            id: NumaId::new(*a),
            memory,
            distances: all.iter().map(|b| (NumaId::new(*b), distance(*a, *b))).collect(),
            hugepages: BTreeMap::new(),
        });
        Self::build(cpus.collect(), nodes.collect())
    }
}

#[cfg(test)]
mod tests;
