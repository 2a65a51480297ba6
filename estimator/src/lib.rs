//! How much of this node can be lent to reclaimed pods, and how big each pool of shared pods must be.
//!
//! Purpose: [`estimate`], a pure function from one [`Snapshot`] and what earlier ticks left in [`State`] to an [`Estimate`] with its
//! reasons. The formulas stand at the functions of `headroom` and `pools`; what one pod needs stands in `need`.
//!
//! Rules: what is unknown lends nothing; the figures fall in the same tick and rise by a bounded step; a pool grows at once and shrinks
//! only after a smaller size was enough for a while.
//!
//! This crate must not know: files, clocks, threads, async runtimes, Kubernetes clients, which CPUs a pool gets.

mod advice;
mod clusters;
mod control;
mod headroom;
mod history;
mod indicators;
pub mod katalyst;
pub mod koordinator;
mod learning;
mod need;
mod policy;
mod pools;
mod region;
mod regions;
mod requirement;
mod state;

pub use advice::Advice;
pub use clusters::{Clusters, Day, Like};
pub use control::{Control, Sight, basis};
pub use headroom::{Fragments, HeadroomSettings, PressureSettings, Utilisation, settle};
pub use history::{
    Buckets, Checkpoint, ContainerTrack, Expected, Histogram, Histories, HistorySettings, Minute, Profile, RegionHistory, Regions,
    Remembered, Ring, Store, WorkloadHistory, Workloads,
};
pub use indicators::indicators;
pub use policy::Policy;
pub use pools::{IsolationSettings, IsolationSize, IsolationState, MinReclaimed, PoolDemand, PoolSettings};
pub use region::Region;
pub use requirement::canonical::{CanonicalSettings, canonical};
pub use requirement::composite::CompositeSettings;
pub use requirement::feedback::{FeedbackSettings, FeedbackState, feedback};
pub use requirement::n_sigma::NSigmaSettings;
pub use requirement::percentile::PercentileSettings;
pub use requirement::seasonal::SeasonalSettings;
pub use requirement::usage_margin::{UsageMarginSettings, usage_margin};
pub use requirement::{Evidence, Indicator, Member, PolicyName, Requirement};
pub use state::State;

use gleaner_model::{Assignment, Bytes, MilliCpu, NumaId, PodUid, PoolName, Reason, ReclaimRule, Snapshot, Timestamp, Topology};
use regions::Memory;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All that one tick is told.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Pods and readings.
    pub snapshot: &'a Snapshot,
    /// The machine.
    pub topology: &'a Topology,
    /// Which CPUs each pool has.
    pub assignment: &'a Assignment,
    /// What other processes supplied.
    pub advice: &'a BTreeMap<Region, Advice>,
}

/// What one tick found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The moment of the tick.
    pub at: Timestamp,
    /// CPU that can be promised to all reclaimed pods together; zero when an input is missing.
    pub cpu: MilliCpu,
    /// Memory that can be promised to all reclaimed pods together; zero when an input is missing.
    pub memory: Bytes,
    /// What they can really have: less where the promise is raised, more where it is too little to be offered.
    #[serde(default)]
    pub supply: Supply,
    /// [`Reason::ReclaimableCpu`] with the numbers used.
    pub cpu_reason: Reason,
    /// [`Reason::ReclaimableMemory`] with the numbers used.
    pub memory_reason: Reason,
    /// The `share` pool, always, every other pool that a shared pod names, and their parts on one NUMA node that bound pods are in. Pools
    /// without pods, dedicated pools and the pools of reclaimed pods are not here.
    pub pools: BTreeMap<PoolName, PoolDemand>,
    /// The regions, and what each needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<Region, RegionFigures>,
    /// Shared pods that have a pool of their own, since they flood the one that they would be in; the sizes of these are among `pools`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub isolated: BTreeMap<PodUid, IsolationSize>,
    /// CPUs of each NUMA node that are left to reclaimed pods, whatever shared pools need.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub least_reclaimed: BTreeMap<NumaId, u32>,
    /// What of it is on each NUMA node that is worth offering; the sums are the figures above, or less. Empty on a machine of one node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_node: BTreeMap<NumaId, NodeShare>,
    /// NUMA nodes that are not in it because a reading of them is missing, and which.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<NumaId, String>,
}

/// What all reclaimed pods together can really have: what quotas, memory bounds and evictions go by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// CPU; zero when an input is missing.
    pub cpu: MilliCpu,
    /// Memory; zero when an input is missing.
    pub memory: Bytes,
    /// CPU on each NUMA node of which it is known; together at most [`Supply::cpu`]. Empty on a machine of one node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cpu_by_node: BTreeMap<NumaId, MilliCpu>,
    /// Memory on each NUMA node of which it is known; together at most [`Supply::memory`]. Empty on a machine of one node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memory_by_node: BTreeMap<NumaId, Bytes>,
}

/// What one region has, uses and needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionFigures {
    /// Its part of the node's CPUs: all of them by its part of all requests.
    pub capacity: MilliCpu,
    /// Sum of its containers' requests.
    pub requested: MilliCpu,
    /// CPU time per time over the last interval; `None` while a reading is missing.
    pub usage: Option<MilliCpu>,
    /// What it needs, and what ruled that; `None` while a reading is missing, or without pods.
    pub requirement: Option<Requirement>,
}

/// What can be lent on one NUMA node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeShare {
    /// CPU.
    pub cpu: MilliCpu,
    /// Memory.
    pub memory: Bytes,
}

impl Estimate {
    /// CPU that reclaimed pods can really have, or `None` where the figure is zero only because an input is missing.
    #[must_use]
    pub fn known_supply(&self) -> Option<MilliCpu> {
        self.known_cpu().map(|_| self.supply.cpu)
    }

    /// CPU that can be lent, or `None` where the figure is zero only because an input is missing.
    #[must_use]
    pub fn known_cpu(&self) -> Option<MilliCpu> {
        match &self.cpu_reason {
            Reason::ReclaimableCpu { rule: ReclaimRule::Unknown, .. } => None,
            _ => Some(self.cpu),
        }
    }

    /// CPU time that reclaimed pods together may use in any case.
    #[must_use]
    pub fn least_reclaimed_cpu(&self) -> MilliCpu {
        self.least_reclaimed.values().copied().map(MilliCpu::from_cpus).sum()
    }

    /// Memory that can be lent, or `None` where the figure is zero only because an input is missing.
    #[must_use]
    pub fn known_memory(&self) -> Option<Bytes> {
        match &self.memory_reason {
            Reason::ReclaimableMemory { rule: ReclaimRule::Unknown, .. } => None,
            _ => Some(self.memory),
        }
    }
}

/// Estimates what can be lent and how big the pools must be, and returns the state for the next tick.
///
/// The first tick lends nothing, since the figures rise from zero. The same arguments always give the same result.
#[must_use]
pub fn estimate(input: &Input<'_>, policy: &Policy, state: State) -> (Estimate, State) {
    let Input { snapshot, topology, assignment, .. } = *input;
    let seen = need::look(snapshot, &state.seen);
    let needs = need::of_pods(snapshot, policy, &seen);
    let stale_after = policy.stale_after.get();
    let homes = pools::homes(snapshot, assignment);
    let room = pools::Room::of(snapshot, topology, assignment, &policy.pools, policy.lend, homes.iter());
    let view = pools::View { snapshot, assignment, settings: &policy.pools.isolation, needs: &needs, room: &room, stale_after };
    let (isolated, isolation) = pools::isolate(&view, &state.isolation);
    let State { mut histories, mut controls, mut tracks, clusters, clustered, .. } = state;
    let (clusters, clustered) = regions::cluster(&histories, clusters, clustered, snapshot.at);
    let remembered = Memory { histories: &mut histories, controls: &mut controls, tracks: &mut tracks, clusters: &clusters };
    let regions = regions::needs(input, policy, &needs, &isolated, remembered);
    let demand = headroom::Demand::of(snapshot, &needs, &regions);
    let lent = headroom::headroom(input, policy, &demand, state.given.as_ref());
    let frame = pools::Frame { at: snapshot.at, topology, assignment, policy, room: &room, isolated: &isolated };
    let (pools, sizes) = pools::sizes(&frame, &pools::of_regions(&regions), &state.pools);
    let estimate = Estimate {
        at: snapshot.at,
        cpu: lent.promise.cpu,
        memory: lent.promise.memory,
        supply: lent.supply,
        cpu_reason: lent.cpu_reason,
        memory_reason: lent.memory_reason,
        pools,
        regions: regions.into_iter().map(|(region, need)| (region, need.figures())).collect(),
        isolated,
        least_reclaimed: room.least().clone(),
        by_node: lent.by_node,
        unknown: lent.unknown,
    };
    let given = Some(lent.given);
    (estimate, State { given, seen, pools: sizes, isolation, histories, controls, tracks, clusters, clustered })
}

#[cfg(test)]
mod tests;
