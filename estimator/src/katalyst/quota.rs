//! What bounds reclaimed pods by CPU time, and what they have at least.

use crate::requirement::Indicator;
use gleaner_model::{MilliCpu, NumaId, Permille};
use std::collections::BTreeMap;

/// What the quota of reclaimed pods on one NUMA node is made of.
#[derive(Debug, Clone, Copy)]
pub struct DynamicQuota {
    /// CPUs of the reclaim pool on the node; where there is no such pool, all CPUs of the node.
    pub cpus: u32,
    /// The share of the node's CPU time that is to be used.
    pub target: Permille,
    /// The share that is used now.
    pub current: Permille,
    /// What reclaimed pods use of it; `None` without a fresh reading.
    pub usage: Option<MilliCpu>,
    /// What reclaimed pods have at least.
    pub reserved: MilliCpu,
}

/// CPU time that reclaimed pods on one NUMA node may use so that the node's use comes to its target:
///
/// ```text
/// quota = max(usage + cpus x (target - current), reserved)
/// ```
///
/// `None` where there are no CPUs or the usage is not known.
#[must_use]
pub fn dynamic_quota(input: &DynamicQuota) -> Option<MilliCpu> {
    let usage = input.usage.filter(|_| input.cpus > 0)?;
    let cpus = MilliCpu::from_cpus(input.cpus);
    // One of the two is nothing; the sum comes first so that it is cut at zero only once.
    let above = cpus.share(Permille::new(input.target.get().saturating_sub(input.current.get())));
    let below = cpus.share(Permille::new(input.current.get().saturating_sub(input.target.get())));
    Some(usage.plus(above).minus(below).max(input.reserved))
}

/// Whether a quota is the way to bound reclaimed pods beside a region: only where the region is bound to a NUMA node, and the use of its
/// CPUs has a target.
#[must_use]
pub fn dynamic_quota_applies(numa_bound: bool, indicators: &[Indicator]) -> bool {
    numa_bound && indicators.iter().any(|indicator| indicator.name == "cpu_usage_ratio")
}

/// The knob that [`restrict_control_knob`] restricts.
pub const RECLAIMED_QUOTA: &str = "reclaimed-cores-cpu-quota";

/// Caps the reclaimed quota of each policy in `restrict` by that of the policy that it refers to; other knobs pass, and so does a quota
/// whose reference has none. `policies` are the knobs' values by policy and knob.
#[must_use]
pub fn restrict_control_knob(
    policies: &BTreeMap<String, BTreeMap<String, MilliCpu>>,
    restrict: &BTreeMap<String, String>,
) -> BTreeMap<String, BTreeMap<String, MilliCpu>> {
    let quota = |policy: &String| policies.get(policy)?.get(RECLAIMED_QUOTA).copied();
    let mut restricted = policies.clone();
    for (policy, reference) in restrict {
        let own = restricted.get_mut(policy).and_then(|knobs| knobs.get_mut(RECLAIMED_QUOTA));
        if let (Some(own), Some(cap)) = (own, quota(reference)) {
            *own = cap.min(*own);
        }
    }
    restricted
}

/// CPUs of each NUMA node that reclaimed pods have at least. With `ratio` that share of the node's CPUs, rounded up. Without, `least` for
/// all nodes together, brought between one CPU a node and all CPUs, then an equal part for each, rounded down.
#[must_use]
pub fn reserved_for_reclaim(nodes: &BTreeMap<NumaId, u32>, least: MilliCpu, ratio: Option<Permille>) -> BTreeMap<NumaId, u32> {
    let all: u64 = nodes.values().copied().map(u64::from).sum();
    let count = u64::try_from(nodes.len()).unwrap_or(u64::MAX);
    let least = (least.get() / 1000).max(count).min(all);
    let equal = least.checked_div(count).and_then(|cpus| u32::try_from(cpus).ok()).unwrap_or(0);
    let of_node =
        |cpus: u32| ratio.map_or(equal, |ratio| MilliCpu::new(u64::from(cpus).saturating_mul(u64::from(ratio.get()))).ceil_cpus());
    nodes.iter().map(|(node, cpus)| (*node, of_node(*cpus).min(*cpus))).collect()
}
