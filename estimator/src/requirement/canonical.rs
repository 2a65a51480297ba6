//! Katalyst's estimate of what a region needs: its policy `canonical`.
//!
//! ```text
//! need of a container = max(usageFactor x usage, load over 1 minute, load over 5 minutes), each only where it is above zero
//!                       its request, where none of them is
//!                       unknown, where it requests nothing either
//! requirement         = sum of the needs
//! ```
//!
//! One sample, no window; the loads are all the smoothing there is. Katalyst counts system containers nowhere; a region of them is estimated
//! here like any other. What Katalyst puts in force is this figure after [`crate::katalyst::regulate`].

use crate::katalyst::RegulatorSettings;
use crate::requirement::{Evidence, Member, Requirement};
use gleaner_model::{MilliCpu, Permille, RequirementRule};
use serde::{Deserialize, Serialize};

/// Settings of the policy; the defaults are Katalyst's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CanonicalSettings {
    /// What a container is taken to need, as a share of what it uses.
    pub usage_factor: Permille,
    /// What a container is taken to need of which nothing is known.
    pub unknown: MilliCpu,
    /// How the figure may move.
    pub regulator: RegulatorSettings,
}

impl Default for CanonicalSettings {
    fn default() -> Self {
        Self { usage_factor: Permille::new(1250), unknown: MilliCpu::from_cpus(4), regulator: RegulatorSettings::default() }
    }
}

/// What the region needs by Katalyst's formula, before the regulator.
#[must_use]
pub fn canonical(evidence: &Evidence<'_>, settings: &CanonicalSettings) -> Requirement {
    let cpu = evidence.members.iter().map(|member| need(member, settings)).sum();
    Requirement { cpu, rule: RequirementRule::Canonical }
}

fn need(member: &Member<'_>, settings: &CanonicalSettings) -> MilliCpu {
    let usage = member.usage.map(|usage| usage.share(settings.usage_factor));
    let measured = usage.into_iter().chain(member.load.into_iter().flatten()).max();
    let positive = |cpu: &MilliCpu| !cpu.is_zero();
    measured.filter(positive).or(member.request.filter(positive)).unwrap_or(settings.unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::RegionHistory;
    use crate::requirement::testing::{evidence, member, milli};
    use proptest::prelude::*;

    fn of(member: Member<'_>) -> u64 {
        canonical(&evidence(&[member], &RegionHistory::default()), &CanonicalSettings::default()).cpu.get()
    }

    #[test]
    fn the_largest_of_use_with_margin_and_the_loads_counts() {
        let loads = |one, five| Some([milli(one), milli(five)]);
        for (usage, load, expected) in [
            (Some(1000), loads(100, 200), 1250),
            (Some(1000), loads(1300, 200), 1300),
            (Some(1000), loads(100, 1400), 1400),
            (Some(1000), None, 1250),
            (None, loads(100, 200), 200),
            (Some(0), loads(0, 30), 30),
        ] {
            let member = Member { usage: usage.map(milli), load, ..member(Some(3000)) };
            assert_eq!(of(member), expected, "usage {usage:?}, load {load:?}");
        }
    }

    #[test]
    fn without_use_the_request_counts_and_without_a_request_four_cpus() {
        for (usage, request, expected) in [(None, Some(700), 700), (Some(0), Some(700), 700), (None, None, 4000), (Some(0), Some(0), 4000)]
        {
            let member = Member { usage: usage.map(milli), ..member(request) };
            assert_eq!(of(member), expected, "usage {usage:?}, request {request:?}");
        }
    }

    #[test]
    fn the_needs_of_all_containers_add_up() {
        let members = [Member { usage: Some(milli(800)), ..member(Some(1)) }, member(Some(500)), member(None)];
        let found = canonical(&evidence(&members, &RegionHistory::default()), &CanonicalSettings::default());
        assert_eq!(found, Requirement { cpu: milli(1000 + 500 + 4000), rule: RequirementRule::Canonical });
    }

    proptest! {
        /// From the first measured use on; a use of nothing counts as the request, which may be more.
        #[test]
        fn more_use_never_lowers_the_figure(low in 1u64.., more: u64, one: u64, five: u64, request: Option<u64>) {
            let of = |usage| of(Member { usage: Some(milli(usage)), load: Some([milli(one), milli(five)]), ..member(request) });
            let (before, after) = (of(low), of(low.saturating_add(more)));
            prop_assert!(before <= after, "{before} with {low}, {after} with {more} more");
        }
    }
}
