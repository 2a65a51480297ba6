//! The distinct intersections of the sets of two families.
//!
//! A family has at most 2^nodes sets. Small families are intersected pair by pair. Large ones, on machines with up to [`TABLE_NODES`]
//! nodes, go through a table with an entry for each possible set: count the supersets of each set in both families, multiply, and take
//! the sums apart again; what is left is the number of pairs with exactly this intersection. That is nodes x 2^nodes additions, whatever
//! the families hold. On larger machines the pairs are bounded by [`MOST_PAIRS`].

use gleaner_model::{NumaId, NumaSet};
use std::collections::BTreeSet;

/// Above this many pairs a table is cheaper.
const FEW_PAIRS: usize = 1 << 14;
/// Nodes up to which a table is used: 2^16 entries of 8 bytes.
const TABLE_NODES: usize = 16;
/// Pairs that are looked at on machines with more nodes; beyond them only the widest sets, which have the best chance to meet others.
const MOST_PAIRS: usize = 1 << 18;

/// The intersections that are not empty, and whether some may be missing. All sets are of these nodes.
pub(super) fn meet(left: BTreeSet<NumaSet>, right: &BTreeSet<NumaSet>, nodes: &NumaSet) -> (BTreeSet<NumaSet>, bool) {
    let pairs = left.len().saturating_mul(right.len());
    if pairs > FEW_PAIRS && nodes.len() <= TABLE_NODES {
        return (by_table(&left, right, nodes), false);
    }
    let cut = pairs > MOST_PAIRS;
    let mut left: Vec<NumaSet> = left.into_iter().collect();
    if cut {
        left.sort_by_key(|set| std::cmp::Reverse(set.count()));
        left.truncate((MOST_PAIRS / right.len().max(1)).max(1));
    }
    (left.iter().flat_map(|a| right.iter().map(|b| a.intersection(b))).filter(|set| !set.is_empty()).collect(), cut)
}

fn by_table(left: &BTreeSet<NumaSet>, right: &BTreeSet<NumaSet>, nodes: &NumaSet) -> BTreeSet<NumaSet> {
    let ids: Vec<NumaId> = nodes.iter().collect();
    let mut table = supersets(left, &ids);
    for (a, b) in table.iter_mut().zip(supersets(right, &ids)) {
        *a *= b;
    }
    // At most 2^16 x 2^16 pairs: the counts are exact.
    halves(&mut table, |without, with| *without -= *with);
    let met = table.iter().enumerate().skip(1).filter(|(_, count)| **count > 0);
    met.map(|(bits, _)| ids.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, id)| *id).collect()).collect()
}

/// For each set of these ids, how many sets of the family contain it.
fn supersets(family: &BTreeSet<NumaSet>, ids: &[NumaId]) -> Vec<u64> {
    let mut table = vec![0_u64; 1 << ids.len()];
    for set in family {
        let bits = ids.iter().enumerate().filter(|(_, id)| set.contains(**id)).map(|(at, _)| 1_usize << at).sum::<usize>();
        if let Some(entry) = table.get_mut(bits) {
            *entry += 1;
        }
    }
    halves(&mut table, |without, with| *without += *with);
    table
}

/// For each bit in turn, each entry without it is changed by the one that has it and is the same otherwise.
fn halves(table: &mut [u64], change: impl Fn(&mut u64, &u64)) {
    let mut bit = 1;
    while bit < table.len() {
        for block in table.chunks_mut(2 * bit) {
            let (without, with) = block.split_at_mut(bit);
            without.iter_mut().zip(with.iter()).for_each(|(without, with)| change(without, with));
        }
        bit *= 2;
    }
}

#[cfg(test)]
mod tests;
