//! CPUs of the shared pools: each keeps what it has, gives back what it no longer needs, and takes the nearest of what is free.

use super::Context;
use crate::take::{Wanted, give_back, grow};
use gleaner_model::{CpuId, CpuSet, PoolName};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A pool's CPUs and the rule that gave them.
pub(super) type Given = (CpuSet, String);

/// Cuts the shared pools out of the CPUs that are open to pools. Empty only when there are no such pools or no CPUs.
pub(super) fn place(context: &Context<'_>, open: &CpuSet, held: &CpuSet) -> BTreeMap<PoolName, Given> {
    let wanted = &context.demands.share;
    let pools = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
    let total: u64 = wanted.values().map(|cpus| u64::from(*cpus)).sum();
    let for_reclaim = u32::from(context.reclaim_needs_own());
    let budget = if open.count() > for_reclaim { open.count() - for_reclaim } else { open.count() };
    if wanted.is_empty() || open.is_empty() {
        return BTreeMap::new();
    }
    if budget < pools {
        let common = one_for_all(context, open, held, budget);
        let rule = format!("{budget} CPUs are left for {pools} shared pools: they have them together");
        return wanted.keys().map(|pool| (pool.clone(), (common.clone(), rule.clone()))).collect();
    }
    let sizes = if for_reclaim > 0 && total <= u64::from(budget) { wanted.clone() } else { apportion(wanted, budget) };
    let rule = |pool: &PoolName, given: u32| {
        let wants = wanted.get(pool).copied().unwrap_or_default();
        match given.cmp(&wants) {
            std::cmp::Ordering::Equal => format!("wants {wants} CPUs"),
            std::cmp::Ordering::Less => format!("wants {wants} CPUs; shared pools want {total}, {budget} are left: cut in proportion"),
            std::cmp::Ordering::Greater => format!("wants {wants} CPUs; nobody else needs the rest"),
        }
    };
    let cut = cut(context, open, held, &sizes);
    cut.into_iter().map(|(pool, cpus)| (pool.clone(), (cpus.clone(), rule(&pool, cpus.count())))).collect()
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

/// One set of `count` CPUs that all shared pools have together.
fn one_for_all(context: &Context<'_>, open: &CpuSet, held: &CpuSet, count: u32) -> CpuSet {
    let pools = context.demands.share.keys();
    let have = pools.fold(CpuSet::new(), |all, pool| all.union(&context.current.cpus_of(pool))).intersection(open);
    resize(context, &have, &open.difference(&have), held, count)
}

/// Disjoint sets of these sizes, which together fit into `open`.
fn cut(context: &Context<'_>, open: &CpuSet, held: &CpuSet, sizes: &BTreeMap<PoolName, u32>) -> BTreeMap<PoolName, CpuSet> {
    let layout = &context.layout;
    let mut free = open.clone();
    let mut kept: BTreeMap<&PoolName, CpuSet> = BTreeMap::new();
    for (pool, size) in sizes {
        let have = context.current.cpus_of(pool).intersection(&free);
        let spare = have.count().saturating_sub(*size);
        let have = have.difference(&give_back(layout, &have, spare));
        free = free.difference(&have);
        kept.insert(pool, have);
    }
    let mut cut = BTreeMap::new();
    for (pool, size) in sizes {
        let have = kept.remove(pool).unwrap_or_default();
        let cpus = resize(context, &have, &free, held, *size);
        free = free.difference(&cpus);
        cut.insert(pool.clone(), cpus);
    }
    cut
}

fn resize(context: &Context<'_>, have: &CpuSet, free: &CpuSet, held: &CpuSet, size: u32) -> CpuSet {
    let layout = &context.layout;
    if have.count() >= size {
        return have.difference(&give_back(layout, have, have.count() - size));
    }
    let reclaim = context.current.cpus_of(&PoolName::reclaim());
    // A CPU that nobody has is nobody's loss.
    let cost = |cpu: CpuId| u32::from(reclaim.contains(cpu));
    let wanted = Wanted { cpus: size - have.count(), whole_cores: false, own: have, held, cost: &cost };
    have.union(&grow(layout, free, &wanted))
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
