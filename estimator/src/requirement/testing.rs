//! Evidence for tests of policies.

use crate::history::{HistorySettings, Minute, RegionHistory, WorkloadHistory};
use crate::requirement::{Evidence, Member};
use gleaner_model::{MilliCpu, Timestamp, WallTime};
use std::time::Duration;

pub(crate) fn milli(cpu: u64) -> MilliCpu {
    MilliCpu::new(cpu)
}

/// A container of which only the request is known.
pub(crate) fn member(request: Option<u64>) -> Member<'static> {
    Member { request: request.map(milli), limit: None, usage: None, load: None, age: Duration::from_secs(3600), history: None, like: None }
}

/// A region of these containers on ten CPUs, without figures beside theirs.
pub(crate) fn evidence<'a>(members: &'a [Member<'a>], history: &'a RegionHistory) -> Evidence<'a> {
    Evidence {
        now: Timestamp::since_boot(Duration::from_secs(1000)),
        wall: None,
        capacity: MilliCpu::from_cpus(10),
        requested: members.iter().filter_map(|member| member.request).sum(),
        members,
        usage: members.iter().filter_map(|member| member.usage).sum(),
        wanted: MilliCpu::ZERO,
        history,
        indicators: &[],
        held: None,
    }
}

/// A Tuesday at noon, the moment that histories of tests end at.
pub(crate) const fn tuesday() -> WallTime {
    WallTime::from_unix(1_704_196_800)
}

/// The readings of stretches, each so many minutes ago, for so many minutes, one a minute of this much.
fn readings(stretches: &[(u64, u64, u64)]) -> impl Iterator<Item = (Timestamp, WallTime, u64)> {
    const END: u64 = 10_000;
    let of = |(ago, long, value): (u64, u64, u64)| (0..long).map(move |minute| (END - ago + minute, value));
    stretches.iter().copied().flat_map(of).map(|(minute, value)| {
        let wall = WallTime::from_unix(tuesday().unix() - END * 60 + minute * 60);
        (Timestamp::since_boot(Duration::from_secs(minute * 60)), wall, value)
    })
}

/// A region that requests one CPU.
pub(crate) fn of_region(stretches: &[(u64, u64, u64)]) -> RegionHistory {
    let mut history = RegionHistory::default();
    for (at, wall, value) in readings(stretches) {
        history.observe(at, Some(wall), milli(value), milli(1000), &HistorySettings::default());
    }
    history
}

/// A container of a workload.
pub(crate) fn of_workload(stretches: &[(u64, u64, u64)]) -> WorkloadHistory {
    let mut history = WorkloadHistory::default();
    for (at, wall, value) in readings(stretches) {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        history.observe(&Minute { at, wall: Some(wall), peak: value, mean: value }, &HistorySettings::default());
    }
    history
}
