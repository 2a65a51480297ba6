//! How much CPU the containers of one region need: one pure function a policy, all of the same shape.

pub(crate) mod canonical;
pub(crate) mod composite;
pub(crate) mod feedback;
pub(crate) mod n_sigma;
pub(crate) mod percentile;
pub(crate) mod seasonal;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod usage_margin;

use crate::history::{RegionHistory, WorkloadHistory};
use gleaner_model::{MilliCpu, RequirementRule, Timestamp, WallTime};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The policies that can be chosen, by the names that configuration and command line use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyName {
    /// Katalyst's formula.
    Canonical,
    /// Koordinator's formula.
    UsageMargin,
    /// Mean and spread.
    NSigma,
    /// A percentile of a decaying histogram.
    Percentile,
    /// What was used at this hour on days before.
    Seasonal,
    /// Indicators with targets.
    Feedback,
    /// The most protective of what is trustworthy now.
    #[default]
    Composite,
}

impl Evidence<'_> {
    /// What the region's history is relative to.
    pub(crate) fn basis(&self) -> MilliCpu {
        crate::control::basis(self.requested)
    }
}

impl PolicyName {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Canonical, Self::UsageMargin, Self::NSigma, Self::Percentile, Self::Seasonal, Self::Feedback, Self::Composite];

    /// The name as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Canonical => "canonical",
            Self::UsageMargin => "usage-margin",
            Self::NSigma => "n-sigma",
            Self::Percentile => "percentile",
            Self::Seasonal => "seasonal",
            Self::Feedback => "feedback",
            Self::Composite => "composite",
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PolicyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("there is no policy {text:?}; there are {names}")
        })
    }
}

/// What one container of a region tells of itself.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// What it requests.
    pub request: Option<MilliCpu>,
    /// What it may use at most.
    pub limit: Option<MilliCpu>,
    /// CPU time per time over the last interval; `None` while there is no fresh reading.
    pub usage: Option<MilliCpu>,
    /// Damped averages of the CPU that it used and waited for, over 1 and 5 minutes; `None` before the first reading.
    pub load: Option<[MilliCpu; 2]>,
    /// Since when the container is watched.
    pub age: Duration,
    /// What its workload did before, here, in this and in earlier pods.
    pub history: Option<&'a WorkloadHistory>,
    /// What workloads with a day of the same shape let expect of it now, while its own day is not known.
    pub like: Option<MilliCpu>,
}

impl Member<'_> {
    /// What it may use in the hour to come, by what its workload did before: at this hour on days before, else what was seldom exceeded; `None` where its workload is
    /// hardly known.
    pub(crate) fn expected_peak(&self, wall: Option<WallTime>) -> Option<MilliCpu> {
        const HOUR: Duration = Duration::from_secs(3600);
        const SELDOM: u32 = 95_000;
        let history = self.history?;
        let at_this_hour = wall.and_then(|wall| history.expected(wall, HOUR)).map(|expected| expected.peak);
        let often = || history.quantile(SELDOM).filter(|_| history.span_observed() >= HOUR);
        at_this_hour.or_else(often).or(self.like)
    }
}

/// A figure with a target, for the policy `feedback`: of the kernel, or supplied by another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicator {
    /// What it is: `cpu_pressure`, `throttled`, `cpu_sched_wait`, `cpi`, or the name that its supplier gave it.
    pub name: String,
    /// Its value now, in the unit of the target.
    pub current: u64,
    /// What it should not exceed.
    pub target: u64,
}

/// All that a policy may look at. One value a region and a tick; made only when every reading that it needs is fresh.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The moment of the tick.
    pub now: Timestamp,
    /// The same by the calendar, where that is known.
    pub wall: Option<WallTime>,
    /// The region's part of the node's CPUs: all of them by the region's part of all requests.
    pub capacity: MilliCpu,
    /// Sum of its containers' requests.
    pub requested: MilliCpu,
    /// Its containers.
    pub members: &'a [Member<'a>],
    /// CPU time per time over the last interval, all containers together.
    pub usage: MilliCpu,
    /// What its pods need at least now: use with margin, or use and what they waited for, and the requests of those that have only just started.
    pub wanted: MilliCpu,
    /// What the region did before.
    pub history: &'a RegionHistory,
    /// Figures with targets.
    pub indicators: &'a [Indicator],
    /// The requirement that was in force so far; `None` at the first tick.
    pub held: Option<MilliCpu>,
}

/// What a region needs, and what ruled it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// How much CPU.
    pub cpu: MilliCpu,
    /// What gave the figure.
    pub rule: RequirementRule,
}
