//! CPU that Katalyst promises to reclaimed pods.

use gleaner_model::{Limit, MilliCpu, NumaId, Permille};
use std::collections::BTreeMap;

/// Settings of [`cpu_headroom`]; the defaults are Katalyst's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuHeadroomSettings {
    /// Whether the promise follows how much of it is used.
    pub util_based: bool,
    /// The share of the supply that is to be used.
    pub target: Permille,
    /// The share above which the promise falls; zero is never.
    pub max: Permille,
    /// The promise is at most this share of the supply.
    pub max_oversold: Permille,
    /// The promise is at most this share of the nodes' CPUs; zero is no such bound.
    pub max_capacity: Permille,
}

impl Default for CpuHeadroomSettings {
    fn default() -> Self {
        Self {
            util_based: false,
            target: Permille::new(600),
            max: Permille::new(0),
            max_oversold: Permille::new(1200),
            max_capacity: Permille::new(1000),
        }
    }
}

/// NUMA nodes whose reclaimed pods share one cgroup: one node with pods bound to it, or all without.
#[derive(Debug, Clone)]
pub struct ReclaimGroup {
    /// Its nodes, with the CPUs of each.
    pub nodes: BTreeMap<NumaId, u32>,
    /// CPUs of the reclaim pool on them.
    pub pool: u32,
    /// How much of these is used, by whomever.
    pub pool_usage: MilliCpu,
    /// What the reclaimed pods' cgroup uses.
    pub usage: MilliCpu,
    /// What that cgroup may use at most.
    pub quota: Limit<MilliCpu>,
    /// What was promised before.
    pub last: MilliCpu,
}

/// Whole CPUs promised on each NUMA node:
///
/// ```text
/// supply   = min(pool - usage of its CPUs + usage of the reclaimed pods, quota)
/// oversold = supply x target - usage of the reclaimed pods   where they use less than that
///            supply x max - usage of the reclaimed pods      where they use more than that
/// promise  = min(max(last + oversold, supply), supply x maxOversold, nodes' CPUs x maxCapacity)
/// ```
///
/// Without `util_based` the promise is the supply. A group's promise is rounded up to whole CPUs, then shared out by the nodes' CPUs and cut
/// to whole ones. Rounding up comes after the bounds, as in Katalyst, so that the promise can be above them by less than one CPU.
#[must_use]
pub fn cpu_headroom(groups: &[ReclaimGroup], settings: &CpuHeadroomSettings) -> BTreeMap<NumaId, u32> {
    let mut promised = BTreeMap::new();
    for group in groups {
        let whole = u64::from(of_group(group, settings).ceil_cpus());
        let all = cpus(group);
        for (node, own) in &group.nodes {
            // A product of two u32 fits; a part is at most the whole.
            let part = whole.saturating_mul(u64::from(*own)).checked_div(all).unwrap_or(0);
            promised.insert(*node, u32::try_from(part).unwrap_or(u32::MAX));
        }
    }
    promised
}

fn of_group(group: &ReclaimGroup, settings: &CpuHeadroomSettings) -> MilliCpu {
    let idle = MilliCpu::from_cpus(group.pool).minus(group.pool_usage);
    let supply = match group.quota {
        Limit::At(quota) => idle.plus(group.usage).min(quota),
        Limit::Max => idle.plus(group.usage),
    };
    if !settings.util_based || supply.is_zero() {
        return supply;
    }
    // supply x (target - usage / supply), without the division.
    let (target, max) = (supply.share(settings.target), supply.share(settings.max));
    let above = if settings.max.get() > 0 { group.usage.minus(max) } else { MilliCpu::ZERO };
    let moved = if group.usage < target { group.last.plus(target.minus(group.usage)) } else { group.last.minus(above) };
    let promise = moved.max(supply).min(supply.share(settings.max_oversold));
    let capacity = MilliCpu::new(cpus(group).saturating_mul(u64::from(settings.max_capacity.get())));
    if settings.max_capacity.get() > 0 { promise.min(capacity) } else { promise }
}

fn cpus(group: &ReclaimGroup) -> u64 {
    group.nodes.values().copied().map(u64::from).sum()
}
