//! A controller on indicators with targets: the requirement is what the region's pods want now and a learned margin on top, which grows
//! while a target is missed and shrinks while all are met with room to spare.
//!
//! ```text
//! error  = worst over indicators of ln(current / target), 0 in the dead band, beyond it the distance from its edge
//! margin = margin + protect x error x time + protectAtOnce x growth of error    while error > 0, up to the bounds below
//!          margin - giveBack x |error| x time    while error < 0 and no target was missed for giveBackAfter
//! asked  = wanted x (1 + margin)
//! ```
//!
//! The growth of the error is that beyond the worst since the target is missed. It counts once and is not taken back when the error
//! shrinks, as the proportional part of a textbook controller is: that would give away what had just ended the miss.
//!
//! Katalyst's `rama` works on the size itself, this on the margin over what is wanted: a load that doubles does not have to be found out
//! by missing a target first, and what was learned at one load holds at another.
//!
//! Winding up: the margin does not grow while the figure is at the region's capacity or beyond `usage / inUse`, since a region that does
//! not use what it has is not helped by more, and never beyond `largestMargin`; so it turns round as soon as the error does. `asked` moves
//! by bounded steps a second and stays between what is wanted and the capacity. All of it is over elapsed time, not over ticks, and in
//! whole numbers, so that a record gives the same figures on any machine and a state that was written down is the same when it is read.

mod logarithm;
mod settings;

pub use settings::FeedbackSettings;

use crate::requirement::{Evidence, Indicator, Requirement};
use gleaner_model::{MilliCpu, Permille, RequirementRule, Timestamp};
use logarithm::log_ratio;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// 1, where a number is in billionths.
const ONE: u64 = 1_000_000_000;

/// More time than this between two ticks counts as this much: what the indicators were in the rest is not known.
const LONGEST: Duration = Duration::from_secs(5);

/// What a tick of one region leaves to the next. The default is that of a region that was never seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FeedbackState {
    /// The last tick that had indicators.
    at: Option<Timestamp>,
    /// The last tick at which a target was missed.
    missed: Option<Timestamp>,
    /// The largest error since a target is missed, in billionths; zero while none is.
    worst: u64,
    /// What is asked for beyond what is wanted, in billionths of it.
    margin: u64,
    /// What was asked for, in millionths of a CPU: the steps of a small region within a short time are less than a thousandth.
    asked: u64,
}

/// How much CPU the region must have so that its targets hold, and the state for its next tick. `None`, with the state as it was, when there
/// is no indicator: without one the policy knows nothing.
///
/// It begins at what is wanted now, never asks for less than that, and never for more than the capacity where that is not less. Of several
/// indicators the one that misses its target by most rules.
#[must_use]
pub fn feedback(evidence: &Evidence<'_>, settings: &FeedbackSettings, state: &FeedbackState) -> (Option<Requirement>, FeedbackState) {
    let Some(error) = worst_error(evidence.indicators, settings) else { return (None, state.clone()) };
    let tick = Tick::of(evidence, settings, state, error);
    // A state from before a reboot lies in the future; the wait begins anew then, and does not last until that moment comes.
    let missed = if error > 0 { Some(evidence.now) } else { state.missed.map(|missed| missed.min(evidence.now)) };
    let margin = if error > 0 { tick.grown(state.margin, state.worst) } else { tick.shrunk(state.margin, missed) };
    let asked = tick.asked(margin);
    let cpu = MilliCpu::new(asked.div_ceil(1000)).clamp(evidence.wanted, evidence.capacity.max(evidence.wanted));
    let worst = if error > 0 { state.worst.max(error.unsigned_abs()) } else { 0 };
    let next = FeedbackState { at: Some(evidence.now), missed, worst, margin, asked };
    (Some(Requirement { cpu, rule: RequirementRule::Feedback }), next)
}

/// The largest error beyond the dead band, in billionths; negative when all targets are met with room to spare. An indicator whose target
/// is zero has no ratio to it and is passed over.
fn worst_error(indicators: &[Indicator], settings: &FeedbackSettings) -> Option<i64> {
    let upper = log_ratio(1000 + u64::from(settings.tolerance_above.get()), 1000);
    let lower = log_ratio(1000_u64.saturating_sub(u64::from(settings.tolerance_below.get())), 1000);
    let error = |indicator: &Indicator| {
        let miss = log_ratio(indicator.current, indicator.target);
        if miss > upper { miss - upper } else { (miss - lower).min(0) }
    };
    indicators.iter().filter(|indicator| indicator.target > 0).map(error).max()
}

/// The numbers of one tick, CPU in millionths.
struct Tick<'a> {
    settings: &'a FeedbackSettings,
    now: Timestamp,
    /// Time since the last tick in microseconds.
    elapsed: u64,
    error: i64,
    wanted: u64,
    capacity: u64,
    /// More than this would not be used.
    usable: u64,
    asked: u64,
    held: u64,
}

impl<'a> Tick<'a> {
    fn of(evidence: &Evidence<'_>, settings: &'a FeedbackSettings, state: &FeedbackState, error: i64) -> Self {
        let millionths = |cpu: MilliCpu| cpu.get().saturating_mul(1000);
        let elapsed = state.at.map_or(Duration::ZERO, |at| evidence.now.since(at)).min(LONGEST);
        let wanted = millionths(evidence.wanted);
        let usable = match settings.in_use.get() {
            0 => u64::MAX,
            in_use => scaled(millionths(evidence.usage), 1000, u64::from(in_use)),
        };
        Self {
            settings,
            now: evidence.now,
            elapsed: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            error,
            wanted,
            capacity: millionths(evidence.capacity).max(wanted),
            usable,
            asked: state.asked,
            held: evidence.held.map_or(0, millionths),
        }
    }

    /// The margin while a target is missed.
    fn grown(&self, before: u64, worst: u64) -> u64 {
        let settings = self.settings;
        let error = self.error.unsigned_abs();
        let step = self.over_time(error, settings.protect).saturating_add(share_of(error.saturating_sub(worst), settings.protect_at_once));
        let reaches = |bound: u64| scaled(bound.saturating_sub(self.wanted), ONE, self.wanted);
        // More is in force than was asked for here, and that is too little as well: go there in the longest steps. What was asked for is
        // rounded up where it is in force.
        let hurried = match self.held >= self.asked.saturating_add(1000) {
            true => before.saturating_add(self.over_time(ONE, settings.rise_per_second)).min(reaches(self.held)),
            false => 0,
        };
        let largest = reaches(self.usable.min(self.capacity)).min(share_of(ONE, settings.largest_margin));
        before.saturating_add(step).max(hurried).min(largest).max(self.within(before))
    }

    /// The margin while none is missed.
    fn shrunk(&self, before: u64, missed: Option<Timestamp>) -> u64 {
        let waited = missed.is_none_or(|missed| self.now.since(missed) >= self.settings.give_back_after.get());
        let step = if waited { self.over_time(self.error.unsigned_abs(), self.settings.give_back) } else { 0 };
        self.within(before).saturating_sub(step)
    }

    /// The bound may have been set lower since the margin was learned.
    fn within(&self, margin: u64) -> u64 {
        margin.min(share_of(ONE, self.settings.largest_margin))
    }

    /// What is asked for with this margin.
    fn asked(&self, margin: u64) -> u64 {
        let target = self.wanted.saturating_add(scaled(self.wanted, margin, ONE));
        let in_force = self.asked.max(self.held);
        let highest = in_force.saturating_add(self.over_time(in_force, self.settings.rise_per_second));
        let lowest = self.asked.saturating_sub(self.over_time(self.asked, self.settings.fall_per_second));
        target.min(highest).max(lowest).clamp(self.wanted, self.capacity)
    }

    /// This share of an amount for every second since the last tick.
    fn over_time(&self, amount: u64, per_second: Permille) -> u64 {
        scaled(share_of(amount, per_second), self.elapsed, 1_000_000)
    }
}

fn share_of(amount: u64, share: Permille) -> u64 {
    scaled(amount, u64::from(share.get()), 1000)
}

/// `amount x numerator / denominator`, rounded down, at most the largest number.
fn scaled(amount: u64, numerator: u64, denominator: u64) -> u64 {
    let value = (u128::from(amount) * u128::from(numerator)).checked_div(u128::from(denominator));
    value.map_or(0, |value| u64::try_from(value).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod closed_loop;
#[cfg(test)]
mod tests;
