//! Which CPUs: whole cores before single threads, one L3 cache before several, cheap CPUs before dear ones.

mod cost;
mod dynamic;
mod kubelet;
mod policy;
mod table;

pub use kubelet::{Accumulator, Counts, KubeletMachine, Place, Sorting, StaticOptions, Unit, distributed, packed, take_static};
pub(crate) use policy::take;
pub use policy::{Nodes, Order, TakePolicy, take_cpus};

use crate::layout::{CorePart, Layout};
use gleaner_model::{CpuId, CpuSet, Id, NumaId};
use std::cmp::Reverse;

/// How many CPUs are wanted, and which rather than others.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// How many.
    pub cpus: u32,
    /// Nothing but whole cores: those with all their online threads free, or completed by what the taker has.
    pub whole_cores: bool,
    /// What the taker has already and keeps: CPUs that complete its cores and caches come first.
    pub own: &'a CpuSet,
    /// CPUs of others that run alone on theirs: a core shared with them comes last.
    pub held: &'a CpuSet,
    /// What taking a CPU costs those who have it now; the lower the better.
    pub cost: &'a dyn Fn(CpuId) -> u32,
}

impl std::fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Wanted");
        shown.field("cpus", &self.cpus).field("whole_cores", &self.whole_cores).field("own", self.own).field("held", self.held);
        shown.finish_non_exhaustive()
    }
}

impl Wanted<'_> {
    /// What taking these CPUs costs.
    pub(crate) fn cost_of(&self, cpus: &CpuSet) -> u32 {
        cpus.iter().map(self.cost).fold(0, u32::saturating_add)
    }

    fn of(&self, cpus: u32) -> Self {
        Self { cpus, ..*self }
    }

    fn completes(&self, core: &CorePart<'_>) -> bool {
        core.all.difference(&core.part).is_subset(self.own)
    }
}

/// CPUs among `free`, which are on one NUMA node; `None` when there are too few. The L3 cache where they fit tightest wins; where none
/// is large enough, the one with most free CPUs is used up first.
pub(crate) fn take_from_node(layout: &Layout<'_>, free: &CpuSet, wanted: &Wanted<'_>) -> Option<CpuSet> {
    let groups = layout.by_cache(free);
    let by_cache = if groups.len() > 1 { take_by_cache(layout, groups, wanted) } else { None };
    by_cache.or_else(|| take_from_group(layout, free, wanted))
}

fn take_by_cache(layout: &Layout<'_>, mut groups: Vec<CpuSet>, wanted: &Wanted<'_>) -> Option<CpuSet> {
    let mut taken = CpuSet::new();
    loop {
        let rest = wanted.of(wanted.cpus - taken.count());
        let tightest =
            groups.iter().filter_map(|group| Some((group, take_from_group(layout, group, &rest)?))).min_by_key(|(group, cpus)| {
                let near = layout.in_cache_of(group.first(), wanted.own);
                (
                    layout.split_cores(&cpus.union(wanted.own)),
                    Reverse(near),
                    rest.cost_of(cpus),
                    group.count(),
                    group.first().map(Id::index),
                )
            });
        if let Some((_, cpus)) = tightest {
            return Some(taken.union(&cpus));
        }
        let fullest = groups.iter().enumerate().max_by_key(|(at, group)| (capacity(layout, group, &rest), Reverse(*at)))?.0;
        let group = groups.remove(fullest);
        let cpus = take_from_group(layout, &group, &rest.of(capacity(layout, &group, &rest).min(rest.cpus)))?;
        taken = taken.union(&cpus);
    }
}

/// How many of these CPUs can be had.
pub(crate) fn capacity(layout: &Layout<'_>, free: &CpuSet, wanted: &Wanted<'_>) -> u32 {
    if !wanted.whole_cores {
        return free.count();
    }
    layout.cores_of(free).iter().filter(|core| wanted.completes(core)).map(|core| core.part.count()).sum()
}

fn take_from_group(layout: &Layout<'_>, free: &CpuSet, wanted: &Wanted<'_>) -> Option<CpuSet> {
    if free.count() < wanted.cpus {
        return None;
    }
    let mut taken = CpuSet::new();
    let mut left = wanted.cpus;
    let mut whole: Vec<CorePart<'_>> = layout.cores_of(free).into_iter().filter(|core| wanted.completes(core)).collect();
    // The size before the cost: the other way round, odd small cores could use up what the large ones need to come out even.
    whole.sort_by_cached_key(|core| {
        let fresh = core.part.count() == core.all.count();
        (fresh, Reverse(core.part.count()), wanted.cost_of(&core.part), core.id)
    });
    for core in &whole {
        if core.part.count() <= left {
            left -= core.part.count();
            taken = taken.union(&core.part);
        }
    }
    if left == 0 {
        return Some(taken);
    }
    if wanted.whole_cores {
        return None;
    }
    let mut parts = layout.cores_of(&free.difference(&taken));
    parts.sort_by_cached_key(|core| {
        let beside_owner = !core.all.is_disjoint(wanted.held);
        let splits = wanted.completes(core);
        (beside_owner, splits, wanted.cost_of(&core.part), core.id)
    });
    for core in parts {
        let mut threads: Vec<CpuId> = core.part.iter().collect();
        threads.sort_by_key(|cpu| ((wanted.cost)(*cpu), *cpu));
        for cpu in threads {
            if left == 0 {
                return Some(taken);
            }
            taken.insert(cpu);
            left -= 1;
        }
    }
    (left == 0).then_some(taken)
}

/// CPUs among `free` to add to what the taker has: on the NUMA node where it has most, then on the nearest ones; without any, on the node
/// where they fit tightest. Fewer than wanted only when there are fewer.
pub(crate) fn grow(layout: &Layout<'_>, free: &CpuSet, wanted: &Wanted<'_>) -> CpuSet {
    let mut taken = CpuSet::new();
    loop {
        let left = wanted.cpus - taken.count();
        let own = wanted.own.union(&taken);
        let home = layout.nodes.iter().map(|(id, cpus)| (own.intersection(cpus).count(), Reverse(*id))).max();
        let home = home.filter(|(count, _)| *count > 0).map(|(_, Reverse(id))| id);
        let rank = |id: NumaId, cpus: &CpuSet, open: &CpuSet| {
            let misfit = if open.count() >= left { (0, open.count()) } else { (1, u32::MAX - open.count()) };
            (Reverse(own.intersection(cpus).count()), home.map_or(0, |home| layout.distance(home, id)), misfit, id)
        };
        let open = layout.nodes.iter().map(|(id, cpus)| (id, cpus, free.intersection(cpus).difference(&taken)));
        let best = open.filter(|(_, _, open)| !open.is_empty()).min_by_key(|(id, cpus, open)| rank(**id, cpus, open));
        let Some((_, _, open)) = best.filter(|_| left > 0) else { return taken };
        let step = Wanted { cpus: left.min(open.count()), own: &own, ..*wanted };
        match take_from_node(layout, &open, &step).filter(|cpus| !cpus.is_empty()) {
            Some(cpus) => taken = taken.union(&cpus),
            None => return taken,
        }
    }
}

/// Which `count` CPUs of `have` to give back: those of cores that it only has a part of, then those on the NUMA node and L3 cache where it
/// has fewest, so that what stays is together.
pub(crate) fn give_back(layout: &Layout<'_>, have: &CpuSet, count: u32) -> CpuSet {
    if count == 0 {
        return CpuSet::new();
    }
    let on_node = |core: &CorePart<'_>| layout.topology.nodes_of(&core.part).first().and_then(|id| layout.nodes.get(&id));
    let mut cores = layout.cores_of(have);
    cores.sort_by_cached_key(|core| {
        let whole = core.part.count() == core.all.count();
        let node = on_node(core).map_or(0, |cpus| have.intersection(cpus).count());
        (whole, node, layout.in_cache_of(core.part.first(), have), Reverse(core.id))
    });
    let mut back = CpuSet::new();
    // Twice: whole parts first, so that a core is torn only when nothing smaller does.
    for tear in [false, true] {
        for core in &cores {
            let left = count - back.count().min(count);
            if core.part.is_disjoint(&back) && (tear || core.part.count() <= left) {
                let mut threads: Vec<CpuId> = core.part.iter().collect();
                threads.reverse();
                back.extend(threads.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)));
            }
        }
    }
    back
}

#[cfg(test)]
mod tests;
