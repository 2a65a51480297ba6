//! How fast a pool changes its size.

use super::PoolSettings;
use gleaner_model::{MilliCpu, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The size that a pool has on its way, finer than CPUs: so a rate below one CPU a tick moves it too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ramp {
    at: Timestamp,
    level: MilliCpu,
}

impl Ramp {
    /// One step towards this size; a pool that is new begins there. A pause longer than `longest` counts as that long: nothing was watched in it.
    pub(crate) fn towards(before: Option<&Self>, target: u32, now: Timestamp, settings: &PoolSettings, longest: Duration) -> Self {
        let target = MilliCpu::from_cpus(target);
        let Some(Self { at, level }) = before.filter(|before| before.level != target) else { return Self { at: now, level: target } };
        let elapsed = now.since(*at).min(longest);
        let step = |rate: MilliCpu| rate.scaled(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), 1_000_000);
        let moved = if *level < target {
            settings.ramp_up.map_or(target, |rate| level.plus(step(rate)).min(target))
        } else {
            level.minus(step(settings.ramp_down)).max(target)
        };
        // Time that moved nothing is not lost, else a slow ramp would never move between near ticks.
        let at = if moved == *level { (*at).min(now) } else { now };
        Self { at, level: moved }
    }

    /// In whole CPUs.
    pub(crate) fn cpus(&self) -> u32 {
        self.level.ceil_cpus()
    }
}
