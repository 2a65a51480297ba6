//! One placement out of the hints of several resources.

use gleaner_crds::resourceplugin::TopologyHint;
use std::collections::BTreeSet;

/// The kubelet's topology manager, container scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TopologyPolicy {
    /// Nobody is asked for hints.
    None,
    /// The best placement there is, however bad.
    #[default]
    BestEffort,
    /// One node that every resource prefers, or no admission.
    SingleNode,
}

/// The best placement: of hints one for each resource, the nodes that all of them share; preferred ones first, then few nodes, then
/// low ones. An empty list is no preference. `None` when the policy refuses.
pub(super) fn merge(policy: TopologyPolicy, machine: &BTreeSet<u64>, lists: &[Vec<TopologyHint>]) -> Option<TopologyHint> {
    if policy == TopologyPolicy::None {
        return Some(TopologyHint::default());
    }
    let single = policy == TopologyPolicy::SingleNode;
    let mut merged: Vec<(bool, BTreeSet<u64>)> = vec![(true, machine.clone())];
    for list in lists.iter().filter(|list| !list.is_empty()) {
        let fit: Vec<_> = list.iter().filter(|hint| !single || (hint.preferred && hint.nodes.len() == 1)).collect();
        let pairs = merged.iter().flat_map(|(preferred, nodes)| {
            fit.iter().map(move |hint| {
                let shared = hint.nodes.iter().copied().filter(|node| nodes.contains(node)).collect();
                (*preferred && hint.preferred, shared)
            })
        });
        // What differs by its history alone is one thing from here on.
        merged = pairs.filter(|(_, shared): &(bool, BTreeSet<u64>)| !shared.is_empty()).collect::<BTreeSet<_>>().into_iter().collect();
    }
    let best = merged.into_iter().min_by_key(|(preferred, nodes)| (!*preferred, nodes.len(), nodes.clone()));
    match best {
        Some((preferred, nodes)) => Some(TopologyHint { nodes: nodes.into_iter().collect(), preferred }),
        None if single => None,
        None => Some(TopologyHint { nodes: machine.iter().copied().collect(), preferred: false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(nodes: &[u64], preferred: bool) -> TopologyHint {
        TopologyHint { nodes: nodes.to_vec(), preferred }
    }

    fn check(policy: TopologyPolicy, lists: &[Vec<TopologyHint>], wanted: Option<TopologyHint>) {
        let found = merge(policy, &BTreeSet::from([0, 1, 2, 3]), lists);
        assert_eq!(found, wanted, "{policy:?} of {lists:?}");
    }

    #[test]
    fn resources_agree_on_the_narrowest_preferred_placement() {
        let cpu = vec![hint(&[0], true), hint(&[1], true), hint(&[0, 1], false)];
        let memory = vec![hint(&[1], true), hint(&[0, 1], false)];
        check(TopologyPolicy::BestEffort, &[cpu.clone(), memory.clone()], Some(hint(&[1], true)));
        check(TopologyPolicy::SingleNode, &[cpu.clone(), memory], Some(hint(&[1], true)));
        check(TopologyPolicy::BestEffort, &[cpu.clone(), vec![]], Some(hint(&[0], true)));
        check(TopologyPolicy::None, &[cpu], Some(hint(&[], false)));
    }

    #[test]
    fn without_a_preference_every_node_will_do() {
        check(TopologyPolicy::BestEffort, &[vec![], vec![]], Some(hint(&[0, 1, 2, 3], true)));
        check(TopologyPolicy::BestEffort, &[], Some(hint(&[0, 1, 2, 3], true)));
    }

    #[test]
    fn placements_that_exclude_each_other_are_refused_by_the_strict_policy_alone() {
        let apart = [vec![hint(&[0], true)], vec![hint(&[1], true)]];
        check(TopologyPolicy::SingleNode, &apart, None);
        check(TopologyPolicy::BestEffort, &apart, Some(hint(&[0, 1, 2, 3], false)));
        check(TopologyPolicy::SingleNode, &[vec![hint(&[0, 1], true)]], None);
    }
}
