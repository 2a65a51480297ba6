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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requirement::testing::{evidence, member, of_region};

    #[test]
    fn it_is_the_upper_edge_of_the_bucket_of_the_quantile_and_the_margin() {
        // Of 199 minutes that are over, ten reached 900.
        let history = of_region(&[(200, 190, 100), (10, 10, 900), (0, 1, 100)]);
        let members = [member(Some(1000))];
        let of = |quantile, margin| {
            let settings = PercentileSettings { quantile: Permille::new(quantile), margin: Permille::new(margin) };
            percentile(&evidence(&members, &history), &settings).map(|found| found.cpu.get())
        };
        for (quantile, margin, least) in [(980, 0, 900), (900, 0, 100), (1000, 0, 900), (1, 0, 100), (980, 100, 990), (900, 1000, 200)] {
            let found = of(quantile, margin).unwrap_or(0);
            assert!(
                (least..=least * 106 / 100).contains(&found),
                "quantile {quantile}, margin {margin}: {found}, not {least} or a bucket more"
            );
        }
    }

    #[test]
    fn less_than_an_hour_is_too_little() {
        let members = [member(Some(1000))];
        for (minutes, known) in [(0, false), (1, false), (59, false), (62, true)] {
            let history = of_region(&[(minutes, minutes, 100)]);
            let found = percentile(&evidence(&members, &history), &PercentileSettings::default());
            assert_eq!(found.is_some(), known, "{minutes} minutes: {found:?}");
        }
    }
}
