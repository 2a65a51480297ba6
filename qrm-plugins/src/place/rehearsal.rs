//! What placing would say to one pod more: the questions that hints ask.

use super::bound::Admission;
use super::context::{Context, Unbound};
use super::dedicated::{Dedicated, Finder, Wanting, find, has, is_settled, place, resize};
use super::reclaim::Room;
use crate::demand::{BoundDemand, DedicatedDemand};
use crate::refusal::Refusal;
use gleaner_model::{CpuSet, MilliCpu, NumaId, NumaSet, PodUid};
use std::collections::BTreeMap;

/// The other dedicated pods, as they are before the pod that asks.
pub(crate) struct Others(Dedicated);

impl Others {
    pub(crate) fn new(context: &Context<'_>, asked: &PodUid) -> Self {
        Self(place(context, Some(asked)))
    }

    /// Their CPUs.
    pub(crate) const fn given(&self) -> &BTreeMap<PodUid, CpuSet> {
        &self.0.given
    }

    /// CPUs for pools.
    pub(crate) fn open(&self, context: &Context<'_>) -> CpuSet {
        self.0.open(context)
    }
}

/// A dedicated pod that comes or asks for another size; its demand is among the context's.
pub(crate) struct DedicatedRehearsal<'a> {
    context: &'a Context<'a>,
    wanting: Wanting<'a>,
    /// The others and the pod itself.
    now: Dedicated,
    /// Whether the pod has CPUs that it can keep.
    runs: bool,
    finder: Finder<'a>,
}

impl<'a> DedicatedRehearsal<'a> {
    pub(crate) fn new(context: &'a Context<'a>, others: &Others, uid: &'a PodUid, demand: &'a DedicatedDemand) -> Self {
        let wanting = Wanting::new(context, uid, demand);
        let own = has(context, &others.0.cpus(), uid);
        let now = own.map_or_else(|| others.0.clone(), |cpus| others.0.with(uid, cpus));
        Self { context, wanting, now, runs: own.is_some(), finder: Finder::new(context, &others.0, wanting) }
    }

    /// Whether it can have these nodes.
    pub(crate) fn takes(&self, nodes: &NumaSet) -> bool {
        if !self.runs {
            return self.finder.fits(nodes);
        }
        self.sized(Some(nodes)).is_ok()
    }

    /// Why it cannot be anywhere.
    pub(crate) fn anywhere(&self) -> Result<(), Refusal> {
        if self.runs { self.sized(None) } else { find(self.context, &self.now, &self.wanting.told(None)).map(drop) }
    }

    fn sized(&self, chosen: Option<&NumaSet>) -> Result<(), Refusal> {
        let wanting = self.wanting.told(chosen);
        if is_settled(self.context, &self.now, &wanting) { Ok(()) } else { resize(self.context, &self.now, &wanting).map(drop) }
    }
}

/// A shared or reclaimed pod with `numa_binding` that comes; its demand is not among the context's.
pub(crate) struct BoundRehearsal<'a> {
    admission: Admission<'a>,
    reclaim: Room<'a>,
    shared: Unbound,
    reclaimed: usize,
}

impl<'a> BoundRehearsal<'a> {
    pub(crate) fn new(context: &'a Context<'a>, others: &Others) -> Self {
        let open = others.open(context);
        let mut admission = Admission::of_all(context, &others.0, &open);
        let reclaim = Room::of_all(context, &open, &others.0, &mut admission.bound);
        let shared = Unbound::new(context.policy, context.demands.share_request, context.demands.share.len());
        Self { admission, reclaim: reclaim.0, shared, reclaimed: context.demands.reclaim_pods }
    }

    /// What the requests of shared pods leave of a node with a shared pod more, or why that cannot be there.
    /// `stays`: it is there already, and takes nothing from unbound pods.
    pub(crate) fn shared(&self, demand: &BoundDemand, node: NumaId, stays: bool) -> Result<MilliCpu, Refusal> {
        self.admission.fits(demand, node, if stays { Unbound::default() } else { self.shared })
    }

    /// Why a reclaimed pod more cannot be on a node.
    pub(crate) fn reclaimed(&self, demand: &'a BoundDemand, node: NumaId, stays: bool) -> Result<(), Refusal> {
        self.reclaim.clone().admit(demand, node, if stays { 0 } else { self.reclaimed })
    }
}
