use super::histogram::Histogram;
use super::minute::{MINUTE, OpenMinute};
use super::profile::{Expected, Profile};
use super::ring::Ring;
use super::settings::HistorySettings;
use super::store::Remembered;
use gleaner_model::{MilliCpu, Timestamp, WallTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// The unit that use is remembered in: this part of the basis.
const PARTS: u64 = 10_000;

/// What a region did before. All of it is remembered relative to the region's *basis*, the sum of its containers' requests (one CPU at least): what five
/// replicas did is told for six as a fifth more. Figures are rounded up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionHistory {
    first: Option<Timestamp>,
    last: Timestamp,
    seconds: Ring,
    minute: OpenMinute,
    peaks: Ring,
    means: Ring,
    histogram: Histogram,
    profile: Profile,
}

impl RegionHistory {
    /// Adds a fresh reading of what the region uses, at any interval. A moment before the last reading's counts as that.
    pub fn observe(&mut self, at: Timestamp, wall: Option<WallTime>, usage: MilliCpu, basis: MilliCpu, settings: &HistorySettings) {
        let at = if self.first.is_some() { at.max(self.last) } else { at };
        self.first.get_or_insert(at);
        self.last = at;
        let value = relative(usage, basis);
        self.seconds.fit(SECOND, settings.seconds);
        self.seconds.push(at, value);
        if let Some(minute) = self.minute.observe(at, wall, value) {
            self.peaks.fit(MINUTE, settings.minutes);
            self.peaks.push(minute.at, minute.peak);
            self.means.fit(MINUTE, settings.minutes);
            self.means.push(minute.at, minute.mean);
            self.histogram.fit(settings.histogram_buckets(), settings.half_life.get());
            self.histogram.add(minute.peak, minute.at);
            self.profile.add(&minute, settings);
        }
    }

    /// The largest use in a window back from the last reading; of a window longer than the seconds that are known, in the minutes that it touches.
    #[must_use]
    pub fn recent_peak(&self, window: Duration, basis: MilliCpu) -> Option<MilliCpu> {
        let from = Timestamp::since_boot(self.last.elapsed().saturating_sub(window));
        let mut peak = self.seconds.max_from(from);
        if window > self.seconds.reach() {
            peak = peak.max(self.minute.peak()).max(self.peaks.max_from(from));
        }
        peak.map(|value| absolute(value, basis))
    }

    /// The use of each of the last seconds that had a reading, oldest first.
    pub fn last_seconds(&self, basis: MilliCpu) -> impl DoubleEndedIterator<Item = MilliCpu> + '_ {
        self.seconds.iter().flatten().map(move |value| absolute(value, basis))
    }

    /// The largest use of each of the last minutes that are over, oldest first; `None` for one without readings.
    pub fn minute_peaks(&self, window: Duration, basis: MilliCpu) -> impl DoubleEndedIterator<Item = Option<MilliCpu>> + '_ {
        self.peaks.window(window).map(move |value| value.map(|value| absolute(value, basis)))
    }

    /// The mean use of each of the last minutes that are over, oldest first; `None` for one without readings.
    pub fn minute_means(&self, window: Duration, basis: MilliCpu) -> impl DoubleEndedIterator<Item = Option<MilliCpu>> + '_ {
        self.means.window(window).map(move |value| value.map(|value| absolute(value, basis)))
    }

    /// What at least this many hundred-thousandths of the minutes did not exceed, the older a minute the less it counts.
    #[must_use]
    pub fn quantile(&self, per_100_000: u32, basis: MilliCpu) -> Option<MilliCpu> {
        self.histogram.quantile(per_100_000).map(|value| absolute(value, basis))
    }

    /// What is expected from a moment on for this long, from days before; `None` when a part of it was never seen.
    #[must_use]
    pub fn expected(&self, from: WallTime, horizon: Duration, basis: MilliCpu) -> Option<Expected<MilliCpu>> {
        let Expected { peak, mean, days } = self.profile.expect(from, horizon)?;
        Some(Expected { peak: absolute(peak, basis), mean: absolute(mean, basis), days })
    }

    /// For how long the region was observed, all in all; pauses do not count.
    #[must_use]
    pub fn span_observed(&self) -> Duration {
        self.histogram.observed_for()
    }

    /// The day of the region; its values are ten-thousandths of the basis.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Bytes that it takes, those on the heap too.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rings = self.seconds.heap_bytes() + self.peaks.heap_bytes() + self.means.heap_bytes();
        size_of::<Self>() + rings + self.histogram.heap_bytes() + self.profile.heap_bytes()
    }
}

impl Remembered for RegionHistory {
    fn last_seen(&self) -> Timestamp {
        self.last
    }

    fn compact(&mut self) {
        [&mut self.seconds, &mut self.peaks, &mut self.means].into_iter().for_each(Ring::compact);
        self.histogram.compact();
        self.profile.compact();
    }
}

/// Rounded up, so that [`absolute`] never gives less than what was put in.
fn relative(usage: MilliCpu, basis: MilliCpu) -> u32 {
    let parts = usage.get().saturating_mul(PARTS).div_ceil(at_least_one_cpu(basis));
    u32::try_from(parts).unwrap_or(u32::MAX)
}

fn absolute(parts: u32, basis: MilliCpu) -> MilliCpu {
    MilliCpu::new(u64::from(parts).saturating_mul(at_least_one_cpu(basis)).div_ceil(PARTS))
}

fn at_least_one_cpu(basis: MilliCpu) -> u64 {
    basis.get().max(1000)
}
