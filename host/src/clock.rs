//! The one place that asks what time it is.

use gleaner_model::{Timestamp, WallTime};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Time since boot, suspended time included.
#[must_use]
pub fn now() -> Timestamp {
    // CLOCK_BOOTTIME exists since Linux 2.6.39; the call has no other way to fail.
    let elapsed = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    Timestamp::since_boot(elapsed)
}

/// The time by the calendar; `None` when the clock stands before 1970.
#[must_use]
pub fn wall() -> Option<WallTime> {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).ok()?;
    u64::try_from(now.tv_sec()).ok().map(WallTime::from_unix)
}
