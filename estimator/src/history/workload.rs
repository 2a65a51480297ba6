use super::histogram::Histogram;
use super::minute::Minute;
use super::profile::{Expected, Profile};
use super::settings::HistorySettings;
use super::store::Remembered;
use gleaner_model::{MilliCpu, Timestamp, WallTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one container of a workload did before, in this and in earlier pods. Several replicas add to the same history, each as it is; so the figures are of
/// one replica, in milli-CPU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadHistory {
    first_wall: Option<WallTime>,
    last_wall: Option<WallTime>,
    last: Timestamp,
    histogram: Histogram,
    profile: Profile,
}

impl WorkloadHistory {
    /// Adds what a minute of one replica was like, as [`ContainerTrack`](super::ContainerTrack) gives it.
    pub fn observe(&mut self, minute: &Minute, settings: &HistorySettings) {
        self.last = self.last.max(minute.at);
        self.first_wall = self.first_wall.or(minute.wall);
        self.last_wall = minute.wall.or(self.last_wall);
        self.histogram.fit(settings.histogram_buckets(), settings.half_life.get());
        self.histogram.add(minute.peak, minute.at);
        self.profile.add(minute, settings);
    }

    /// What at least this many hundred-thousandths of the minutes did not exceed, the older a minute the less it counts.
    #[must_use]
    pub fn quantile(&self, per_100_000: u32) -> Option<MilliCpu> {
        self.histogram.quantile(per_100_000).map(|value| MilliCpu::new(u64::from(value)))
    }

    /// What is expected from a moment on for this long, from days before; `None` when a part of it was never seen.
    #[must_use]
    pub fn expected(&self, from: WallTime, horizon: Duration) -> Option<Expected<MilliCpu>> {
        let Expected { peak, mean, days } = self.profile.expect(from, horizon)?;
        Some(Expected { peak: MilliCpu::new(u64::from(peak)), mean: MilliCpu::new(u64::from(mean)), days })
    }

    /// For how long some replica was observed, all in all; pauses do not count.
    #[must_use]
    pub fn span_observed(&self) -> Duration {
        self.histogram.observed_for()
    }

    /// Its day; the values are milli-CPU.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// When it was first and last seen, where the calendar was known.
    #[must_use]
    pub fn seen(&self) -> Option<(WallTime, WallTime)> {
        self.first_wall.zip(self.last_wall)
    }

    /// Bytes that it takes, those on the heap too.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.histogram.heap_bytes() + self.profile.heap_bytes()
    }
}

impl Remembered for WorkloadHistory {
    fn last_seen(&self) -> Timestamp {
        self.last
    }

    fn compact(&mut self) {
        self.histogram.compact();
        self.profile.compact();
    }
}
