//! The nodes that all resources have in common: what kubelet's policies look for.
//!
//! Kubelet tries every combination of one hint for each resource. Here, with the same answer:
//!
//! - A combination is preferred when all its hints are and all sets that it names are equal. So the preferred results are the sets that
//!   stand, preferred, in every list that has no preferred hint for any node: one pass over the hints, however many nodes there are.
//! - If there is one, it wins, and nothing else is needed. Whether `restricted` and `single-numa-node` admit is thus always exact.
//! - If there is none, the results are the sets that come out of intersecting one set of each list, and none of them is preferred. What
//!   matters is which sets come out, not how, so lists are taken one after the other and only distinct sets are kept; see `meet`.

use super::meet::meet;
use super::order::HintOrder;
use crate::hint::Hint;
use gleaner_model::NumaSet;
use std::collections::BTreeSet;

/// The best hint, and whether the search was cut short.
pub(super) fn best(lists: &[Vec<Hint>], nodes: &NumaSet, order: &HintOrder<'_>) -> (Hint, bool) {
    let agreed = preferred(lists, nodes).into_iter().map(|set| set.intersection(nodes));
    if let Some(set) = order.first(agreed, true) {
        return (Hint::on(set, true), false);
    }
    let (sets, cut) = reachable(lists, nodes);
    // Nothing in common: kubelet answers with all nodes.
    let set = order.first(sets, false).unwrap_or_else(|| nodes.clone());
    (Hint::on(set, false), cut)
}

/// The sets that every resource prefers.
fn preferred(lists: &[Vec<Hint>], nodes: &NumaSet) -> BTreeSet<NumaSet> {
    let mut agreed: Option<BTreeSet<NumaSet>> = None;
    let mut optional = BTreeSet::from([nodes.clone()]);
    for list in lists {
        let glad = || list.iter().filter(|hint| hint.preferred);
        let sets = glad().filter_map(|hint| hint.nodes.clone());
        if glad().any(|hint| hint.nodes.is_none()) {
            optional.extend(sets);
        } else {
            let sets: BTreeSet<NumaSet> = sets.collect();
            agreed = Some(agreed.map_or_else(|| sets.clone(), |agreed| agreed.intersection(&sets).cloned().collect()));
        }
    }
    agreed.unwrap_or(optional)
}

/// The sets that one hint of each list has in common, without the empty one, and whether some are missing.
fn reachable(lists: &[Vec<Hint>], nodes: &NumaSet) -> (BTreeSet<NumaSet>, bool) {
    let mut reached = (BTreeSet::from([nodes.clone()]), false);
    for list in lists {
        let sets = list.iter().map(|hint| hint.nodes.as_ref().map_or_else(|| nodes.clone(), |set| set.intersection(nodes)));
        let (met, cut) = meet(reached.0, &sets.filter(|set| !set.is_empty()).collect(), nodes);
        reached = (met, reached.1 || cut);
    }
    reached
}
