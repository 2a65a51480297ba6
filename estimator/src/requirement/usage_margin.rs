//! Koordinator's estimate: what is used, and a fixed part of the capacity kept free.
//!
//! ```text
//! requirement = sum of use (request where there is no reading) + (1 - threshold) x capacity of the region
//! ```
//!
//! Koordinator suppresses best-effort pods to `capacity x threshold - use of the others - max(system use, reserve)`. On a node with one
//! region the estimator lends `capacity - reserve - requirement`, and with this requirement that is the same figure, where the configured
//! reserve covers what the system uses outside of pods. Several regions share the capacity by their requests, so that their margins add
//! up to the same. Koordinator's optional floor under the result is not here: it would promise what is in use.

use crate::requirement::{Evidence, Requirement};
use gleaner_model::{Permille, RequirementRule};
use serde::{Deserialize, Serialize};

/// Settings of the policy; the default is Koordinator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UsageMarginSettings {
    /// The share of the capacity that all pods together may come to use; above 100% it is 100%.
    pub threshold: Permille,
}

impl Default for UsageMarginSettings {
    fn default() -> Self {
        Self { threshold: Permille::new(650) }
    }
}

/// What the region needs by Koordinator's formula. A container with neither reading nor request counts as nothing, as there.
#[must_use]
pub fn usage_margin(evidence: &Evidence<'_>, settings: &UsageMarginSettings) -> Requirement {
    let used = evidence.members.iter().map(|member| member.usage.or(member.request).unwrap_or_default()).sum();
    let usable = evidence.capacity.share(settings.threshold);
    Requirement { cpu: evidence.capacity.minus(usable).plus(used), rule: RequirementRule::UsageMargin }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::RegionHistory;
    use crate::requirement::testing::{evidence, member, milli};
    use crate::requirement::{Evidence, Member};
    use gleaner_model::MilliCpu;
    use proptest::prelude::*;

    fn of(capacity: u64, members: &[Member<'_>], threshold: u32) -> MilliCpu {
        let history = RegionHistory::default();
        let evidence = Evidence { capacity: milli(capacity), ..evidence(members, &history) };
        usage_margin(&evidence, &UsageMarginSettings { threshold: Permille::new(threshold) }).cpu
    }

    #[test]
    fn what_is_lent_on_a_node_with_one_region_is_what_koordinator_gives_to_best_effort_pods() {
        let members = [Member { usage: Some(milli(5000)), ..member(Some(9000)) }, member(Some(1200))];
        let (capacity, reserve) = (48_000, 1000);
        let lent = capacity - reserve - of(capacity, &members, UsageMarginSettings::default().threshold.get()).get();
        assert_eq!(lent, capacity * 65 / 100 - (5000 + 1200) - reserve);
    }

    #[test]
    fn a_container_without_reading_counts_with_its_request() {
        for (usage, request, expected) in [(Some(300), Some(900), 300), (Some(0), Some(900), 0), (None, Some(900), 900), (None, None, 0)] {
            let found = of(0, &[Member { usage: usage.map(milli), ..member(request) }], 650);
            assert_eq!(found, milli(expected), "usage {usage:?}, request {request:?}");
        }
    }

    #[test]
    fn a_threshold_above_the_whole_leaves_no_margin() {
        assert_eq!(of(10_000, &[], 1500), MilliCpu::ZERO);
    }

    proptest! {
        #[test]
        fn more_use_and_a_lower_threshold_never_lower_the_figure(
            capacity: u64, low: u64, more: u64, threshold in 0u32..2000, less in 0u32..2000,
        ) {
            let of = |usage, threshold| of(capacity, &[Member { usage: Some(milli(usage)), ..member(None) }], threshold);
            let before = of(low, threshold);
            let after = of(low.saturating_add(more), threshold.saturating_sub(less));
            prop_assert!(before <= after, "{before} then {after}");
        }
    }
}
