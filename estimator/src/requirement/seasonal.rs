//! The policy `seasonal`: what was used at this hour on days before.

use super::{Evidence, Requirement};
use gleaner_model::{MilliCpu, Permille, RequirementRule, Span};
use serde::{Deserialize, Serialize};

/// Settings of the policy `seasonal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SeasonalSettings {
    /// How far ahead of now the days before are looked at.
    pub horizon: Span,
    /// What is added, as a share of the region's part of the node.
    pub margin: Permille,
}

impl Default for SeasonalSettings {
    fn default() -> Self {
        Self { horizon: Span::from_secs(3600), margin: Permille::new(50) }
    }
}

impl SeasonalSettings {
    pub(crate) fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.horizon.get().as_secs() > 24 * 3600 {
            problems.push(format!("horizon: {} is more than 24h", self.horizon));
        }
        if self.margin.get() > 1000 {
            problems.push(format!("margin: {} is more than 100%", self.margin));
        }
        problems
    }
}

/// The largest use between now and the horizon on the days before, and not less than what is used now, with the margin on top. Of a region that was not watched for
/// a day, the sum of what its containers' workloads used at this hour, in other pods or other places of the region; a container whose workload is not known counts
/// with its request, or what it uses if that is more. Where the requests of these are most of the sum, too little is known: `None`. Their use has no say in that: the
/// requests of all, which count then, may be less.
pub(crate) fn seasonal(evidence: &Evidence<'_>, settings: &SeasonalSettings) -> Option<Requirement> {
    let wall = evidence.wall?;
    let own = evidence.history.expected(wall, settings.horizon.get(), evidence.basis()).map(|hour| (hour.peak, RequirementRule::Seasonal));
    let (peak, rule) = own.or_else(|| of_members(evidence, settings))?;
    let cpu = peak.max(evidence.usage).plus(evidence.capacity.share(settings.margin));
    Some(Requirement { cpu, rule })
}

fn of_members(evidence: &Evidence<'_>, settings: &SeasonalSettings) -> Option<(MilliCpu, RequirementRule)> {
    let (mut known, mut unknown, mut counted, mut rule) = (MilliCpu::ZERO, MilliCpu::ZERO, MilliCpu::ZERO, RequirementRule::Seasonal);
    for member in evidence.members {
        let own = evidence.wall.and_then(|wall| member.history?.expected(wall, settings.horizon.get()));
        match own.map(|hour| (hour.peak, RequirementRule::Seasonal)).or_else(|| member.like.map(|peak| (peak, RequirementRule::Like))) {
            Some((peak, of)) => {
                known = known.plus(peak);
                rule = rule.max(of);
            }
            None => {
                let request = member.request.unwrap_or_default();
                unknown = unknown.plus(request);
                counted = counted.plus(request.max(member.usage.unwrap_or_default()));
            }
        }
    }
    (known > unknown).then(|| (known.plus(counted), rule))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::requirement::testing::{evidence, member, milli, of_region, of_workload, tuesday};
    use crate::requirement::{Evidence, Member};

    /// On ten CPUs, with a margin of 5 %.
    fn found(evidence: &Evidence<'_>) -> Option<(u64, RequirementRule)> {
        seasonal(evidence, &SeasonalSettings::default()).map(|found| (found.cpu.get(), found.rule))
    }

    #[test]
    fn what_the_region_did_at_this_hour_counts_and_what_it_uses_now_if_that_is_more() {
        let history = of_region(&[(24 * 60, 120, 1500), (30, 30, 100)]);
        let members = [Member { usage: Some(milli(300)), ..member(Some(1000)) }];
        let region = evidence(&members, &history);
        assert_eq!(found(&region), None, "without a calendar");
        let region = Evidence { wall: Some(tuesday()), ..region };
        assert_eq!(found(&region), Some((2000, RequirementRule::Seasonal)));
        assert_eq!(found(&Evidence { usage: milli(1800), ..region }), Some((2300, RequirementRule::Seasonal)));
        let night = tuesday().after(std::time::Duration::from_secs(6 * 3600));
        assert_eq!(found(&Evidence { wall: Some(night), ..region }), None, "an hour that was never seen");
    }

    #[test]
    fn a_region_that_is_new_is_the_sum_of_its_workloads_while_most_of_them_are_known() {
        let nothing = crate::history::RegionHistory::default();
        let workload = of_workload(&[(24 * 60, 120, 600)]);
        let known = Member { history: Some(&workload), usage: Some(milli(50)), ..member(Some(400)) };
        let like = Member { like: Some(milli(700)), ..member(Some(400)) };
        let unknown = |request: u64, usage: u64| Member { usage: Some(milli(usage)), ..member(Some(request)) };
        type Row<'a> = (&'static str, Vec<Member<'a>>, Option<(u64, RequirementRule)>);
        let table: [Row<'_>; 8] = [
            ("one that is known", vec![known], Some((1100, RequirementRule::Seasonal))),
            ("one whose like is known", vec![like], Some((1200, RequirementRule::Like))),
            ("both", vec![known, like], Some((1800, RequirementRule::Like))),
            ("the request of one that is not", vec![known, unknown(500, 100)], Some((1600, RequirementRule::Seasonal))),
            ("its use where that is more", vec![known, unknown(500, 599)], Some((1699, RequirementRule::Seasonal))),
            ("more use does not make less of it", vec![known, unknown(500, 900)], Some((2000, RequirementRule::Seasonal))),
            ("most is not known", vec![known, unknown(600, 0)], None),
            ("none is", vec![unknown(600, 0)], None),
        ];
        for (name, members, expected) in table {
            let region = Evidence { wall: Some(tuesday()), usage: milli(50), ..evidence(&members, &nothing) };
            assert_eq!(found(&region), expected, "{name}");
        }
    }
}
