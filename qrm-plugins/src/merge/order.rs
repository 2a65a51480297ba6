//! Which of two merged hints is better.

use crate::hint::Hint;
use gleaner_model::{NumaId, NumaSet};
use std::fmt;

/// The kernel's distance between two nodes; `None` where the machine tells none.
pub type Distance<'a> = dyn Fn(NumaId, NumaId) -> Option<u32> + 'a;

/// Kubelet's order of merged hints.
///
/// Preferred before not. Among preferred ones, fewer nodes. Among the others the size that comes next to the target and is not above it,
/// then the least above it; the target is the largest of the smallest sizes that the resources offer, since no resource asks for more than
/// that. Between sets of one size the nearer nodes, where distances count, then lower ids (as numbers whose bits are the nodes).
#[derive(Clone, Copy)]
pub struct HintOrder<'a> {
    target: u32,
    distance: Option<&'a Distance<'a>>,
}

/// The smallest wins: not preferred, above the target, how far from it, distance unknown, distance, ids falling.
type Rank = (bool, bool, u32, bool, u64, Vec<NumaId>);

impl HintOrder<'static> {
    /// For these lists, without a look at distances.
    #[must_use]
    pub fn narrowest(lists: &[Vec<Hint>]) -> Self {
        Self::with_target(target(lists))
    }

    /// With this target, without a look at distances.
    #[must_use]
    pub const fn with_target(target: u32) -> Self {
        Self { target, distance: None }
    }
}

impl<'a> HintOrder<'a> {
    /// For these lists; sets of one size go by distance.
    #[must_use]
    pub fn closest(lists: &[Vec<Hint>], distance: &'a Distance<'a>) -> Self {
        Self { target: target(lists), distance: Some(distance) }
    }

    /// The size that hints which are not preferred should have.
    #[must_use]
    pub const fn target(&self) -> u32 {
        self.target
    }

    /// Whether the candidate takes the place of the current one. One that names no node never does.
    #[must_use]
    pub fn wins(&self, candidate: &Hint, current: Option<&Hint>) -> bool {
        let Some(nodes) = candidate.nodes.as_ref().filter(|nodes| !nodes.is_empty()) else { return false };
        let Some(current) = current else { return true };
        let Some(held) = &current.nodes else { return true };
        self.rank(nodes, candidate.preferred) < self.rank(held, current.preferred)
    }

    /// The best of these sets.
    pub(super) fn first(&self, sets: impl IntoIterator<Item = NumaSet>, preferred: bool) -> Option<NumaSet> {
        sets.into_iter().filter(|nodes| !nodes.is_empty()).min_by_key(|nodes| self.rank(nodes, preferred))
    }

    fn rank(&self, nodes: &NumaSet, preferred: bool) -> Rank {
        let count = nodes.count();
        let far = if preferred { count } else { count.abs_diff(self.target) };
        let sum = self.distance.map_or(Some(0), |distance| distance_sum(nodes, distance));
        (!preferred, !preferred && count > self.target, far, sum.is_none(), sum.unwrap_or(0), falling(nodes))
    }
}

/// The ids from the highest down: sets of one size are compared as numbers whose bits are the nodes.
pub(super) fn falling(nodes: &NumaSet) -> Vec<NumaId> {
    let mut ids: Vec<NumaId> = nodes.iter().collect();
    ids.reverse();
    ids
}

impl fmt::Debug for HintOrder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HintOrder").field("target", &self.target).field("by_distance", &self.distance.is_some()).finish()
    }
}

/// The largest of the smallest numbers of nodes that the lists have; hints for any node do not count.
fn target(lists: &[Vec<Hint>]) -> u32 {
    let smallest = lists.iter().filter_map(|list| list.iter().filter_map(|hint| hint.nodes.as_ref().map(NumaSet::count)).min());
    smallest.max().unwrap_or(0)
}

/// The sum of the distances over all ordered pairs of these nodes, each with itself too; over the square of their number it is their mean
/// distance. `None` when the machine does not tell one of them.
#[must_use]
pub fn distance_sum(nodes: &NumaSet, distance: &Distance<'_>) -> Option<u64> {
    nodes.iter().flat_map(|from| nodes.iter().map(move |to| (from, to))).map(|(from, to)| distance(from, to).map(u64::from)).sum()
}
