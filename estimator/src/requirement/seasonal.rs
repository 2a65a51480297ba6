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
/// with its request, and where that is most of the sum, too little is known: `None`.
pub(crate) fn seasonal(evidence: &Evidence<'_>, settings: &SeasonalSettings) -> Option<Requirement> {
    let wall = evidence.wall?;
    let own = evidence.history.expected(wall, settings.horizon.get(), evidence.basis()).map(|hour| (hour.peak, RequirementRule::Seasonal));
    let (peak, rule) = own.or_else(|| of_members(evidence, settings))?;
    let cpu = peak.max(evidence.usage).plus(evidence.capacity.share(settings.margin));
    Some(Requirement { cpu, rule })
}

fn of_members(evidence: &Evidence<'_>, settings: &SeasonalSettings) -> Option<(MilliCpu, RequirementRule)> {
    let (mut known, mut unknown, mut rule) = (MilliCpu::ZERO, MilliCpu::ZERO, RequirementRule::Seasonal);
    for member in evidence.members {
        let own = evidence.wall.and_then(|wall| member.history?.expected(wall, settings.horizon.get()));
        match own.map(|hour| (hour.peak, RequirementRule::Seasonal)).or_else(|| member.like.map(|peak| (peak, RequirementRule::Like))) {
            Some((peak, of)) => {
                known = known.plus(peak);
                rule = rule.max(of);
            }
            None => unknown = unknown.plus(member.request.unwrap_or_default().max(member.usage.unwrap_or_default())),
        }
    }
    (known > unknown).then(|| (known.plus(unknown), rule))
}
