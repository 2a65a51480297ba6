//! How fast a requirement may move before it is put in force.

use gleaner_model::{MilliCpu, Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Settings of the regulator; the defaults are Katalyst's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegulatorSettings {
    /// CPU kept for pods to come, of the whole node; each region has its part of it.
    pub reserved_for_allocate: MilliCpu,
    /// How long the figure stays after it fell.
    pub ramp_down_interval: Span,
    /// The most by which it rises in one step.
    pub largest_rise: MilliCpu,
    /// The most by which it falls in one step.
    pub largest_fall: MilliCpu,
    /// The least that a region has.
    pub least: MilliCpu,
}

impl Default for RegulatorSettings {
    fn default() -> Self {
        Self {
            reserved_for_allocate: MilliCpu::from_cpus(4),
            ramp_down_interval: Span::from_secs(30),
            largest_rise: MilliCpu::from_cpus(10),
            largest_fall: MilliCpu::from_cpus(2),
            least: MilliCpu::from_cpus(4),
        }
    }
}

/// What one step leaves to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegulatorState {
    /// When the figure fell last.
    pub ramped_down: Option<Timestamp>,
}

/// What one step is told.
#[derive(Debug, Clone, Copy)]
pub struct Regulated {
    /// What the policy says.
    pub requirement: MilliCpu,
    /// What is in force: the regulator's last figure; before the first one the size of the pool.
    pub held: MilliCpu,
    /// The region's part of [`RegulatorSettings::reserved_for_allocate`].
    pub reserved: MilliCpu,
    /// The most that the region can have. It rules where it is less than [`RegulatorSettings::least`].
    pub upper: MilliCpu,
    /// Whether CPUs are given by whole cores of two threads: round up to an even number.
    pub pairs: bool,
    /// The moment of the step.
    pub now: Timestamp,
}

/// One step of Katalyst's regulator:
///
/// ```text
/// x = requirement + reserved, in whole CPUs, rounded up
/// x = held                       where x is less, and the figure fell less than rampDownInterval ago
/// x = between held - largestFall and held + largestRise
/// x = between least and upper
/// ```
#[must_use]
pub fn regulate(step: &Regulated, state: RegulatorState, settings: &RegulatorSettings) -> (MilliCpu, RegulatorState) {
    let &Regulated { held, now, .. } = step;
    let cpus = step.requirement.plus(step.reserved).ceil_cpus();
    let odd = if step.pairs { cpus % 2 } else { 0 };
    let wanted = MilliCpu::from_cpus(cpus.saturating_add(odd));
    let resting = state.ramped_down.is_some_and(|last| now.since(last) < settings.ramp_down_interval.get());
    let wanted = if resting { wanted.max(held) } else { wanted };
    let ramped = wanted.min(held.plus(settings.largest_rise)).max(held.minus(settings.largest_fall));
    let figure = ramped.max(settings.least).min(step.upper);
    // A clock that ran backwards must not make the rest longer than the interval.
    let ramped_down = if figure < held { Some(now) } else { state.ramped_down.map(|last| last.min(now)) };
    (figure, RegulatorState { ramped_down })
}
