//! Which reclaimed pods must go, in what order, and how the processes of a pod are ended.
//!
//! Purpose: [`decide`], a pure function from one [`Snapshot`] and what earlier ticks left in [`State`] to the [`Victim`]s of this tick;
//! and [`Termination`], the pure state machine that ends a pod. The rules on CPU stand in `suppression`, those on memory in `memory`.
//!
//! Rules: only reclaimed pods are victims; a reading that is missing or old never evicts; a cause must last, unless memory is about to
//! run out; one rule acts in one round, within its budget, and then all wait for the cool-down, so that the effect is seen first.
//!
//! This crate must not know: files, clocks, threads, async runtimes, Kubernetes clients, how a process is signalled.

mod memory;
mod policy;
mod state;
mod suppression;
mod termination;

pub use policy::Policy;
pub use state::State;
pub use termination::{Action, Phase, Termination};

use gleaner_model::{MilliCpu, Pod, PodName, PodUid, QosClass, Reading, Reason, Snapshot, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// A pod that must go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Victim {
    /// Its uid.
    pub pod: PodUid,
    /// Its name.
    pub name: PodName,
    /// How long its processes may take to end: the pod's own grace period, at most the policy's.
    pub grace: Duration,
    /// `Reason::Evict*` with the numbers used.
    pub reason: Reason,
}

/// What one tick found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// The pods that must go, first to go first.
    pub victims: Vec<Victim>,
    /// [`Reason::Health`] for each rule that is off, since what it needs to know is missing. The same as long as that lasts.
    pub notes: Vec<Reason>,
}

/// Decides who must go now, and returns the state for the next tick.
///
/// `supply` is the CPU that reclaimed pods can really get now, `None` while it is not known: a figure of zero that only stands for
/// "unknown" must not be passed, since a known zero suppresses every pod. `leaving` are pods that are being ended already: they are no
/// victims again, and their promises no longer count. `pressure_fired` says that a pressure trigger of the kernel woke the agent for
/// this tick. The same arguments always give the same result.
#[must_use]
pub fn decide(
    snapshot: &Snapshot,
    supply: Option<MilliCpu>,
    policy: &Policy,
    state: &State,
    leaving: &BTreeSet<PodUid>,
    pressure_fired: bool,
) -> (Round, State) {
    let pods = candidates(snapshot, leaving);
    let mut next = state.clone();
    // A pause in which nothing was watched is no proof that a cause lasted through it.
    let elapsed = state.at.map_or(Duration::ZERO, |at| snapshot.at.since(at)).min(policy.stale_after.get());
    next.at = Some(state.at.map_or(snapshot.at, |at| at.max(snapshot.at)));

    let mut notes = Vec::new();
    let low = memory::low(snapshot, policy).map_err(|gap| notes.push(off("free memory", gap))).ok();
    let pressure = memory::pressure(snapshot, policy).map_err(|gap| notes.push(off("memory pressure", gap))).ok();
    let total = memory::total(snapshot, policy).map_err(|gap| notes.push(off("memory", gap))).ok();
    if supply.is_none() {
        notes.push(off("suppression", "what reclaimed pods can get is not known".to_owned()));
    }
    next.low_for = lasting(state.low_for, low.is_some_and(|low| low.holds()), elapsed);
    next.pressure_for = lasting(state.pressure_for, pressure.is_some_and(|avg10| avg10 >= policy.memory_pressure_some_avg10), elapsed);
    next.suppressed_for = suppression::lasting(&pods, supply, policy, &state.suppressed_for, elapsed);

    let cooling = state.evicted_at.is_some_and(|at| snapshot.at.since(at) < policy.cool_down.get());
    if cooling {
        return (Round { victims: Vec::new(), notes }, next);
    }
    let by_memory = total.map(|total| memory::ranked(snapshot, &pods, policy, total)).unwrap_or_default();
    let mut victims = low.map(|low| memory::for_space(&by_memory, policy, low, next.low_for)).unwrap_or_default();
    if let (true, Some(avg10)) = (victims.is_empty(), pressure) {
        victims = memory::for_pressure(&by_memory, policy, avg10, next.pressure_for, pressure_fired);
    }
    if let (true, Some(supply)) = (victims.is_empty(), supply) {
        victims = suppression::victims(&pods, supply, policy, &next.suppressed_for);
    }
    if !victims.is_empty() {
        next.evicted_at = next.at;
    }
    (Round { victims, notes }, next)
}

/// Pods that may be evicted at all, in the order of their uids.
fn candidates<'a>(snapshot: &'a Snapshot, leaving: &BTreeSet<PodUid>) -> Vec<&'a Pod> {
    snapshot.pods.values().filter(|pod| pod.class() == QosClass::Reclaimed && !leaving.contains(&pod.uid)).collect()
}

fn victim(pod: &Pod, policy: &Policy, reason: Reason) -> Victim {
    Victim { pod: pod.uid.clone(), name: pod.name.clone(), grace: pod.grace.min(policy.reclaimed_grace.get()), reason }
}

/// For how long a cause has held, now included; `None` when it does not hold.
fn lasting(before: Option<Duration>, holds: bool, elapsed: Duration) -> Option<Duration> {
    holds.then(|| before.map_or(Duration::ZERO, |lasted| lasted.saturating_add(elapsed)))
}

fn off(rule: &str, gap: String) -> Reason {
    Reason::Health { part: format!("eviction by {rule}"), problem: Some(gap) }
}

/// The value of a reading of the node.
///
/// # Errors
/// What is missing and why.
fn fresh<T: Copy>(reading: &Reading<T>, what: &str, now: Timestamp, policy: &Policy) -> Result<T, String> {
    reading.fresh(now, policy.stale_after.get()).copied().ok_or_else(|| match reading {
        Reading::Present { at, .. } => format!("{what}: the reading is {} ms old", now.since(*at).as_millis()),
        Reading::Absent(absence) => format!("{what}: {absence}"),
    })
}

#[cfg(test)]
mod tests;
