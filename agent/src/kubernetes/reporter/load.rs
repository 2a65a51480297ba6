//! Load with hysteresis: told when it has lasted, taken back when it is over for long enough, so that taints do not flicker.

use crate::kubernetes::{Load, ReportSettings};
use gleaner_model::{Span, Timestamp};

/// One statement that follows a reading slowly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flag {
    told: bool,
    /// Since when the reading says otherwise.
    otherwise: Option<Timestamp>,
}

impl Flag {
    fn next(self, reading: bool, now: Timestamp, on_after: Span, off_after: Span) -> Self {
        if reading == self.told {
            return Self { told: self.told, otherwise: None };
        }
        let since = self.otherwise.unwrap_or(now);
        let after = if reading { on_after } else { off_after };
        if now.since(since) >= after.get() {
            Self { told: reading, otherwise: None }
        } else {
            Self { told: self.told, otherwise: Some(since) }
        }
    }

    fn due(self, reading: bool, on_after: Span, off_after: Span) -> Option<Timestamp> {
        self.otherwise.filter(|_| reading != self.told).map(|since| since.after(if reading { on_after } else { off_after }.get()))
    }
}

/// What is told of the node's load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Loads {
    memory: Flag,
    cpu: Flag,
}

impl Loads {
    /// With one more reading.
    pub(crate) fn next(self, reading: Load, now: Timestamp, settings: &ReportSettings) -> Self {
        let step = |flag: Flag, reading| flag.next(reading, now, settings.load_after, settings.load_over_after);
        Self { memory: step(self.memory, reading.memory_short), cpu: step(self.cpu, reading.cpu_suppressed) }
    }

    /// When something else is told if the reading stays as it is.
    pub(crate) fn due(self, reading: Load, settings: &ReportSettings) -> Option<Timestamp> {
        let due = |flag: Flag, reading| flag.due(reading, settings.load_after, settings.load_over_after);
        [due(self.memory, reading.memory_short), due(self.cpu, reading.cpu_suppressed)].into_iter().flatten().min()
    }

    /// What is told now.
    pub(crate) const fn told(self) -> Load {
        Load { memory_short: self.memory.told, cpu_suppressed: self.cpu.told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SHORT: Load = Load { memory_short: true, cpu_suppressed: false };
    const NONE: Load = Load { memory_short: false, cpu_suppressed: false };

    /// What is told after each of the readings, one a second.
    fn told(readings: &[(Load, u64)]) -> Vec<bool> {
        let settings = ReportSettings::default();
        let seconds = readings.iter().flat_map(|(load, count)| std::iter::repeat_n(*load, usize::try_from(*count).unwrap_or(0)));
        let mut loads = Loads::default();
        let mut all = Vec::new();
        for (second, load) in (0..).zip(seconds) {
            loads = loads.next(load, Timestamp::since_boot(Duration::from_secs(second)), &settings);
            all.push(loads.told().memory_short);
        }
        all
    }

    #[test]
    fn a_load_is_told_when_it_has_lasted() {
        assert_eq!(told(&[(SHORT, 12)]).iter().position(|told| *told), Some(10));
    }

    #[test]
    fn a_load_that_comes_and_goes_is_never_told() {
        let told = told(&[(SHORT, 9), (NONE, 1), (SHORT, 9), (NONE, 1), (SHORT, 9)]);
        assert!(told.iter().all(|told| !told), "{told:?}");
    }

    #[test]
    fn a_load_is_taken_back_when_it_is_over_for_long_enough() {
        let told = told(&[(SHORT, 11), (NONE, 119), (SHORT, 1), (NONE, 122)]);
        assert_eq!(told.iter().rposition(|told| *told), Some(11 + 119 + 1 + 119), "{told:?}");
    }
}
