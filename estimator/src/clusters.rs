//! Workloads by the shape of their day, so that a new one starts from its like.
//!
//! A workload's own history is better than any like of it, so this is for a workload that is itself new. A new pod of a known workload starts from that
//! workload's history. A workload of which no two hours were seen yet is like nothing: its request counts.

mod learn;

use gleaner_model::{MilliCpu, Permille, WallTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOURS: usize = 24;
/// The most clusters that are kept.
const MOST: usize = 8;
/// Fewer hours have no shape.
const FEWEST_HOURS: u32 = 2;
/// What differs by more of its own mean, on average over the hours, is not alike. Twenty per cent of noise differ by ten.
const FARTHEST: Permille = Permille::new(300);
/// How much farther than the nearest cluster another one may be and still fit as well, if one hour were seen; for `n` hours it is this divided by the root of `n`,
/// as the average of `n` hours scatters. Noise of 20 % in two hours can reverse as much as 200.
const AS_NEAR: u32 = 283;
/// From hours in which a cluster does less than this share of its daily mean nothing can be said of its level.
const FAINT: Permille = Permille::new(100);

/// What one replica of a workload uses at each hour of the day (UTC, the first from midnight), in thousandths of a CPU. `None`: an hour not seen yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Day {
    /// On average over the hour. An hour counts as seen when this is known.
    pub means: [Option<u32>; HOURS],
    /// At most in the hour. Where it is missing or smaller, the mean stands for it.
    pub peaks: [Option<u32>; HOURS],
}

impl Day {
    /// The highest that is known of each hour.
    fn highest(&self) -> impl Iterator<Item = Option<u32>> {
        self.means.iter().zip(&self.peaks).map(|(mean, peak)| *mean.max(peak))
    }
}

/// The shapes that a day has on this node: at most 8, the most common first, whatever number of workloads they were learned from (about 1.6 kB in memory, and
/// at most 5 kB as JSON). The default holds none, and nothing is like anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Cluster>", into = "Vec<Cluster>")]
pub struct Clusters(Vec<Cluster>);

/// Workloads whose days have one shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cluster {
    /// How many they are.
    members: u32,
    /// The mean of each hour, in thousandths of the day's mean: the average member.
    means: [u32; HOURS],
    /// The peak of each hour, in thousandths of the day's mean: nine of ten members stay below.
    peaks: [u32; HOURS],
}

impl TryFrom<Vec<Cluster>> for Clusters {
    type Error = String;
    fn try_from(clusters: Vec<Cluster>) -> Result<Self, String> {
        if clusters.len() <= MOST {
            Ok(Self(clusters))
        } else {
            Err(format!("{} clusters of workloads; at most {MOST} are kept", clusters.len()))
        }
    }
}

impl From<Clusters> for Vec<Cluster> {
    fn from(clusters: Clusters) -> Self {
        clusters.0
    }
}

/// What a workload will use, judged by those that are like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Like {
    /// What one replica may use at most in each hour of the day (UTC). Where the hours seen fit several clusters as well, the highest of theirs; never less than
    /// the workload itself did in that hour.
    pub hourly_peaks: [MilliCpu; HOURS],
    /// By how much the hours seen differ from the nearest cluster, of their own mean.
    pub distance: Permille,
    /// Which cluster is nearest; 0 is the most common one. It holds until the clusters are learned anew.
    pub cluster: usize,
}

impl Clusters {
    /// Groups all workloads whose day is known whole and not idle. Days that no group takes are left out: they are like nothing. The order of the days does not matter.
    ///
    /// Takes time proportional to the number of days; once an hour is often enough.
    #[must_use]
    pub fn learn<'a>(days: impl IntoIterator<Item = &'a Day>) -> Self {
        Self(learn::clusters(days.into_iter()))
    }

    /// What a workload is like of which only some hours were seen: the nearest cluster by these hours, scaled to their level by least squares. `None` when there are
    /// fewer than two, when it was idle in all of them, and when no cluster is near.
    #[must_use]
    pub fn like(&self, partial: &Day) -> Option<Like> {
        let hours: u32 = partial.means.iter().flatten().map(|_| 1u32).sum();
        if hours < FEWEST_HOURS {
            return None;
        }
        let scatter = (AS_NEAR * AS_NEAR / hours).isqrt();
        let fits: Vec<(usize, &Cluster, Fit)> = (0..)
            .zip(&self.0)
            .filter_map(|(index, cluster)| Some((index, cluster, Fit::of(&cluster.means, &partial.means)?)))
            .filter(|(_, _, fit)| fit.distance <= FARTHEST)
            .collect();
        let (nearest, _, Fit { distance, .. }) = *fits.iter().min_by_key(|(index, _, fit)| (fit.distance, *index))?;
        let as_near = |fit: &Fit| fit.distance.get() <= distance.get().saturating_add(scatter);
        let own = array(partial.highest().map(|peak| MilliCpu::new(peak.unwrap_or(0).into())));
        let hourly_peaks = fits.iter().filter(|(_, _, fit)| as_near(fit)).fold(own, |highest, (_, cluster, fit)| {
            array(highest.into_iter().zip(cluster.peaks).map(|(high, peak)| high.max(fit.scaled(peak))))
        });
        Some(Like { hourly_peaks, distance, cluster: nearest })
    }
}

impl Like {
    /// The most that one replica will use from `wall` on until `horizon` later, both included.
    #[must_use]
    pub fn peak(&self, wall: WallTime, horizon: Duration) -> MilliCpu {
        let seconds = horizon.as_secs().saturating_add(u64::from(horizon.subsec_nanos() > 0));
        let first = wall.unix() / 3600;
        let later = (wall.unix().saturating_add(seconds) / 3600).saturating_sub(first);
        let skipped = usize::try_from(first % 24).unwrap_or(0);
        let touched = usize::try_from(later).unwrap_or(HOURS).saturating_add(1).min(HOURS);
        self.hourly_peaks.iter().cycle().skip(skipped).take(touched).copied().max().unwrap_or_default()
    }
}

/// A cluster scaled to a workload. With `x` the hours seen of the workload and `c` the same of the cluster, the factor `a` that makes `sum((x - a c)^2)` least is
/// `sum(x c) / sum(c^2)`. Both sums are kept, so that nothing is rounded before the end.
#[derive(Debug, Clone, Copy)]
struct Fit {
    /// `sum(x c)`
    both: u128,
    /// `sum(c^2)`
    squares: u128,
    /// `sum(|x - a c|) / sum(x)`
    distance: Permille,
}

impl Fit {
    /// `None` where there is nothing to scale: the workload or the cluster does nothing in these hours, or nearly nothing.
    fn of(cluster: &[u32; HOURS], seen: &[Option<u32>; HOURS]) -> Option<Self> {
        let pairs = || cluster.iter().zip(seen).filter_map(|(c, x)| Some((u128::from(*c), u128::from((*x)?))));
        let level: u128 = pairs().map(|(c, _)| c).sum();
        let hours: u128 = pairs().map(|_| 1).sum();
        if level < hours * u128::from(FAINT.get()) {
            return None;
        }
        // No sum exceeds 24 * 2^64, no product of a sum and a value 24 * 2^96.
        let both: u128 = pairs().map(|(c, x)| c * x).sum();
        let squares: u128 = pairs().map(|(c, _)| c * c).sum();
        let whole: u128 = pairs().map(|(_, x)| x * squares).sum();
        let apart: u128 = pairs().map(|(c, x)| (x * squares).abs_diff(both * c)).sum();
        let distance = (apart * 1000).checked_div(whole)?;
        Some(Self { both, squares, distance: Permille::new(u32::try_from(distance).unwrap_or(u32::MAX)) })
    }

    /// What a value of the cluster is for the workload, rounded up.
    fn scaled(&self, value: u32) -> MilliCpu {
        let scaled = (self.both * u128::from(value)).div_ceil(self.squares.max(1));
        MilliCpu::new(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

/// The first 24 values, and defaults where there are fewer.
fn array<T: Default>(mut values: impl Iterator<Item = T>) -> [T; HOURS] {
    std::array::from_fn(|_| values.next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
