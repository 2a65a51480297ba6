//! What a policy lent and risked, from a series of intervals of uneven length, by the simulator's definitions. The one place where a figure of merit of a
//! replay is made.
//!
//! An interval lies between two samples. In it holds the promise that was published before its end was measured, so the delay from a sample to what is made
//! of it counts against the policy: `demand` is what the others used in the interval, and `promise` what was lent meanwhile.

use gleaner_model::{MilliCpu, Permille};
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// What is the same for all policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    /// How long it is.
    pub(crate) length: Duration,
    /// CPU that everything but reclaimed pods used in it.
    pub(crate) demand: MilliCpu,
    /// The capacity less the reserve.
    pub(crate) room: MilliCpu,
}

/// What one policy did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Score {
    /// Lent on average. What was promised beyond what was free was not lent.
    pub(crate) mean_lent_cpu: f64,
    /// Lent, over time.
    pub(crate) lent_cpu_hours: f64,
    /// That over what could have been lent by somebody who knew the peak demand until the horizon, in percent; `None` when that is nothing.
    pub(crate) of_clairvoyant: Option<f64>,
    /// Time in which more was promised than the demand left of the room.
    pub(crate) violation_seconds: f64,
    /// The deepest fall of the promise within [`CUT_WITHIN`], in CPUs.
    pub(crate) worst_cut_cpu: f64,
    /// How often the promise differed by more than a hundredth of the room from what it was at the change before.
    pub(crate) changes_per_hour: f64,
}

const HOUR: f64 = 3600.0;

/// A cut is the fall of the promise within this time.
const CUT_WITHIN: Duration = Duration::from_secs(60);

/// Scores promises, one for each interval.
#[must_use]
pub(crate) fn score(intervals: &[Interval], promises: &[MilliCpu], horizon: Duration) -> Score {
    let pairs = || intervals.iter().zip(promises);
    let seconds: f64 = intervals.iter().map(|interval| interval.length.as_secs_f64()).sum();
    let free = |interval: &Interval| interval.room.minus(interval.demand);
    let lent: f64 = pairs().map(|(interval, promise)| cpus(free(interval).min(*promise)) * interval.length.as_secs_f64()).sum();
    let possible: f64 = clairvoyant(intervals, horizon).iter().zip(intervals).map(|(p, i)| cpus(*p) * i.length.as_secs_f64()).sum();
    let broken = pairs().filter(|(interval, promise)| **promise > free(interval));
    let per_second = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
    Score {
        mean_lent_cpu: per_second(lent),
        lent_cpu_hours: lent / HOUR,
        of_clairvoyant: (possible > 0.0).then(|| lent / possible * 100.0),
        // Not `sum`, whose empty result is -0.
        violation_seconds: broken.map(|(interval, _)| interval.length.as_secs_f64()).fold(0.0, |sum, length| sum + length),
        worst_cut_cpu: cpus(worst_cut(intervals, promises)),
        changes_per_hour: per_second(f64::from(changes(intervals, promises))) * HOUR,
    }
}

fn worst_cut(intervals: &[Interval], promises: &[MilliCpu]) -> MilliCpu {
    // Promises of the last while that are higher than all after them, the oldest and highest in front.
    let mut highest: VecDeque<(Duration, MilliCpu)> = VecDeque::new();
    let (mut now, mut worst) = (Duration::ZERO, MilliCpu::ZERO);
    for (interval, promise) in intervals.iter().zip(promises) {
        while highest.front().is_some_and(|(at, _)| now.saturating_sub(*at) > CUT_WITHIN) {
            highest.pop_front();
        }
        if let Some((_, before)) = highest.front() {
            worst = worst.max(before.minus(*promise));
        }
        while highest.back().is_some_and(|(_, before)| before <= promise) {
            highest.pop_back();
        }
        highest.push_back((now, *promise));
        now = now.saturating_add(interval.length);
    }
    worst
}

fn changes(intervals: &[Interval], promises: &[MilliCpu]) -> u32 {
    let mut settled = promises.first().copied().unwrap_or_default();
    let mut changes = 0u32;
    for (interval, promise) in intervals.iter().zip(promises) {
        let moved = settled.minus(*promise).max(promise.minus(settled));
        if moved > interval.room.share(Permille::new(10)) {
            changes = changes.saturating_add(1);
            settled = *promise;
        }
    }
    changes
}

/// What could have been promised in each interval so that the demand never met it until the horizon, or the end of the record.
fn clairvoyant(intervals: &[Interval], horizon: Duration) -> Vec<MilliCpu> {
    let mut begin = Duration::ZERO;
    let begins: Vec<Duration> = intervals
        .iter()
        .map(|interval| {
            let this = begin;
            begin = begin.saturating_add(interval.length);
            this
        })
        .collect();
    // Intervals ahead that are higher than all before them, the nearest and lowest in front.
    let mut peaks: VecDeque<(Duration, MilliCpu)> = VecDeque::new();
    let mut lendable: Vec<MilliCpu> = Vec::with_capacity(intervals.len());
    for (interval, begin) in intervals.iter().zip(&begins).rev() {
        while peaks.front().is_some_and(|(_, demand)| *demand <= interval.demand) {
            peaks.pop_front();
        }
        peaks.push_front((*begin, interval.demand));
        let end = begin.saturating_add(horizon);
        while peaks.len() > 1 && peaks.back().is_some_and(|(begin, _)| *begin >= end) {
            peaks.pop_back();
        }
        let peak = peaks.back().map_or(interval.demand, |(_, demand)| *demand);
        lendable.push(interval.room.minus(peak));
    }
    lendable.reverse();
    lendable
}

#[allow(clippy::cast_precision_loss, reason = "amounts of CPU are far below 2^52")]
fn cpus(amount: MilliCpu) -> f64 {
    amount.get() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
