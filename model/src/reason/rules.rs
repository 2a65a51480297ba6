//! The rules that decisions name.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Which rule gave the figure of what can be lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReclaimRule {
    /// What the others are expected to need leaves this much.
    Demand,
    /// Less is free on the node than the pods' demand would leave.
    Free,
    /// More could be lent, but the figure rises by a bounded step.
    SlowRise,
    /// An input is missing or too old; what is unknown lends nothing.
    Unknown,
    /// The configuration says to lend nothing.
    Off,
    /// Tasks wait for memory: the figure does not rise, or is lowered step by step.
    Pressure,
    /// Reclaimed pods use little of what they were promised, so more is promised than there is.
    Raised,
    /// Of CPU or of memory there is less than anybody could use.
    Fragment,
}

/// What kept a pool from the size that its pods need, or that it had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeRule {
    /// Nothing did.
    #[default]
    Need,
    /// The pools together are larger than what is there for them: all were cut in proportion.
    Throttled {
        /// The size in CPUs that it would have.
        wanted: u32,
    },
    /// It may grow by a bounded step only.
    Rising {
        /// The size in CPUs that it grows to.
        wanted: u32,
    },
}

/// What ruled a requirement for CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequirementRule {
    /// What is used and waited for now, with a margin.
    Now,
    /// The largest use of late, with a margin.
    Recent,
    /// A percentile of what was used over days.
    Percentile,
    /// What was used at this hour on days before.
    Seasonal,
    /// What workloads with a day of the same shape used at this hour.
    Like,
    /// Mean use and its spread.
    NSigma,
    /// Katalyst's formula.
    Canonical,
    /// Koordinator's formula.
    UsageMargin,
    /// An indicator missed its target.
    Feedback,
    /// Another process supplied it.
    External,
    /// What the pods request: too little is known of what they use.
    Request,
}

impl fmt::Display for RequirementRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Now => "use now",
            Self::Recent => "recent peak",
            Self::Percentile => "percentile",
            Self::Seasonal => "this hour on days before",
            Self::Like => "workloads of the same shape",
            Self::NSigma => "mean and spread",
            Self::Canonical => "canonical",
            Self::UsageMargin => "usage margin",
            Self::Feedback => "an indicator missed its target",
            Self::External => "external estimator",
            Self::Request => "requests, until use is known",
        })
    }
}

/// What came of asking the kernel for memory back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakeBackOutcome {
    /// The kernel took it back; asked for all that can be had, all that it could.
    Done,
    /// The kernel took back less than it was asked for: the rest is in use, or cannot be written anywhere.
    Partly,
    /// The kernel has no way to ask for it after all.
    NotOffered,
    /// The pod's cgroup went away.
    Gone,
    /// The kernel refused, with its answer.
    Failed(String),
    /// Nothing is written: it would have been asked.
    Would,
}

impl fmt::Display for SizeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Need => Ok(()),
            Self::Throttled { wanted } => write!(f, "; cut, all pools together do not fit: it should have {wanted}"),
            Self::Rising { wanted } => write!(f, "; rising slowly to {wanted}"),
        }
    }
}

impl fmt::Display for TakeBackOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Partly => f.write_str("the kernel could take back only a part"),
            Self::NotOffered => f.write_str("this kernel cannot be asked"),
            Self::Gone => f.write_str("the cgroup is gone"),
            Self::Failed(cause) => write!(f, "refused: {cause}"),
            Self::Would => f.write_str("not asked, nothing is written in shadow mode"),
        }
    }
}
