//! CPUs of the shared pools: each keeps what it has, gives back what it no longer needs, and takes the nearest of what is free.

use super::Context;
use crate::take::{Wanted, give_back, grow};
use gleaner_model::{CpuId, CpuSet, PoolName, apportion};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A pool's CPUs and the rule that gave them.
pub(super) type Given = (CpuSet, String);

/// CPUs that some shared pools divide.
pub(super) struct Area {
    /// The CPUs.
    pub(super) cpus: CpuSet,
    /// How many each pool wants.
    pub(super) wants: BTreeMap<PoolName, u32>,
    /// Where that is, as the beginning of the rule's text.
    pub(super) of: String,
}

/// What one taker has and is to have.
pub(super) struct Part {
    /// CPUs that it has.
    pub(super) has: CpuSet,
    /// How many it is to have.
    pub(super) size: u32,
}

/// Divides an area among its pools. With `leave_rest` they take no more than they want. Empty only when there are no pools or no CPUs.
pub(super) fn divide(context: &Context<'_>, area: &Area, held: &CpuSet, leave_rest: bool) -> BTreeMap<PoolName, Given> {
    let Area { cpus, wants, of } = area;
    let pools = u32::try_from(wants.len()).unwrap_or(u32::MAX);
    let total: u64 = wants.values().map(|cpus| u64::from(*cpus)).sum();
    let budget = cpus.count();
    if wants.is_empty() || cpus.is_empty() {
        return BTreeMap::new();
    }
    if budget < pools {
        let rule = format!("{of}{budget} CPUs are left for {pools} shared pools: they have them together");
        return wants.keys().map(|pool| (pool.clone(), (cpus.clone(), rule.clone()))).collect();
    }
    let sizes = match (total <= u64::from(budget), leave_rest) {
        (true, true) => wants.clone(),
        (true, false) => with_rest(wants, budget),
        (false, _) => apportion(wants, budget, 1),
    };
    let rule = |wants: u32, given: u32| match given.cmp(&wants) {
        Ordering::Equal => format!("{of}wants {wants} CPUs"),
        Ordering::Less => format!("{of}wants {wants} CPUs; shared pools want {total}, {budget} are left: cut in proportion"),
        Ordering::Greater => format!("{of}wants {wants} CPUs; nobody else needs the rest"),
    };
    let wanted = sizes.into_iter().map(|(pool, size)| {
        let has = context.current.cpus_of(&pool);
        (pool, Part { has, size })
    });
    let given = parts(context, cpus, held, &wanted.collect());
    let given = given.into_iter().map(|(pool, cpus)| {
        let alone = if pool.is_isolation() { "of one pod that floods its pool: " } else { "" };
        let rule = alone.to_owned() + &rule(wants.get(&pool).copied().unwrap_or_default(), cpus.count());
        (pool, (cpus, rule))
    });
    given.collect()
}

/// What the pools want, and the rest in proportion. Who is isolated has no more than it wants: else there were no point in it.
fn with_rest(wants: &BTreeMap<PoolName, u32>, budget: u32) -> BTreeMap<PoolName, u32> {
    let (mut sizes, others): (BTreeMap<_, _>, BTreeMap<_, _>) = wants.clone().into_iter().partition(|(pool, _)| pool.is_isolation());
    sizes.extend(apportion(&others, budget.saturating_sub(sizes.values().sum()), 1));
    sizes
}

/// Disjoint sets of these sizes, which together fit into `open`.
pub(super) fn parts<K: Ord + Clone>(
    context: &Context<'_>,
    open: &CpuSet,
    held: &CpuSet,
    wanted: &BTreeMap<K, Part>,
) -> BTreeMap<K, CpuSet> {
    let layout = context.layout;
    let mut free = open.clone();
    let mut kept: BTreeMap<&K, CpuSet> = BTreeMap::new();
    for (taker, Part { has, size }) in wanted {
        let has = has.intersection(&free);
        let spare = has.count().saturating_sub(*size);
        let has = has.difference(&give_back(layout, &has, spare));
        free = free.difference(&has);
        kept.insert(taker, has);
    }
    // A CPU that nobody has is nobody's loss.
    let cost = |cpu: CpuId| u32::from(context.reclaim.contains(cpu));
    let mut parts = BTreeMap::new();
    for (taker, Part { size, .. }) in wanted {
        let has = kept.remove(taker).unwrap_or_default();
        let lacks = Wanted { cpus: size.saturating_sub(has.count()), whole_cores: false, own: &has, held, cost: &cost };
        let more = if lacks.cpus == 0 { CpuSet::new() } else { grow(layout, &free, &lacks) };
        free = free.difference(&more);
        parts.insert(taker.clone(), has.union(&more));
    }
    parts
}
