//! Sizes that fit together into what is there.

use super::room::Room;
use gleaner_model::{NumaId, PoolName, apportion};
use std::collections::BTreeMap;

/// How large a pool would be if it were alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    /// What its pods need now, in whole CPUs; at least 1.
    pub(crate) need: u32,
    /// That, or more that it may keep for a while.
    pub(crate) size: u32,
}

/// The sizes that fit: the pools of one NUMA node into what that has, and all together into what the whole machine has.
///
/// What does not fit is cut: first what pools only keep for a while, in proportion to that; then the needs, in proportion to them, at least
/// one each. Fewer CPUs than pools are shared by them, so each still has one.
pub(crate) fn regulate(wishes: &BTreeMap<PoolName, Wish>, room: &Room) -> BTreeMap<PoolName, u32> {
    let mut all = wishes.clone();
    let mut by_node: BTreeMap<NumaId, BTreeMap<PoolName, Wish>> = BTreeMap::new();
    for (name, wish) in wishes {
        if let Some((_, node)) = name.node_bound() {
            by_node.entry(node).or_default().insert(name.clone(), *wish);
        }
    }
    for (node, wishes) in by_node {
        let sizes = fit(&wishes, room.on_node(node));
        for (name, size) in sizes {
            all.entry(name).and_modify(|wish| *wish = Wish { need: wish.need.min(size), size });
        }
    }
    fit(&all, room.all())
}

fn fit(wishes: &BTreeMap<PoolName, Wish>, there: u32) -> BTreeMap<PoolName, u32> {
    let sum = |of: fn(&Wish) -> u32| wishes.values().map(|wish| u64::from(of(wish))).sum::<u64>();
    let part = |of: fn(&Wish) -> u32| wishes.iter().map(|(name, wish)| (name.clone(), of(wish))).collect::<BTreeMap<_, _>>();
    let needs = sum(|wish| wish.need);
    if sum(|wish| wish.size) <= u64::from(there) {
        part(|wish| wish.size)
    } else if wishes.len() >= usize::try_from(there).unwrap_or(usize::MAX) {
        part(|_| 1)
    } else if needs <= u64::from(there) {
        let rest = there.saturating_sub(u32::try_from(needs).unwrap_or(u32::MAX));
        let mut sizes = apportion(&part(|wish| wish.size.saturating_sub(wish.need)), rest, 0);
        for (name, wish) in wishes {
            sizes.entry(name.clone()).and_modify(|size| *size = size.saturating_add(wish.need));
        }
        sizes
    } else {
        apportion(&part(|wish| wish.need), there, 1)
    }
}
