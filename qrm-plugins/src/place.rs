//! Cuts the machine's CPUs into pools.
//!
//! The objective, in this order:
//! 1. satisfy: every pod that can be given what it asks for is; those that run go before those that come;
//! 2. align: what is newly given is on as few, near NUMA nodes as possible, in whole cores, under one L3 cache;
//! 3. move the fewest: what is given already stays, what must be taken is taken from reclaim before share;
//! 4. balance: the tightest place that fits, so that large holes stay large; then the lowest number.
//!
//! Alignment never moves what runs: an unchanged input changes nothing, and the outcome used as the next start is its own outcome.

mod dedicated;
mod nodes;
mod policy;
mod reserve;
mod share;

use crate::demand::Demands;
use crate::layout::{Layout, mems_for};
use dedicated::Dedicated;
use gleaner_model::{Assignment, CpuSet, Pod, PodUid, Pool, PoolName, Reason, Subject, Topology};
pub use policy::{PlacePolicy, ReserveRule};
use share::Given;
use std::collections::BTreeMap;

/// Where everything goes, and what changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Pools and their members.
    pub assignment: Assignment,
    /// Pods that get nothing, each with a [`Reason::Refused`].
    pub refused: BTreeMap<PodUid, Reason>,
    /// What changed against the assignment before: pools cut anew, pods that joined one. A refusal is repeated as long as it lasts, since
    /// an assignment does not remember it.
    pub decisions: Vec<(Subject, Reason)>,
    /// CPUs that pools have now and had not before, over all pools but system pods' (which only join others).
    pub moved: u32,
}

/// The reserved CPUs that a policy gives on this machine.
#[must_use]
pub fn reserved(topology: &Topology, policy: &PlacePolicy) -> CpuSet {
    reserve::reserve(&Layout::new(topology), &policy.reserve)
}

/// Everything that the steps of one solution share.
struct Context<'a> {
    layout: Layout<'a>,
    current: &'a Assignment,
    demands: &'a Demands,
    policy: &'a PlacePolicy,
    reserve: CpuSet,
    /// CPUs that shared pools with pods have now.
    shared: CpuSet,
}

impl Context<'_> {
    /// Whether reclaimed pods need CPUs that no shared pool has.
    fn reclaim_needs_own(&self) -> bool {
        self.demands.reclaim_pods > 0 && !self.policy.overlap_share
    }

    /// CPUs that dedicated pods must leave to the others that live.
    fn floor(&self) -> u32 {
        let pools = u32::try_from(self.demands.share.len()).unwrap_or(u32::MAX);
        let reclaim = self.reclaim_needs_own() || (self.demands.reclaim_pods > 0 && pools == 0);
        let others = pools.saturating_mul(self.policy.min_share_cpus.max(1)).saturating_add(u32::from(reclaim));
        let system = !self.demands.system.is_empty() && self.reserve.is_empty();
        others.max(u32::from(system))
    }
}

/// Places what the pods demand, starting from what they have now. Never panics; what cannot be satisfied is refused with its cause.
#[must_use]
pub fn place(
    topology: &Topology,
    current: &Assignment,
    pods: &BTreeMap<PodUid, Pod>,
    demands: &Demands,
    policy: &PlacePolicy,
) -> Placement {
    let layout = Layout::new(topology);
    let reserve = reserve::reserve(&layout, &policy.reserve);
    let shared = demands.share.keys().fold(CpuSet::new(), |all, pool| all.union(&current.cpus_of(pool)));
    let context = Context { layout, current, demands, policy, reserve, shared };
    let dedicated = dedicated::place(&context);
    let open = dedicated.open(&context);
    let pools = pools(&context, &dedicated, &open);
    finish(&context, pods, pools, dedicated)
}

/// Every pool that has CPUs. Pools never are without.
fn pools(context: &Context<'_>, dedicated: &Dedicated, open: &CpuSet) -> BTreeMap<PoolName, Given> {
    let mut pools = share::place(context, open, &dedicated.cpus());
    if let Some(given) = reclaim(context, open, &pools) {
        pools.insert(PoolName::reclaim(), given);
    }
    pools.insert(PoolName::reserve(), (context.reserve.clone(), "kept for the system".to_owned()));
    let all = open.union(&context.reserve);
    let system = context.demands.system.iter().map(|(name, prefix)| {
        let joined = prefix.as_ref().map(|prefix| {
            let named = pools.iter().filter(|(pool, _)| pool.as_str().starts_with(prefix.as_str()));
            named.fold(CpuSet::new(), |all, (_, (cpus, _))| all.union(cpus))
        });
        let given = match (prefix, joined) {
            (Some(prefix), Some(cpus)) if !cpus.is_empty() => (cpus, format!("the CPUs of pools whose names begin with {prefix}")),
            (Some(prefix), _) => (all.clone(), format!("no pool's name begins with {prefix}: all CPUs that are not dedicated")),
            (None, _) => (all.clone(), "all CPUs that are not dedicated".to_owned()),
        };
        (name.clone(), given)
    });
    let system: Vec<_> = system.collect();
    pools.extend(system);
    for (uid, cpus) in &dedicated.given {
        let rule = context.demands.dedicated.get(uid).map_or_else(String::new, |demand| dedicated::rule(context, demand, cpus));
        pools.insert(PoolName::dedicated(uid), (cpus.clone(), rule));
    }
    pools.retain(|_, (cpus, _)| !cpus.is_empty());
    pools
}

/// The reclaim pool: what the others leave, or what shared pools have where overlap is allowed.
fn reclaim(context: &Context<'_>, open: &CpuSet, shares: &BTreeMap<PoolName, Given>) -> Option<Given> {
    let shared = shares.values().fold(CpuSet::new(), |all, (cpus, _)| all.union(cpus));
    let (cpus, rule) = if context.policy.overlap_share && !shared.is_empty() {
        (shared, "the CPUs of all shared pools")
    } else {
        (open.difference(&shared), "what the others leave")
    };
    (!cpus.is_empty()).then(|| (cpus, rule.to_owned()))
}

/// Puts the assignment together and says what is new in it.
fn finish(context: &Context<'_>, pods: &BTreeMap<PodUid, Pod>, pools: BTreeMap<PoolName, Given>, dedicated: Dedicated) -> Placement {
    let Context { layout, current, demands, .. } = context;
    let owners: BTreeMap<PoolName, (&PodUid, &crate::DedicatedDemand)> =
        demands.dedicated.iter().map(|(uid, demand)| (PoolName::dedicated(uid), (uid, demand))).collect();
    let mut assignment = Assignment::default();
    let mut decisions = Vec::new();
    let mut total = 0;
    for (name, (cpus, rule)) in pools {
        let owner = owners.get(&name);
        let mems = owner.map_or_else(|| layout.memory_nodes.clone(), |(_, demand)| mems_for(layout, demand.binding, &cpus));
        let pool = Pool { cpus, mems };
        let moved = pool.cpus.difference(&current.cpus_of(&name)).count();
        total += if demands.system.contains_key(&name) { 0 } else { moved };
        if current.pools.get(&name) != Some(&pool) {
            let subject = owner.map_or_else(|| Subject::Pool(name.clone()), |(_, demand)| Subject::Pod(demand.name.clone()));
            decisions.push((subject, Reason::Placed { cpus: pool.cpus.clone(), mems: pool.mems.clone(), moved, rule }));
        }
        if let Some((uid, _)) = owner {
            assignment.members.insert((*uid).clone(), name.clone());
        }
        assignment.pools.insert(name, pool);
    }
    let mut causes = demands.refused.clone();
    causes.extend(dedicated.refused);
    for (uid, name) in &demands.members {
        if let Some(pool) = assignment.pools.get(name) {
            if let (false, Some(pod)) = (current.members.get(uid) == Some(name), pods.get(uid)) {
                let joined = Reason::Joined { class: pod.class(), pool: name.clone(), cpus: pool.cpus.clone() };
                decisions.push((Subject::Pod(pod.name.clone()), joined));
            }
            assignment.members.insert(uid.clone(), name.clone());
        } else {
            causes.insert(uid.clone(), without_pool(context, &assignment, name));
        }
    }
    let refused: BTreeMap<PodUid, Reason> = causes.into_iter().map(|(uid, cause)| (uid, Reason::Refused { cause })).collect();
    decisions.extend(refused.iter().filter_map(|(uid, reason)| Some((Subject::Pod(pods.get(uid)?.name.clone()), reason.clone()))));
    Placement { assignment, refused, decisions, moved: total }
}

/// Why a pool has no CPUs.
fn without_pool(context: &Context<'_>, assignment: &Assignment, pool: &PoolName) -> String {
    let count = |of: &dyn Fn(&PoolName) -> bool| {
        let cpus = assignment.pools.iter().filter(|(name, _)| of(name)).fold(CpuSet::new(), |all, (_, pool)| all.union(&pool.cpus));
        cpus.count()
    };
    let dedicated = count(&PoolName::is_dedicated);
    let shared = count(&|name| context.demands.share.contains_key(name));
    let (online, reserved) = (context.layout.online.count(), context.reserve.count());
    format!("no CPU is left for pool {pool}: of {online} CPUs {reserved} are reserved, {dedicated} dedicated, {shared} shared")
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
