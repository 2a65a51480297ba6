//! Sets of NUMA nodes to try, bounded on machines with many nodes.

use crate::layout::distance;
use gleaner_model::{Id, NumaId, NumaSet, Topology};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Up to this many nodes sets of every size are looked at; above, the smallest size that does and the next.
pub(crate) const ALL_SIZES: usize = 16;
/// Up to this many sets of one size all are hinted, which 16 nodes never exceed; above, each node with its nearest.
pub(crate) const HINTED: usize = 1 << 14;

/// Sets of this many of the nodes, in rising order. Where there are more than `most`, each node with its nearest.
pub(crate) fn of_size(topology: &Topology, nodes: &[NumaId], size: usize, most: usize) -> Vec<NumaSet> {
    if size == 0 || size > nodes.len() {
        return Vec::new();
    }
    // Grown node by node: a set is made of one that is smaller by one and a later node.
    let mut sets = vec![(NumaSet::new(), 0)];
    for chosen in 0..size {
        let longer = |(set, from): &(NumaSet, usize)| {
            let (set, to) = (set.clone(), nodes.len() - (size - chosen - 1));
            let rest = nodes.iter().copied().enumerate().take(to).skip(*from);
            rest.map(move |(at, node)| (set.union(&NumaSet::of(node)), at + 1)).collect::<Vec<_>>()
        };
        let mut all = Vec::new();
        for set in &sets {
            all.extend(longer(set));
            if all.len() > most {
                return with_nearest(topology, nodes, size);
            }
        }
        sets = all;
    }
    sets.into_iter().map(|(set, _)| set).collect()
}

fn with_nearest(topology: &Topology, nodes: &[NumaId], size: usize) -> Vec<NumaSet> {
    let nearest = |start: &NumaId| {
        let mut order = nodes.to_vec();
        order.sort_by_key(|node| (node != start, distance(topology, *start, *node), node.index()));
        order.into_iter().take(size).collect::<NumaSet>()
    };
    nodes.iter().map(nearest).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The distances between nodes, at hand for many sets.
pub(crate) struct Widths {
    pairs: Vec<(NumaId, NumaId, u32)>,
}

impl Widths {
    pub(crate) fn new(topology: &Topology, nodes: &[NumaId]) -> Self {
        let pair = |a: NumaId, b: NumaId| (a, b, distance(topology, a, b));
        let mut pairs: Vec<_> = nodes.iter().flat_map(|a| nodes.iter().map(move |b| pair(*a, *b))).collect();
        pairs.sort_by_key(|(a, b, distance)| (Reverse(*distance), *a, *b));
        Self { pairs }
    }

    /// The largest distance between two nodes of a set: the first pair that is in it.
    pub(crate) fn of(&self, nodes: &NumaSet) -> u32 {
        self.pairs.iter().find(|(a, b, _)| nodes.contains(*a) && nodes.contains(*b)).map_or(0, |(_, _, distance)| *distance)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::fixtures::machine;

    #[test]
    fn sets_of_a_size_are_all_there_and_in_order() {
        let topology = machine(1, 4, 1, 1);
        let nodes: Vec<NumaId> = topology.memory_nodes().iter().collect();
        let shown = |size| of_size(&topology, &nodes, size, HINTED).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(1), ["0", "1", "2", "3"]);
        assert_eq!(shown(2), ["0-1", "0,2", "0,3", "1-2", "1,3", "2-3"]);
        assert_eq!(shown(4), ["0-3"]);
        assert_eq!((shown(0).len(), shown(5).len()), (0, 0));
    }

    #[test]
    fn the_width_of_a_set_is_its_largest_distance() {
        let topology = machine(2, 2, 1, 1);
        let nodes: Vec<NumaId> = topology.memory_nodes().iter().collect();
        let widths = Widths::new(&topology, &nodes);
        let of = |set: &str| widths.of(&set.parse().unwrap());
        assert_eq!((of("0"), of("0-1"), of("1-2"), of("0-3"), of("")), (10, 12, 21, 21, 0));
    }

    #[test]
    fn on_a_very_large_machine_each_node_goes_with_its_nearest() {
        let topology = machine(4, 16, 1, 1);
        let nodes: Vec<NumaId> = topology.memory_nodes().iter().collect();
        let sets = of_size(&topology, &nodes, 20, HINTED);
        assert!(!sets.is_empty() && sets.len() <= nodes.len() && sets.iter().all(|set| set.len() == 20), "{} sets", sets.len());
        assert_eq!(of_size(&topology, &nodes, 2, HINTED).len(), 64 * 63 / 2, "small sets are all there");
        assert!(of_size(&topology, &nodes, 2, 2000).len() <= 64, "unless so many are too many");
    }
}
