use super::{nth, saturated};
use gleaner_model::{Timestamp, WallTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// What was measured in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// The last reading in it.
    pub at: Timestamp,
    /// The same by the calendar, where that is known.
    pub wall: Option<WallTime>,
    /// The largest reading.
    pub peak: u32,
    /// The mean of the readings.
    pub mean: u32,
}

/// A minute that may still get readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenMinute {
    at: Timestamp,
    wall: Option<WallTime>,
    peak: u32,
    readings: u32,
    sum: u64,
}

impl OpenMinute {
    /// Adds a reading; gives the minute before when this is the first of another. A moment before the last reading's counts as that.
    pub(super) fn observe(&mut self, at: Timestamp, wall: Option<WallTime>, value: u32) -> Option<Minute> {
        let at = if self.readings == 0 { at } else { at.max(self.at) };
        let done = if nth(at, MINUTE) == nth(self.at, MINUTE) { None } else { self.close() };
        if done.is_some() {
            *self = Self::default();
        }
        *self = Self {
            at,
            wall,
            peak: self.peak.max(value),
            readings: self.readings.saturating_add(1),
            sum: self.sum.saturating_add(u64::from(value)),
        };
        done
    }

    /// The largest reading so far.
    pub(super) fn peak(&self) -> Option<u32> {
        (self.readings > 0).then_some(self.peak)
    }

    fn close(&self) -> Option<Minute> {
        let mean = self.sum.checked_div(u64::from(self.readings))?;
        Some(Minute { at: self.at, wall: self.wall, peak: self.peak, mean: saturated(mean) })
    }
}
