//! The default policy: the most protective of what is trustworthy now.

use super::{Evidence, Member, Requirement};
use crate::learning::LearningSettings;
use gleaner_model::{MilliCpu, Permille, RequirementRule, Span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Settings of the policy `composite`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CompositeSettings {
    /// Windows whose peaks are averaged: a peak weighs less the longer ago it was. None: the recent past has no say.
    pub windows: Vec<Span>,
    /// The longest window, which stands beside those above; what was used at this hour on days before may lower its peak.
    pub longest: Span,
    /// How far ahead the hour of days before is looked at.
    pub horizon: Span,
    /// How much of the averaged peaks counts of what they are above use now. Less lends more, and takes it back more often.
    pub past: Permille,
    /// What is added to the averaged peaks, as a share of the region's part of the node.
    pub margin: Permille,
    /// What is learned on top of the margin.
    pub learning: LearningSettings,
    /// How long a container counts with its request, or with what its workload used before, if that is more than what it uses.
    pub warm_up: Span,
}

impl Default for CompositeSettings {
    fn default() -> Self {
        Self {
            windows: [300, 3600, 3 * 3600].map(Span::from_secs).to_vec(),
            longest: Span::from_secs(24 * 3600),
            horizon: Span::from_secs(3600),
            past: Permille::new(1000),
            margin: Permille::new(20),
            learning: LearningSettings::default(),
            warm_up: Span::from_secs(300),
        }
    }
}

/// So many windows are averaged at most; each is a walk over the minutes of a day.
const MOST_WINDOWS: usize = 8;
/// What is remembered by the minute.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl CompositeSettings {
    pub(crate) fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.windows.len() > MOST_WINDOWS {
            problems.push(format!("windows: {} are more than {MOST_WINDOWS}", self.windows.len()));
        }
        let windows = self.windows.iter().map(|window| ("windows", window)).chain([("longest", &self.longest)]);
        for (field, window) in windows {
            if window.is_zero() || window.get() > LONGEST {
                problems.push(format!("{field}: {window} is not above 0s and at most 24h"));
            }
        }
        if self.horizon.get() > LONGEST {
            problems.push(format!("horizon: {} is more than 24h", self.horizon));
        }
        for (field, share) in [("margin", self.margin), ("past", self.past)] {
            if share.get() > 1000 {
                problems.push(format!("{field}: {share} is more than 100%"));
            }
        }
        problems.extend(self.learning.validate().into_iter().map(|problem| format!("learning.{problem}")));
        problems
    }
}

/// The largest of these, and which one it was:
///
/// ```text
/// now      = what the pods use and wait for (Evidence::wanted)
/// recent   = use now + past x (mean of the peaks of the windows and of the longest one - use now)
///            + (margin + what was learned) x the region's part of the node
/// warm-up  = use + for each container younger than warmUp: its request, or what its workload used before, less what it uses
/// others   = what the caller found besides: indicators that miss their targets
/// ```
///
/// The peak of the longest window is lowered to what was used at this hour on days before, where a day is known, but not below the peak of the first window.
/// Averaged, a peak is not forgotten at one stroke but let go in parts, and its return within hours is covered by the parts that are left.
pub(crate) fn composite(
    evidence: &Evidence<'_>,
    settings: &CompositeSettings,
    learned: Permille,
    others: Option<Requirement>,
) -> Requirement {
    // Before the first reading what is wanted now is what was requested.
    let measured = evidence.members.iter().any(|member| member.usage.is_some());
    let rule = if measured || evidence.wanted.is_zero() { RequirementRule::Now } else { RequirementRule::Request };
    let now = Requirement { cpu: evidence.wanted, rule };
    let parts = [warm_up(evidence, settings), recent(evidence, settings, learned), others];
    // The first of equals: what is simplest to explain.
    parts.into_iter().flatten().fold(now, |best, part| if part.cpu > best.cpu { part } else { best })
}

fn recent(evidence: &Evidence<'_>, settings: &CompositeSettings, learned: Permille) -> Option<Requirement> {
    let peak = |window: &Span| evidence.history.recent_peak(window.get(), evidence.basis());
    let peaks: Vec<MilliCpu> = settings.windows.iter().filter_map(peak).collect();
    let least = *peaks.first()?;
    let longest = peak(&settings.longest)?;
    let hour = evidence.wall.and_then(|wall| evidence.history.expected(wall, settings.horizon.get(), evidence.basis()));
    let (last, rule) = match hour {
        Some(hour) if hour.peak < longest => (hour.peak.max(least), RequirementRule::Seasonal),
        _ => (longest, RequirementRule::Recent),
    };
    let sum: MilliCpu = peaks.iter().copied().chain([last]).sum();
    let mean = MilliCpu::new(sum.get().div_ceil(u64::try_from(peaks.len()).unwrap_or(u64::MAX).saturating_add(1)));
    let above = mean.minus(evidence.usage).share(settings.past);
    let margin = Permille::new(settings.margin.get().saturating_add(learned.get()));
    Some(Requirement { cpu: evidence.usage.plus(above).plus(evidence.capacity.share(margin)), rule })
}

fn warm_up(evidence: &Evidence<'_>, settings: &CompositeSettings) -> Option<Requirement> {
    let young = || evidence.members.iter().filter(|member| member.age < settings.warm_up.get());
    young().next()?;
    let (mut more, mut known) = (MilliCpu::ZERO, true);
    for member in young() {
        let (expected, of_workload) = expected(member, evidence);
        known &= of_workload;
        more = more.plus(expected.minus(member.usage.unwrap_or_default()));
    }
    // Beside use, and not beside what is waited for too: a container that waits would count twice.
    let cpu = evidence.usage.plus(more);
    let rule = if known { RequirementRule::Percentile } else { RequirementRule::Request };
    (!more.is_zero()).then_some(Requirement { cpu, rule })
}

/// What a container that is new may come to use, and whether that is known of its workload.
fn expected(member: &Member<'_>, evidence: &Evidence<'_>) -> (MilliCpu, bool) {
    match member.expected_peak(evidence.wall) {
        Some(peak) => (peak, true),
        None => (member.request.unwrap_or_default(), false),
    }
}

#[cfg(test)]
mod tests;
