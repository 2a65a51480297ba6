//! How much of this node can be lent to reclaimed pods, and how big each pool of shared pods must be.
//!
//! Purpose: [`estimate`], a pure function from one [`Snapshot`] and what earlier ticks left in [`State`] to an [`Estimate`] with its
//! reasons. The formulas stand at the functions of `lend` and `pools`; what one pod needs stands in `need`.
//!
//! Rules: what is unknown lends nothing; the figures fall in the same tick and rise by a bounded step; a pool grows at once and shrinks
//! only after a smaller size was enough for a while.
//!
//! This crate must not know: files, clocks, threads, async runtimes, Kubernetes clients, which CPUs a pool gets.

mod lend;
mod need;
mod policy;
mod pools;
mod state;

pub use policy::Policy;
pub use pools::PoolDemand;
pub use state::State;

use gleaner_model::{Assignment, Bytes, MilliCpu, PoolName, Reason, ReclaimRule, Snapshot, Timestamp, Topology};
use serde::{Deserialize, Serialize};
use state::Given;
use std::collections::BTreeMap;

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
pub fn estimate(snapshot: &Snapshot, topology: &Topology, assignment: &Assignment, policy: &Policy, state: &State) -> (Estimate, State) {
    let seen = need::look(snapshot, &state.seen);
    let needs = need::of_pods(snapshot, policy, &seen);
    let (cpu, cpu_reason) = lend::cpu(snapshot, topology, assignment, policy, &needs, state.given.as_ref());
    let (memory, memory_reason) = lend::memory(snapshot, policy, &needs, state.given.as_ref());
    let (pools, histories) = pools::sizes(snapshot, topology, assignment, policy, &needs, &state.pools);
    // A clock that ran backwards must not make the next step larger.
    let at = state.given.as_ref().map_or(snapshot.at, |given| given.at.max(snapshot.at));
    let next = State { given: Some(Given { at, cpu, memory }), seen, pools: histories };
    (Estimate { at: snapshot.at, cpu, memory, cpu_reason, memory_reason, pools }, next)
}

#[cfg(test)]
mod tests;
