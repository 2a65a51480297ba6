//! What is remembered of regions and workloads: bounded, in integers, and checkpointed.
//!
//! - [`Ring`]: the last values, with holes where nothing was measured.
//! - [`Histogram`]: how often which value, the older the less.
//! - [`Profile`]: peak and mean of each part of a workday and of a day of the weekend.
//! - [`RegionHistory`] and [`WorkloadHistory`] are made of these; [`ContainerTrack`] is what is known of a living container only.
//!
//! # Clocks
//! Everything but the profile lives on *history time*: the boot clock, plus an offset that [`Histories::restore`] chooses so that the time goes on where
//! the last agent left it, a pause added. So nothing that is remembered must be converted, and setting the calendar's clock does no harm.
//! The profile alone follows the calendar, in UTC.
//!
//! # Memory
//! Bytes at most, the place in a map included, the allocator's own overhead and the text of names aside. With `s` = `seconds`, `m` = `minutes`, `b` = `buckets`, and `p` = 24 h / `slot` (48):
//!
//! | what | bytes | by default |
//! |---|---|---|
//! | a region | 580 + 4 s + 8 m + 4 b + 24 p | 14.4 KB |
//! | one container of a workload | 360 + 4 b + 24 p | 2.2 KB |
//! | a living container | 240 | 240 B |
//!
//! A histogram has room only up to the largest bucket that it needed, and a profile only for the kinds of days that it saw, so most are smaller.

mod checkpoint;
mod histogram;
mod minute;
mod power;
mod profile;
mod region;
mod ring;
mod settings;
mod store;
mod track;
mod workload;

pub use checkpoint::{Checkpoint, Histories, Regions, Workloads};
pub use histogram::{Buckets, Histogram};
pub use minute::Minute;
pub use profile::{Expected, Profile};
pub use region::RegionHistory;
pub use ring::Ring;
pub use settings::HistorySettings;
pub use store::{Remembered, Store};
pub use track::ContainerTrack;
pub use workload::WorkloadHistory;

use gleaner_model::Timestamp;
use std::time::Duration;

/// Whole milliseconds, saturating.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Which span of this length since the beginning of history time a moment lies in.
fn nth(at: Timestamp, length: Duration) -> u64 {
    millis(at.elapsed()) / millis(length).max(1)
}

fn saturated(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
