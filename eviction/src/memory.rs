//! The node runs out of memory.
//!
//! Free memory: available memory is below `factor x low watermark` for a while, or below the watermark itself. Pods go until what they
//! hold covers the shortfall. Pressure: some task waited for memory for too great a share of the last 10 s (kernel, `accounting/psi.rst`),
//! for a while; or a trigger of the kernel fired and the share is at least a third of that. A trigger alone does not kill: it fires on
//! one short stall, which reclaim may have cured already.

use crate::policy::Policy;
use crate::{Victim, fresh, victim};
use gleaner_model::{Bytes, Permille, Pod, Reason, Snapshot};
use std::cmp::Reverse;
use std::time::Duration;

/// Free memory and its bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Low {
    available: Bytes,
    watermark: Bytes,
    threshold: Bytes,
}

impl Low {
    pub(crate) fn holds(self) -> bool {
        self.available < self.threshold
    }
}

/// # Errors
/// What is missing and why.
pub(crate) fn low(snapshot: &Snapshot, policy: &Policy) -> Result<Low, String> {
    let available = fresh(&snapshot.node.memory_available, "available memory", snapshot.at, policy)?;
    let watermark = fresh(&snapshot.node.memory_low_watermark, "low watermark of memory", snapshot.at, policy)?;
    Ok(Low { available, watermark, threshold: watermark.share(policy.memory_available_watermark_factor) })
}

/// Share of 10 s in which some task of the node waited for memory.
///
/// # Errors
/// What is missing and why.
pub(crate) fn pressure(snapshot: &Snapshot, policy: &Policy) -> Result<Permille, String> {
    fresh(&snapshot.node.memory_pressure, "memory pressure", snapshot.at, policy).map(|pressure| pressure.some.avg10)
}

/// Memory of the node.
///
/// # Errors
/// What is missing and why.
pub(crate) fn total(snapshot: &Snapshot, policy: &Policy) -> Result<Bytes, String> {
    fresh(&snapshot.node.memory_total, "memory of the node", snapshot.at, policy)
}

/// Pods worth evicting with the memory that they hold, first to go first: lower priority, then more memory; the name decides the rest
/// only so that the same input has the same victims.
pub(crate) fn ranked<'a>(snapshot: &Snapshot, pods: &[&'a Pod], policy: &Policy, total: Bytes) -> Vec<(&'a Pod, Bytes)> {
    let least = total.share(policy.memory_victim_share).max(Bytes::new(1));
    let mut ranked: Vec<(&Pod, Bytes)> = pods.iter().map(|pod| (*pod, held(snapshot, pod, policy))).collect();
    ranked.retain(|(_, held)| *held >= least);
    ranked.sort_by_key(|(pod, held)| (pod.priority, Reverse(*held), Reverse((&pod.name, &pod.uid))));
    ranked
}

/// Pods whose memory covers the shortfall, within the budget.
pub(crate) fn for_space(ranked: &[(&Pod, Bytes)], policy: &Policy, low: Low, lasted: Option<Duration>) -> Vec<Victim> {
    let due = low.available < low.watermark || lasted.is_some_and(|lasted| lasted >= policy.memory_low_after.get());
    if !due {
        return Vec::new();
    }
    let mut missing = low.threshold.minus(low.available);
    let mut victims = Vec::new();
    for (pod, frees) in ranked.iter().take(budget(policy)) {
        if missing.is_zero() {
            break;
        }
        let reason = Reason::EvictMemoryLow { available: low.available, threshold: low.threshold, frees: *frees };
        victims.push(victim(pod, policy, reason));
        missing = missing.minus(*frees);
    }
    victims
}

/// The first pod in rank when pressure lasted, or a trigger fired while it is considerable.
pub(crate) fn for_pressure(
    ranked: &[(&Pod, Bytes)],
    policy: &Policy,
    avg10: Permille,
    lasted: Option<Duration>,
    fired: bool,
) -> Vec<Victim> {
    let tolerated = policy.memory_pressure_some_avg10;
    let considerable = u64::from(avg10.get()) * 3 >= u64::from(tolerated.get());
    let due = (fired && considerable) || lasted.is_some_and(|lasted| lasted >= policy.memory_pressure_after.get());
    if !due {
        return Vec::new();
    }
    let first = ranked.iter().take(budget(policy).min(1));
    first.map(|(pod, frees)| victim(pod, policy, Reason::EvictMemoryPressure { avg10, tolerated, frees: *frees })).collect()
}

/// The working set of a pod as far as it is known. Missing readings make it smaller, and so the pod less of a victim.
fn held(snapshot: &Snapshot, pod: &Pod, policy: &Policy) -> Bytes {
    let containers = snapshot.readings.get(&pod.uid).into_iter().flat_map(|readings| readings.containers.values());
    containers.filter_map(|c| c.memory.fresh(snapshot.at, policy.stale_after.get())).map(|memory| memory.working_set).sum()
}

fn budget(policy: &Policy) -> usize {
    usize::try_from(policy.memory_budget).unwrap_or(usize::MAX)
}
