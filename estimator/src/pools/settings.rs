//! How pools are sized, kept small, and rid of pods that flood them.

use gleaner_model::{MilliCpu, Permille, Span};
use serde::{Deserialize, Serialize};

/// Of pools. In a configuration every field may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PoolSettings {
    /// The most CPU by which a pool grows in a second; `None`: at once to what its pods need.
    pub ramp_up: Option<MilliCpu>,
    /// The most CPU by which a pool shrinks in a second, once it may.
    pub ramp_down: MilliCpu,
    /// What reclaimed pods are left, whatever shared pods need.
    pub min_reclaimed: MinReclaimed,
    /// Pods that flood their pool.
    pub isolation: IsolationSettings,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            ramp_up: None,
            ramp_down: MilliCpu::from_cpus(4),
            min_reclaimed: MinReclaimed::default(),
            isolation: IsolationSettings::default(),
        }
    }
}

/// CPUs that reclaimed pods are left; on each NUMA node the largest of the three counts, in whole CPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MinReclaimed {
    /// On all NUMA nodes together, spread over them by their CPUs.
    pub cpu: MilliCpu,
    /// On each NUMA node.
    pub per_node: MilliCpu,
    /// On each NUMA node, as a share of its CPUs.
    pub share: Permille,
}

/// When a shared pod gets a pool of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IsolationSettings {
    /// Whether any does.
    pub enabled: bool,
    /// CPU that a pod uses and waits for, over the larger of its request and its limit, above which it floods its pool.
    pub factor: Permille,
    /// The same as an amount above the larger of its request and its limit; the lower of the two bounds counts.
    pub above: MilliCpu,
    /// For how long without a break, until it is isolated.
    pub enter_after: Span,
    /// For how long without a break it must be calm, until it is not isolated any more.
    pub leave_after: Span,
    /// The most CPUs of the isolated pods of a pool, as a share of what they and the pool have.
    pub cpu_share: Permille,
    /// The most isolated pods of a pool, as a share of its pods; one at least remains.
    pub pod_share: Permille,
}

impl Default for IsolationSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            factor: Permille::new(1500),
            above: MilliCpu::from_cpus(2),
            enter_after: Span::from_secs(15),
            leave_after: Span::from_secs(120),
            cpu_share: Permille::new(200),
            pod_share: Permille::new(500),
        }
    }
}

impl PoolSettings {
    /// What is wrong, each line beginning with the name of its field.
    pub(crate) fn problems(&self) -> Vec<String> {
        let whole = Permille::new(1000);
        let mut problems = Vec::new();
        if self.ramp_up.is_some_and(MilliCpu::is_zero) {
            problems.push("pools.rampUp: 0 would keep every pool as small as it is".to_owned());
        }
        if self.ramp_down.is_zero() {
            problems.push("pools.rampDown: 0 would keep every pool as large as it is".to_owned());
        }
        if self.min_reclaimed.share > whole {
            problems.push(format!("pools.minReclaimed.share: {} is more than all CPUs", self.min_reclaimed.share));
        }
        let isolation = &self.isolation;
        if isolation.factor < whole {
            problems.push(format!("pools.isolation.factor: {} is less than what a pod asked for; at least 100%", isolation.factor));
        }
        for (field, share) in [("cpuShare", isolation.cpu_share), ("podShare", isolation.pod_share)] {
            if share > whole {
                problems.push(format!("pools.isolation.{field}: {share} is more than the whole pool"));
            }
        }
        for (field, span) in [("enterAfter", isolation.enter_after), ("leaveAfter", isolation.leave_after)] {
            if span.is_zero() {
                problems.push(format!("pools.isolation.{field}: 0s would move a pod at each peak"));
            }
        }
        problems
    }
}
