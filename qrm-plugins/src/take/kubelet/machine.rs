//! The machine as kubelet numbers it.

use super::accumulator::Unit;
use gleaner_model::{CpuId, CpuSet, Id, Topology};
use std::collections::{BTreeMap, BTreeSet};

/// The groups of one CPU, by kubelet's numbers. Kubelet orders candidates by these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The core, unique over the machine.
    pub core: u32,
    /// The package.
    pub socket: u32,
    /// The NUMA node.
    pub numa: u32,
    /// The L3 cache.
    pub uncore: u32,
}

/// How many of each there are, as kubelet was told; what it divides by. On a machine of unequal cores they say more than is true of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// CPUs.
    pub cpus: u32,
    /// Cores.
    pub cores: u32,
    /// Packages.
    pub sockets: u32,
    /// NUMA nodes with CPUs.
    pub numa_nodes: u32,
    /// L3 caches.
    pub uncore_caches: u32,
}

/// A machine as kubelet's static policy sees it.
#[derive(Debug, Clone)]
pub struct KubeletMachine {
    places: BTreeMap<CpuId, Place>,
    counts: Counts,
}

impl KubeletMachine {
    /// A machine with kubelet's own numbers and counts.
    #[must_use]
    pub fn new(places: BTreeMap<CpuId, Place>, counts: Counts) -> Self {
        Self { places, counts }
    }

    /// A topology as kubelet would number it: cores by their lowest CPU, NUMA nodes by the kernel's number. Packages and L3 caches have the
    /// topology's numbers, which are in the kernel's order on machines that number CPUs package by package. A CPU without a known L3 cache counts
    /// its package as one.
    #[must_use]
    pub fn of(topology: &Topology) -> Self {
        let caches = u32::try_from(topology.l3_groups().len()).unwrap_or(u32::MAX);
        let place = |cpu: CpuId| {
            let info = topology.cpu(cpu)?;
            let socket = info.package.index();
            let uncore = info.l3.map_or_else(|| caches.saturating_add(socket), Id::index);
            Some((cpu, Place { core: info.core.index(), socket, numa: info.numa.index(), uncore }))
        };
        let places: BTreeMap<CpuId, Place> = topology.cpus().iter().filter_map(place).collect();
        let count = |unit: Unit| {
            let ids: BTreeSet<u32> = places.values().map(|place| unit.of(place)).collect();
            u32::try_from(ids.len()).unwrap_or(u32::MAX)
        };
        let counts = Counts {
            cpus: u32::try_from(places.len()).unwrap_or(u32::MAX),
            cores: count(Unit::Core),
            sockets: count(Unit::Socket),
            numa_nodes: count(Unit::Numa),
            uncore_caches: count(Unit::Uncore),
        };
        Self { places, counts }
    }

    /// All CPUs.
    #[must_use]
    pub fn cpus(&self) -> CpuSet {
        self.places.keys().copied().collect()
    }

    /// Threads of a core, as kubelet computes them: CPUs by cores, rounded down.
    #[must_use]
    pub fn cpus_per_core(&self) -> u32 {
        self.per(self.counts.cores)
    }

    /// CPUs of the cores that are in the set with all their CPUs.
    #[must_use]
    pub fn whole_cores(&self, cpus: &CpuSet) -> CpuSet {
        let whole = |core: &u32| self.in_unit(Unit::Core, *core).is_subset(cpus);
        let cores = self.groups(Unit::Core, cpus);
        cores.into_iter().filter(|(core, _)| whole(core)).fold(CpuSet::new(), |all, (_, cpus)| all.union(&cpus))
    }

    pub(super) fn cpus_per_uncore(&self) -> u32 {
        self.per(self.counts.uncore_caches)
    }

    fn per(&self, units: u32) -> u32 {
        self.counts.cpus.checked_div(units).unwrap_or(0)
    }

    /// Whether packages hold NUMA nodes, or as many; otherwise NUMA nodes hold packages.
    pub(super) fn numa_first(&self) -> bool {
        self.counts.sockets >= self.counts.numa_nodes
    }

    /// CPUs that a unit has when nothing of it is taken, by kubelet's reckoning.
    pub(super) fn size(&self, unit: Unit, id: u32) -> u32 {
        match unit {
            Unit::Socket => self.per(self.counts.sockets),
            Unit::Core => self.cpus_per_core(),
            Unit::Numa | Unit::Uncore => self.in_unit(unit, id).count(),
        }
    }

    /// All CPUs of one unit.
    pub(super) fn in_unit(&self, unit: Unit, id: u32) -> CpuSet {
        self.places.iter().filter(|(_, place)| unit.of(place) == id).map(|(cpu, _)| *cpu).collect()
    }

    /// These CPUs by the unit that they are in.
    pub(super) fn groups(&self, unit: Unit, cpus: &CpuSet) -> BTreeMap<u32, CpuSet> {
        let mut groups: BTreeMap<u32, CpuSet> = BTreeMap::new();
        for (cpu, place) in cpus.iter().filter_map(|cpu| Some((cpu, self.places.get(&cpu)?))) {
            groups.entry(unit.of(place)).or_default().insert(cpu);
        }
        groups
    }

    /// NUMA nodes of the machine.
    pub(super) fn nodes(&self) -> u32 {
        let nodes: BTreeSet<u32> = self.places.values().map(|place| place.numa).collect();
        u32::try_from(nodes.len()).unwrap_or(u32::MAX)
    }
}
