//! Sizes of pools that together want more, or less, than there is.

use gleaner_model::PoolName;
use std::collections::BTreeMap;

/// How pools came to their sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// Each has what it wanted.
    AsWanted,
    /// They share out what nobody wanted.
    Expanded,
    /// They wanted more than there is, and each has its part.
    Shrunk,
    /// There is less than one CPU for each: all run on all of them.
    Together,
}

/// Sizes of pools in whole CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSizes {
    /// By pool. Their sum is at most what was available, except where they run together.
    pub sizes: BTreeMap<PoolName, u32>,
    /// How they came about.
    pub fit: Fit,
}

impl PoolSizes {
    /// Whether pools have less than they wanted.
    #[must_use]
    pub const fn throttled(&self) -> bool {
        matches!(self.fit, Fit::Shrunk | Fit::Together)
    }
}

/// Brings the sizes that pools want into `available` CPUs: all are scaled down where they do not fit, `fixed` ones too. Where they do, and
/// `expand` is set, the `expandable` ones are scaled up to fill what is left. A pool is in one of the two maps.
///
/// Scaling rounds up and then takes CPUs off one at a time, from the pool that has the most for what it wanted, then from the larger
/// one; no pool that wanted a CPU has none. What wanted nothing gets nothing.
#[must_use]
pub fn regulate_pool_sizes(
    available: u32,
    expandable: &BTreeMap<PoolName, u32>,
    fixed: &BTreeMap<PoolName, u32>,
    expand: bool,
) -> PoolSizes {
    let mut sizes = expandable.clone();
    sizes.extend(fixed.iter().map(|(name, size)| (name.clone(), *size)));
    let spare = u64::from(available).checked_sub(sum(&sizes));
    let fit = match spare {
        None => match scale(&sizes, available) {
            Some(scaled) => {
                sizes = scaled;
                Fit::Shrunk
            }
            None => {
                sizes.values_mut().filter(|size| **size > 0).for_each(|size| *size = available);
                Fit::Together
            }
        },
        Some(spare) if expand && spare > 0 && sum(expandable) > 0 => {
            // Not more than `available`, since all fit.
            let target = u32::try_from(sum(expandable).saturating_add(spare)).unwrap_or(available);
            sizes.extend(scale(expandable, target).into_iter().flatten());
            Fit::Expanded
        }
        Some(_) => Fit::AsWanted,
    };
    PoolSizes { sizes, fit }
}

/// How many CPUs each shared pool lends where reclaimed pods run on its CPUs: `required` in all, by the pools' sizes. The largest pool is
/// asked first for its part, rounded up, until nothing is left to ask for; pools that are not asked are not in the result. Where the pools
/// have less than `required`, all that they have.
#[must_use]
pub fn spread_overlap(pools: &BTreeMap<PoolName, u32>, required: u32) -> BTreeMap<PoolName, u32> {
    let all = sum(pools);
    let mut left = u64::from(required).min(all);
    let required = left;
    let mut largest_first: Vec<(&PoolName, u32)> = pools.iter().map(|(name, size)| (name, *size)).collect();
    largest_first.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let mut lent = BTreeMap::new();
    for (name, size) in largest_first {
        let part = part(size, required, all).min(left);
        left = left.saturating_sub(part);
        // At most the pool's size, since `required` is at most all of them.
        let part = u32::try_from(part).unwrap_or(size);
        if part > 0 {
            lent.insert(name.clone(), part);
        }
    }
    lent
}

fn sum(sizes: &BTreeMap<PoolName, u32>) -> u64 {
    sizes.values().copied().map(u64::from).sum()
}

/// The part of one among all, rounded up.
fn part(size: u32, target: u64, all: u64) -> u64 {
    let product = u128::from(size).saturating_mul(u128::from(target));
    let part = product.checked_add(u128::from(all).saturating_sub(1)).and_then(|up| up.checked_div(u128::from(all)));
    part.and_then(|part| u64::try_from(part).ok()).unwrap_or(0)
}

/// `None` where there is less than one CPU for each that wants some.
fn scale(sizes: &BTreeMap<PoolName, u32>, target: u32) -> Option<BTreeMap<PoolName, u32>> {
    let all = sum(sizes);
    let wanting = sizes.values().filter(|size| **size > 0).count();
    if u32::try_from(wanting).is_ok_and(|wanting| wanting <= target) {
        let scaled = |size: u32| u32::try_from(part(size, u64::from(target), all)).unwrap_or(u32::MAX);
        let mut scaled: BTreeMap<PoolName, u32> = sizes.iter().map(|(name, size)| (name.clone(), scaled(*size))).collect();
        // Rounding up added less than one CPU a pool, so this ends after fewer rounds than there are pools.
        for _ in u64::from(target)..sum(&scaled) {
            take_one(&mut scaled, sizes);
        }
        Some(scaled)
    } else {
        None
    }
}

fn take_one(scaled: &mut BTreeMap<PoolName, u32>, wanted: &BTreeMap<PoolName, u32>) {
    let more_than_one = scaled.iter_mut().zip(wanted).filter(|((_, now), _)| **now > 1);
    // Both maps have the same names, in the same order. Ratios are compared without a division: a/b > c/d where a*d > c*b.
    let most = more_than_one.map(|((_, now), (_, wanted))| (now, *wanted)).reduce(|best, other| {
        let ratio = |now: u32, wanted: u32| u64::from(now).saturating_mul(u64::from(wanted));
        let order = ratio(*other.0, best.1).cmp(&ratio(*best.0, other.1)).then(other.0.cmp(&best.0));
        if order.is_gt() { other } else { best }
    });
    if let Some((now, _)) = most {
        *now = now.saturating_sub(1);
    }
}
