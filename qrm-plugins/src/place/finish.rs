//! From a solution to the assignment, with what is new in it and why.

use super::{Context, Placement, Solution};
use crate::demand::DedicatedDemand;
use crate::refusal::{Refusal, Rule};
use gleaner_model::{Assignment, CpuSet, NumaBinding, NumaId, NumaSet, Pod, PodUid, Pool, PoolName, Reason, Subject};
use std::collections::BTreeMap;

/// Every pod that gets nothing, with the rule that stopped it.
pub(super) fn refusals(context: &Context<'_>, solution: &Solution<'_>) -> BTreeMap<PodUid, Refusal> {
    let mut refusals = context.demands.refused.clone();
    refusals.extend(solution.dedicated.refused.clone());
    refusals.extend(solution.bound.refused.clone());
    let members = context.demands.members.iter().chain(&solution.bound.members);
    for (uid, pool) in members.filter(|(_, pool)| !solution.pools.contains_key(*pool)) {
        refusals.insert(uid.clone(), without_pool(context, solution, pool));
    }
    refusals
}

/// Why a pool has no CPUs.
fn without_pool(context: &Context<'_>, solution: &Solution<'_>, pool: &PoolName) -> Refusal {
    let count = |of: &dyn Fn(&PoolName) -> bool| {
        let cpus = solution.pools.iter().filter(|(name, _)| of(name)).fold(CpuSet::new(), |all, (_, (cpus, _))| all.union(cpus));
        cpus.count()
    };
    let dedicated = count(&PoolName::is_dedicated);
    let on_node = |name: &PoolName| name.node_bound().is_some_and(|(of, _)| of != PoolName::reclaim());
    let shared = count(&|name| context.demands.share.contains_key(name) || on_node(name));
    let (online, reserved) = (context.layout.online.count(), context.reserve.count());
    let interrupt = match context.interrupt.count() {
        0 => String::new(),
        count => format!(" {count} kept for interrupts,"),
    };
    Refusal::by(
        Rule::Capacity,
        format!(
            "no CPU is left for pool {pool}: of {online} CPUs {reserved} are reserved,{interrupt} {dedicated} dedicated, {shared} shared"
        ),
    )
}

/// Puts the assignment together and says what is new in it. `held` are pods that keep what they have though they ask for something else.
pub(super) fn finish(
    context: &Context<'_>,
    pods: &BTreeMap<PodUid, Pod>,
    solution: Solution<'_>,
    refusals: BTreeMap<PodUid, Refusal>,
    held: BTreeMap<PodUid, Refusal>,
) -> Placement {
    let Solution { pools, dedicated, bound } = solution;
    let mut unresized = dedicated.unresized;
    unresized.extend(held.clone());
    unresized.retain(|uid, _| !refusals.contains_key(uid));
    // Nodes that a pod keeps CPUs on are not yet those that it is bound to.
    let settled = |uid: &PodUid| dedicated.given.get(uid).filter(|_| !unresized.contains_key(uid));
    let nodes = nodes(context, settled, &bound.nodes);
    let (mut assignment, mut decisions, moved) = assign(context, pools, &unresized);
    // Nodes that were chosen for what a pod asks for now are kept until it can have that.
    let chosen = held.keys().filter_map(|uid| Some((uid.clone(), context.current.nodes.get(uid)?.clone())));
    assignment.nodes = chosen.chain(nodes).collect();
    // Most pods share, and most stay where they are: they are copied as a whole, and only what is new is looked at.
    let own = std::mem::replace(&mut assignment.members, context.demands.members.clone());
    assignment.members.retain(|_, name| assignment.pools.contains_key(name));
    assignment.members.extend(own);
    let bound = bound.members.into_iter().filter(|(_, name)| assignment.pools.contains_key(name));
    assignment.members.extend(bound);
    for (uid, name) in news(&assignment.members, &context.current.members).filter(|(_, name)| !name.is_dedicated()) {
        if let (Some(pool), Some(pod)) = (assignment.pools.get(name), pods.get(uid)) {
            let joined = Reason::Joined { class: pod.class(), pool: name.clone(), cpus: pool.cpus.clone() };
            decisions.push((Subject::Pod(pod.name.clone()), joined));
        }
    }
    let reasons = |refusals: &BTreeMap<PodUid, Refusal>| -> BTreeMap<PodUid, Reason> {
        refusals.iter().map(|(uid, refusal)| (uid.clone(), Reason::Refused { cause: refusal.to_string() })).collect()
    };
    let (refused, unresized) = (reasons(&refusals), reasons(&unresized));
    let told = refused.iter().chain(&unresized);
    decisions.extend(told.filter_map(|(uid, reason)| Some((Subject::Pod(pods.get(uid)?.name.clone()), reason.clone()))));
    Placement { assignment, refusals, refused, unresized, decisions, moved }
}

/// What `now` has and `before` has not. Both are walked once, side by side.
fn news<'a>(
    now: &'a BTreeMap<PodUid, PoolName>,
    before: &'a BTreeMap<PodUid, PoolName>,
) -> impl Iterator<Item = (&'a PodUid, &'a PoolName)> {
    let mut before = before.iter().peekable();
    now.iter().filter(move |(uid, name)| {
        while before.next_if(|(older, _)| older < uid).is_some() {}
        before.peek() != Some(&(uid, name))
    })
}

/// The pools and their owners, what is new in them, and how many CPUs are.
fn assign(
    context: &Context<'_>,
    pools: BTreeMap<PoolName, (CpuSet, String)>,
    unresized: &BTreeMap<PodUid, Refusal>,
) -> (Assignment, Vec<(Subject, Reason)>, u32) {
    let Context { current, demands, .. } = context;
    let owners: BTreeMap<PoolName, (&PodUid, &DedicatedDemand)> =
        demands.dedicated.iter().map(|(uid, demand)| (PoolName::dedicated(uid), (uid, demand))).collect();
    let mut assignment = Assignment::default();
    let mut decisions = Vec::new();
    let mut total = 0;
    for (name, (cpus, rule)) in pools {
        let owner = owners.get(&name);
        let mems = match owner {
            Some((uid, _)) if unresized.contains_key(*uid) => kept_mems(context, &name),
            Some((_, demand)) => context.layout.mems_for(demand.binding, &cpus),
            None => name
                .node_bound()
                .map_or_else(|| context.layout.memory_nodes.clone(), |(_, node)| context.layout.mems_near(&NumaSet::of(node))),
        };
        let pool = Pool { cpus, mems };
        let moved = pool.cpus.difference(&current.cpus_of(&name)).count();
        total += if demands.system.contains_key(&name) { 0 } else { moved };
        if current.pools.get(&name) != Some(&pool) {
            let subject = owner.map_or_else(|| Subject::Pool(name.clone()), |(_, demand)| Subject::Pod(demand.name.clone()));
            let rule = owner.map_or(rule, |(_, demand)| super::dedicated::rule(context, demand, &pool.cpus));
            decisions.push((subject, Reason::Placed { cpus: pool.cpus.clone(), mems: pool.mems.clone(), moved, rule }));
        }
        if let Some((uid, _)) = owner {
            assignment.members.insert((*uid).clone(), name.clone());
        }
        assignment.pools.insert(name, pool);
    }
    (assignment, decisions, total)
}

/// The memory nodes that a pool has, as far as they are there.
fn kept_mems(context: &Context<'_>, pool: &PoolName) -> NumaSet {
    let all = &context.layout.memory_nodes;
    let kept = context.current.pools.get(pool).map(|pool| pool.mems.intersection(all));
    kept.filter(|mems| !mems.is_empty()).unwrap_or_else(|| all.clone())
}

/// The NUMA nodes of all pods with `numa_binding` that live: those that they have now, else those that were chosen before.
fn nodes<'a>(
    context: &Context<'_>,
    settled: impl Fn(&PodUid) -> Option<&'a CpuSet>,
    bound: &BTreeMap<PodUid, NumaId>,
) -> BTreeMap<PodUid, NumaSet> {
    let Context { current, demands, layout, .. } = context;
    let dedicated = demands.dedicated.iter().filter(|(_, demand)| demand.binding != NumaBinding::Unbound);
    let dedicated = dedicated.filter_map(|(uid, _)| {
        let has = settled(uid).map(|cpus| layout.topology.nodes_of(cpus));
        Some((uid.clone(), has.or_else(|| current.nodes.get(uid).cloned())?))
    });
    let others = demands.bound.keys().filter_map(|uid| {
        let has = bound.get(uid).map(|node| NumaSet::of(*node));
        Some((uid.clone(), has.or_else(|| current.nodes.get(uid).cloned())?))
    });
    dedicated.chain(others).collect()
}
