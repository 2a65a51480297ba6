//! The best CPUs for a pod that has none, or that must go elsewhere.

use super::cause::{cause, floor_cause, too_large};
use super::{Dedicated, Lack, Wanting, asks_for, leaves_enough};
use crate::demand::DedicatedDemand;
use crate::layout::Layout;
use crate::place::company::{Company, closed};
use crate::place::context::Context;
use crate::refusal::{Refusal, Rule};
use crate::subsets::{Widths, of_size};
use crate::take::{Nodes, TakePolicy, Wanted, give_back, take};
use gleaner_model::{CpuId, CpuSet, Id, NumaBinding, NumaId, NumaPlacement, NumaSet, PoolName};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Up to this many sets of NUMA nodes of one size are looked at; above, each node with its nearest.
const ALL_SETS: usize = 1 << 10;

/// CPUs for a pod that has none yet, or the rule that leaves it without.
pub(in crate::place) fn find(context: &Context<'_>, done: &Dedicated, wanting: &Wanting<'_>) -> Result<CpuSet, Refusal> {
    too_large(context, wanting)?;
    let finder = Finder::new(context, done, *wanting);
    let mut lack = None;
    if let Some(cpus) = finder.best(&finder.free, &mut lack)? {
        return Ok(cpus);
    }
    if lack.is_none() && finder.free != finder.usable {
        // Would it fit without bound pods: what they must be left, and where they do not get along with it?
        let fits = finder.best(&finder.usable, &mut lack)?.is_some();
        if let Some((node, Refusal { rule, cause })) = finder.closed.filter(|_| fits && lack.is_none()) {
            return Err(Refusal::by(rule, format!("NUMA node {node}: {cause}")));
        }
    }
    Err(lack.map_or_else(|| cause(context, wanting, &finder.usable), |lack| floor_cause(wanting.cpus, lack)))
}

/// What one pod could have, worked out once for all sets of NUMA nodes.
pub(in crate::place) struct Finder<'a> {
    context: &'a Context<'a>,
    wanting: Wanting<'a>,
    own: CpuSet,
    /// CPUs of other dedicated pods.
    held: CpuSet,
    /// CPUs for pools, as long as the pod has none.
    open: CpuSet,
    /// CPUs that the pod may have.
    usable: CpuSet,
    /// The same without those that bound shared pods must be left, and without nodes of bound pods that do not get along with it.
    free: CpuSet,
    /// The first of these nodes, and why.
    closed: Option<(NumaId, Refusal)>,
    /// How many of these each node has; of a pod of whole cores those in whole cores.
    capacity: BTreeMap<NumaId, u32>,
}

impl<'a> Finder<'a> {
    pub(in crate::place) fn new(context: &'a Context<'a>, done: &Dedicated, wanting: Wanting<'a>) -> Self {
        let (layout, demand) = (context.layout, wanting.demand);
        let own = context.current.cpus_of(&PoolName::dedicated(wanting.uid));
        let on = |node: NumaId, cpus: &CpuSet| layout.nodes.get(&node).map(|all| all.intersection(cpus)).unwrap_or_default();
        let company = Company::dedicated(demand);
        let elsewhere = context.tenants.iter().filter(|(node, _)| on(**node, &own).is_empty());
        let strange: Vec<_> = elsewhere.filter_map(|(node, there)| Some((*node, closed(&company, there)?))).collect();
        let strangers: NumaSet = strange.iter().map(|(node, _)| *node).collect();
        let usable = usable(context, done, &wanting);
        let open = done.open(context);
        // Who closes a node leaves nothing there, whatever it takes.
        let closes = demand.binding == NumaBinding::Exclusive || !demand.numa_share;
        let kept =
            context.floors.iter().filter(|_| !closes).map(|(node, floor)| kept(context, &on(*node, &open), *floor, demand.whole_cores));
        let free = kept.fold(usable.difference(&layout.cpus_of(&strangers)), |free, kept| free.difference(&kept));
        let capacity = capacity(context, demand, &free);
        Self { context, wanting, own, held: done.cpus(), open, usable, free, closed: strange.into_iter().next(), capacity }
    }

    /// Whether the pod can have these nodes.
    pub(in crate::place) fn fits(&self, nodes: &NumaSet) -> bool {
        if !self.could(nodes, &self.capacity) {
            return false;
        }
        let (layout, demand) = (self.context.layout, self.wanting.demand);
        let here = layout.cpus_of(nodes);
        if demand.binding != NumaBinding::Exclusive {
            let exact = !demand.whole_cores || layout.is_regular();
            if !exact || self.context.policy.cpu_take != TakePolicy::default() {
                return self.take(nodes, &self.free).is_some_and(|cpus| self.leaves(&cpus).is_ok());
            }
            let there = self.free.intersection(&here);
            let lost = there.intersection(&self.open).count().min(self.wanting.cpus);
            if demand.numa_share {
                return lost == 0
                    || self.open.count() - lost >= self.context.floor
                    || (!there.is_subset(&self.open) && self.take(nodes, &self.free).is_some_and(|cpus| self.leaves(&cpus).is_ok()));
            }
        }
        self.leaves(&self.free.intersection(&here)).is_ok()
    }

    /// Whether pools keep what they need when the pod has these CPUs.
    fn leaves(&self, cpus: &CpuSet) -> Result<(), Lack> {
        let mut after = self.open.difference(cpus);
        if !self.wanting.demand.numa_share {
            after = after.difference(&self.context.layout.cpus_of(&self.context.layout.topology.nodes_of(cpus)));
        }
        leaves_enough(self.context, &self.open, &after)
    }

    /// What the numbers alone do not rule out.
    fn could(&self, nodes: &NumaSet, capacity: &BTreeMap<NumaId, u32>) -> bool {
        let (layout, Wanting { demand, cpus, .. }) = (self.context.layout, self.wanting);
        let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        let on_each = || nodes.iter().map(|node| capacity.get(&node).copied().unwrap_or(0));
        let all: u32 = on_each().fold(0, u32::saturating_add);
        if count == 0 || all < cpus || on_each().any(|capacity| capacity == 0) || !is_aligned(layout, &self.wanting, nodes) {
            return false;
        }
        if demand.binding == NumaBinding::Exclusive {
            return true;
        }
        let unit = if demand.whole_cores && layout.is_regular() { layout.threads } else { 1 };
        let least = count.saturating_mul(unit.max(1));
        let even = || cpus.is_multiple_of(least) && on_each().all(|capacity| capacity >= cpus / count);
        cpus >= least && (!demand.distribute_evenly || even())
    }

    /// The CPUs that the pod would get of these on these nodes; `None` when it does not fit there.
    fn take(&self, nodes: &NumaSet, from: &CpuSet) -> Option<CpuSet> {
        let (layout, Wanting { demand, cpus, .. }) = (self.context.layout, self.wanting);
        let there = from.intersection(&layout.cpus_of(nodes));
        if demand.binding == NumaBinding::Exclusive {
            return (there.count() >= cpus).then_some(there);
        }
        let none = CpuSet::new();
        let cost = |cpu| self.cost(cpu);
        let wanted = Wanted { cpus, whole_cores: demand.whole_cores, own: &none, held: &self.held, cost: &cost };
        let share = if demand.distribute_evenly { Nodes::Even(nodes) } else { Nodes::Each(nodes) };
        take(layout, &there, &wanted, share, &self.context.policy.cpu_take)
    }

    /// The best CPUs among these. Sets of nodes are looked at from few to many and from near to far, and the first that do decide.
    fn best(&self, from: &CpuSet, lack: &mut Option<Lack>) -> Result<Option<CpuSet>, Refusal> {
        let layout = self.context.layout;
        let capacity = capacity(self.context, self.wanting.demand, from);
        let nodes: Vec<NumaId> = capacity.iter().filter(|(_, capacity)| **capacity > 0).map(|(node, _)| *node).collect();
        let widths = Widths::new(layout.topology, &nodes);
        for sets in self.rounds(&nodes, &capacity)? {
            let mut near: BTreeMap<u32, Vec<NumaSet>> = BTreeMap::new();
            for set in sets.into_iter().filter(|set| self.could(set, &capacity)) {
                near.entry(widths.of(&set)).or_default().push(set);
            }
            for sets in near.values() {
                if let Some(cpus) = self.best_of(sets, from, lack) {
                    return Ok(Some(cpus));
                }
            }
        }
        Ok(None)
    }

    /// The best of sets of nodes that are as near. Those that promise most are looked at first, so that most need not be.
    fn best_of(&self, sets: &[NumaSet], from: &CpuSet, lack: &mut Option<Lack>) -> Option<CpuSet> {
        let mut promising: Vec<(Rank, &NumaSet)> = sets.iter().map(|nodes| (self.rank_at_best(nodes, from), nodes)).collect();
        promising.sort();
        let mut best: Option<(Rank, CpuSet)> = None;
        for (at_best, nodes) in promising {
            if best.as_ref().is_some_and(|(rank, _)| *rank <= at_best) {
                break;
            }
            let Some(cpus) = self.take(nodes, from) else { continue };
            match self.leaves(&cpus) {
                Ok(()) => {
                    let rank = self.rank(nodes, &cpus);
                    if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                        best = Some((rank, cpus));
                    }
                }
                Err(short) => *lack = (*lack).max(Some(short)),
            }
        }
        best.map(|(_, cpus)| cpus)
    }

    /// The sets of nodes to try, by their size: those that were chosen by hints, or all that the annotations allow.
    fn rounds<'s>(
        &'s self,
        nodes: &'s [NumaId],
        capacity: &BTreeMap<NumaId, u32>,
    ) -> Result<Box<dyn Iterator<Item = Vec<NumaSet>> + 's>, Refusal> {
        let Wanting { demand, chosen, cpus, .. } = self.wanting;
        if let Some(chosen) = chosen {
            check(demand, chosen)?;
        }
        let only = if let NumaPlacement::Ids(ids) = &demand.placement { Some(ids) } else { chosen };
        if let Some(only) = only {
            return Ok(Box::new(std::iter::once(vec![only.clone()])));
        }
        let sizes = match (&demand.placement, demand.binding) {
            (NumaPlacement::Number(number), _) => {
                let number = usize::try_from(*number).unwrap_or(usize::MAX);
                number..=number
            }
            (_, NumaBinding::Bound) => 1..=1,
            (_, NumaBinding::Unbound | NumaBinding::Exclusive) => 1..=nodes.len(),
        };
        let mut most: Vec<u32> = capacity.values().copied().collect();
        most.sort_by_key(|capacity| Reverse(*capacity));
        let holds = move |size: &usize| most.iter().take(*size).copied().fold(0, u32::saturating_add) >= cpus;
        Ok(Box::new(sizes.filter(holds).map(|size| of_size(self.context.layout.topology, nodes, size, ALL_SETS))))
    }

    /// What it costs to give a CPU to a pod: nothing when it is its own already, more when it is a shared pool's than when it is at most the
    /// reclaim pool's.
    fn cost(&self, cpu: CpuId) -> u32 {
        if self.own.contains(cpu) { 0 } else { 1 + u32::from(self.context.shared.contains(cpu)) }
    }

    /// The objective among near sets of nodes that satisfy: tear no core, then move the fewest, then fit tightest.
    fn rank(&self, nodes: &NumaSet, cpus: &CpuSet) -> Rank {
        let layout = self.context.layout;
        let cost = cpus.iter().map(|cpu| self.cost(cpu)).fold(0, u32::saturating_add);
        let left = self.usable.intersection(&layout.cpus_of(nodes)).count() - cpus.count();
        (layout.split_cores(cpus), cost, left, nodes.iter().map(Id::index).collect())
    }

    /// A rank that no choice of CPUs on these nodes is better than.
    fn rank_at_best(&self, nodes: &NumaSet, from: &CpuSet) -> Rank {
        let here = self.context.layout.cpus_of(nodes);
        let there = from.intersection(&here);
        let exclusive = self.wanting.demand.binding == NumaBinding::Exclusive;
        let cpus = if exclusive { there.count() } else { self.wanting.cpus };
        let own = there.intersection(&self.own).count();
        let shared = there.intersection(&self.context.shared).difference(&self.own).count();
        let paid = cpus.saturating_sub(own);
        let cost = paid + paid.saturating_sub(there.count().saturating_sub(own + shared));
        let left = self.usable.intersection(&here).count().saturating_sub(cpus);
        (0, cost, left, nodes.iter().map(Id::index).collect())
    }
}

/// Cores torn, what it costs, CPUs left, then the nodes.
type Rank = (usize, u32, u32, Vec<u32>);

/// Refuses nodes that were chosen though the pod asks for others.
fn check(demand: &DedicatedDemand, chosen: &NumaSet) -> Result<(), Refusal> {
    if asks_for(demand, chosen) {
        return Ok(());
    }
    let (rule, asked) = match &demand.placement {
        NumaPlacement::Ids(ids) => (Rule::NumaIds, format!("NUMA nodes {ids}")),
        NumaPlacement::Number(number) => (Rule::NumaNumber, format!("{number} NUMA nodes")),
        NumaPlacement::Any => (Rule::NumaBinding, "one NUMA node".to_owned()),
    };
    Err(Refusal::by(rule, format!("asks for {asked}, but {chosen} was chosen")))
}

/// How many of these CPUs each node has; for a pod of whole cores those in whole cores.
fn capacity(context: &Context<'_>, demand: &DedicatedDemand, cpus: &CpuSet) -> BTreeMap<NumaId, u32> {
    let whole = demand.whole_cores && demand.binding != NumaBinding::Exclusive;
    let count = |cpus: &CpuSet| if whole { context.layout.in_whole_cores(cpus) } else { cpus.count() };
    context.layout.nodes.iter().map(|(node, all)| (*node, count(&all.intersection(cpus)))).collect()
}

/// Which CPUs of a node stay with its bound shared pods: parts of cores before whole ones, their own before others. For a pod of whole cores
/// others where that leaves more of these.
fn kept(context: &Context<'_>, open: &CpuSet, floor: u32, whole_cores: bool) -> CpuSet {
    let layout = context.layout;
    let mut cores = layout.cores_of(open);
    cores.sort_by_cached_key(|core| {
        (core.part.count() == core.all.count(), Reverse(core.part.intersection(&context.shared).count()), Reverse(core.id))
    });
    let count = usize::try_from(floor).unwrap_or(usize::MAX);
    let own: CpuSet = cores.iter().flat_map(|core| core.part.iter().collect::<Vec<_>>().into_iter().rev()).take(count).collect();
    let left = |kept: &CpuSet| layout.in_whole_cores(&open.difference(kept));
    let others = whole_cores.then(|| give_back(layout, open, floor));
    others.filter(|others| left(others) > left(&own)).unwrap_or(own)
}

/// CPUs that the pod may have: not kept, not another dedicated pod's, not on a node that another has alone. For an exclusive pod,
/// nodes without any dedicated pod.
pub(super) fn usable(context: &Context<'_>, done: &Dedicated, wanting: &Wanting<'_>) -> CpuSet {
    let exclusive = wanting.demand.binding == NumaBinding::Exclusive;
    let closed = done.nodes(context, |_, other| exclusive || other.binding == NumaBinding::Exclusive);
    context.usable.difference(&done.cpus()).difference(&context.layout.cpus_of(&closed))
}

/// Whether a pod of so many CPUs may be on these nodes with `align_by_socket`.
pub(super) fn is_aligned(layout: &Layout<'_>, wanting: &Wanting<'_>, nodes: &NumaSet) -> bool {
    let least = || wanting.cpus.div_ceil(layout.largest_package().max(1));
    !wanting.demand.align_by_socket || layout.packages_of(&layout.cpus_of(nodes)) <= least()
}
