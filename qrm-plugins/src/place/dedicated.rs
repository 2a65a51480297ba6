//! CPUs of dedicated pods: those placed keep theirs, new ones get the best that is free.

use super::Context;
use super::nodes::{rounds, split, width};
use crate::demand::DedicatedDemand;
use crate::take::{Wanted, capacity, give_back, take_from_node};
use gleaner_model::{CpuId, CpuSet, Id, MilliCpu, NumaBinding, NumaId, NumaPlacement, NumaSet, PodUid, PoolName};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// CPUs of the dedicated pods that have some, and why the others have none.
#[derive(Default)]
pub(super) struct Dedicated {
    pub(super) given: BTreeMap<PodUid, CpuSet>,
    pub(super) refused: BTreeMap<PodUid, String>,
}

impl Dedicated {
    /// All CPUs that dedicated pods have.
    pub(super) fn cpus(&self) -> CpuSet {
        self.given.values().fold(CpuSet::new(), |all, cpus| all.union(cpus))
    }

    /// CPUs for pools: not reserved, not dedicated, and not on a node that a dedicated pod has without others.
    pub(super) fn open(&self, context: &Context<'_>) -> CpuSet {
        let closed = self.nodes(context, |demand| !demand.numa_share || demand.binding == NumaBinding::Exclusive);
        let layout = &context.layout;
        layout.online.difference(&context.reserve).difference(&self.cpus()).difference(&layout.cpus_of(&closed))
    }

    fn nodes(&self, context: &Context<'_>, of: impl Fn(&DedicatedDemand) -> bool) -> NumaSet {
        let matching = self.given.iter().filter(|(uid, _)| context.demands.dedicated.get(*uid).is_some_and(&of));
        matching.flat_map(|(_, cpus)| context.layout.topology.nodes_of(cpus).iter().collect::<Vec<_>>()).collect()
    }

    fn with(&self, uid: &PodUid, cpus: &CpuSet) -> Self {
        let mut given = self.given.clone();
        given.insert(uid.clone(), cpus.clone());
        Self { given, refused: BTreeMap::new() }
    }
}

/// Places all dedicated pods: first those that keep their CPUs, then the others, the largest request first.
pub(super) fn place(context: &Context<'_>) -> Dedicated {
    let mut order: Vec<(&PodUid, &DedicatedDemand)> = context.demands.dedicated.iter().collect();
    order.sort_by_key(|(uid, demand)| (Reverse(demand.cpus), &demand.name, *uid));
    let mut done = Dedicated::default();
    let mut waiting = Vec::new();
    for (uid, demand) in order {
        match keep(context, &done, uid, demand) {
            Some(cpus) => {
                done.given.insert(uid.clone(), cpus);
            }
            None => waiting.push((uid, demand)),
        }
    }
    // Until a round places nobody: then asking again with the outcome as the start refuses the same pods, so that nothing flaps.
    loop {
        let before = waiting.len();
        waiting.retain(|(uid, demand)| match find(context, &done, uid, demand) {
            Ok(cpus) => {
                done.refused.remove(*uid);
                done.given.insert((*uid).clone(), cpus);
                false
            }
            Err(cause) => {
                done.refused.insert((*uid).clone(), cause);
                true
            }
        });
        if waiting.is_empty() || waiting.len() == before {
            return done;
        }
    }
}

/// The CPUs that a pod has and keeps. `None` when it has none, or has some that it cannot keep or too few.
fn keep(context: &Context<'_>, done: &Dedicated, uid: &PodUid, demand: &DedicatedDemand) -> Option<CpuSet> {
    let has = &context.current.pools.get(&PoolName::dedicated(uid))?.cpus;
    let layout = &context.layout;
    if !has.is_subset(&layout.online) || !has.is_disjoint(&context.reserve) || !has.is_disjoint(&done.cpus()) || has.count() < demand.cpus {
        return None;
    }
    if demand.binding == NumaBinding::Exclusive || has.count() == demand.cpus {
        return Some(has.clone());
    }
    // The request became smaller.
    Some(has.difference(&give_back(layout, has, has.count() - demand.cpus)))
}

/// CPUs for a pod that has none yet, or the rule that leaves it without.
fn find(context: &Context<'_>, done: &Dedicated, uid: &PodUid, demand: &DedicatedDemand) -> Result<CpuSet, String> {
    let layout = &context.layout;
    let (online, threads) = (layout.online.count(), layout.threads);
    let cpus = demand.cpus;
    if cpus > online - context.reserve.count() {
        let reserved = if context.reserve.is_empty() { String::new() } else { format!(", {} of them reserved", context.reserve.count()) };
        return Err(format!("requests {} CPU, the node has {online}{reserved}", demand.request));
    }
    if demand.whole_cores && !cpus.is_multiple_of(threads) {
        return Err(format!("full_pcpus_pairing needs whole cores of {threads} threads, but {cpus} CPUs are no multiple of {threads}"));
    }
    let usable = usable(context, done, demand);
    let nodes = layout.topology.nodes_of(&usable);
    let own = context.current.cpus_of(&PoolName::dedicated(uid));
    let cost = |cpu: CpuId| cost(context, &own, cpu);
    let open_before = done.open(context).count();
    let mut too_few_left = None;
    for round in rounds(layout, demand.binding, &demand.placement, &nodes) {
        let fits = round.iter().filter_map(|nodes| Some((nodes, on_nodes(context, done, demand, &cost, nodes, &usable)?)));
        let (good, bad): (Vec<_>, Vec<_>) = fits.partition(|(_, cpus)| {
            let open = done.with(uid, cpus).open(context).count();
            open >= context.floor() || open == open_before
        });
        let best = good.into_iter().min_by_key(|(nodes, cpus)| rank(context, &cost, nodes, cpus, &usable));
        if let Some((_, cpus)) = best {
            return Ok(cpus);
        }
        let left = bad.iter().map(|(_, cpus)| done.with(uid, cpus).open(context).count()).max();
        too_few_left = too_few_left.max(left);
    }
    Err(match too_few_left {
        Some(left) => format!(
            "{cpus} CPUs for it would leave {left} of {open_before} to the pools of shared and reclaimed pods, which need at least {}",
            context.floor()
        ),
        None => cause(context, demand, &usable),
    })
}

/// What it costs to give a CPU to a pod: nothing when it is its own already, more when it is a shared pool's than when it is at most the
/// reclaim pool's.
fn cost(context: &Context<'_>, own: &CpuSet, cpu: CpuId) -> u32 {
    if own.contains(cpu) { 0 } else { 1 + u32::from(context.shared.contains(cpu)) }
}

/// CPUs that the pod may have: not reserved, not another dedicated pod's, not on a node that another has alone. For an exclusive pod,
/// nodes without any dedicated pod.
fn usable(context: &Context<'_>, done: &Dedicated, demand: &DedicatedDemand) -> CpuSet {
    let layout = &context.layout;
    let exclusive = demand.binding == NumaBinding::Exclusive;
    let closed = done.nodes(context, |other| exclusive || other.binding == NumaBinding::Exclusive);
    layout.online.difference(&context.reserve).difference(&done.cpus()).difference(&layout.cpus_of(&closed))
}

/// The CPUs that the pod would get on these nodes; `None` when it does not fit there.
fn on_nodes(
    context: &Context<'_>,
    done: &Dedicated,
    demand: &DedicatedDemand,
    cost: &dyn Fn(CpuId) -> u32,
    nodes: &NumaSet,
    usable: &CpuSet,
) -> Option<CpuSet> {
    let layout = &context.layout;
    if demand.align_by_socket && layout.packages_of(&layout.cpus_of(nodes)) > demand.cpus.div_ceil(layout.largest_package().max(1)) {
        return None;
    }
    if demand.binding == NumaBinding::Exclusive {
        let all = usable.intersection(&layout.cpus_of(nodes));
        return (all.count() >= demand.cpus).then_some(all);
    }
    let (none, held) = (CpuSet::new(), done.cpus());
    let wanted = Wanted { cpus: demand.cpus, whole_cores: demand.whole_cores, own: &none, held: &held, cost };
    let free: Vec<CpuSet> = nodes.iter().filter_map(|id| layout.nodes.get(&id)).map(|cpus| cpus.intersection(usable)).collect();
    let capacities: Vec<u32> = free.iter().map(|cpus| capacity(layout, cpus, &wanted)).collect();
    let unit = if demand.whole_cores { layout.threads } else { 1 };
    let parts = split(demand.cpus, &capacities, unit, demand.distribute_evenly)?;
    free.iter()
        .zip(parts)
        .try_fold(CpuSet::new(), |all, (free, cpus)| Some(all.union(&take_from_node(layout, free, &Wanted { cpus, ..wanted })?)))
}

/// The objective among sets of nodes that satisfy: align (near nodes, no torn core), then move the fewest, then fit tightest.
fn rank(
    context: &Context<'_>,
    cost: &dyn Fn(CpuId) -> u32,
    nodes: &NumaSet,
    cpus: &CpuSet,
    usable: &CpuSet,
) -> (u32, usize, u32, u32, Vec<u32>) {
    let layout = &context.layout;
    let cost = cpus.iter().map(cost).fold(0, u32::saturating_add);
    let left = usable.intersection(&layout.cpus_of(nodes)).count() - cpus.count();
    (width(layout, nodes), layout.split_cores(cpus), cost, left, nodes.iter().map(NumaId::index).collect())
}

/// Why no set of nodes has room.
fn cause(context: &Context<'_>, demand: &DedicatedDemand, usable: &CpuSet) -> String {
    let layout = &context.layout;
    let cpus = demand.cpus;
    let free = |free: &CpuSet| {
        let none = CpuSet::new();
        let wanted = Wanted { cpus, whole_cores: demand.whole_cores, own: &none, held: &none, cost: &|_| 0 };
        capacity(layout, free, &wanted)
    };
    let by_node = layout.nodes.iter().map(|(id, cpus)| (free(&cpus.intersection(usable)), Reverse(*id)));
    let largest = by_node.max().map_or_else(String::new, |(free, Reverse(id))| format!("the largest free is {free} on node {id}"));
    let kind = if demand.whole_cores { "CPUs in whole cores" } else { "CPUs" };
    let also = match (demand.distribute_evenly, demand.align_by_socket) {
        (true, true) => ", the same number on each, on as few sockets as possible",
        (true, false) => ", the same number on each",
        (false, true) => ", on as few sockets as possible",
        (false, false) => "",
    };
    let alone = if demand.binding == NumaBinding::Exclusive { " without other dedicated pods" } else { "" };
    match (&demand.placement, demand.binding) {
        (NumaPlacement::Ids(ids), _) => {
            format!(
                "needs {cpus} {kind} on NUMA nodes {ids}{alone}{also}, {} are free there",
                free(&usable.intersection(&layout.cpus_of(ids)))
            )
        }
        (NumaPlacement::Number(number), _) => format!("needs {cpus} {kind} on {number} NUMA nodes{alone}{also}; {largest}"),
        (NumaPlacement::Any, NumaBinding::Bound) => format!("numa_binding needs one NUMA node with {cpus} free {kind}; {largest}"),
        (NumaPlacement::Any, _) => format!("needs {cpus} {kind}{alone}{also}, {} are free; {largest}", free(usable)),
    }
}

/// The rule that a dedicated pod was placed by, as a phrase.
pub(super) fn rule(context: &Context<'_>, demand: &DedicatedDemand, cpus: &CpuSet) -> String {
    let layout = &context.layout;
    let nodes = layout.topology.nodes_of(cpus).len();
    let mut rule = match (demand.binding, nodes) {
        (NumaBinding::Exclusive, _) => "alone on its NUMA nodes, with all their CPUs".to_owned(),
        (NumaBinding::Bound, 1) => "numa_binding: CPUs and memory on one NUMA node".to_owned(),
        (NumaBinding::Bound, _) => format!("numa_binding: CPUs and memory on {nodes} NUMA nodes"),
        (NumaBinding::Unbound, 1) => "own CPUs on one NUMA node".to_owned(),
        (NumaBinding::Unbound, _) => format!("own CPUs on {nodes} NUMA nodes"),
    };
    if layout.split_cores(cpus) == 0 {
        rule.push_str(", whole cores");
    }
    if demand.request != MilliCpu::from_cpus(demand.cpus) {
        rule.push_str(&format!("; request {} rounded up to {} CPUs", demand.request, demand.cpus));
    }
    rule
}
