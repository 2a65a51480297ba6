//! A margin that is learned from how often the requirement was too small.

use gleaner_model::{MilliCpu, Permille, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the margin is learned (adaptive conformal inference: Gibbs and Candes, 2021).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LearningSettings {
    /// The share of minutes in which use may go above what was required at their beginning.
    pub misses: Permille,
    /// How far the margin moves, as a share of the region's part of the node: up by nearly all of it at a miss, down by the tolerated share of it otherwise.
    /// 0%: nothing is learned.
    pub step: Permille,
    /// The most that is learned.
    pub most: Permille,
}

impl Default for LearningSettings {
    fn default() -> Self {
        Self { misses: Permille::new(10), step: Permille::new(5), most: Permille::new(200) }
    }
}

impl LearningSettings {
    pub(crate) fn validate(&self) -> Vec<String> {
        let fields = [("misses", self.misses), ("step", self.step), ("most", self.most)];
        let wrong = fields.into_iter().filter(|(_, share)| share.get() > 1000);
        wrong.map(|(field, share)| format!("{field}: {share} is more than 100%")).collect()
    }
}

/// What was learned. In millionths, since what is unlearned in a minute is less than a thousandth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Learned {
    millionths: u64,
    minute: Option<Minute>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Minute {
    began: Timestamp,
    required: MilliCpu,
    peak: MilliCpu,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Learned {
    /// What is to be added to the margin.
    pub(crate) fn margin(&self) -> Permille {
        Permille::new(u32::try_from(self.millionths.div_ceil(1000)).unwrap_or(u32::MAX))
    }

    /// Notes what is used now, and what was required so far. A pause longer than a minute is no minute.
    pub(crate) fn observe(&mut self, now: Timestamp, usage: MilliCpu, required: MilliCpu, settings: &LearningSettings) {
        let begin = Minute { began: now, required, peak: usage };
        let Some(minute) = &mut self.minute else {
            self.minute = Some(begin);
            return;
        };
        let passed = now.since(minute.began);
        minute.peak = minute.peak.max(usage);
        if passed < MINUTE {
            return;
        }
        let missed = minute.peak > minute.required;
        self.minute = Some(begin);
        if passed <= MINUTE + MINUTE {
            let (step, misses) = (u64::from(settings.step.get()), u64::from(settings.misses.get()));
            let moved = if missed {
                self.millionths.saturating_add(step * 1000_u64.saturating_sub(misses))
            } else {
                self.millionths.saturating_sub(step * misses)
            };
            self.millionths = moved.min(u64::from(settings.most.get()) * 1000);
        }
    }
}
