use super::minute::{Minute, OpenMinute};
use super::power::{ONE, halved, quotient};
use super::saturated;
use gleaner_model::{MilliCpu, Timestamp, WallTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `60 s x ln 2` and `300 s x ln 2`: a load that is damped by `e^-(t / 60 s)` halves in the first of these.
const HALF_LIVES: [Duration; 2] = [Duration::from_millis(41_589), Duration::from_millis(207_944)];
/// Bits after the point of a damped load.
const POINT: u32 = 20;

/// What is known of a living container: since when, its damped loads, and the minute that goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerTrack {
    first: Option<Timestamp>,
    last: Timestamp,
    /// Milli-CPU, with [`POINT`] bits after the point.
    loads: [u64; 2],
    minute: OpenMinute,
}

impl ContainerTrack {
    /// Adds a reading: what the container used, and for how much more it waited. Gives the minute before when this is the first of another; it is for the
    /// history of the workload.
    ///
    /// The loads are damped exponentially over 1 and 5 minutes, as the kernel's load averages are (`kernel/sched/loadavg.c`), but begin with the first reading and
    /// not with zero. Any interval is fine. A reading above what the machine has, as after a counter that was reset, is for the caller to cap: nothing here knows
    /// the machine.
    pub fn observe(&mut self, at: Timestamp, wall: Option<WallTime>, used: MilliCpu, waited: MilliCpu) -> Option<Minute> {
        let load = u64::from(saturated(used.plus(waited).get())) << POINT;
        let since = at.since(self.last);
        for (held, half_life) in self.loads.iter_mut().zip(HALF_LIVES) {
            *held = if self.first.is_none() { load } else { damped(*held, load, halved(quotient(since, half_life))) };
        }
        self.last = if self.first.is_none() { at } else { self.last.max(at) };
        self.first.get_or_insert(at);
        self.minute.observe(at, wall, saturated(used.get()))
    }

    /// Damped averages over 1 and 5 minutes of the CPU that it used and waited for; `None` before the first reading.
    #[must_use]
    pub fn loads(&self) -> Option<[MilliCpu; 2]> {
        let rounded = |load: u64| MilliCpu::new(load.saturating_add(1 << (POINT - 1)) >> POINT);
        self.first.map(|_| self.loads.map(rounded))
    }

    /// The first reading.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.first
    }

    /// For how long it is watched.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Duration {
        self.first.map_or(Duration::ZERO, |first| now.since(first))
    }
}

/// `new + (old - new) x keep`.
fn damped(old: u64, new: u64, keep: u64) -> u64 {
    let part = |difference: u64| u64::try_from((u128::from(difference) * u128::from(keep.min(ONE))) >> 32).unwrap_or(0);
    if old >= new { new + part(old - new) } else { new - part(new - old) }
}
