//! Which sets of NUMA nodes a pod may be on, and how its CPUs are split over one of them.

use crate::layout::Layout;
use gleaner_model::{Id, NumaBinding, NumaId, NumaPlacement, NumaSet};

/// Up to this many nodes every subset is looked at; above, each node with its nearest. 2^10 subsets are well within one tick.
const ALL_SUBSETS: usize = 10;

/// Sets of nodes to try, in rounds; a later round is only for pods that no set of an earlier one can take. Sets hold nodes of `usable` alone.
pub(super) fn rounds(layout: &Layout<'_>, binding: NumaBinding, placement: &NumaPlacement, usable: &NumaSet) -> Vec<Vec<NumaSet>> {
    let sizes = match (placement, binding) {
        (NumaPlacement::Ids(ids), _) => return vec![if ids.is_subset(usable) { vec![ids.clone()] } else { Vec::new() }],
        (NumaPlacement::Number(number), _) => {
            let number = usize::try_from(*number).unwrap_or(usize::MAX);
            number..=number
        }
        (NumaPlacement::Any, NumaBinding::Bound) => 1..=1,
        (NumaPlacement::Any, NumaBinding::Unbound | NumaBinding::Exclusive) => 1..=usable.len(),
    };
    sizes.map(|size| subsets(layout, usable, size)).collect()
}

fn subsets(layout: &Layout<'_>, usable: &NumaSet, size: usize) -> Vec<NumaSet> {
    if size == 0 || size > usable.len() {
        return Vec::new();
    }
    let nodes: Vec<NumaId> = usable.iter().collect();
    if nodes.len() > ALL_SUBSETS {
        let mut sets: Vec<NumaSet> = nodes.iter().map(|start| nearest(layout, &nodes, *start, size)).collect();
        sets.sort();
        sets.dedup();
        return sets;
    }
    (0u32..1 << nodes.len())
        .filter(|mask| usize::try_from(mask.count_ones()) == Ok(size))
        .map(|mask| (0u32..).zip(&nodes).filter(|(at, _)| mask >> at & 1 == 1).map(|(_, node)| *node).collect())
        .collect()
}

fn nearest(layout: &Layout<'_>, nodes: &[NumaId], start: NumaId, size: usize) -> NumaSet {
    let mut by_distance = nodes.to_vec();
    by_distance.sort_by_key(|node| (*node != start, layout.distance(start, *node), node.index()));
    by_distance.into_iter().take(size).collect()
}

/// The largest distance between two nodes of the set.
pub(super) fn width(layout: &Layout<'_>, nodes: &NumaSet) -> u32 {
    nodes.iter().flat_map(|a| nodes.iter().map(move |b| layout.distance(a, b))).max().unwrap_or(0)
}

/// `cpus` over nodes that have this much each, as evenly as they can, in multiples of `unit`; every node gets some. With `even` all get
/// the same. `None` when that is impossible.
pub(super) fn split(cpus: u32, capacities: &[u32], unit: u32, even: bool) -> Option<Vec<u32>> {
    let unit = unit.max(1);
    let mut order: Vec<(usize, u32)> = capacities.iter().map(|capacity| capacity / unit * unit).enumerate().collect();
    order.sort_by_key(|(at, capacity)| (*capacity, *at));
    let mut parts = vec![0; capacities.len()];
    let mut left = cpus;
    let mut nodes = u32::try_from(capacities.len()).ok()?;
    if even && !cpus.is_multiple_of(nodes.max(1) * unit) {
        return None;
    }
    for (at, capacity) in order {
        // The smallest first: what it cannot take goes to larger ones.
        let fair = if nodes == 1 { left } else { left / nodes / unit * unit };
        let part = fair.min(capacity);
        if part == 0 || (even && part < fair) {
            return None;
        }
        *parts.get_mut(at)? = part;
        left -= part;
        nodes -= 1;
    }
    (left == 0).then_some(parts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_as_even_as_the_nodes_allow() {
        assert_eq!(split(10, &[8, 8], 1, false), Some(vec![5, 5]));
        assert_eq!(split(10, &[8, 3], 1, false), Some(vec![7, 3]));
        assert_eq!(split(8, &[2, 2, 4], 1, false), Some(vec![2, 2, 4]));
        assert_eq!(split(6, &[8, 8], 2, false), Some(vec![2, 4]));
        assert_eq!(split(10, &[8, 3], 1, true), None);
        assert_eq!(split(9, &[8, 8], 1, true), None);
        assert_eq!(split(1, &[8, 8], 1, false), None, "a node would get nothing");
        assert_eq!(split(12, &[8, 3], 1, false), None);
    }
}
