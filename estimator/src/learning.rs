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

#[cfg(test)]
mod tests {
    use super::*;

    /// A region that uses this much in each minute, of 100 that are required; each reading so many seconds after the one before.
    fn after(readings: &[(u64, u64)], settings: &LearningSettings) -> Learned {
        let (mut learned, mut second) = (Learned::default(), 0);
        for (gap, usage) in readings {
            second += gap;
            let now = Timestamp::since_boot(Duration::from_secs(second));
            learned.observe(now, MilliCpu::new(*usage), MilliCpu::new(100), settings);
        }
        learned
    }

    #[test]
    fn a_miss_raises_the_margin_and_quiet_lowers_it_a_hundredth_as_fast() {
        let settings = LearningSettings::default();
        let minutes = |misses: usize, quiet: usize| {
            let begin = std::iter::once((0, 0));
            let all = begin.chain(std::iter::repeat_n((60, 101), misses)).chain(std::iter::repeat_n((60, 100), quiet));
            after(&all.collect::<Vec<_>>(), &settings).millionths
        };
        // The reading that ends a minute belongs to both; so one miss is seen in two.
        let miss = 5 * 990;
        for (misses, quiet, expected) in
            [(0, 50, 0), (1, 0, miss), (1, 1, 2 * miss), (2, 0, 2 * miss), (1, 101, 2 * miss - 100 * 50), (1, 500, 0), (500, 0, 200_000)]
        {
            assert_eq!(minutes(misses, quiet), expected, "{misses} misses, then {quiet} quiet minutes");
        }
        assert_eq!(after(&[(0, 0), (60, 101)], &settings).margin(), Permille::new(5), "rounded up");
    }

    #[test]
    fn a_peak_within_the_minute_counts_and_a_minute_that_goes_on_does_not() {
        let settings = LearningSettings::default();
        for (readings, missed) in [
            (&[(0, 0), (30, 200)][..], false),
            (&[(0, 0), (30, 200), (30, 0)], true),
            (&[(0, 0), (30, 100), (30, 100)], false),
            // Nobody knows what a pause was like.
            (&[(0, 200), (121, 0)], false),
            (&[(0, 200), (120, 0)], true),
            (&[(0, 200), (3600, 0), (60, 0)], false),
        ] {
            assert_eq!(after(readings, &settings).millionths > 0, missed, "{readings:?}");
        }
    }

    #[test]
    fn a_step_of_zero_learns_nothing() {
        let settings = LearningSettings { step: Permille::new(0), ..LearningSettings::default() };
        assert_eq!(after(&[(0, 200), (60, 200), (60, 200)], &settings).margin(), Permille::new(0));
    }
}
