//! Evidence for tests of policies.

use crate::history::RegionHistory;
use crate::requirement::{Evidence, Member};
use gleaner_model::{MilliCpu, Timestamp};
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
