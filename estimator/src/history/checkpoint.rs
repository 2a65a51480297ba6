use super::minute::Minute;
use super::region::RegionHistory;
use super::settings::HistorySettings;
use super::store::{Remembered, Store};
use super::workload::WorkloadHistory;
use crate::region::Region;
use gleaner_model::{ContainerName, MilliCpu, Timestamp, WallTime, WorkloadName};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Histories of regions.
pub type Regions = Store<Region, RegionHistory>;
/// Histories of containers of workloads. A pod of which no workload is known has none.
pub type Workloads = Store<(WorkloadName, ContainerName), WorkloadHistory>;

/// All that is remembered beyond the life of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histories {
    /// Of regions.
    pub regions: Regions,
    /// Of containers of workloads.
    pub workloads: Workloads,
}

/// Histories as they are kept while no agent runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Of the format; [`Checkpoint::VERSION`] is what this program writes and reads.
    pub version: u32,
    /// When it was made, by the boot clock.
    pub at: Timestamp,
    /// The same by the calendar, where that was known.
    pub wall: Option<WallTime>,
    /// The histories.
    pub histories: Histories,
}

impl Checkpoint {
    /// The format that this program writes and reads.
    pub const VERSION: u32 = 1;
}

/// By more than this the two clocks do not differ within one boot, whole seconds of the calendar being rounded down.
const SAME: Duration = Duration::from_secs(5);

impl Histories {
    /// Adds a fresh reading of what a region uses; `basis` is the sum of its containers' requests.
    pub fn observe_region(
        &mut self,
        region: &Region,
        (at, wall): (Timestamp, Option<WallTime>),
        usage: MilliCpu,
        basis: MilliCpu,
        settings: &HistorySettings,
    ) {
        self.regions.add(region, at, settings.regions, settings.forget_after.get(), |history, at| {
            history.observe(at, wall, usage, basis, settings);
        });
    }

    /// Adds a minute of one replica of a workload, as [`ContainerTrack`](super::ContainerTrack) gives it.
    pub fn observe_workload(&mut self, key: &(WorkloadName, ContainerName), minute: &Minute, settings: &HistorySettings) {
        self.workloads.add(key, minute.at, settings.workloads, settings.forget_after.get(), |history, at| {
            history.observe(&Minute { at, ..*minute }, settings);
        });
    }

    /// A copy to be kept.
    #[must_use]
    pub fn save(&self, at: Timestamp, wall: Option<WallTime>) -> Checkpoint {
        Checkpoint { version: Checkpoint::VERSION, at, wall, histories: self.clone() }
    }

    /// Goes on from what was kept, after a pause that the calendar tells, or within one boot its clock. A calendar that stands before the checkpoint's tells of no
    /// pause, and neither does the boot clock when it does.
    #[must_use]
    pub fn restore(checkpoint: Checkpoint, at: Timestamp, wall: Option<WallTime>) -> Self {
        let boot = at.since(checkpoint.at);
        let pause = match (checkpoint.wall, wall) {
            (Some(then), Some(now)) if now.since(then).abs_diff(boot) > SAME => now.since(then),
            _ => boot,
        };
        let mut histories = checkpoint.histories;
        histories.regions.go_on(checkpoint.at, pause, at);
        histories.workloads.go_on(checkpoint.at, pause, at);
        histories
    }

    /// The last addition to any of them.
    #[must_use]
    pub fn last_seen(&self) -> Option<Timestamp> {
        let regions = self.regions.iter().map(|(_, history)| history.last_seen());
        regions.chain(self.workloads.iter().map(|(_, history)| history.last_seen())).max()
    }

    /// Bytes that they take, without what the maps of keys need.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let regions: usize = self.regions.iter().map(|(_, history)| history.bytes()).sum();
        regions + self.workloads.iter().map(|(_, history)| history.bytes()).sum::<usize>()
    }
}
