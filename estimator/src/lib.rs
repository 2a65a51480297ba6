//! How much of this node can be lent to reclaimed pods, and how big each pool of shared pods must be.
//!
//! Purpose: [`estimate`], a pure function from one [`Snapshot`] and what earlier ticks left in [`State`] to an [`Estimate`] with its
//! reasons. The formulas stand at the functions of `lend` and `pools`; what one pod needs stands in `need`.
//!
//! Rules: what is unknown lends nothing; the figures fall in the same tick and rise by a bounded step; a pool grows at once and shrinks
//! only after a smaller size was enough for a while.
//!
//! This crate must not know: files, clocks, threads, async runtimes, Kubernetes clients, which CPUs a pool gets.

mod advice;
mod headroom;
mod history;
mod indicators;
mod need;
mod policy;
mod pools;
mod region;
mod requirement;
mod state;

pub use advice::Advice;
pub use history::{HistorySettings, RegionHistory, WorkloadHistory};
pub use indicators::indicators;
pub use policy::Policy;
pub use pools::PoolDemand;
pub use region::Region;
pub use requirement::canonical::CanonicalSettings;
pub use requirement::composite::CompositeSettings;
pub use requirement::feedback::{FeedbackSettings, FeedbackState, feedback};
pub use requirement::n_sigma::NSigmaSettings;
pub use requirement::percentile::PercentileSettings;
pub use requirement::seasonal::SeasonalSettings;
pub use requirement::usage_margin::UsageMarginSettings;
pub use requirement::{Evidence, Indicator, Member, PolicyName, Requirement};
pub use state::State;

use gleaner_model::{Assignment, Bytes, MilliCpu, NumaId, PoolName, Reason, ReclaimRule, Snapshot, Timestamp, Topology};
use serde::{Deserialize, Serialize};
use state::Given;
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
    /// CPU that can be lent to all reclaimed pods together; zero when an input is missing.
    pub cpu: MilliCpu,
    /// Memory that can be lent to all reclaimed pods together; zero when an input is missing.
    pub memory: Bytes,
    /// [`Reason::ReclaimableCpu`] with the numbers used.
    pub cpu_reason: Reason,
    /// [`Reason::ReclaimableMemory`] with the numbers used.
    pub memory_reason: Reason,
    /// The `share` pool, always, every other pool that a shared pod names, and their parts on one NUMA node that bound pods are in. Pools
    /// without pods, dedicated pools and the pools of reclaimed pods are not here.
    pub pools: BTreeMap<PoolName, PoolDemand>,
    /// What of it is on each NUMA node that is worth offering; the sums are the figures above, or less. Empty on a machine of one node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_node: BTreeMap<NumaId, NodeShare>,
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
    /// CPU that can be lent, or `None` where the figure is zero only because an input is missing.
    #[must_use]
    pub fn known_cpu(&self) -> Option<MilliCpu> {
        match &self.cpu_reason {
            Reason::ReclaimableCpu { rule: ReclaimRule::Unknown, .. } => None,
            _ => Some(self.cpu),
        }
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
    let (cpu, cpu_reason) = headroom::cpu(snapshot, topology, assignment, policy, &needs, state.given.as_ref());
    let (memory, memory_reason) = headroom::memory(snapshot, policy, &needs, state.given.as_ref());
    let (pools, histories) = pools::sizes(snapshot, topology, assignment, policy, &needs, &state.pools);
    // A clock that ran backwards must not make the next step larger.
    let at = state.given.as_ref().map_or(snapshot.at, |given| given.at.max(snapshot.at));
    let next = State { given: Some(Given { at, cpu, memory }), seen, pools: histories };
    (Estimate { at: snapshot.at, cpu, memory, cpu_reason, memory_reason, pools, by_node: BTreeMap::new() }, next)
}

#[cfg(test)]
mod tests;
