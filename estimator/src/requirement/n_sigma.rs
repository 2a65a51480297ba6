//! The policy `n-sigma`: mean and spread.

use super::{Evidence, Requirement};
use gleaner_model::{MilliCpu, Permille, RequirementRule, Span};
use serde::{Deserialize, Serialize};

/// Settings of the policy `n-sigma`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NSigmaSettings {
    /// How far back is looked.
    pub window: Span,
    /// How many standard deviations are added to the mean, as a percentage: 300% are three.
    pub sigmas: Permille,
}

impl Default for NSigmaSettings {
    fn default() -> Self {
        Self { window: Span::from_secs(3600), sigmas: Permille::new(3000) }
    }
}

/// So few minutes have no spread worth the name.
const LEAST_MINUTES: usize = 10;
const LONGEST_SECONDS: u64 = 24 * 3600;

impl NSigmaSettings {
    pub(crate) fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.window.get().as_secs() < 600 || self.window.get().as_secs() > LONGEST_SECONDS {
            problems.push(format!("window: {} is not between 10m and 24h", self.window));
        }
        if self.sigmas.get() > 100_000 {
            problems.push(format!("sigmas: {} is more than 10000%", self.sigmas));
        }
        problems
    }
}

/// `mean + sigmas x standard deviation` of the largest use in each minute of the window (the n-sigma predictor of Bashir and others, "Take it to the limit",
/// EuroSys 2021, with n for their 5). `None` until ten minutes are known.
pub(crate) fn n_sigma(evidence: &Evidence<'_>, settings: &NSigmaSettings) -> Option<Requirement> {
    let (mut count, mut sum, mut squares) = (0_usize, 0.0, 0.0);
    for peak in evidence.history.minute_peaks(settings.window.get(), evidence.basis()).flatten() {
        let value = as_float(peak);
        (count, sum, squares) = (count + 1, sum + value, squares + value * value);
    }
    if count < LEAST_MINUTES {
        return None;
    }
    let minutes = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let mean = sum / minutes;
    let deviation = (squares / minutes - mean * mean).max(0.0).sqrt();
    let cpu = from_float(mean + deviation * f64::from(settings.sigmas.get()) / 1000.0);
    Some(Requirement { cpu, rule: RequirementRule::NSigma })
}

/// Exact for every CPU figure that a machine can have.
#[allow(clippy::cast_precision_loss, reason = "a figure above 2^53 milli-CPU is no machine's")]
fn as_float(cpu: MilliCpu) -> f64 {
    cpu.get() as f64
}

/// Rounded up; what is no number is taken as nothing.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and the figure is made positive before")]
fn from_float(milli: f64) -> MilliCpu {
    MilliCpu::new(milli.max(0.0).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::RegionHistory;
    use crate::requirement::testing::{evidence, member, milli, of_region};

    fn of(history: &RegionHistory, sigmas: u32) -> Option<MilliCpu> {
        let settings = NSigmaSettings { sigmas: Permille::new(sigmas), ..NSigmaSettings::default() };
        n_sigma(&evidence(&[member(Some(1000))], history), &settings).map(|found| found.cpu)
    }

    #[test]
    fn it_is_the_mean_and_the_spread_of_the_minutes_peaks() {
        // Half of the minutes 100 and half 300: a mean of 200 and a deviation of 100. The last minute is not over.
        let both = of_region(&[(40, 20, 100), (20, 20, 300), (0, 1, 9000)]);
        let flat = of_region(&[(40, 40, 250)]);
        for (history, sigmas, expected) in [(&both, 0, 200), (&both, 1000, 300), (&both, 3000, 500), (&flat, 3000, 250)] {
            assert_eq!(of(history, sigmas), Some(milli(expected)), "{sigmas} thousandths of a deviation");
        }
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count_and_few_minutes_say_nothing() {
        let old = of_region(&[(180, 60, 9000), (60, 60, 100), (0, 1, 100)]);
        assert_eq!(of(&old, 3000), Some(milli(100)));
        for (minutes, known) in [(0, false), (10, false), (11, true)] {
            assert_eq!(of(&of_region(&[(minutes, minutes, 100)]), 0).is_some(), known, "{minutes} readings, the last of them not over");
        }
    }
}
