use super::minute::{MINUTE, Minute};
use super::settings::HistorySettings;
use super::{nth, saturated};
use gleaner_model::{Timestamp, WallTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Further ahead than a week nothing new comes.
const FURTHEST: Duration = Duration::from_secs(7 * DAY);
/// By more than this the two clocks never drift apart between two minutes: one of them was set.
const STEP: Duration = Duration::from_secs(5);
/// The least part of a slot, in percent, that must have been seen for the slot to count: the peak of a few minutes says little of the rest.
const COVERED: u64 = 50;

/// What is expected in a span of time to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected<Q> {
    /// The largest of the slots' peaks.
    pub peak: Q,
    /// The mean of the slots' means.
    pub mean: Q,
    /// How many days each of the slots was seen on, at least.
    pub days: u32,
}

/// Peak and mean of each slot of a workday and of a day of the weekend, by the calendar in UTC, damped over days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Of a slot, in seconds.
    length: u64,
    open: Option<Open>,
    /// Slots of workdays, and of the weekend; empty while no slot of the kind was seen.
    kinds: [Vec<Cell>; 2],
}

/// The slot that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    at: Timestamp,
    wall: WallTime,
    peak: u32,
    /// How many minutes of it had readings.
    covered: u64,
    sum: u64,
    count: u64,
}

/// What a slot was like on the days before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u32; 3]", into = "[u32; 3]")]
struct Cell {
    peak: u32,
    mean: u32,
    days: u32,
}

impl From<[u32; 3]> for Cell {
    fn from([peak, mean, days]: [u32; 3]) -> Self {
        Self { peak, mean, days }
    }
}

impl From<Cell> for [u32; 3] {
    fn from(Cell { peak, mean, days }: Cell) -> Self {
        [peak, mean, days]
    }
}

impl Profile {
    /// Adds what a minute was like. A slot is recorded when the next one begins and at least half of it was seen. When the calendar's clock was set in between,
    /// the open slot is dropped: nobody knows how much of it was seen. A minute without a calendar changes nothing.
    pub fn add(&mut self, minute: &Minute, settings: &HistorySettings) {
        let length = settings.slot.get().as_secs();
        if self.length != length {
            *self = Self { length, ..Self::default() };
        }
        let Some(wall) = minute.wall else { return };
        let open = match self.open.take() {
            None => None,
            Some(open) if stepped(&open, minute.at, wall) => None,
            // Of a replica that was not measured for a while, and its slot is recorded already.
            Some(open) if self.slot(wall) < self.slot(open.wall) => {
                self.open = Some(open);
                return;
            }
            Some(open) if self.slot(wall) > self.slot(open.wall) => {
                self.close(&open, settings);
                None
            }
            open => open,
        };
        let (peak, covered, sum, count) = open.map_or((0, 0, 0, 0), |open| (open.peak, open.covered, open.sum, open.count));
        // Replicas of one workload add the same minute each.
        let another = open.is_none_or(|open| nth(minute.at, MINUTE) > nth(open.at, MINUTE));
        let (at, wall) = open.filter(|open| open.at > minute.at).map_or((minute.at, wall), |open| (open.at, open.wall));
        self.open = Some(Open {
            at,
            wall,
            peak: peak.max(minute.peak),
            covered: covered.saturating_add(u64::from(another)),
            sum: sum.saturating_add(u64::from(minute.mean)),
            count: count.saturating_add(1),
        });
    }

    fn close(&mut self, open: &Open, settings: &HistorySettings) {
        let mean = open.sum.checked_div(open.count).map(saturated);
        if let Some(mean) = mean.filter(|_| open.covered.saturating_mul(60 * 100) >= self.length.saturating_mul(COVERED)) {
            self.observe(open.wall, open.peak, mean, settings);
        }
    }

    /// Records a whole slot: the one that the moment lies in.
    pub fn observe(&mut self, wall: WallTime, peak: u32, mean: u32, settings: &HistorySettings) {
        let length = settings.slot.get().as_secs();
        if self.length != length {
            *self = Self { length, ..Self::default() };
        }
        let (kind, index, slots) = (kind(wall), self.index(wall), self.slots());
        let Some(cells) = self.kinds.get_mut(kind) else { return };
        if cells.len() != slots {
            *cells = vec![Cell::default(); slots];
        }
        let Some(cell) = cells.get_mut(index) else { return };
        *cell = match *cell {
            Cell { days: 0, .. } => Cell { peak, mean, days: 1 },
            old => Cell {
                peak: if peak >= old.peak { peak } else { toward(old.peak, peak, settings.peak_fade.get()) },
                mean: toward(old.mean, mean, settings.day_weight.get()),
                days: old.days.saturating_add(1),
            },
        };
    }

    /// What is expected from a moment on for this long (the moment's own slot at least, a week at most); `None` when one of the slots was never seen.
    #[must_use]
    pub fn expect(&self, from: WallTime, horizon: Duration) -> Option<Expected<u32>> {
        let (first, end) = (self.slot(from)?, from.after(horizon.min(FURTHEST)));
        // A span that ends where a slot begins does not touch it.
        let last = self.slot(WallTime::from_unix(end.unix().saturating_sub(1)))?.max(first);
        let (mut peak, mut sum, mut count, mut days) = (0, 0_u64, 0_u64, u32::MAX);
        for slot in first..=last {
            let cell = self.cell(WallTime::from_unix(slot.saturating_mul(self.length)))?;
            (peak, sum, count, days) = (peak.max(cell.peak), sum + u64::from(cell.mean), count + 1, days.min(cell.days));
        }
        sum.checked_div(count).map(|mean| Expected { peak, mean: saturated(mean), days })
    }

    /// Each hour of the day, on workdays, or at the weekend while no workday was seen; a hole while one of its slots was never seen.
    #[must_use]
    pub fn hours(&self) -> [Option<Expected<u32>>; 24] {
        let mut hours = [None; 24];
        let kind = self.kinds.iter().find(|cells| cells.iter().any(|cell| cell.days > 0));
        let (Some(cells), Some(an_hour)) = (kind, HOUR.checked_div(self.length)) else { return hours };
        for (hour, cells) in hours.iter_mut().zip(cells.chunks_exact(usize::try_from(an_hour).unwrap_or(usize::MAX).max(1))) {
            let days = cells.iter().map(|cell| cell.days).min().filter(|days| *days > 0);
            let sum: u64 = cells.iter().map(|cell| u64::from(cell.mean)).sum();
            let peak = cells.iter().map(|cell| cell.peak).max().unwrap_or(0);
            *hour = days.map(|days| Expected { peak, mean: saturated(sum.checked_div(an_hour).unwrap_or(0)), days });
        }
        hours
    }

    /// On how many days the best known slot was seen.
    #[must_use]
    pub fn days(&self) -> u32 {
        self.kinds.iter().flatten().map(|cell| cell.days).max().unwrap_or(0)
    }

    /// Gives back memory that it does not need now.
    pub(super) fn compact(&mut self) {
        self.kinds.iter_mut().for_each(Vec::shrink_to_fit);
    }

    /// Bytes beyond the value's own size.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.kinds.iter().map(|cells| cells.capacity() * size_of::<Cell>()).sum()
    }

    fn slot(&self, wall: WallTime) -> Option<u64> {
        wall.unix().checked_div(self.length)
    }

    fn index(&self, wall: WallTime) -> usize {
        wall.second_of_day().checked_div(self.length).and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX)
    }

    fn slots(&self) -> usize {
        DAY.checked_div(self.length).and_then(|slots| usize::try_from(slots).ok()).unwrap_or(0)
    }

    fn cell(&self, wall: WallTime) -> Option<Cell> {
        self.kinds.get(kind(wall))?.get(self.index(wall)).copied().filter(|cell| cell.days > 0)
    }
}

/// 1 on Saturday and Sunday.
fn kind(wall: WallTime) -> usize {
    usize::from(wall.weekday() >= 5)
}

fn stepped(open: &Open, at: Timestamp, wall: WallTime) -> bool {
    // A replica may tell of the same moments a little later than another one.
    let (boot, calendar) = (at.since(open.at), wall.since(open.wall));
    let (boot_back, calendar_back) = (open.at.since(at), open.wall.since(wall));
    boot.abs_diff(calendar) > STEP || boot_back.abs_diff(calendar_back) > STEP
}

/// From `old` by this many thousandths of the way to `new`; at least by one, so that it arrives.
fn toward(old: u32, new: u32, thousandths: u32) -> u32 {
    let thousandths = u64::from(thousandths.min(1000));
    let step = saturated((u64::from(old.abs_diff(new)) * thousandths).div_ceil(1000));
    if new >= old { old.saturating_add(step) } else { old.saturating_sub(step) }
}
