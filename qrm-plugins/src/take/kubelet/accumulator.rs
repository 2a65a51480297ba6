//! What is taken and what is left while a request is served, and the order in which kubelet tries what is left.

use super::machine::{KubeletMachine, Place};
use gleaner_model::{CpuId, CpuSet};

/// What kubelet takes as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A package.
    Socket,
    /// A NUMA node.
    Numa,
    /// The CPUs of one L3 cache.
    Uncore,
    /// A core.
    Core,
}

impl Unit {
    pub(super) fn of(self, place: &Place) -> u32 {
        match self {
            Self::Socket => place.socket,
            Self::Numa => place.numa,
            Self::Uncore => place.uncore,
            Self::Core => place.core,
        }
    }
}

/// How single CPUs are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sorting {
    /// Core by core.
    Packed,
    /// Package by package in the order of their numbers, so that cores are not filled where siblings have far apart numbers.
    Spread,
}

/// A request that is being served.
#[derive(Debug, Clone)]
pub struct Accumulator<'a> {
    pub(super) machine: &'a KubeletMachine,
    pub(super) free: CpuSet,
    pub(super) taken: CpuSet,
    pub(super) needed: u32,
    sorting: Sorting,
}

impl<'a> Accumulator<'a> {
    /// A request for `count` of the `available` CPUs.
    #[must_use]
    pub fn new(machine: &'a KubeletMachine, available: &CpuSet, count: u32, sorting: Sorting) -> Self {
        Self { machine, free: available.intersection(&machine.cpus()), taken: CpuSet::new(), needed: count, sorting }
    }

    /// Takes those of the CPUs that are still free.
    pub fn take(&mut self, cpus: &CpuSet) {
        let cpus = cpus.intersection(&self.free);
        self.needed = self.needed.saturating_sub(cpus.count());
        self.free = self.free.difference(&cpus);
        self.taken = self.taken.union(&cpus);
    }

    /// Nothing more is needed.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.needed == 0
    }

    /// More is needed than is left.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.needed > self.free.count()
    }

    /// Units of which no CPU is taken, in the order in which they are tried.
    #[must_use]
    pub fn free_units(&self, unit: Unit) -> Vec<u32> {
        let groups = self.machine.groups(unit, &self.free);
        let is_free = |id: &u32| groups.get(id).is_some_and(|free| free.count() == self.machine.size(unit, *id));
        self.ordered(unit).into_iter().filter(is_free).collect()
    }

    /// Single CPUs in the order in which they are tried.
    #[must_use]
    pub fn free_cpus(&self) -> Vec<CpuId> {
        let unit = if self.sorting == Sorting::Spread { Unit::Socket } else { Unit::Core };
        let groups = self.machine.groups(unit, &self.free);
        self.ordered(unit).iter().filter_map(|id| groups.get(id)).flat_map(CpuSet::iter).collect()
    }

    /// Takes all free units of a kind that the rest of the request covers.
    pub(super) fn take_whole(&mut self, unit: Unit) {
        let groups = self.machine.groups(unit, &self.free);
        for cpus in self.free_units(unit).iter().filter_map(|id| groups.get(id)) {
            if self.needed >= cpus.count() {
                self.take(cpus);
            }
        }
    }

    pub(super) fn takes_cores(&self) -> bool {
        self.sorting == Sorting::Packed
    }

    /// Units with free CPUs: in the order of what contains them, then the fewest free first, then by number.
    pub(super) fn ordered(&self, unit: Unit) -> Vec<u32> {
        let (widest, narrower) = if self.machine.numa_first() { (Unit::Numa, Unit::Socket) } else { (Unit::Socket, Unit::Numa) };
        let around = match unit {
            _ if unit == widest => None,
            Unit::Socket | Unit::Numa => Some(widest),
            Unit::Uncore => Some(Unit::Numa),
            Unit::Core => Some(narrower),
        };
        let all = self.machine.groups(unit, &self.free);
        let by_size = |within: &CpuSet| {
            let mut ids: Vec<u32> = self.machine.groups(unit, within).into_keys().collect();
            ids.sort_by_key(|id| (all.get(id).map_or(0, CpuSet::count), *id));
            ids
        };
        let Some(around) = around else { return by_size(&self.free) };
        let groups = self.machine.groups(around, &self.free);
        let mut ordered: Vec<u32> = Vec::new();
        for id in self.ordered(around).iter().filter_map(|id| groups.get(id)).flat_map(by_size) {
            if !ordered.contains(&id) {
                ordered.push(id);
            }
        }
        ordered
    }
}
