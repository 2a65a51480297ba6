//! What the steps of one solution share.

use super::bound::{Shares, chosen};
use super::company::Company;
use super::{PlacePolicy, ReclaimMode, is_reclaim, reserve};
use crate::demand::Demands;
use crate::layout::Layout;
use gleaner_model::{Assignment, CpuSet, MilliCpu, NumaId, Pod, PodUid, PoolName};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that the steps of one solution share.
pub(crate) struct Context<'a> {
    pub(crate) layout: &'a Layout<'a>,
    pub(crate) current: &'a Assignment,
    pub(super) pods: &'a BTreeMap<PodUid, Pod>,
    pub(crate) demands: &'a Demands,
    pub(crate) policy: &'a PlacePolicy,
    pub(crate) reserve: CpuSet,
    pub(super) interrupt: CpuSet,
    /// CPUs that are kept neither for the system nor for interrupts.
    pub(crate) usable: CpuSet,
    /// CPUs that shared pools with pods have now.
    pub(super) shared: CpuSet,
    /// CPUs that reclaimed pods have now.
    pub(super) reclaim: CpuSet,
    /// CPUs that dedicated pods must leave to the shared pods bound to a node.
    pub(super) floors: BTreeMap<NumaId, u32>,
    /// CPUs that dedicated pods must leave to all others that live.
    pub(super) floor: u32,
    /// Bound pods that run, by node.
    pub(super) tenants: BTreeMap<NumaId, Vec<Company<'a>>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        layout: &'a Layout<'a>,
        current: &'a Assignment,
        pods: &'a BTreeMap<PodUid, Pod>,
        demands: &'a Demands,
        policy: &'a PlacePolicy,
    ) -> Self {
        let reserve::Kept { reserve, interrupt } = reserve::kept(layout, policy);
        let on_nodes = current.pools.keys().filter(|pool| pool.node_bound().is_some_and(|(of, _)| of != PoolName::reclaim()));
        let shared = demands.share.keys().chain(on_nodes).fold(CpuSet::new(), |all, pool| all.union(&current.cpus_of(pool)));
        let pools = current.pools.iter().filter(|(name, _)| is_reclaim(name));
        let reclaim = pools.fold(CpuSet::new(), |all, (_, pool)| all.union(&pool.cpus));
        let usable = layout.online.difference(&reserve).difference(&interrupt);
        let (floors, floor, tenants) = (BTreeMap::new(), 0, BTreeMap::new());
        let mut context =
            Self { layout, current, pods, demands, policy, reserve, interrupt, usable, shared, reclaim, floors, floor, tenants };
        context.floors = context.floors();
        context.floor = context.floor();
        context.tenants = context.tenants();
        context
    }

    /// What shared pods need that run on one node or were given one: their requests, and the least that every pool keeps.
    fn floors(&self) -> BTreeMap<NumaId, u32> {
        let mut nodes: BTreeMap<NumaId, Shares> = BTreeMap::new();
        for (uid, demand) in self.demands.bound.iter().filter(|(_, demand)| !demand.reclaimed()) {
            if let Some(node) = chosen(self, uid).filter(|nodes| nodes.len() == 1).and_then(|nodes| nodes.first()) {
                nodes.entry(node).or_default().add(demand.pool.on_node(node), demand.request);
            }
        }
        nodes.into_iter().map(|(node, shares)| (node, shares.cpus(self.policy.min_share_cpus.max(1)))).collect()
    }

    /// CPUs that dedicated pods must leave to the others that live.
    fn floor(&self) -> u32 {
        let pools = self.demands.share_pools().saturating_add(u32::try_from(self.floors.len()).unwrap_or(u32::MAX));
        let bound = self.demands.bound.iter().filter(|(_, demand)| demand.reclaimed());
        let reclaimed = self.demands.reclaim_pods > 0 || bound.map(|(uid, _)| uid).any(|uid| self.current.members.contains_key(uid));
        let reclaim = reclaimed && (self.policy.mode == ReclaimMode::Cpuset || pools == 0);
        let others = pools.saturating_mul(self.policy.min_share_cpus.max(1)).saturating_add(u32::from(reclaim));
        let system = !self.demands.system.is_empty() && self.reserve.is_empty();
        others.max(u32::from(system))
    }

    fn tenants(&self) -> BTreeMap<NumaId, Vec<Company<'a>>> {
        let mut tenants: BTreeMap<NumaId, Vec<Company<'a>>> = BTreeMap::new();
        let runs = |uid: &PodUid| self.current.members.contains_key(uid);
        for (uid, demand) in self.demands.bound.iter().filter(|(uid, _)| runs(uid)) {
            for node in chosen(self, uid).iter().flat_map(|nodes| nodes.iter()) {
                tenants.entry(node).or_default().push(Company::bound(demand));
            }
        }
        tenants
    }

    /// What the unbound shared pods that run need: a pod that comes and wants a node for itself must leave it.
    pub(super) fn running_share(&self) -> Unbound {
        let runs = |(uid, pool): &(&PodUid, &PoolName)| self.demands.share.contains_key(*pool) && self.current.members.contains_key(*uid);
        let members: Vec<_> = self.demands.members.iter().filter(runs).collect();
        let pools: BTreeSet<&PoolName> = members.iter().map(|(_, pool)| self.demands.home_of(pool)).collect();
        let request = members.iter().filter_map(|(uid, _)| self.pods.get(*uid)).map(Pod::cpu_request).sum();
        Unbound::new(self.policy, request, pools.len())
    }

    /// How many unbound reclaimed pods run.
    pub(super) fn running_reclaimed(&self) -> usize {
        self.demands.members.iter().filter(|(uid, pool)| is_reclaim(pool) && self.current.members.contains_key(*uid)).count()
    }
}

/// Unbound shared pods.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unbound {
    /// CPU that they request together, or that their pools need at least.
    pub(super) needs: MilliCpu,
}

impl Unbound {
    pub(super) fn new(policy: &PlacePolicy, request: MilliCpu, pools: usize) -> Self {
        let least = u32::try_from(pools).unwrap_or(u32::MAX).saturating_mul(policy.min_share_cpus.max(1));
        Self { needs: request.max(MilliCpu::from_cpus(least)) }
    }
}
