//! Finds the groups: the densest places first, so that a few odd workloads do not take the clusters from the many; then k-means from there.

use super::{Cluster, Day, FARTHEST, HOURS, MOST, array};
use std::cmp::Reverse;

/// Days that differ by less of their mean, on average over the hours, lie in one place.
const ONE_PLACE: u64 = 250;
/// How many days are tried as the centre of a place, which bounds the cost. Where there are more days, a group of fewer than one in so many may be missed.
const TRIED: usize = 128;
/// How often the centres are moved at most.
const ROUNDS: usize = 10;

/// A day in thousandths of its mean.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    means: [u32; HOURS],
    peaks: [u32; HOURS],
}

impl Shape {
    /// `None` when an hour is missing, or nothing was used.
    fn of(day: &Day) -> Option<Self> {
        if day.means.contains(&None) {
            return None;
        }
        let day_sum: u64 = day.means.iter().flatten().map(|mean| u64::from(*mean)).sum();
        // 24 * 1000 * 2^32 is far below 2^64.
        let share = |value: u32| (u64::from(value) * 1000 * 24).checked_div(day_sum).map(narrow);
        share(0)?;
        let means = day.means.map(|mean| mean.and_then(share).unwrap_or(0));
        let peaks = array(day.highest().map(|peak| peak.and_then(share).unwrap_or(0)));
        Some(Self { means, peaks })
    }
}

/// The most common shapes among these days, by falling number of members.
pub(super) fn clusters<'a>(days: impl Iterator<Item = &'a Day>) -> Vec<Cluster> {
    let mut shapes: Vec<Shape> = days.filter_map(Shape::of).collect();
    shapes.sort_unstable();
    let mut centres = densest(&shapes);
    for _ in 0..ROUNDS {
        let moved: Vec<_> = groups(&shapes, &centres).iter().map(|group| centre(group)).collect();
        if moved == centres {
            break;
        }
        centres = moved;
    }
    let mut clusters: Vec<Cluster> = groups(&shapes, &centres)
        .iter()
        .map(|group| Cluster { members: u32::try_from(group.len()).unwrap_or(u32::MAX), means: centre(group), peaks: peaks(group) })
        .collect();
    clusters.sort_unstable_by_key(|cluster| (Reverse(cluster.members), cluster.means, cluster.peaks));
    clusters
}

/// The shapes that have the most others about them, each counting only those that are not about one before.
fn densest(shapes: &[Shape]) -> Vec<[u32; HOURS]> {
    let step = shapes.len().div_ceil(TRIED).max(1);
    let about = |centre: &Shape| shapes.iter().map(|shape| apart(&centre.means, &shape.means) <= ONE_PLACE).collect();
    let tried: Vec<(usize, &Shape, Vec<bool>)> =
        shapes.iter().enumerate().step_by(step).map(|(index, shape)| (index, shape, about(shape))).collect();
    let mut free = vec![true; shapes.len()];
    let mut found = Vec::new();
    while found.len() < MOST {
        let gain = |about: &[bool]| about.iter().zip(&free).filter(|(about, free)| **about && **free).count();
        let open = tried.iter().filter(|(index, ..)| free.get(*index) == Some(&true));
        let Some((_, shape, about)) = open.max_by_key(|(index, _, about)| (gain(about), Reverse(*index))) else { break };
        found.push(shape.means);
        for (free, about) in free.iter_mut().zip(about) {
            *free &= !about;
        }
    }
    found
}

/// The shapes that each centre is the nearest of, without those that are far from all, and without centres that have none.
fn groups<'a>(shapes: &'a [Shape], centres: &[[u32; HOURS]]) -> Vec<Vec<&'a Shape>> {
    let mut groups: Vec<Vec<&Shape>> = vec![Vec::new(); centres.len()];
    for shape in shapes {
        let nearest =
            centres.iter().zip(&mut groups).map(|(centre, group)| (apart(centre, &shape.means), group)).min_by_key(|(apart, _)| *apart);
        if let Some((apart, group)) = nearest
            && apart <= u64::from(FARTHEST.get())
        {
            group.push(shape);
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// By how much two shapes differ on average over the hours, in thousandths of the day's mean.
fn apart(one: &[u32; HOURS], other: &[u32; HOURS]) -> u64 {
    one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>() / 24
}

/// The average of each hour.
fn centre(group: &[&Shape]) -> [u32; HOURS] {
    let sums = group
        .iter()
        .fold([0u64; HOURS], |sums, shape| array(sums.into_iter().zip(shape.means).map(|(sum, mean)| sum.saturating_add(mean.into()))));
    let count = u64::try_from(group.len()).unwrap_or(u64::MAX).max(1);
    sums.map(|sum| narrow(sum / count))
}

/// The peak of each hour that nine of ten do not exceed (the highest while they are fewer), and at least the average.
fn peaks(group: &[&Shape]) -> [u32; HOURS] {
    array(centre(group).into_iter().enumerate().map(|(hour, mean)| {
        let mut peaks: Vec<u32> = group.iter().filter_map(|shape| shape.peaks.get(hour).copied()).collect();
        peaks.sort_unstable();
        let rank = peaks.len().saturating_mul(9).div_ceil(10);
        peaks.get(rank.saturating_sub(1)).copied().unwrap_or(0).max(mean)
    }))
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
