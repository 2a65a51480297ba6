//! The cores in the order of the groups that contain them: packages, NUMA nodes, L3 caches.

use gleaner_model::{CoreId, CpuId, CpuInfo, CpuSet, Id, Topology};
use std::collections::BTreeMap;

/// A kind of group of CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Package,
    Node,
    Cache,
}

impl Level {
    /// The group of this kind that a CPU is in; `None` where the machine tells of no L3 cache.
    pub(crate) fn group(self, info: &CpuInfo) -> Option<u32> {
        match self {
            Self::Package => Some(info.package.index()),
            Self::Node => Some(info.numa.index()),
            Self::Cache => info.l3.map(Id::index),
        }
    }
}

/// A core, or the part of it that is in the same groups.
#[derive(Debug)]
pub(crate) struct Unit {
    /// The groups, in the order of the machine's levels.
    pub(crate) path: [Option<u32>; 3],
    pub(crate) core: CoreId,
    pub(crate) cpus: CpuSet,
}

/// The kinds of groups, the widest first, such that each group is inside one group of every wider kind. Packages hold NUMA nodes on most
/// machines, but a node can also span packages, and an L3 cache several nodes. Where nothing nests, nodes are kept in one piece.
pub(super) fn levels(cpus: &[(CpuId, CpuInfo)]) -> [Level; 3] {
    use Level::{Cache, Node, Package};
    let orders = [
        [Package, Node, Cache],
        [Node, Package, Cache],
        [Package, Cache, Node],
        [Node, Cache, Package],
        [Cache, Package, Node],
        [Cache, Node, Package],
    ];
    let fits = |[a, b, c]: &[Level; 3]| nested(cpus, *b, *a) && nested(cpus, *c, *a) && nested(cpus, *c, *b);
    orders.into_iter().find(fits).unwrap_or([Node, Package, Cache])
}

fn nested(cpus: &[(CpuId, CpuInfo)], inner: Level, outer: Level) -> bool {
    let mut around: BTreeMap<u32, Option<u32>> = BTreeMap::new();
    cpus.iter().all(|(_, info)| {
        let Some(group) = inner.group(info) else { return true };
        *around.entry(group).or_insert_with(|| outer.group(info)) == outer.group(info)
    })
}

/// What is known of every CPU on a NUMA node.
pub(super) fn infos(topology: &Topology) -> Vec<(CpuId, CpuInfo)> {
    topology.nodes().flat_map(|(_, node)| node.cpus.iter()).filter_map(|cpu| Some((cpu, *topology.cpu(cpu)?))).collect()
}

/// The groups that a core is in, and the core.
type Place = ([Option<u32>; 3], CoreId);

/// All cores, those of one group next to each other.
pub(super) fn units(cpus: &[(CpuId, CpuInfo)], levels: &[Level; 3]) -> Vec<Unit> {
    let place = |(cpu, info): &(CpuId, CpuInfo)| ((levels.map(|level| level.group(info)), info.core), *cpu);
    let mut places: Vec<_> = cpus.iter().map(place).collect();
    places.sort_unstable();
    let unit = |of_unit: &[(Place, CpuId)]| {
        let ((path, core), _) = *of_unit.first()?;
        Some(Unit { path, core, cpus: of_unit.iter().map(|(_, cpu)| *cpu).collect() })
    };
    places.chunk_by(|(a, _), (b, _)| a == b).filter_map(unit).collect()
}
