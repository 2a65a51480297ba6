//! Cuts the machine's CPUs into pools.
//!
//! The objective, in this order:
//! 1. satisfy: every pod that can be given what it asks for is; those that run go before those that come;
//! 2. align: what is newly given is on as few, near NUMA nodes as possible, in whole cores, under one L3 cache;
//! 3. move the fewest: what is given already stays, what must be taken is taken from reclaim before share;
//! 4. balance: the tightest place that fits, so that large holes stay large; then the lowest number.
//!
//! Alignment never moves what runs: an unchanged input changes nothing, and the outcome used as the next start is its own outcome. A pod
//! that is refused changes nothing for the others, and a pod that runs keeps what it has when it asks for what cannot be had.

mod areas;
mod bound;
mod company;
mod context;
mod dedicated;
mod finish;
mod hold;
mod policy;
mod reclaim;
mod rehearsal;
mod reserve;
mod share;

use crate::demand::Demands;
use crate::layout::Layout;
use crate::refusal::Refusal;
use bound::{Admission, Bound};
pub(crate) use company::{Company, closed, kept_alone};
pub(crate) use context::Context;
use dedicated::Dedicated;
use gleaner_model::{Assignment, CpuSet, Pod, PodUid, PoolName, Reason, Subject, Topology};
pub use policy::{HintPreference, PlacePolicy, ReclaimMode, ReserveRule};
pub(crate) use rehearsal::{BoundRehearsal, DedicatedRehearsal, Others};
use share::Given;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Where everything goes, and what changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Pools and their members.
    pub assignment: Assignment,
    /// Pods that get nothing, with the rule that stopped each. Never a pod that runs and still can have what it has.
    pub refusals: BTreeMap<PodUid, Refusal>,
    /// The refusals as [`Reason::Refused`].
    pub refused: BTreeMap<PodUid, Reason>,
    /// Pods that run and ask for what cannot be had (another size, class or binding), each with a [`Reason::Refused`]. They keep what they
    /// have, whole.
    pub unresized: BTreeMap<PodUid, Reason>,
    /// What changed against the assignment before: pools cut anew, pods that joined one. A refusal is repeated as long as it lasts, since
    /// an assignment does not remember it.
    pub decisions: Vec<(Subject, Reason)>,
    /// CPUs that pools have now and had not before, over all pools but system pods' (which only join others).
    pub moved: u32,
}

/// The reserved CPUs that a policy gives on this machine.
#[must_use]
pub fn reserved(topology: &Topology, policy: &PlacePolicy) -> CpuSet {
    reserve::kept(&Layout::new(topology), policy).reserve
}

/// Whether the pool is that of reclaimed pods, or the part of it on one node.
pub(crate) fn is_reclaim(pool: &PoolName) -> bool {
    pool.as_str().starts_with("reclaim")
        && (pool.as_str() == "reclaim" || pool.node_bound().is_some_and(|(of, _)| of.as_str() == "reclaim"))
}

/// One solution.
struct Solution<'a> {
    pools: BTreeMap<PoolName, Given>,
    dedicated: Dedicated,
    bound: Bound<'a>,
}

/// Places what the pods demand, starting from what they have now: CPUs of `current.pools`, and for pods with `numa_binding` the NUMA nodes
/// that were chosen in `current.nodes`. Never panics; what cannot be satisfied is refused with its cause.
#[must_use]
pub fn place(
    topology: &Topology,
    current: &Assignment,
    pods: &BTreeMap<PodUid, Pod>,
    demands: &Demands,
    policy: &PlacePolicy,
) -> Placement {
    let layout = Layout::new(topology);
    let mut demands = Cow::Borrowed(demands);
    let mut held: BTreeMap<PodUid, Refusal> = BTreeMap::new();
    loop {
        let context = Context::new(&layout, current, pods, &demands, policy);
        let solution = solve(&context);
        let refusals = finish::refusals(&context, &solution);
        let mut again = false;
        let mut kept = None;
        for (uid, refusal) in &refusals {
            let Some(pod) = pods.get(uid).filter(|_| !held.contains_key(uid) && current.members.contains_key(uid)) else { continue };
            if hold::hold(kept.get_or_insert_with(|| demands.as_ref().clone()), current, pod) {
                held.insert(uid.clone(), refusal.clone());
                again = true;
            }
        }
        match kept.filter(|_| again) {
            Some(kept) => demands = Cow::Owned(kept),
            None => {
                let placed = finish::finish(&context, pods, solution, refusals, held);
                return retell(&layout, pods, &demands, policy, current, placed);
            }
        }
    }
}

/// Gives refused pods the cause that they would be told next time: who else was placed may count by now. So it does not change by itself.
fn retell(
    layout: &Layout<'_>,
    pods: &BTreeMap<PodUid, Pod>,
    demands: &Demands,
    policy: &PlacePolicy,
    current: &Assignment,
    mut placed: Placement,
) -> Placement {
    if placed.refusals.is_empty() || placed.assignment == *current {
        return placed;
    }
    let context = Context::new(layout, &placed.assignment, pods, demands, policy);
    let refusals = finish::refusals(&context, &solve(&context));
    for (uid, refusal) in &mut placed.refusals {
        let Some(newer) = refusals.get(uid).filter(|newer| *newer != refusal) else { continue };
        let reason = Reason::Refused { cause: newer.to_string() };
        let older = placed.refused.insert(uid.clone(), reason.clone());
        let name = pods.get(uid).map(|pod| Subject::Pod(pod.name.clone()));
        for (of, told) in &mut placed.decisions {
            if Some(&*of) == name.as_ref() && older.as_ref().is_some_and(|older| told == older) {
                told.clone_from(&reason);
            }
        }
        *refusal = newer.clone();
    }
    placed
}

fn solve<'a>(context: &'a Context<'a>) -> Solution<'a> {
    let dedicated = dedicated::place(context, None);
    let open = dedicated.open(context);
    let held = dedicated.cpus();
    let mut bound = Admission::of_all(context, &dedicated, &open).bound;
    let reclaim = reclaim::settle(context, &open, &dedicated, &mut bound);
    let areas = areas::areas(context, &open.difference(&reclaim.seeds), &bound, &held);
    let (mut pools, mut wants) = (BTreeMap::new(), BTreeMap::new());
    for area in areas {
        pools.extend(share::divide(context, &area, &held, reclaim.takes_rest));
        wants.extend(area.wants);
    }
    pools.extend(reclaim.pools(context, &open, &pools, &wants));
    pools.insert(PoolName::reserve(), (context.reserve.clone(), "kept for the system".to_owned()));
    let system = system(context, &pools, &open.union(&context.reserve));
    pools.extend(system);
    pools.insert(PoolName::interrupt(), (context.interrupt.clone(), "kept for interrupts".to_owned()));
    for (uid, cpus) in &dedicated.given {
        // The rule is put in words only where it is told.
        pools.insert(PoolName::dedicated(uid), (cpus.clone(), String::new()));
    }
    // Pools never are without CPUs.
    pools.retain(|_, (cpus, _)| !cpus.is_empty());
    Solution { pools, dedicated, bound }
}

/// The pools of system pods, which join others.
fn system(context: &Context<'_>, pools: &BTreeMap<PoolName, Given>, all: &CpuSet) -> Vec<(PoolName, Given)> {
    let pool = |(name, prefix): (&PoolName, &Option<PoolName>)| {
        let joined = prefix.as_ref().map(|prefix| {
            let named = pools.iter().filter(|(pool, _)| pool.as_str().starts_with(prefix.as_str()));
            // What dedicated pods lend is lent to reclaimed pods alone.
            named.fold(CpuSet::new(), |cpus, (_, (more, _))| cpus.union(more)).intersection(all)
        });
        let given = match (prefix, joined) {
            (Some(prefix), Some(cpus)) if !cpus.is_empty() => (cpus, format!("the CPUs of pools whose names begin with {prefix}")),
            (Some(prefix), _) => (all.clone(), format!("no pool's name begins with {prefix}: all CPUs that are not dedicated")),
            (None, _) => (all.clone(), "all CPUs that are not dedicated".to_owned()),
        };
        (name.clone(), given)
    };
    context.demands.system.iter().map(pool).collect()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
