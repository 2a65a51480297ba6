//! Which NUMA node each shared pod with `numa_binding` is on, and what the pools of one node want.

use super::company::{Company, closed};
use super::context::{Context, Unbound};
use super::dedicated::Dedicated;
use crate::demand::BoundDemand;
use crate::refusal::{Refusal, Rule};
use gleaner_model::{CpuSet, MilliCpu, NumaId, NumaPlacement, NumaSet, PodUid, PoolName};
use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Pods that are bound to one node, and their pools.
#[derive(Default)]
pub(super) struct Bound<'a> {
    /// The node of each pod that has one.
    pub(super) nodes: BTreeMap<PodUid, NumaId>,
    /// The pool of each pod that has one.
    pub(super) members: BTreeMap<PodUid, PoolName>,
    /// Why the others have none.
    pub(super) refused: BTreeMap<PodUid, Refusal>,
    /// The shared pools by node.
    pub(super) shares: BTreeMap<NumaId, Shares>,
    /// Dedicated and bound pods on each node.
    pub(super) there: BTreeMap<NumaId, Vec<Company<'a>>>,
}

/// The bound shared pools of one node.
#[derive(Default)]
pub(super) struct Shares {
    /// CPU that the pods of each pool request.
    pub(super) requests: BTreeMap<PoolName, MilliCpu>,
}

impl Shares {
    /// CPU that all of them request.
    pub(super) fn request(&self) -> MilliCpu {
        self.requests.values().copied().sum()
    }

    /// CPUs for the requests of all of them, at least `least` each.
    pub(super) fn cpus(&self, least: u32) -> u32 {
        let pools = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
        self.request().ceil_cpus().max(pools.saturating_mul(least))
    }

    /// One pod more.
    pub(super) fn add(&mut self, pool: PoolName, request: MilliCpu) {
        let sum = self.requests.entry(pool).or_default();
        *sum = sum.plus(request);
    }
}

/// The nodes that were chosen for a pod before: by hints, or by an earlier solution.
pub(super) fn chosen(context: &Context<'_>, uid: &PodUid) -> Option<NumaSet> {
    let named = || Some(NumaSet::of(context.current.members.get(uid)?.node_bound()?.1));
    context.current.nodes.get(uid).cloned().filter(|nodes| !nodes.is_empty()).or_else(named)
}

/// Whether a pod runs in a pool of one node.
fn runs(context: &Context<'_>, uid: &PodUid) -> bool {
    context.current.members.get(uid).is_some_and(|pool| pool.node_bound().is_some())
}

/// The bound pods that are reclaimed or not: first those that run, then those for which a node was chosen, then the others, the largest first.
pub(super) fn in_order<'a>(
    context: &Context<'a>,
    reclaimed: bool,
    runs: impl Fn(&PodUid) -> bool,
) -> Vec<(&'a PodUid, &'a BoundDemand, bool, Option<NumaSet>)> {
    let pods = context.demands.bound.iter().filter(|(_, demand)| demand.reclaimed() == reclaimed);
    let mut order: Vec<_> = pods.map(|(uid, demand)| (uid, demand, runs(uid), chosen(context, uid))).collect();
    order.sort_by(|(uid, demand, runs, chosen), (other, others, also, theirs)| {
        let key = (!runs, chosen.is_none(), Reverse(demand.request), &demand.name, uid);
        key.cmp(&(!also, theirs.is_none(), Reverse(others.request), &others.name, other))
    });
    order
}

/// The bound shared pods that have their node, and what is left for more of them.
pub(super) struct Admission<'a> {
    pub(super) bound: Bound<'a>,
    /// CPUs for pools on each node.
    open: BTreeMap<NumaId, u32>,
    free: Free,
}

impl<'a> Admission<'a> {
    /// The node of every bound shared pod.
    pub(super) fn of_all(context: &Context<'a>, dedicated: &Dedicated, open: &CpuSet) -> Self {
        let order = in_order(context, false, |uid| runs(context, uid));
        let mut there = context.tenants.clone();
        for (uid, cpus) in &dedicated.given {
            for node in context.layout.topology.nodes_of(cpus).iter() {
                there.entry(node).or_default().extend(context.demands.dedicated.get(uid).map(Company::dedicated));
            }
        }
        let count = context.layout.nodes.iter().map(|(id, cpus)| (*id, cpus.intersection(open).count()));
        let mut all = Self { bound: Bound { there, ..Bound::default() }, open: count.collect(), free: free(context, open) };
        let unbound = OnceCell::new();
        for (uid, demand, runs, chosen) in order {
            let unbound = || *unbound.get_or_init(|| context.running_share());
            let node = if runs { stay(&all.free, chosen.as_ref()) } else { all.choose(demand, chosen.as_ref(), unbound()) };
            match node {
                Ok(node) => all.add(uid, demand, node, runs),
                Err(refusal) => {
                    all.bound.refused.insert(uid.clone(), refusal);
                }
            }
        }
        all
    }

    fn add(&mut self, uid: &PodUid, demand: &'a BoundDemand, node: NumaId, runs: bool) {
        let pool = demand.pool_on(node);
        self.free.entry(node).and_modify(|free| *free = free.minus(demand.request));
        self.bound.nodes.insert(uid.clone(), node);
        self.bound.members.insert(uid.clone(), pool.clone());
        self.bound.shares.entry(node).or_default().add(pool, demand.request);
        if !runs {
            self.bound.there.entry(node).or_default().push(Company::bound(demand));
        }
    }

    /// The node of a pod that comes.
    fn choose(&self, demand: &BoundDemand, chosen: Option<&NumaSet>, unbound: Unbound) -> Result<NumaId, Refusal> {
        let allowed = allowed(demand, chosen)?;
        let mut nodes: Vec<_> =
            self.free.iter().filter(|(node, _)| allowed.as_ref().is_none_or(|allowed| allowed.contains(**node))).collect();
        nodes.sort_by_key(|(node, free)| (Reverse(**free), **node));
        let mut first = None;
        for (node, _) in &nodes {
            match self.fits(demand, **node, unbound) {
                Ok(_) => return Ok(**node),
                Err(refusal) => drop(first.get_or_insert((**node, refusal))),
            }
        }
        let request = demand.request;
        let cause = match (first, nodes.first(), allowed) {
            (Some((node, refusal)), ..) if refusal.rule != Rule::NumaBinding => {
                return Err(Refusal::by(refusal.rule, format!("NUMA node {node}: {}", refusal.cause)));
            }
            (_, best, Some(nodes)) => {
                let free = best.map_or(MilliCpu::ZERO, |(_, free)| **free);
                format!("requests {request} CPU on NUMA node {nodes}, where {free} are free")
            }
            (_, Some((node, free)), None) => {
                format!("needs one NUMA node with {request} CPU free; the largest free is {free} on node {node}")
            }
            (_, None, None) => "no NUMA node has a CPU for pools".to_owned(),
        };
        Err(Refusal::by(Rule::NumaBinding, cause))
    }

    /// What a node has left when a pod comes there, or why it may not: who is there does not get along with it, its request does not fit
    /// beside those of the others, or unbound shared pods need the CPUs.
    pub(super) fn fits(&self, demand: &BoundDemand, node: NumaId, unbound: Unbound) -> Result<MilliCpu, Refusal> {
        let closed = self.bound.there.get(&node).and_then(|there| closed(&Company::bound(demand), there));
        if let Some(refusal) = closed {
            return Err(refusal);
        }
        let free = self.free.get(&node).copied().unwrap_or_default();
        let has = self.open.get(&node).copied().unwrap_or(0);
        if has == 0 || demand.request > free {
            return Err(Refusal::by(Rule::NumaBinding, format!("{free} of {has} CPUs left")));
        }
        if self.open.len() == 1 {
            // On a machine of one node all share it, bound or not; what they request must fit.
            if demand.request.plus(unbound.needs) > free {
                let cause = format!(
                    "requests {} CPU, {free} of {has} CPUs are left, and shared pods without numa_binding need {}",
                    demand.request, unbound.needs
                );
                return Err(Refusal::by(Rule::Floor, cause));
            }
        } else if !self.bound.shares.contains_key(&node) {
            let rest = self.open.iter().filter(|(other, _)| **other != node && !self.bound.shares.contains_key(other));
            let rest = rest.map(|(_, cpus)| *cpus).fold(0, u32::saturating_add);
            if MilliCpu::from_cpus(rest) < unbound.needs {
                let cause = format!("shared pods without numa_binding need {} CPUs and would have {rest} without it", unbound.needs);
                return Err(Refusal::by(Rule::Floor, cause));
            }
        }
        Ok(free.minus(demand.request))
    }
}

/// CPU that requests leave free on each node with CPUs for pools.
pub(super) type Free = BTreeMap<NumaId, MilliCpu>;

/// The node of a pod that runs: its own as long as that has a CPU for pools, whatever the pod requests; else the freest.
fn stay(free: &Free, chosen: Option<&NumaSet>) -> Result<NumaId, Refusal> {
    let own = freest(free.iter().filter(|(node, _)| chosen.is_some_and(|chosen| chosen.contains(**node))));
    let node = own.or_else(|| freest(free.iter())).map(|(node, _)| node);
    node.ok_or_else(|| Refusal::by(Rule::NumaBinding, "no NUMA node has a CPU for pools"))
}

/// The nodes that a pod may be on; `None`: any.
pub(super) fn allowed(demand: &BoundDemand, chosen: Option<&NumaSet>) -> Result<Option<NumaSet>, Refusal> {
    match (&demand.placement, chosen) {
        (NumaPlacement::Ids(ids), Some(chosen)) if chosen.is_disjoint(ids) => {
            Err(Refusal::by(Rule::NumaIds, format!("asks for NUMA nodes {ids}, but {chosen} was chosen")))
        }
        (NumaPlacement::Ids(ids), Some(chosen)) => Ok(Some(chosen.intersection(ids))),
        (NumaPlacement::Ids(ids), None) => Ok(Some(ids.clone())),
        (_, chosen) => Ok(chosen.cloned()),
    }
}

/// What each node with CPUs among these has.
pub(super) fn free(context: &Context<'_>, open: &CpuSet) -> Free {
    let nodes = context.layout.nodes.iter().map(|(id, cpus)| (*id, cpus.intersection(open).count()));
    nodes.filter(|(_, cpus)| *cpus > 0).map(|(node, cpus)| (node, MilliCpu::from_cpus(cpus))).collect()
}

/// The node with most; of equals the lowest.
pub(super) fn freest<'a>(nodes: impl Iterator<Item = (&'a NumaId, &'a MilliCpu)>) -> Option<(NumaId, MilliCpu)> {
    nodes.map(|(node, free)| (*node, *free)).max_by_key(|(node, free)| (*free, Reverse(*node)))
}
