//! Pool sizes from what each region needs, for one NUMA node with pods bound to it, or all nodes without.

use super::pool_sizes::{PoolSizes, regulate_pool_sizes, spread_overlap};
use gleaner_model::{NumaId, PoolName};
use std::collections::{BTreeMap, BTreeSet};

/// A shared pool, in whole CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedRegion {
    /// Its pool.
    pub pool: PoolName,
    /// The NUMA node that it is bound to.
    pub node: Option<NumaId>,
    /// What it needs.
    pub requirement: u32,
    /// What its pods request.
    pub requested: u32,
}

/// A pod taken out of its pool, in whole CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsolatedRegion {
    /// Its pool.
    pub pool: PoolName,
    /// The NUMA node that it is bound to.
    pub node: Option<NumaId>,
    /// What it gets where room is short.
    pub lower: u32,
    /// What it gets where there is room.
    pub upper: u32,
}

/// All that the pools are made of. Dedicated pods have their CPUs for themselves: these are not in `available`.
#[derive(Debug, Clone, Copy)]
pub struct ProvisionInput<'a> {
    /// CPUs of each NUMA node that can be given to pools.
    pub available: &'a BTreeMap<NumaId, u32>,
    /// CPUs of each NUMA node that reclaimed pods have at least.
    pub reserved: &'a BTreeMap<NumaId, u32>,
    /// The shared pools.
    pub shared: &'a [SharedRegion],
    /// The pods with a pool of their own.
    pub isolated: &'a [IsolatedRegion],
    /// Whether anything is lent beyond the reserve.
    pub reclaim: bool,
    /// Whether reclaimed pods run on the CPUs of shared pools, and not on CPUs of their own.
    pub overlap: bool,
}

/// Pools of one NUMA node, or of all without bound pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provision {
    /// Sizes of shared and isolated pools.
    pub pools: BTreeMap<PoolName, u32>,
    /// CPUs that reclaimed pods have for themselves.
    pub reclaim: u32,
    /// CPUs of shared pools on which they run too.
    pub overlaps: BTreeMap<PoolName, u32>,
    /// Whether pools have less than they need.
    pub throttled: bool,
}

/// Katalyst's assembler, without dedicated pods and without a quota on the reclaim pool: once for each NUMA node that a region is bound to,
/// and once (`None`) for the other nodes together, if there are any or a region needs them.
#[must_use]
pub fn assemble_provision(input: &ProvisionInput<'_>) -> BTreeMap<Option<NumaId>, Provision> {
    let regions = input.shared.iter().map(|r| r.node).chain(input.isolated.iter().map(|r| r.node));
    let mut groups: BTreeSet<Option<NumaId>> = regions.collect();
    let bound: BTreeSet<NumaId> = groups.iter().flatten().copied().collect();
    if input.available.keys().any(|node| !bound.contains(node)) {
        groups.insert(None);
    }
    let sum = |cpus: &BTreeMap<NumaId, u32>, group: Option<NumaId>| {
        let of_group = cpus.iter().filter(|(node, _)| group.map_or(!bound.contains(node), |group| group == **node));
        of_group.map(|(_, cpus)| *cpus).fold(0, u32::saturating_add)
    };
    groups.iter().map(|group| (*group, assemble(input, *group, sum(input.available, *group), sum(input.reserved, *group)))).collect()
}

fn assemble(input: &ProvisionInput<'_>, group: Option<NumaId>, cpus: u32, reserved: u32) -> Provision {
    let available = if input.overlap { cpus } else { cpus.saturating_sub(reserved) };
    let shared: Vec<&SharedRegion> = input.shared.iter().filter(|region| region.node == group).collect();
    let requirements: BTreeMap<PoolName, u32> = shared.iter().map(|r| (r.pool.clone(), r.requirement)).collect();
    let requests: BTreeMap<PoolName, u32> = shared.iter().map(|r| (r.pool.clone(), r.requested)).collect();
    let isolated = isolated(input, group, available, total(&requirements).max(total(&requests)));
    let expand = !input.reclaim || input.overlap;
    let wanted = if expand { &requests } else { &requirements };
    let regulated = regulate_pool_sizes(available, wanted, &isolated, expand);
    let throttled = regulated.throttled();
    let PoolSizes { sizes: pools, .. } = regulated;
    let unused = available.saturating_sub(total(&pools));
    let (reclaim, overlaps) = match (input.overlap, input.reclaim) {
        (false, true) => (unused.saturating_add(reserved), BTreeMap::new()),
        (false, false) => (reserved, BTreeMap::new()),
        (true, reclaim) => {
            let sizes =
                pools.iter().filter(|(name, _)| requirements.contains_key(*name)).map(|(name, size)| (name.clone(), *size)).collect();
            let kept = total(&pools).saturating_sub(total(&sizes)).saturating_add(total(&requirements));
            let enough = reclaim && available.saturating_sub(kept) >= reserved;
            (unused, if enough { beyond(&sizes, &requirements) } else { spread_overlap(&sizes, reserved) })
        }
    };
    Provision { pools, reclaim, overlaps, throttled }
}

/// Isolated pods get their upper size where the shared pools still have what they need.
fn isolated(input: &ProvisionInput<'_>, group: Option<NumaId>, available: u32, shared: u32) -> BTreeMap<PoolName, u32> {
    let of_group = || input.isolated.iter().filter(|region| region.node == group);
    let upper = of_group().map(|region| region.upper).fold(shared, u32::saturating_add);
    of_group().map(|region| (region.pool.clone(), if upper > available { region.lower } else { region.upper })).collect()
}

/// What each pool has beyond its requirement; at least one CPU, even of a pool that needs all it has.
fn beyond(sizes: &BTreeMap<PoolName, u32>, requirements: &BTreeMap<PoolName, u32>) -> BTreeMap<PoolName, u32> {
    let beyond = |(name, size): (&PoolName, &u32)| {
        let needed = requirements.get(name).copied().unwrap_or(0);
        (name.clone(), size.saturating_sub(needed).max(1).min(*size))
    };
    sizes.iter().map(beyond).collect()
}

fn total(sizes: &BTreeMap<PoolName, u32>) -> u32 {
    sizes.values().copied().fold(0, u32::saturating_add)
}
