//! The node as the pod that asks finds it: what the others hold, and which NUMA nodes are closed to it.

use super::{Asked, kept};
use crate::demand::BoundDemand;
use crate::place::{Company, Context, Others};
use crate::{Node, Refusal};
use gleaner_model::{CpuSet, MilliCpu, NumaId, NumaSet, PodUid};

/// Everything that the questions about one pod share. The pod itself is not among those that are there.
pub(super) struct Room<'a> {
    pub(super) node: Node<'a>,
    pub(super) asked: Asked<'a>,
    pub(super) context: &'a Context<'a>,
    pub(super) others: &'a Others,
    /// CPUs for pools.
    pub(super) open: CpuSet,
    /// Bound pods that were told their nodes.
    bound: Vec<(&'a BoundDemand, &'a NumaSet)>,
}

impl<'a> Room<'a> {
    pub(super) fn new(node: &Node<'a>, asked: &Asked<'a>, context: &'a Context<'a>, others: &'a Others) -> Self {
        let nodes = |uid: &PodUid| node.assignment.nodes.get(uid);
        let bound = context.demands.bound.iter().filter_map(|(uid, demand)| Some((demand, nodes(uid)?))).collect();
        Self { open: others.open(context), node: *node, asked: *asked, context, others, bound }
    }

    /// NUMA nodes that have CPUs.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NumaId> + '_ {
        self.context.layout.nodes.keys().copied()
    }

    fn on(&self, id: NumaId, cpus: &CpuSet) -> CpuSet {
        self.context.layout.nodes.get(&id).map(|all| all.intersection(cpus)).unwrap_or_default()
    }

    /// CPUs for pods on a node.
    pub(super) fn for_pods_on(&self, id: NumaId) -> CpuSet {
        self.on(id, &self.context.usable)
    }

    /// CPUs for pods on a node that no other dedicated pod has.
    pub(super) fn free_on(&self, id: NumaId) -> CpuSet {
        self.others.given().values().fold(self.for_pods_on(id), |free, cpus| free.difference(cpus))
    }

    /// How many CPUs of a node pools may have now.
    pub(super) fn for_pools_on(&self, id: NumaId) -> u32 {
        self.on(id, &self.open).count()
    }

    /// Pods that are bound to a node and live in a pool, reclaimed ones or shared ones.
    pub(super) fn bound_on(&self, id: NumaId, reclaimed: bool) -> impl Iterator<Item = &'a BoundDemand> + '_ {
        self.bound.iter().filter(move |(demand, nodes)| nodes.contains(id) && demand.reclaimed() == reclaimed).map(|(demand, _)| *demand)
    }

    /// CPU that they request.
    pub(super) fn requested_on(&self, id: NumaId, reclaimed: bool) -> MilliCpu {
        self.bound_on(id, reclaimed).map(|demand| demand.request).sum()
    }

    /// Why a node is not for the pod, by this rule about who may be on one.
    pub(super) fn closed(
        &self,
        id: NumaId,
        comes: &Company<'a>,
        rule: fn(&Company<'a>, &[Company<'a>]) -> Option<Refusal>,
    ) -> Option<Refusal> {
        let cpus = self.context.layout.nodes.get(&id)?;
        let dedicated = self.others.given().iter().filter(|(_, held)| !cpus.is_disjoint(held));
        let dedicated = dedicated.filter_map(|(uid, _)| self.context.demands.dedicated.get(uid)).map(Company::dedicated);
        let bound = self.bound.iter().filter(|(_, nodes)| nodes.contains(id)).map(|(demand, _)| Company::bound(demand));
        rule(comes, &dedicated.chain(bound).collect::<Vec<_>>())
    }

    /// The nodes that the pod has already, if they still are there.
    pub(super) fn own_nodes(&self) -> Option<NumaSet> {
        kept::own_nodes(&self.node, &self.asked)
    }
}
