use crate::headroom::HeadroomSettings;
use crate::history::HistorySettings;
use crate::pools::PoolSettings;
use crate::region::Region;
use crate::requirement::PolicyName;
use crate::requirement::canonical::CanonicalSettings;
use crate::requirement::composite::CompositeSettings;
use crate::requirement::feedback::FeedbackSettings;
use crate::requirement::n_sigma::NSigmaSettings;
use crate::requirement::percentile::PercentileSettings;
use crate::requirement::seasonal::SeasonalSettings;
use crate::requirement::usage_margin::UsageMarginSettings;
use gleaner_model::{Bytes, MilliCpu, Permille, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How carefully the node is lent. In a configuration every field may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Policy {
    /// Whether anything is lent at all.
    pub lend: bool,
    /// What a pod is taken to need beyond the CPU that it was measured to use.
    pub usage_margin: Permille,
    /// What a pod is taken to need beyond the memory that it was measured to hold.
    pub memory_margin: Permille,
    /// CPU that is never lent: for kubelet, runtime and kernel.
    pub cpu_reserve: MilliCpu,
    /// Memory that is never lent: for kubelet, runtime and kernel.
    pub memory_reserve: Bytes,
    /// The most by which a figure rises in a second, as a share of the node's capacity. Falling is not bounded.
    pub rise_per_second: Permille,
    /// A reading older than this counts as missing. It is also how long a pod that has only just started counts with its request
    /// instead of a reading, and the longest pause between two ticks that a rise is credited for.
    pub stale_after: Span,
    /// How long a smaller size must have been enough before a pool shrinks.
    pub shrink_after: Span,
    /// How the promise follows what is left.
    pub headroom: HeadroomSettings,
    /// How pools are sized.
    pub pools: PoolSettings,
    /// Which policy says what a region needs.
    pub policy: PolicyName,
    /// Another one for some regions.
    pub regions: BTreeMap<Region, PolicyName>,
    /// Of the policy `canonical`.
    pub canonical: CanonicalSettings,
    /// Of the policy `usage-margin`.
    #[serde(rename = "koordinator")]
    pub usage_margin_policy: UsageMarginSettings,
    /// Of the policy `n-sigma`.
    pub n_sigma: NSigmaSettings,
    /// Of the policy `percentile`.
    pub percentile: PercentileSettings,
    /// Of the policy `seasonal`.
    pub seasonal: SeasonalSettings,
    /// Of the policy `feedback`.
    pub feedback: FeedbackSettings,
    /// Of the policy `composite`.
    pub composite: CompositeSettings,
    /// How much is remembered.
    pub history: HistorySettings,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lend: true,
            usage_margin: Permille::new(100),
            memory_margin: Permille::new(100),
            cpu_reserve: MilliCpu::new(500),
            memory_reserve: Bytes::new(512 << 20),
            rise_per_second: Permille::new(20),
            stale_after: Span::from_secs(10),
            shrink_after: Span::from_secs(30),
            headroom: HeadroomSettings::default(),
            pools: PoolSettings::default(),
            policy: PolicyName::default(),
            regions: BTreeMap::new(),
            canonical: CanonicalSettings::default(),
            usage_margin_policy: UsageMarginSettings::default(),
            n_sigma: NSigmaSettings::default(),
            percentile: PercentileSettings::default(),
            seasonal: SeasonalSettings::default(),
            feedback: FeedbackSettings::default(),
            composite: CompositeSettings::default(),
            history: HistorySettings::default(),
        }
    }
}

/// A margin of ten times the measured value leaves nothing to lend; more is a misplaced decimal point.
const LARGEST_MARGIN: Permille = Permille::new(10_000);

impl Policy {
    /// Checks that the policy can work.
    ///
    /// # Errors
    /// Every problem, each beginning with the name of its field; never empty.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        for (field, margin) in [("usageMargin", self.usage_margin), ("memoryMargin", self.memory_margin)] {
            if margin > LARGEST_MARGIN {
                problems.push(format!("{field}: {margin} is more than {LARGEST_MARGIN}"));
            }
        }
        if self.rise_per_second.get() == 0 || self.rise_per_second.get() > 1000 {
            problems.push(format!("risePerSecond: {} is not above 0% and at most 100%", self.rise_per_second));
        }
        if self.stale_after.is_zero() {
            problems.push(format!("staleAfter: {} makes every reading stale", self.stale_after));
        }
        let named = |section: &'static str, found: Vec<String>| found.into_iter().map(move |problem| format!("{section}.{problem}"));
        problems.extend(named("nSigma", self.n_sigma.validate()));
        problems.extend(named("percentile", self.percentile.validate()));
        problems.extend(named("seasonal", self.seasonal.validate()));
        problems.extend(named("feedback", self.feedback.validate().err().unwrap_or_default()));
        problems.extend(named("composite", self.composite.validate()));
        problems.extend(named("history", self.history.validate()));
        problems.extend(self.headroom.problems());
        problems.extend(self.pools.problems());
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_valid_and_round_trips() {
        let policy = Policy::default();
        assert_eq!(policy.validate(), Ok(()));
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy, "{text}");
    }

    #[test]
    fn a_field_left_out_has_its_default_and_an_unknown_one_is_refused() {
        let policy: Policy = serde_json::from_str(r#"{"usageMargin": "25%", "staleAfter": "5s", "cpuReserve": 2}"#).unwrap();
        let expected = Policy {
            usage_margin: Permille::new(250),
            stale_after: Span::from_secs(5),
            cpu_reserve: MilliCpu::from_cpus(2),
            ..Policy::default()
        };
        assert_eq!(policy, expected);
        let error = serde_json::from_str::<Policy>(r#"{"usage_margin": "25%"}"#).unwrap_err().to_string();
        assert!(error.contains("usage_margin"), "{error}");
    }

    #[test]
    fn every_problem_names_its_field() {
        let policy = Policy {
            usage_margin: Permille::new(10_001),
            memory_margin: Permille::new(u32::MAX),
            rise_per_second: Permille::new(0),
            stale_after: Span::from_secs(0),
            ..Policy::default()
        };
        let problems = policy.validate().unwrap_err();
        let fields: Vec<&str> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        assert_eq!(fields, ["usageMargin", "memoryMargin", "risePerSecond", "staleAfter"], "{problems:?}");
    }
}
