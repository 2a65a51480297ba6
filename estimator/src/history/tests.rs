#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]

mod bytes;
mod checkpoint;
mod histogram;
mod profile;
mod region;
mod ring;
mod store;
mod track;

use super::*;
use gleaner_model::{ContainerName, MilliCpu, WallTime, WorkloadName};

/// Monday 2023-11-13 00:00 UTC.
const MONDAY: u64 = 1_699_833_600;
const DAY: u64 = 86_400;

fn at(second: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(second))
}

fn wall(second: u64) -> WallTime {
    WallTime::from_unix(MONDAY + second)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn cpu(milli: u64) -> MilliCpu {
    MilliCpu::new(milli)
}

fn key(number: u32) -> (WorkloadName, ContainerName) {
    (format!("ns/Deployment/web-{number}").parse().unwrap(), "main".parse().unwrap())
}

/// A minute that ends at this second, by a calendar that agrees with the boot clock.
fn minute(second: u64, peak: u32, mean: u32) -> Minute {
    Minute { at: at(second), wall: Some(wall(second)), peak, mean }
}
