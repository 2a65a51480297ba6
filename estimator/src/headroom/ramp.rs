//! Falls at once, rises by a bounded step.

use crate::policy::Policy;
use gleaner_model::{MilliCpu, Permille, ReclaimRule, Timestamp};
use std::time::Duration;

/// What is lent of a target: all of it where that is less than the last figure, else what the last figure may have risen to, from nothing where
/// there is none. `last` is that figure and its moment; the step is a share of `capacity`.
#[must_use]
pub fn settle(target: MilliCpu, last: Option<(MilliCpu, Timestamp)>, capacity: MilliCpu, policy: &Policy, now: Timestamp) -> MilliCpu {
    target.min(MilliCpu::new(risen(last.map(|(figure, at)| (figure.get(), at)), capacity.get(), policy, now)))
}

/// What a figure may have risen to by now. A pause longer than a reading stays fresh is credited for only that long: nothing was watched in it.
pub(super) fn risen(last: Option<(u64, Timestamp)>, capacity: u64, policy: &Policy, now: Timestamp) -> u64 {
    last.map_or(0, |(figure, at)| figure.saturating_add(step(capacity, policy.rise_per_second, watched(at, now, policy))))
}

/// For how long something was watched that was looked at last at `then`.
pub(super) fn watched(then: Timestamp, now: Timestamp, policy: &Policy) -> Duration {
    now.since(then).min(policy.stale_after.get())
}

/// A share of the capacity for each second, rounded down.
pub(super) fn step(capacity: u64, per_second: Permille, time: Duration) -> u64 {
    // Thousandths of a share times microseconds of a second.
    const UNITS: u128 = 1000 * 1_000_000;
    let step = u128::from(capacity).saturating_mul(u128::from(per_second.get())).saturating_mul(time.as_micros()) / UNITS;
    u64::try_from(step).unwrap_or(u64::MAX)
}

/// The highest that a figure may be now, whatever is left, and the rule that says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Top {
    pub(super) at: u64,
    pub(super) rule: ReclaimRule,
}

impl Top {
    /// That of the slow rise.
    pub(super) fn rising(last: Option<(u64, Timestamp)>, capacity: u64, policy: &Policy, now: Timestamp) -> Self {
        Self { at: risen(last, capacity, policy, now), rule: ReclaimRule::SlowRise }
    }

    /// The least of all bounds, and its rule. What is not known lends nothing.
    pub(super) fn choose(self, lend: bool, known: bool, left: u64, free: u64) -> (u64, ReclaimRule) {
        let target = left.min(free);
        if !known {
            (0, ReclaimRule::Unknown)
        } else if !lend {
            (0, ReclaimRule::Off)
        } else if target > self.at {
            (self.at, self.rule)
        } else if free < left {
            (free, ReclaimRule::Free)
        } else {
            (left, ReclaimRule::Demand)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gleaner_model::Span;

    #[test]
    fn a_figure_falls_at_once_and_rises_by_a_bounded_step() {
        let policy = Policy { rise_per_second: Permille::new(20), stale_after: Span::from_secs(10), ..Policy::default() };
        let at = |second| Timestamp::since_boot(Duration::from_secs(second));
        let table = [
            ("the first figure is nothing", 5000, None, 0),
            ("a fall is whole", 1000, Some((4000, 99)), 1000),
            ("a rise is a step", 9000, Some((4000, 99)), 4200),
            ("a rise of less than a step is whole", 4100, Some((4000, 99)), 4100),
            ("a long pause counts as staleAfter", 9000, Some((4000, 1)), 6000),
            ("a clock that ran backwards gives no step", 9000, Some((4000, 200)), 4000),
            ("the same moment gives no step", 9000, Some((4000, 100)), 4000),
        ];
        for (name, target, last, expected) in table {
            let last = last.map(|(figure, second)| (MilliCpu::new(figure), at(second)));
            let given = settle(MilliCpu::new(target), last, MilliCpu::new(10_000), &policy, at(100));
            assert_eq!(given, MilliCpu::new(expected), "{name}: {target} after {last:?}");
        }
    }
}
