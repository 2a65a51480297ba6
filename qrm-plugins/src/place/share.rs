//! CPUs of the shared pools: each keeps what it has, gives back what it no longer needs, and takes the nearest of what is free.

use super::Context;
use crate::take::{Wanted, give_back, grow};
use gleaner_model::{CpuId, CpuSet, PoolName};
use std::cmp::{Ordering, Reverse};
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
    let sizes = if leave_rest && total <= u64::from(budget) { wants.clone() } else { apportion(wants, budget) };
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
        let rule = rule(wants.get(&pool).copied().unwrap_or_default(), cpus.count());
        (pool, (cpus, rule))
    });
    given.collect()
}

/// `total` in proportion to the weights, at least 1 each, by largest remainder; ties go by name. `total` is at least the number of pools.
fn apportion(weights: &BTreeMap<PoolName, u32>, total: u32) -> BTreeMap<PoolName, u32> {
    let sum: u64 = weights.values().map(|w| u64::from(*w)).sum();
    let exact = |weight: u32| u64::from(weight) * u64::from(total);
    let floor = |weight: u32| u32::try_from(exact(weight).checked_div(sum).unwrap_or(0)).unwrap_or(u32::MAX).max(1);
    let mut sizes: BTreeMap<PoolName, u32> = weights.iter().map(|(pool, weight)| (pool.clone(), floor(*weight))).collect();
    let mut by_remainder: Vec<(&PoolName, &u32)> = weights.iter().collect();
    by_remainder.sort_by_key(|(pool, weight)| (Reverse(exact(**weight).checked_rem(sum)), *pool));
    let given = |sizes: &BTreeMap<PoolName, u32>| sizes.values().map(|s| u64::from(*s)).sum::<u64>();
    for (pool, _) in by_remainder {
        if given(&sizes) < u64::from(total) {
            sizes.entry(pool.clone()).and_modify(|size| *size += 1);
        }
    }
    // The least of 1 may have brought the sum above the total; the largest pools pay, of equals the last by name.
    while given(&sizes) > u64::from(total) {
        let Some((_, largest)) = sizes.iter_mut().max_by_key(|(_, size)| **size) else { break };
        *largest = largest.saturating_sub(1);
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn shares(weights: &[u32], total: u32) -> Vec<u32> {
        let weights = weights.iter().enumerate().map(|(at, w)| (format!("p{at}").parse().unwrap(), *w)).collect();
        apportion(&weights, total).into_values().collect()
    }

    #[test]
    fn what_is_left_is_cut_in_proportion_and_every_pool_gets_one() {
        assert_eq!(shares(&[4, 2], 3), [2, 1]);
        assert_eq!(shares(&[1, 1, 1], 8), [3, 3, 2]);
        assert_eq!(shares(&[100, 1, 1], 4), [2, 1, 1]);
        assert_eq!(shares(&[100, 100, 1, 1, 1], 6), [2, 1, 1, 1, 1]);
        assert_eq!(shares(&[u32::MAX, 1], 2), [1, 1]);
    }
}
