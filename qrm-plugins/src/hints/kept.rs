//! What a pod has already goes first.

use super::Asked;
use crate::demand::{Wish, requested};
use crate::{Hint, Hints, Node};
use gleaner_model::{NumaSet, PoolName, QosClass};

/// The hints of a pod in a pool that needs no look at the node: no class that has its CPUs from others has a preference, and a pod that asks
/// again for what it has keeps it. `None`: look.
pub(super) fn again(node: &Node<'_>, asked: &Asked<'_>, wish: &Wish) -> Option<Hints> {
    let had = node.pods.get(asked.pod);
    match wish {
        Wish::Dedicated(_) => None,
        Wish::Pool(_) if asked.qos.class != QosClass::Shared => Some(Hints::NoPreference),
        Wish::Pool(_) => {
            let same = had.filter(|pod| pod.class() == QosClass::Shared && pod.qos.memory == asked.qos.memory);
            same.filter(|pod| requested(pod) >= asked.cpu).map(|_| Hints::NoPreference)
        }
        Wish::Bound(_) => {
            let nodes = own_nodes(node, asked).filter(|_| asks_again(node, asked))?;
            Some(Hints::List(vec![Hint::on(nodes, true)]))
        }
    }
}

/// The nodes that the pod has already, if they still are there.
pub(super) fn own_nodes(node: &Node<'_>, asked: &Asked<'_>) -> Option<NumaSet> {
    let held = node.assignment.cpus_of(&PoolName::dedicated(asked.pod));
    let chosen = node.assignment.nodes.get(asked.pod).cloned();
    let own = chosen.unwrap_or_else(|| node.topology.nodes_of(&held));
    (!own.is_empty() && own.iter().all(|id| node.topology.node(id).is_some_and(|node| !node.cpus.is_empty()))).then_some(own)
}

/// Whether the pod asks for the very thing that it was admitted with.
pub(super) fn asks_again(node: &Node<'_>, asked: &Asked<'_>) -> bool {
    node.pods.get(asked.pod).is_none_or(|pod| pod.qos == *asked.qos && requested(pod) == asked.cpu)
}

/// The hints of a pod that has nodes and asks for another amount: its own before others, and only those preferred, so that it stays where
/// it can.
pub(super) fn first(own: Option<&NumaSet>, mut hints: Vec<Hint>) -> Vec<Hint> {
    if let Some(at) = hints.iter().position(|hint| hint.nodes.as_ref() == own && own.is_some()) {
        let hint = hints.remove(at);
        for other in &mut hints {
            other.preferred = false;
        }
        hints.insert(0, Hint { preferred: true, ..hint });
    }
    hints
}
