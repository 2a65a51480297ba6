//! CPUs of reclaimed pods: what the others leave, cut by NUMA node for those that are bound to one.

use super::bound::{Bound, Free, Shares, allowed, free, in_order};
use super::company::{Company, closed};
use super::dedicated::Dedicated;
use super::share::Given;
use super::{Context, ReclaimMode, is_reclaim};
use crate::demand::BoundDemand;
use crate::refusal::{Refusal, Rule};
use crate::take::give_back;
use gleaner_model::{CpuSet, NumaId, NumaSet, PodUid, PoolName};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What reclaimed pods have for sure, before shared pools are cut.
pub(super) struct Reclaim {
    /// CPUs that shared pools must leave, so that no pool of reclaimed pods is empty.
    pub(super) seeds: CpuSet,
    /// CPUs of dedicated pods that reclaimed pods may use too.
    pub(super) lent: CpuSet,
    /// Nodes of which bound reclaimed pods have the reclaim CPUs.
    pub(super) nodes: NumaSet,
    /// Whether shared pools take no more than they want, since reclaimed pods live that need CPUs of their own.
    pub(super) takes_rest: bool,
    /// Whether pods are in the pool of all the other nodes.
    unbound: bool,
    /// Whether reclaimed pods run already.
    running: bool,
}

/// Finds the node of every bound reclaimed pod and the CPUs that shared pools must leave. A pod whose node can have no reclaim CPU is
/// refused if it is new, and in the pool of unbound reclaimed pods if it runs.
pub(super) fn settle<'a>(context: &'a Context<'a>, open: &CpuSet, dedicated: &Dedicated, bound: &mut Bound<'a>) -> Reclaim {
    let (mut room, fallback) = Room::of_all(context, open, dedicated, bound);
    let unbound = context.demands.reclaim_pods > 0 || fallback;
    let takes_rest = context.policy.mode == ReclaimMode::Cpuset && (unbound || !room.nodes.is_empty());
    if takes_rest && room.seeds_needed {
        room.seed_least(&bound.shares);
    }
    if unbound && room.seeds_needed {
        room.seed_for_all();
    }
    let reclaimed = context.demands.bound.iter().filter(|(_, demand)| demand.reclaimed()).map(|(uid, _)| uid);
    let members = context.demands.members.iter().filter(|(_, pool)| is_reclaim(pool)).map(|(uid, _)| uid);
    let running = reclaimed.chain(members).any(|uid| runs(context, uid));
    Reclaim { seeds: room.seeds, nodes: room.nodes, takes_rest, unbound, running, lent: room.lent }
}

fn runs(context: &Context<'_>, uid: &PodUid) -> bool {
    context.current.members.get(uid).is_some_and(is_reclaim)
}

/// The CPUs of pools from which shared pools must leave some.
#[derive(Clone)]
pub(super) struct Room<'a> {
    context: &'a Context<'a>,
    open: CpuSet,
    lent: CpuSet,
    /// Whether shared pools would take everything.
    seeds_needed: bool,
    /// CPUs that shared pools may have.
    left: CpuSet,
    /// Nodes with bound shared pools: each keeps a CPU for them.
    shares: NumaSet,
    seeds: CpuSet,
    nodes: NumaSet,
    /// CPU that the requests of bound pods leave free.
    free: Free,
    /// Nodes of bound reclaimed pods, also where these have no CPU.
    theirs: NumaSet,
    /// Dedicated and bound pods on each node.
    there: BTreeMap<NumaId, Vec<Company<'a>>>,
}

impl<'a> Room<'a> {
    /// The node of every bound reclaimed pod; also whether one that runs has none.
    pub(super) fn of_all(context: &'a Context<'a>, open: &CpuSet, dedicated: &Dedicated, bound: &mut Bound<'a>) -> (Self, bool) {
        let mut room = Self::new(context, open, dedicated, bound);
        let mut fallback = false;
        let order = in_order(context, true, |uid| runs(context, uid));
        room.theirs =
            order.iter().filter(|(_, _, runs, _)| *runs).filter_map(|(_, _, _, chosen)| chosen.as_ref()).flat_map(NumaSet::iter).collect();
        for (uid, demand, runs, chosen) in order {
            // A pod that comes leaves unbound ones that run a node; those that come with it are nobody's loss.
            let unbound = (!runs).then(|| context.running_reclaimed());
            match room.choose(demand, chosen.as_ref(), unbound) {
                Ok(node) => {
                    bound.nodes.insert(uid.clone(), node);
                    bound.members.insert(uid.clone(), demand.pool_on(node));
                }
                Err(_) if runs => {
                    fallback = true;
                    bound.members.insert(uid.clone(), PoolName::reclaim());
                }
                Err(refusal) => {
                    bound.refused.insert(uid.clone(), refusal);
                }
            }
        }
        (room, fallback)
    }

    fn new(context: &'a Context<'a>, open: &CpuSet, dedicated: &Dedicated, bound: &Bound<'a>) -> Self {
        let lent = if context.policy.overlap_dedicated { dedicated.lendable(context) } else { CpuSet::new() };
        let pools = !context.demands.share.is_empty() || !bound.shares.is_empty();
        let mut free = free(context, &open.union(&lent));
        for (node, shares) in &bound.shares {
            free.entry(*node).and_modify(|free| *free = free.minus(shares.request()));
        }
        Self {
            context,
            open: open.clone(),
            lent,
            seeds_needed: pools && context.policy.mode == ReclaimMode::Cpuset,
            left: open.clone(),
            shares: bound.shares.keys().copied().collect(),
            seeds: CpuSet::new(),
            nodes: NumaSet::new(),
            theirs: NumaSet::new(),
            there: bound.there.clone(),
            free,
        }
    }

    fn cpus(&self, node: NumaId) -> CpuSet {
        self.context.layout.nodes.get(&node).cloned().unwrap_or_default()
    }

    /// The chosen node, or the one with most free by requests that can have a reclaim CPU. `unbound`: how many pods without `numa_binding` must
    /// keep a node; `None`: it runs, and stays beside whoever is there.
    fn choose(&mut self, demand: &'a BoundDemand, chosen: Option<&NumaSet>, unbound: Option<usize>) -> Result<NumaId, Refusal> {
        let allowed = allowed(demand, chosen)?;
        let mut nodes: Vec<_> =
            self.free.iter().filter(|(node, _)| allowed.as_ref().is_none_or(|allowed| allowed.contains(**node))).collect();
        nodes.sort_by_key(|(node, free)| (Reverse(**free), **node));
        let nodes: Vec<NumaId> = nodes.into_iter().map(|(node, _)| *node).collect();
        let mut first = None;
        for node in nodes {
            let admitted = match unbound {
                None if self.accept(node) => Ok(()),
                None => Err(no_cpu(node)),
                Some(unbound) => self.admit(demand, node, unbound),
            };
            match admitted {
                Ok(()) => {
                    self.free.entry(node).and_modify(|free| *free = free.minus(demand.request));
                    return Ok(node);
                }
                Err(refusal) => drop(first.get_or_insert((node, refusal))),
            }
        }
        if let Some((node, refusal)) = first.filter(|(_, refusal)| refusal.rule != Rule::NumaBinding) {
            return Err(Refusal::by(refusal.rule, format!("NUMA node {node}: {}", refusal.cause)));
        }
        let place = allowed.map_or_else(|| "no NUMA node has".to_owned(), |nodes| format!("NUMA node {nodes} has no"));
        let any = if place.ends_with("no") { "" } else { "a " };
        Err(Refusal::by(Rule::NumaBinding, format!("{place} {any}CPU that shared pods could leave to reclaimed pods")))
    }

    /// Lets a pod that comes be on a node, or says why it may not: who is there does not get along with it, unbound reclaimed pods would have
    /// no node left, or shared pods can leave no CPU.
    pub(super) fn admit(&mut self, demand: &'a BoundDemand, node: NumaId, unbound: usize) -> Result<(), Refusal> {
        if let Some(refusal) = self.there.get(&node).and_then(|there| closed(&Company::bound(demand), there)) {
            return Err(refusal);
        }
        let has = |other: NumaId| !self.cpus(other).is_disjoint(&self.open) || !self.cpus(other).is_disjoint(&self.lent);
        let other = |other: NumaId| other != node && !self.theirs.contains(other) && has(other);
        // On a machine of one node all share it, bound or not.
        let many = self.context.layout.nodes.len() > 1;
        if many && unbound > 0 && has(node) && !self.theirs.contains(node) && !self.context.layout.nodes.keys().any(|node| other(*node)) {
            return Err(Refusal::by(Rule::Floor, format!("the last one for {unbound} reclaimed pods without numa_binding")));
        }
        if !self.accept(node) {
            return Err(no_cpu(node));
        }
        self.there.entry(node).or_default().push(Company::bound(demand));
        self.theirs.insert(node);
        Ok(())
    }

    /// Whether bound reclaimed pods can be on the node: it has a reclaim CPU.
    fn accept(&mut self, node: NumaId) -> bool {
        let cpus = self.cpus(node);
        // A CPU of shared pools only where there is no other: so the order in which pods are looked at decides nothing.
        let has = self.nodes.contains(node) || !cpus.is_disjoint(&self.lent);
        let accepted = has || if self.seeds_needed { self.seed(&cpus) } else { !cpus.is_disjoint(&self.open) };
        if accepted {
            self.nodes.insert(node);
        }
        accepted
    }

    /// A CPU for unbound reclaimed pods, away from the nodes of bound ones if there is one.
    fn seed_for_all(&mut self) {
        let outside = self.open.difference(&self.context.layout.cpus_of(&self.nodes));
        if !self.seeds.is_disjoint(&outside) {
            return;
        }
        let seeded = self.seed(&outside);
        if !seeded && self.seeds.is_empty() && self.lent.is_empty() {
            let open = self.open.clone();
            self.seed(&open);
        }
    }

    /// The least that reclaimed pods are left on each node, as far as every shared pool there keeps a CPU.
    fn seed_least(&mut self, shares: &BTreeMap<NumaId, Shares>) {
        let layout = self.context.layout;
        let unbound = self.context.demands.share.len();
        for (node, cpus) in &layout.nodes {
            let least = self.context.demands.least_reclaimed(*node);
            let own = shares.get(node).map(|shares| shares.requests.len());
            let place = if own.is_some() { cpus.clone() } else { layout.online.difference(&layout.cpus_of(&self.shares)) };
            let kept = u32::try_from(own.unwrap_or(unbound)).unwrap_or(u32::MAX);
            while self.seeds.intersection(cpus).count() < least && self.left.intersection(&place).count() > kept && self.seed(cpus) {}
        }
    }

    /// Takes one of these CPUs from the shared pools: one that is reclaimed already, else one that nobody has, else one that tears no core.
    fn seed(&mut self, place: &CpuSet) -> bool {
        let spare = self.spare(place);
        let reclaim = &self.context.reclaim;
        let nobodys = spare.difference(&self.context.shared);
        let best = [spare.intersection(reclaim), nobodys, spare].into_iter().find(|cpus| !cpus.is_empty()).unwrap_or_default();
        let layout = self.context.layout;
        let by_node = layout.nodes.iter().map(|(id, cpus)| (cpus.intersection(&best), Reverse(*id)));
        let most = by_node.max_by_key(|(cpus, id)| (cpus.count(), *id)).map(|(cpus, _)| cpus).unwrap_or_default();
        let seed = give_back(layout, &most, 1);
        self.left = self.left.difference(&seed);
        self.seeds = self.seeds.union(&seed);
        !seed.is_empty()
    }

    /// CPUs of the place of which one can be taken: where there are only unbound shared pools as long as these keep one; else on the node
    /// with most, whose bound shared pools keep one, and of all such nodes together one more where unbound pools have no other. What is
    /// where now plays no part: it would move the borders between pools.
    fn spare(&self, place: &CpuSet) -> CpuSet {
        let layout = self.context.layout;
        let outside = self.left.difference(&layout.cpus_of(&self.shares));
        let unbound = !self.context.demands.share.is_empty();
        let near = outside.intersection(place);
        if outside.count() > u32::from(unbound) && !near.is_empty() {
            return near;
        }
        let bound = self.shares.iter().map(|node| (self.left.intersection(&self.cpus(node)), Reverse(node)));
        let bound: Vec<_> = bound.filter(|(cpus, _)| cpus.count() >= 2).collect();
        let spare: u32 = bound.iter().map(|(cpus, _)| cpus.count() - 1).sum();
        if spare <= u32::from(unbound && outside.is_empty()) {
            return CpuSet::new();
        }
        let near = bound.iter().filter(|(cpus, _)| !cpus.is_disjoint(place));
        near.max_by_key(|(cpus, node)| (cpus.count(), *node)).map(|(cpus, _)| cpus.intersection(place)).unwrap_or_default()
    }
}

fn no_cpu(node: NumaId) -> Refusal {
    Refusal::by(Rule::NumaBinding, format!("NUMA node {node} has no CPU that shared pods could leave to reclaimed pods"))
}

impl Reclaim {
    /// The CPUs of shared pools that reclaimed pods run on too where that is for what the pools do not need: of each pool those beyond what it wants; and
    /// no fewer than one, or the least that is configured, on each node with bound reclaimed pods and for the unbound ones. It depends on the pools alone, so that it
    /// moves only when these do.
    fn unneeded(
        &self,
        context: &Context<'_>,
        open: &CpuSet,
        shares: &BTreeMap<PoolName, Given>,
        wants: &BTreeMap<PoolName, u32>,
    ) -> CpuSet {
        let layout = context.layout;
        let shared = shares.values().fold(CpuSet::new(), |all, (cpus, _)| all.union(cpus));
        let mut theirs = open.difference(&shared);
        for (pool, (cpus, _)) in shares {
            let spare = cpus.count().saturating_sub(wants.get(pool).copied().unwrap_or_default());
            theirs = theirs.union(&give_back(layout, cpus, spare));
        }
        let mut leave = |place: &CpuSet, least: u32| {
            let lacks = least.saturating_sub(theirs.intersection(place).count());
            theirs = theirs.union(&give_back(layout, &open.intersection(place).difference(&theirs), lacks));
        };
        for (node, cpus) in &layout.nodes {
            leave(cpus, context.demands.least_reclaimed(*node).max(u32::from(self.nodes.contains(*node))));
        }
        leave(&open.difference(&layout.cpus_of(&self.nodes)), u32::from(self.unbound));
        theirs
    }

    /// The pools of reclaimed pods: of each node with bound ones its reclaim CPUs, for the others those of the other nodes. `wants` is what the shared pools
    /// want.
    pub(super) fn pools(
        &self,
        context: &Context<'_>,
        open: &CpuSet,
        shares: &BTreeMap<PoolName, Given>,
        wants: &BTreeMap<PoolName, u32>,
    ) -> Vec<(PoolName, Given)> {
        let shared = shares.values().fold(CpuSet::new(), |all, (cpus, _)| all.union(cpus));
        let (own, mut rule) = match context.policy.mode {
            ReclaimMode::Quota if !shared.is_empty() => (open.clone(), "the CPUs of all shared pools".to_owned()),
            ReclaimMode::Overlap if !shared.is_empty() => {
                (self.unneeded(context, open, shares, wants), "the CPUs that shared pools do not need now".to_owned())
            }
            _ => (open.difference(&shared), "what the others leave".to_owned()),
        };
        if !self.lent.is_empty() {
            rule.push_str(", and the CPUs of dedicated pods");
        }
        let mut all = own.union(&self.lent);
        if all.is_empty() && self.running {
            // Those that run must be somewhere; the idle class protects the shared pods.
            all = open.clone();
            rule = "no CPU is left for them alone: the CPUs of all shared pools".to_owned();
        }
        let mut pools = Vec::new();
        for node in self.nodes.iter() {
            let cpus = context.layout.nodes.get(&node).map(|cpus| cpus.intersection(&all)).unwrap_or_default();
            pools.push((PoolName::reclaim().on_node(node), (cpus, format!("numa_binding, on NUMA node {node}: {rule}"))));
        }
        let rest = all.difference(&context.layout.cpus_of(&self.nodes));
        let unbound = match (self.nodes.is_empty(), rest.is_empty()) {
            (true, _) => (all, rule),
            (false, false) => (rest, format!("{rule}, without NUMA nodes {} of bound reclaimed pods", self.nodes)),
            (false, true) if self.unbound => (all, format!("{rule}; only NUMA nodes of bound reclaimed pods have any: with them together")),
            (false, true) => (CpuSet::new(), rule),
        };
        pools.push((PoolName::reclaim(), unbound));
        pools
    }
}
