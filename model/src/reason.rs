//! Why something was decided, with the numbers that decided it.

mod rules;

pub use rules::{ReclaimRule, RequirementRule, SizeRule, TakeBackOutcome};

use crate::idset::{CpuSet, NumaSet};
use crate::names::{CgroupPath, PoolName};
use crate::oom::OomScoreAdj;
use crate::plan::{KnobKind, KnobValue};
use crate::qos::QosClass;
use crate::units::{Bytes, Limit, MilliCpu, Permille};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What was decided and why. One variant a kind of decision; the numbers are those that were used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// How much CPU can be lent.
    ReclaimableCpu {
        /// What is lent from now on.
        given: MilliCpu,
        /// The rule that gave the figure.
        rule: ReclaimRule,
        /// All CPUs.
        capacity: MilliCpu,
        /// Kept for the system.
        reserve: MilliCpu,
        /// Held by dedicated pods.
        dedicated: MilliCpu,
        /// Need of the other pods that are not reclaimed, margin included.
        demand: MilliCpu,
        /// Not used by anything but reclaimed pods, on CPUs that are not reserved.
        free: MilliCpu,
        /// What reclaimed pods can really have; less than what is lent where that is raised, more where it is not worth offering.
        #[serde(default)]
        supply: MilliCpu,
        /// What was missing or too old, for [`ReclaimRule::Unknown`].
        missing: Option<String>,
    },
    /// How much memory can be lent.
    ReclaimableMemory {
        /// What is lent from now on.
        given: Bytes,
        /// The rule that gave the figure.
        rule: ReclaimRule,
        /// All memory.
        capacity: Bytes,
        /// Kept for the system.
        reserve: Bytes,
        /// Need of the pods that are not reclaimed, margin included.
        demand: Bytes,
        /// Available on the node besides what reclaimed pods hold.
        free: Bytes,
        /// What reclaimed pods can really have; less than what is lent where that is raised, more where it is not worth offering.
        #[serde(default)]
        supply: Bytes,
        /// What was missing or too old, for [`ReclaimRule::Unknown`].
        missing: Option<String>,
    },
    /// How big a pool must be.
    PoolSize {
        /// Its size from now on, in whole CPUs.
        cpus: u32,
        /// Measured need of its pods, margin included; `None` while it is not known.
        demand: Option<MilliCpu>,
        /// Sum of its pods' requests.
        requested: MilliCpu,
        /// What ruled the demand; `None` while it is not known, or without pods.
        #[serde(default)]
        by: Option<RequirementRule>,
        /// What kept it smaller than it should be.
        #[serde(default)]
        rule: SizeRule,
    },
    /// A shared pod has a pool of its own, since it takes far more CPU than it asked for.
    Isolated {
        /// The pool that it would be in.
        pool: PoolName,
        /// The size of its own pool, in whole CPUs.
        cpus: u32,
        /// What it uses and waits for.
        used: MilliCpu,
        /// More than this is a flood.
        tolerated: MilliCpu,
        /// What it requests.
        requested: MilliCpu,
        /// What it may use at most; `None` when a container of it has no limit.
        limit: Option<MilliCpu>,
    },
    /// A pool was given CPUs.
    Placed {
        /// The CPUs.
        cpus: CpuSet,
        /// The memory nodes.
        mems: NumaSet,
        /// How many of the CPUs it did not have before.
        moved: u32,
        /// The rule that chose them, as a phrase.
        rule: String,
    },
    /// A pod joined a pool.
    Joined {
        /// Its class.
        class: QosClass,
        /// The pool.
        pool: PoolName,
        /// The CPUs of the pool.
        cpus: CpuSet,
    },
    /// A pod cannot be given what it asks for.
    Refused {
        /// The rule that stopped it, with its numbers.
        cause: String,
    },
    /// A reclaimed pod's CPU time is bounded.
    Quota {
        /// What the pod was promised.
        promised: MilliCpu,
        /// What all reclaimed pods were promised.
        promised_all: MilliCpu,
        /// What there is for them.
        supply: MilliCpu,
        /// What the pod may use.
        given: MilliCpu,
    },
    /// A reclaimed pod's memory is bounded.
    MemoryBound {
        /// What the pod was promised.
        promised: Bytes,
        /// Slowed down above this.
        high: Limit<Bytes>,
        /// Killed above this.
        max: Limit<Bytes>,
    },
    /// Memory of a pod is protected from reclaim.
    MemoryProtected {
        /// What the pod requests.
        request: Bytes,
    },
    /// A pod's place in the order in which the kernel kills.
    OomScore {
        /// Its class.
        class: QosClass,
        /// The score of its processes.
        score: OomScoreAdj,
    },
    /// A reclaimed pod runs only when nobody else wants to.
    IdleClass,
    /// A weight by the CPU that a pod requests.
    Weight {
        /// The request.
        request: MilliCpu,
    },
    /// What kubelet would set for a pod's own requests and limits.
    AsRequested,
    /// A knob was written.
    Wrote {
        /// On which cgroup.
        cgroup: CgroupPath,
        /// Which knob.
        knob: KnobKind,
        /// What it held.
        from: Option<KnobValue>,
        /// What it holds.
        to: KnobValue,
    },
    /// A knob could not be written.
    WriteFailed {
        /// On which cgroup.
        cgroup: CgroupPath,
        /// Which knob.
        knob: KnobKind,
        /// The kernel's answer.
        cause: String,
    },
    /// A pod must go, since reclaimed pods were promised far more CPU than there is.
    EvictSuppressed {
        /// What all reclaimed pods were promised.
        promised: MilliCpu,
        /// What there is for them.
        supply: MilliCpu,
        /// Promised over supply that is still tolerated.
        tolerated: Permille,
        /// For how long it was not.
        lasted: Duration,
        /// What the pod was promised.
        frees: MilliCpu,
    },
    /// A pod must go, since tasks wait for memory.
    EvictMemoryPressure {
        /// Share of 10 s in which some task waited.
        avg10: Permille,
        /// The most that is tolerated.
        tolerated: Permille,
        /// Memory that the pod holds.
        frees: Bytes,
    },
    /// A pod must go, since the node runs out of free memory.
    EvictMemoryLow {
        /// Available on the node.
        available: Bytes,
        /// The least that is tolerated.
        threshold: Bytes,
        /// Memory that the pod holds.
        frees: Bytes,
    },
    /// The kernel was asked to take memory back from a pod that holds more than it may.
    MemoryTakenBack {
        /// How much was asked for.
        asked: Bytes,
        /// What the pod held before.
        before: Bytes,
        /// What it held afterwards; `None` when that is not known.
        after: Option<Bytes>,
        /// What it may hold.
        allowed: Bytes,
        /// What came of it.
        outcome: TakeBackOutcome,
    },
    /// A pod started, ended or was restarted; the text says how.
    Lifecycle {
        /// What happened.
        what: String,
    },
    /// A part of the agent works less well than it should, or works again.
    Health {
        /// The part.
        part: String,
        /// What is wrong; `None` when it works again.
        problem: Option<String>,
    },
}

impl fmt::Display for Reason {
    #[allow(clippy::too_many_lines, reason = "one line a variant: the list is the page")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReclaimableCpu { given, rule, capacity, reserve, dedicated, demand, free, supply, missing } => {
                write!(f, "{given} CPU can be lent ({})", rule_text(*rule, missing.as_deref()))?;
                write!(f, ": capacity {capacity} - reserve {reserve} - dedicated {dedicated} - demand {demand}, free {free}")?;
                if given == supply { Ok(()) } else { write!(f, ", supply {supply}") }
            }
            Self::ReclaimableMemory { given, rule, capacity, reserve, demand, free, supply, missing } => {
                let differs = given != supply;
                let [given, capacity, reserve, demand, free, supply] =
                    [given, capacity, reserve, demand, free, supply].map(|b| b.rounded());
                write!(f, "{given} memory can be lent ({})", rule_text(*rule, missing.as_deref()))?;
                write!(f, ": capacity {capacity} - reserve {reserve} - demand {demand}, free {free}")?;
                if differs { write!(f, ", supply {supply}") } else { Ok(()) }
            }
            Self::PoolSize { cpus, demand: Some(demand), requested, by, rule } => {
                let late = if demand.ceil_cpus().max(1) < *cpus { "; less must be enough for a while before it shrinks" } else { "" };
                let by = by.map(|by| format!(" ({by})")).unwrap_or_default();
                write!(f, "needs {}: demand {demand}{by}, requested {requested}{late}{rule}", count(*cpus))
            }
            Self::PoolSize { cpus, demand: None, requested, rule, .. } => {
                write!(f, "needs {}: demand not known yet, requested {requested}{rule}", count(*cpus))
            }
            Self::Isolated { pool, cpus, used, tolerated, requested, limit } => {
                let limit = limit.map_or_else(|| "no limit".to_owned(), |limit| format!("limit {limit}"));
                write!(f, "isolated from pool {pool} on {}: uses and waits for {used}, ", count(*cpus))?;
                write!(f, "tolerated {tolerated}, requested {requested}, {limit}")
            }
            Self::Placed { cpus, mems, moved, rule } => write!(f, "CPUs {cpus} ({moved} new), memory nodes {mems}: {rule}"),
            Self::Joined { class, pool, cpus } => write!(f, "{class} in pool {pool} on CPUs {cpus}"),
            Self::Refused { cause } => write!(f, "refused: {cause}"),
            Self::Quota { promised, promised_all, supply, given } => {
                write!(f, "may use {given} CPU: promised {promised} of {promised_all} promised in all, supply {supply}")
            }
            Self::MemoryBound { promised, high, max } => {
                write!(f, "memory slowed above {}, killed above {}: promised {}", limit_text(*high), limit_text(*max), promised.rounded())
            }
            Self::MemoryProtected { request } => write!(f, "{} of memory protected: its request", request.rounded()),
            Self::OomScore { class, score } => write!(f, "oom_score_adj {score}, which orders who is killed when memory runs out: {class}"),
            Self::IdleClass => f.write_str("runs only when no other class wants the CPU"),
            Self::Weight { request } => write!(f, "weight for a request of {request} CPU"),
            Self::AsRequested => f.write_str("as its own requests and limits say"),
            Self::Wrote { cgroup, knob, from: Some(from), to } => write!(f, "{cgroup} {knob}: {from} -> {to}"),
            Self::Wrote { cgroup, knob, from: None, to } => write!(f, "{cgroup} {knob}: -> {to}"),
            Self::WriteFailed { cgroup, knob, cause } => write!(f, "{cgroup} {knob} not written: {cause}"),
            Self::EvictSuppressed { promised, supply, tolerated, lasted, frees } => {
                write!(f, "evicted (frees {frees} CPU): {promised} promised to reclaimed pods, {supply} left, ")?;
                write!(f, "more than {tolerated} for {} s", lasted.as_secs())
            }
            Self::EvictMemoryPressure { avg10, tolerated, frees } => {
                write!(f, "evicted (frees {}): tasks waited for memory {avg10} of 10 s, tolerated {tolerated}", frees.rounded())
            }
            Self::EvictMemoryLow { available, threshold, frees } => {
                let [available, threshold, frees] = [available, threshold, frees].map(|b| b.rounded());
                write!(f, "evicted (frees {frees}): {available} of memory available, below {threshold}")
            }
            Self::MemoryTakenBack { asked, before, after, allowed, outcome } => {
                let [asked, before, allowed] = [asked, before, allowed].map(|b| b.rounded());
                write!(f, "{asked} of memory to be taken back: {outcome}; held {before}")?;
                after.map_or(Ok(()), |after| write!(f, ", holds {}", after.rounded()))?;
                write!(f, ", may hold {allowed}")
            }
            Self::Lifecycle { what } => f.write_str(what),
            Self::Health { part, problem: Some(problem) } => write!(f, "{part} degraded: {problem}"),
            Self::Health { part, problem: None } => write!(f, "{part} works again"),
        }
    }
}

fn count(cpus: u32) -> String {
    if cpus == 1 { "1 CPU".to_owned() } else { format!("{cpus} CPUs") }
}

fn rule_text(rule: ReclaimRule, missing: Option<&str>) -> String {
    match rule {
        ReclaimRule::Demand => "what the others need leaves it".to_owned(),
        ReclaimRule::Free => "no more is free".to_owned(),
        ReclaimRule::SlowRise => "rising slowly".to_owned(),
        ReclaimRule::Off => "switched off by configuration".to_owned(),
        ReclaimRule::Pressure => "tasks wait for memory".to_owned(),
        ReclaimRule::Raised => "raised, since little is used of what was promised".to_owned(),
        ReclaimRule::Fragment => "too little of CPU or memory to be of use".to_owned(),
        ReclaimRule::Unknown => format!("unknown lends nothing: {}", missing.unwrap_or("no reading")),
    }
}

fn limit_text(limit: Limit<Bytes>) -> String {
    match limit {
        Limit::At(bytes) => bytes.rounded(),
        Limit::Max => "no limit".to_owned(),
    }
}
