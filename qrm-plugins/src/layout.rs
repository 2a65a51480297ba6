//! The topology, prepared for many questions in one solution.

mod units;

pub(crate) use units::{Level, Unit};

use gleaner_model::{CacheId, CoreId, CpuId, CpuSet, Id, NumaBinding, NumaId, NumaSet, Topology};
use std::collections::{BTreeMap, BTreeSet};

/// One core and the part of it that a question is about.
pub(crate) struct CorePart<'a> {
    pub(crate) id: CoreId,
    /// All online threads.
    pub(crate) all: &'a CpuSet,
    /// Those asked about.
    pub(crate) part: CpuSet,
}

/// The topology with its groups at hand.
pub(crate) struct Layout<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) online: CpuSet,
    /// CPUs of each NUMA node that has any.
    pub(crate) nodes: BTreeMap<NumaId, CpuSet>,
    /// Threads of the largest core.
    pub(crate) threads: u32,
    /// Nodes that have memory.
    pub(crate) memory_nodes: NumaSet,
    /// The kinds of groups, each inside one of the kind before it.
    pub(crate) levels: [Level; 3],
    /// All cores by the groups that they are in.
    pub(crate) units: Vec<Unit>,
    cores: BTreeMap<CoreId, CpuSet>,
    caches: BTreeMap<CacheId, CpuSet>,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(topology: &'a Topology) -> Self {
        let nodes = topology.nodes().filter(|(_, node)| !node.cpus.is_empty()).map(|(id, node)| (id, node.cpus.clone())).collect();
        let cores = topology.cores();
        let infos = units::infos(topology);
        let levels = units::levels(&infos);
        Self {
            topology,
            online: topology.cpus(),
            nodes,
            threads: cores.values().map(CpuSet::count).max().unwrap_or(1),
            memory_nodes: topology.memory_nodes(),
            levels,
            units: units::units(&infos, &levels),
            cores,
            caches: topology.l3_groups(),
        }
    }

    /// All online threads of a core.
    pub(crate) fn core(&self, id: CoreId) -> Option<&CpuSet> {
        self.cores.get(&id)
    }

    /// The cores that these CPUs are on, in the order of their ids.
    pub(crate) fn cores_of(&self, cpus: &CpuSet) -> Vec<CorePart<'_>> {
        let mut parts: BTreeMap<CoreId, CpuSet> = BTreeMap::new();
        for cpu in cpus.iter() {
            if let Some(info) = self.topology.cpu(cpu) {
                parts.entry(info.core).or_default().insert(cpu);
            }
        }
        parts.into_iter().filter_map(|(id, part)| Some(CorePart { id, all: self.cores.get(&id)?, part })).collect()
    }

    /// These CPUs by the L3 cache that they share; those without a known one are one group.
    pub(crate) fn by_cache(&self, cpus: &CpuSet) -> Vec<CpuSet> {
        let mut groups: BTreeMap<Option<CacheId>, CpuSet> = BTreeMap::new();
        for cpu in cpus.iter() {
            groups.entry(self.cache(cpu)).or_default().insert(cpu);
        }
        groups.into_values().collect()
    }

    /// How many of `cpus` share the L3 cache of `cpu`.
    pub(crate) fn in_cache_of(&self, cpu: Option<CpuId>, cpus: &CpuSet) -> u32 {
        let group = cpu.and_then(|cpu| self.cache(cpu)).and_then(|cache| self.caches.get(&cache));
        group.map_or(0, |group| group.intersection(cpus).count())
    }

    fn cache(&self, cpu: CpuId) -> Option<CacheId> {
        self.topology.cpu(cpu).and_then(|info| info.l3)
    }

    /// How many cores are partly inside and partly outside the set.
    pub(crate) fn split_cores(&self, cpus: &CpuSet) -> usize {
        self.cores_of(cpus).iter().filter(|core| core.part.count() < core.all.count()).count()
    }

    /// How many packages these CPUs are on.
    pub(crate) fn packages_of(&self, cpus: &CpuSet) -> u32 {
        let packages: BTreeSet<_> = cpus.iter().filter_map(|cpu| self.topology.cpu(cpu)).map(|i| i.package).collect();
        u32::try_from(packages.len()).unwrap_or(u32::MAX)
    }

    /// CPUs of the package that has most.
    pub(crate) fn largest_package(&self) -> u32 {
        self.topology.packages().values().map(CpuSet::count).max().unwrap_or(1)
    }

    /// CPUs of these nodes.
    pub(crate) fn cpus_of(&self, nodes: &NumaSet) -> CpuSet {
        self.nodes.iter().filter(|(id, _)| nodes.contains(**id)).fold(CpuSet::new(), |all, (_, cpus)| all.union(cpus))
    }

    /// The memory nodes of a pool on these CPUs whose pod is bound so. A bound pod has the memory of its nodes; any other has all memory as far
    /// as its pool is concerned. [`crate::mems`] takes from that what others have for themselves.
    pub(crate) fn mems_for(&self, binding: NumaBinding, cpus: &CpuSet) -> NumaSet {
        match binding {
            NumaBinding::Unbound => self.memory_nodes.clone(),
            NumaBinding::Bound | NumaBinding::Exclusive => self.mems_near(&self.topology.nodes_of(cpus)),
        }
    }

    /// The memory of these nodes; of a node without memory that of the nearest one with.
    pub(crate) fn mems_near(&self, nodes: &NumaSet) -> NumaSet {
        mems_near(self.topology, &self.memory_nodes, nodes)
    }

    /// The distance between two nodes.
    pub(crate) fn distance(&self, from: NumaId, to: NumaId) -> u32 {
        distance(self.topology, from, to)
    }

    /// Whether all cores have the same number of online threads.
    pub(crate) fn is_regular(&self) -> bool {
        self.cores.values().all(|core| core.count() == self.threads)
    }

    /// CPUs among these of cores that are wholly among them.
    pub(crate) fn in_whole_cores(&self, cpus: &CpuSet) -> u32 {
        self.cores_of(cpus).iter().filter(|core| core.part.count() == core.all.count()).map(|core| core.part.count()).sum()
    }
}

/// The distance between two nodes; nodes of a machine that tells no distances are all alike.
pub(crate) fn distance(topology: &Topology, from: NumaId, to: NumaId) -> u32 {
    topology.distance(from, to).unwrap_or(if from == to { 10 } else { 20 })
}

/// The memory of these nodes, of which some have memory; of a node without that of the nearest one with. A node that is not there has none.
pub(crate) fn mems_near(topology: &Topology, with_memory: &NumaSet, nodes: &NumaSet) -> NumaSet {
    let nearest = |node: NumaId| {
        topology.node(node)?;
        let near = || with_memory.iter().min_by_key(|other| (distance(topology, node, *other), other.index()));
        if with_memory.contains(node) { Some(node) } else { near() }
    };
    nodes.iter().filter_map(nearest).collect()
}
