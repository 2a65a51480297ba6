use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment by the calendar, in whole seconds since 1970 UTC. It can be set, so it may jump; what is measured by it is only what has to outlive a boot or
/// depends on the hour of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(u64);

const DAY: u64 = 24 * 3600;
/// 1970-01-01 was a Thursday.
const FIRST_WEEKDAY: u64 = 3;

impl WallTime {
    /// This many seconds after 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn from_unix(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// The moment `span` later, in whole seconds.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()))
    }

    /// Seconds since midnight UTC.
    #[must_use]
    pub const fn second_of_day(self) -> u64 {
        self.0 % DAY
    }

    /// Days since Monday, UTC: 5 and 6 are the weekend.
    #[must_use]
    pub const fn weekday(self) -> u64 {
        (self.0 / DAY + FIRST_WEEKDAY) % 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_its_weekday_and_its_second_of_the_day() {
        // `date -u -d @N +"%u %T"` minus one.
        let table = [(0, 3, 0), (345_600, 0, 0), (1_700_000_000, 1, 80_000), (1_700_438_399, 6, 86_399), (1_700_438_400, 0, 0)];
        for (unix, weekday, second) in table {
            let at = WallTime::from_unix(unix);
            assert_eq!((at.weekday(), at.second_of_day()), (weekday, second), "{unix}");
        }
    }
}
