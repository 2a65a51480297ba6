//! CPUs of dedicated pods: those placed keep theirs, those resized grow or shrink where they are, new ones get the best that is free.

mod cause;
mod find;
mod resize;

pub(super) use cause::rule;
pub(super) use find::{Finder, find};
pub(super) use resize::{is_settled, resize};

use super::bound::chosen;
use super::{Context, is_reclaim};
use crate::demand::DedicatedDemand;
use crate::refusal::{Refusal, Rule};
use gleaner_model::{CpuSet, NumaBinding, NumaId, NumaPlacement, NumaSet, PodUid, PoolName};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// CPUs of the dedicated pods that have some, and why the others have none.
#[derive(Clone, Default)]
pub(super) struct Dedicated {
    pub(super) given: BTreeMap<PodUid, CpuSet>,
    pub(super) refused: BTreeMap<PodUid, Refusal>,
    /// Pods that keep what they had, since what they ask for now cannot be had.
    pub(super) unresized: BTreeMap<PodUid, Refusal>,
    /// Pods without `numa_share` that other classes are beside, since they run there and have no other CPU.
    beside: BTreeSet<PodUid>,
}

impl Dedicated {
    /// All CPUs that dedicated pods have.
    pub(super) fn cpus(&self) -> CpuSet {
        self.given.values().fold(CpuSet::new(), |all, cpus| all.union(cpus))
    }

    /// CPUs for pools: not kept, not dedicated, and not on a node that a dedicated pod has without other classes. (An exclusive one has
    /// all CPUs of its nodes anyway.)
    pub(super) fn open(&self, context: &Context<'_>) -> CpuSet {
        let closed = self.nodes(context, |uid, demand| !demand.numa_share && !self.beside.contains(uid));
        context.usable.difference(&self.cpus()).difference(&context.layout.cpus_of(&closed))
    }

    /// CPUs of dedicated pods that suffer reclaimed pods beside them.
    pub(super) fn lendable(&self, context: &Context<'_>) -> CpuSet {
        let alone = self.nodes(context, |_, demand| !demand.numa_share || demand.binding == NumaBinding::Exclusive);
        self.cpus().difference(&context.layout.cpus_of(&alone))
    }

    fn nodes(&self, context: &Context<'_>, of: impl Fn(&PodUid, &DedicatedDemand) -> bool) -> NumaSet {
        let matching = self.given.iter().filter(|(uid, _)| context.demands.dedicated.get(*uid).is_some_and(|demand| of(uid, demand)));
        matching.flat_map(|(_, cpus)| context.layout.topology.nodes_of(cpus).iter().collect::<Vec<_>>()).collect()
    }

    pub(super) fn with(&self, uid: &PodUid, cpus: &CpuSet) -> Self {
        let mut given = self.given.clone();
        given.insert(uid.clone(), cpus.clone());
        Self { given, beside: self.beside.clone(), ..Self::default() }
    }

    fn with_beside(&self, more: impl Iterator<Item = PodUid>) -> Self {
        let beside = self.beside.iter().cloned().chain(more).collect();
        Self { given: self.given.clone(), beside, ..Self::default() }
    }

    fn without(&self, uid: &PodUid) -> Self {
        let mut given = self.given.clone();
        given.remove(uid);
        Self { given, beside: self.beside.clone(), ..Self::default() }
    }

    /// Whether pods that run in pools would be left without any CPU, on the node or on the only node that they may be on.
    fn strands(&self, context: &Context<'_>) -> bool {
        let (open, demands) = (self.open(context), context.demands);
        let runs = |uid: &PodUid| context.current.members.contains_key(uid);
        let without = |node: NumaId| context.layout.nodes.get(&node).is_some_and(|cpus| cpus.is_disjoint(&open));
        let shares = demands.bound.iter().filter(|(uid, demand)| !demand.reclaimed() && runs(uid)).map(|(uid, _)| uid);
        let stranded = shares.clone().filter_map(|uid| chosen(context, uid)).any(|nodes| nodes.iter().all(without));
        // System pods have the reserve, reclaimed pods what dedicated pods lend.
        let reserve = !context.reserve.is_empty();
        let lent = context.policy.overlap_dedicated && !self.lendable(context).is_empty();
        let elsewhere = |pool: &PoolName| (reserve && demands.system.contains_key(pool)) || (lent && is_reclaim(pool));
        let members = demands.members.iter().filter(|(_, pool)| !elsewhere(pool)).map(|(uid, _)| uid);
        let reclaimed = demands.bound.iter().filter(|(_, demand)| demand.reclaimed() && !lent).map(|(uid, _)| uid);
        stranded || (open.is_empty() && members.chain(shares).chain(reclaimed).any(runs))
    }
}

/// One pod to be placed.
#[derive(Clone, Copy)]
pub(super) struct Wanting<'a> {
    uid: &'a PodUid,
    demand: &'a DedicatedDemand,
    /// The CPUs that it needs on this machine.
    cpus: u32,
    /// The nodes that hints chose for it.
    chosen: Option<&'a NumaSet>,
}

impl<'a> Wanting<'a> {
    pub(super) fn new(context: &Context<'a>, uid: &'a PodUid, demand: &'a DedicatedDemand) -> Self {
        let bound = demand.binding != NumaBinding::Unbound;
        let chosen = context.current.nodes.get(uid).filter(|nodes| bound && !nodes.is_empty());
        // A pod that runs and now asks for other nodes is no longer held to those that were chosen before.
        let runs = context.current.pools.contains_key(&PoolName::dedicated(uid));
        let chosen = chosen.filter(|nodes| !runs || asks_for(demand, nodes));
        Self { uid, demand, cpus: demand.cpus_on(context.layout.threads), chosen }
    }

    /// The same pod, told other nodes.
    pub(super) fn told<'b>(&self, chosen: Option<&'b NumaSet>) -> Wanting<'b>
    where
        'a: 'b,
    {
        Wanting { chosen, ..*self }
    }

    /// Whether these are nodes that it is to be on.
    fn may_be_on(&self, nodes: &NumaSet) -> bool {
        asks_for(self.demand, nodes) && self.chosen.is_none_or(|chosen| chosen == nodes)
    }
}

/// Whether the annotations allow these nodes.
fn asks_for(demand: &DedicatedDemand, nodes: &NumaSet) -> bool {
    match (&demand.placement, demand.binding) {
        (NumaPlacement::Ids(ids), _) => nodes == ids,
        (NumaPlacement::Number(number), _) => u32::try_from(nodes.len()) == Ok(*number),
        (NumaPlacement::Any, NumaBinding::Bound) => nodes.len() == 1,
        (NumaPlacement::Any, NumaBinding::Unbound | NumaBinding::Exclusive) => true,
    }
}

/// Places all dedicated pods: first those that keep their CPUs, then those that are resized, then the others, the largest request first. `without` keeps its
/// CPUs from the others while they are placed, and is left out of the outcome.
pub(super) fn place(context: &Context<'_>, without: Option<&PodUid>) -> Dedicated {
    let mut order: Vec<_> = context.demands.dedicated.iter().map(|(uid, demand)| Wanting::new(context, uid, demand)).collect();
    order.sort_by_key(|wanting| (Reverse(wanting.cpus), &wanting.demand.name, wanting.uid));
    let (mut done, mut held) = (Dedicated::default(), CpuSet::new());
    let (kept, mut waiting): (Vec<_>, Vec<_>) = order.into_iter().partition(|wanting| match has(context, &held, wanting.uid) {
        Some(cpus) => {
            held = held.union(cpus);
            done.given.insert(wanting.uid.clone(), cpus.clone()).is_none()
        }
        None => false,
    });
    for wanting in kept.iter().filter(|wanting| !wanting.demand.numa_share) {
        suffer(context, &mut done, &kept, wanting);
    }
    let placed = |wanting: &Wanting<'_>| Some(wanting.uid) != without;
    let mut resized: Vec<_> = kept.into_iter().filter(|wanting| placed(wanting) && !is_settled(context, &done, wanting)).collect();
    waiting.retain(placed);
    // Until a round places nobody: then asking again with the outcome as the start refuses the same pods, so that nothing flaps.
    loop {
        let before = resized.len() + waiting.len();
        resized.retain(|wanting| attempt(wanting, resize(context, &done, wanting), &mut done.given, &mut done.unresized));
        waiting.retain(|wanting| attempt(wanting, find(context, &done, wanting), &mut done.given, &mut done.refused));
        if resized.len() + waiting.len() == before {
            break;
        }
    }
    without.map(|uid| done.given.remove(uid));
    for uid in &done.beside {
        let cause = "other classes run on its NUMA nodes and have no other CPU; they stay beside it";
        done.unresized.entry(uid.clone()).or_insert_with(|| Refusal::by(Rule::NumaShare, cause));
    }
    done
}

/// Lets others be beside a pod without `numa_share` if they would have no CPU otherwise. New pods are never placed so; this is one that
/// gave up `numa_share` while it ran.
fn suffer(context: &Context<'_>, done: &mut Dedicated, kept: &[Wanting<'_>], wanting: &Wanting<'_>) {
    let later =
        kept.iter().skip_while(|other| other.uid != wanting.uid).filter(|other| !other.demand.numa_share).map(|other| other.uid.clone());
    let mut open = done.with_beside(later);
    if open.strands(context) {
        return;
    }
    open.beside.remove(wanting.uid);
    if open.strands(context) {
        done.beside.insert(wanting.uid.clone());
    }
}

/// Notes the outcome for one pod. True when it must try again.
fn attempt(
    wanting: &Wanting<'_>,
    outcome: Result<CpuSet, Refusal>,
    given: &mut BTreeMap<PodUid, CpuSet>,
    failed: &mut BTreeMap<PodUid, Refusal>,
) -> bool {
    match outcome {
        Ok(cpus) => {
            failed.remove(wanting.uid);
            given.insert(wanting.uid.clone(), cpus);
            false
        }
        Err(refusal) => {
            failed.insert(wanting.uid.clone(), refusal);
            true
        }
    }
}

/// The CPUs that a pod has and can keep; `None` when it has none, or has some that are gone or somebody else's: among those held.
pub(super) fn has<'a>(context: &Context<'a>, held: &CpuSet, uid: &PodUid) -> Option<&'a CpuSet> {
    let has = &context.current.pools.get(&PoolName::dedicated(uid))?.cpus;
    (!has.is_empty() && has.is_subset(&context.usable) && has.is_disjoint(held)).then_some(has)
}

/// Whether the pools of shared and reclaimed pods are left what they need when `after` is open to them and no longer `before`. If not,
/// how many CPUs they would have, how many they need, and on which node.
fn leaves_enough(context: &Context<'_>, before: &CpuSet, after: &CpuSet) -> Result<(), Lack> {
    let short = |before: u32, after: u32, floor: u32| after < floor && after < before;
    let (had, left, floor) = (before.count(), after.count(), context.floor);
    if short(had, left, floor) {
        return Err(Lack { had, left, floor, node: None });
    }
    for (node, floor) in &context.floors {
        let Some(cpus) = context.layout.nodes.get(node) else { continue };
        let (had, left) = (cpus.intersection(before).count(), cpus.intersection(after).count());
        if short(had, left, *floor) {
            return Err(Lack { had, left, floor: *floor, node: Some(*node) });
        }
    }
    Ok(())
}

/// Too few CPUs left to pools.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lack {
    left: u32,
    had: u32,
    floor: u32,
    node: Option<NumaId>,
}
