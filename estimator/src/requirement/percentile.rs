//! The policy `percentile`: what was seldom exceeded.

use super::{Evidence, Requirement};
use gleaner_model::{Permille, RequirementRule};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Settings of the policy `percentile`. The half-life is that of the histories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PercentileSettings {
    /// The share of minutes whose peak was at most this much.
    pub quantile: Permille,
    /// What is added.
    pub margin: Permille,
}

impl Default for PercentileSettings {
    fn default() -> Self {
        Self { quantile: Permille::new(980), margin: Permille::new(100) }
    }
}

/// Before this much was watched, the tail is not known.
const LEAST: Duration = Duration::from_secs(3600);

impl PercentileSettings {
    pub(crate) fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.quantile.get() == 0 || self.quantile.get() > 1000 {
            problems.push(format!("quantile: {} is not above 0% and at most 100%", self.quantile));
        }
        if self.margin.get() > 10_000 {
            problems.push(format!("margin: {} is more than 1000%", self.margin));
        }
        problems
    }
}

/// `quantile of the decaying histogram of the minutes' peaks x (1 + margin)`; `None` until an hour was watched.
pub(crate) fn percentile(evidence: &Evidence<'_>, settings: &PercentileSettings) -> Option<Requirement> {
    if evidence.history.span_observed() < LEAST {
        return None;
    }
    let cpu = evidence.history.quantile(settings.quantile.get().saturating_mul(100), evidence.basis())?;
    Some(Requirement { cpu: cpu.plus(cpu.share(settings.margin)), rule: RequirementRule::Percentile })
}
