//! What every knob should hold. A knob is one thing that the kernel lets us set on one cgroup, whatever file the cgroup version keeps it in.

use crate::decision::Subject;
use crate::idset::{CpuSet, NumaSet};
use crate::names::CgroupPath;
use crate::oom::OomScoreAdj;
use crate::reason::Reason;
use crate::units::{Bytes, Limit, Micros, MilliCpu};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What can be set on a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnobKind {
    /// CPUs that it may run on (`cpuset.cpus`).
    CpusetCpus,
    /// NUMA nodes that it may take memory from (`cpuset.mems`).
    CpusetMems,
    /// Its share when CPUs are contended (v1 `cpu.shares`, v2 `cpu.weight`).
    CpuShares,
    /// Whether it runs only when nobody else wants to (`cpu.idle`, kernel 5.15).
    CpuIdle,
    /// CPU time per period at most (v1 `cpu.cfs_quota_us` and `cpu.cfs_period_us`, v2 `cpu.max`).
    CpuMax,
    /// Memory that the kernel reclaims last (v2 `memory.low`; v1 has none).
    MemoryLow,
    /// Memory above which it is slowed down and reclaimed (v2 `memory.high`; v1 has none).
    MemoryHigh,
    /// Memory above which it is killed (v1 `memory.limit_in_bytes`, v2 `memory.max`).
    MemoryMax,
    /// Whether what it holds moves along when its NUMA nodes change (v1 `cpuset.memory_migrate`; v2 always moves it and has no such knob).
    /// The writer sees to it before it changes the nodes; plans need not speak of it.
    MemoryMigrate,
    /// How early the kernel kills its processes when memory has run out (`oom_score_adj` of each process in it, not in those below).
    /// Processes started later have what their parents had.
    OomScoreAdj,
}

/// A weight in kubelet's and cgroup v1's unit, 2 to 262144; 1024 is one CPU. What arrives outside is brought inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CpuShares(u32);

impl CpuShares {
    /// The smallest weight, which kubelet gives to pods that request no CPU.
    pub const MIN: Self = Self(2);

    /// Shares, brought into the kernel's range.
    #[must_use]
    pub fn new(shares: u64) -> Self {
        Self(u32::try_from(shares.clamp(2, 262_144)).unwrap_or(262_144))
    }

    /// Kubelet's rule: 1024 shares for each CPU requested, at least 2 (`MilliCPUToShares`).
    #[must_use]
    pub fn for_request(request: MilliCpu) -> Self {
        Self::new(request.scaled(1024, 1000).get())
    }

    /// The shares.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The weight of cgroup v2, 1 to 10000, by kubelet's and runc's rule `1 + (shares - 2) * 9999 / 262142`.
    #[must_use]
    pub fn weight(self) -> u32 {
        1 + u32::try_from(u64::from(self.0.saturating_sub(2)) * 9999 / 262_142).unwrap_or(9999)
    }
}

/// CPU time per period at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CpuMax {
    /// CPU time in each period; the kernel takes no less than 1 ms.
    pub quota: Limit<Micros>,
    /// The period, 1 ms to 1 s.
    pub period: Micros,
}

impl CpuMax {
    /// The period that kubelet uses.
    pub const PERIOD: Micros = Micros::new(100_000);

    /// No limit.
    pub const UNLIMITED: Self = Self { quota: Limit::Max, period: Self::PERIOD };

    /// Kubelet's rule: the limit over a period of 100 ms, at least 1 ms (`MilliCPUToQuota`).
    #[must_use]
    pub fn for_limit(limit: MilliCpu) -> Self {
        let quota = limit.get().saturating_mul(Self::PERIOD.get()) / 1000;
        Self { quota: Limit::At(Micros::new(quota.max(1000))), period: Self::PERIOD }
    }
}

/// What a knob holds or should hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnobValue {
    /// Of [`KnobKind::CpusetCpus`].
    Cpus(CpuSet),
    /// Of [`KnobKind::CpusetMems`].
    Mems(NumaSet),
    /// Of [`KnobKind::CpuShares`].
    Shares(CpuShares),
    /// Of [`KnobKind::CpuIdle`].
    Idle(bool),
    /// Of [`KnobKind::CpuMax`].
    CpuMax(CpuMax),
    /// Of [`KnobKind::MemoryLow`].
    MemoryLow(Bytes),
    /// Of [`KnobKind::MemoryHigh`].
    MemoryHigh(Limit<Bytes>),
    /// Of [`KnobKind::MemoryMax`].
    MemoryMax(Limit<Bytes>),
    /// Of [`KnobKind::MemoryMigrate`].
    MemoryMigrate(bool),
    /// Of [`KnobKind::OomScoreAdj`].
    OomScoreAdj(OomScoreAdj),
}

impl KnobValue {
    /// The knob that takes this value.
    #[must_use]
    pub const fn kind(&self) -> KnobKind {
        match self {
            Self::Cpus(_) => KnobKind::CpusetCpus,
            Self::Mems(_) => KnobKind::CpusetMems,
            Self::Shares(_) => KnobKind::CpuShares,
            Self::Idle(_) => KnobKind::CpuIdle,
            Self::CpuMax(_) => KnobKind::CpuMax,
            Self::MemoryLow(_) => KnobKind::MemoryLow,
            Self::MemoryHigh(_) => KnobKind::MemoryHigh,
            Self::MemoryMax(_) => KnobKind::MemoryMax,
            Self::MemoryMigrate(_) => KnobKind::MemoryMigrate,
            Self::OomScoreAdj(_) => KnobKind::OomScoreAdj,
        }
    }
}

impl fmt::Display for KnobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CpusetCpus => "cpuset.cpus",
            Self::CpusetMems => "cpuset.mems",
            Self::CpuShares => "cpu shares",
            Self::CpuIdle => "cpu.idle",
            Self::CpuMax => "cpu.max",
            Self::MemoryLow => "memory.low",
            Self::MemoryHigh => "memory.high",
            Self::MemoryMax => "memory.max",
            Self::MemoryMigrate => "cpuset.memory_migrate",
            Self::OomScoreAdj => "oom_score_adj",
        })
    }
}

impl fmt::Display for KnobValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpus(cpus) => cpus.fmt(f),
            Self::Mems(mems) => mems.fmt(f),
            Self::Shares(shares) => shares.get().fmt(f),
            Self::Idle(yes) | Self::MemoryMigrate(yes) => f.pad(if *yes { "1" } else { "0" }),
            Self::CpuMax(CpuMax { quota: Limit::Max, period }) => f.pad(&format!("max {}", period.get())),
            Self::CpuMax(CpuMax { quota: Limit::At(quota), period }) => f.pad(&format!("{} {}", quota.get(), period.get())),
            Self::MemoryLow(bytes) => bytes.fmt(f),
            Self::MemoryHigh(limit) | Self::MemoryMax(limit) => limit.fmt(f),
            Self::OomScoreAdj(score) => score.fmt(f),
        }
    }
}

/// One knob: what, on which cgroup. Ordered by cgroup, so that a cgroup comes before those below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KnobId {
    /// On which cgroup.
    pub cgroup: CgroupPath,
    /// What.
    pub kind: KnobKind,
}

/// The value that a knob should hold, for whom and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The value.
    pub value: KnobValue,
    /// For whom.
    pub owner: Subject,
    /// Why.
    pub reason: Reason,
}

/// The desired value of every knob that Gleaner has an opinion on. A knob that left the plan is left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    // Shared, so that the map moves pointers as it grows and a part of a plan copies no values.
    knobs: BTreeMap<KnobId, Arc<Desired>>,
}

impl Plan {
    /// A plan without an opinion.
    #[must_use]
    pub const fn new() -> Self {
        Self { knobs: BTreeMap::new() }
    }

    /// Sets what a knob of a cgroup should hold; the kind follows from the value.
    pub fn set(&mut self, cgroup: CgroupPath, value: KnobValue, owner: Subject, reason: Reason) {
        let id = KnobId { cgroup, kind: value.kind() };
        self.knobs.insert(id, Arc::new(Desired { value, owner, reason }));
    }

    /// All parts in one; where two speak of the same knob, the later one is right. Cheaper than to [`Plan::set`] all knobs in one plan, most
    /// of all when the parts come in the order of their cgroups: the whole is sorted once, and not searched for every knob.
    #[must_use]
    pub fn of_parts(parts: impl IntoIterator<Item = Self>) -> Self {
        Self { knobs: parts.into_iter().flat_map(|part| part.knobs).collect() }
    }

    /// The knobs in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&KnobId, &Desired)> {
        self.knobs.iter().map(|(id, desired)| (id, desired.as_ref()))
    }

    /// The knobs of one cgroup.
    pub fn of_cgroup<'a>(&'a self, cgroup: &'a CgroupPath) -> impl Iterator<Item = (&'a KnobId, &'a Desired)> {
        // `CpusetCpus` is the first kind, so the range begins with the cgroup's first knob.
        let first = KnobId { cgroup: cgroup.clone(), kind: KnobKind::CpusetCpus };
        self.knobs.range(first..).take_while(move |(id, _)| id.cgroup == *cgroup).map(|(id, desired)| (id, desired.as_ref()))
    }

    /// The knobs that are not in an earlier plan with the same value, and those in `again`.
    #[must_use]
    pub fn since(&self, earlier: &Self, again: &BTreeSet<KnobId>) -> Self {
        let due = |id: &KnobId, desired: &Desired| again.contains(id) || earlier.get(id).is_none_or(|old| old.value != desired.value);
        Self { knobs: self.knobs.iter().filter(|(id, d)| due(id, d)).map(|(id, d)| (id.clone(), Arc::clone(d))).collect() }
    }

    /// Drops the opinion on every knob that is not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&KnobId) -> bool) {
        self.knobs.retain(|id, _| keep(id));
    }

    /// What one knob should hold.
    #[must_use]
    pub fn get(&self, id: &KnobId) -> Option<&Desired> {
        self.knobs.get(id).map(Arc::as_ref)
    }

    /// How many knobs it speaks of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.knobs.len()
    }

    /// Whether it speaks of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.knobs.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn low(cgroup: &str, bytes: u64) -> Plan {
        let mut plan = Plan::new();
        plan.set(cgroup.parse().unwrap(), KnobValue::MemoryLow(Bytes::new(bytes)), Subject::Node, Reason::AsRequested);
        plan
    }

    #[test]
    fn of_two_parts_that_speak_of_the_same_knob_the_later_one_is_right() {
        let plan = Plan::of_parts([low("/b", 1), low("/a", 2), low("/b", 3)]);
        let values: Vec<String> = plan.iter().map(|(id, desired)| format!("{} {}", id.cgroup, desired.value)).collect();
        assert_eq!(values, [format!("/a {}", Bytes::new(2)), format!("/b {}", Bytes::new(3))]);
    }
}
