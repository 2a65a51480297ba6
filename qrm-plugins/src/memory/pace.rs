//! How much memory moves at once when the nodes of containers change. The kernel moves what a cgroup holds on nodes that it loses, which
//! stalls its processes and costs memory bandwidth for everybody.

use gleaner_model::{Bytes, NumaId, NumaSet};
use std::collections::BTreeMap;

/// Ticks after which who waits goes before those that have less to move.
const PATIENCE: u32 = 30;

/// What is known of the memory that a container holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Resident {
    /// Nothing.
    #[default]
    Unknown,
    /// All of it, wherever it is.
    Total(Bytes),
    /// By NUMA node.
    ByNode(BTreeMap<NumaId, Bytes>),
}

/// Nodes that change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemsChange {
    /// The nodes now.
    pub from: NumaSet,
    /// The nodes to come; not empty.
    pub to: NumaSet,
    /// What there is to move.
    pub resident: Resident,
    /// For how many ticks it has been held back.
    pub waited: u32,
}

impl MemsChange {
    /// What moves when the nodes are left; `None` when that is not known. An amount that may be anywhere counts in full.
    fn cost(&self) -> Option<Bytes> {
        let left = self.from.difference(&self.to);
        if left.is_empty() {
            return Some(Bytes::ZERO);
        }
        match &self.resident {
            Resident::Unknown => None,
            Resident::Total(bytes) => Some(*bytes),
            Resident::ByNode(nodes) => {
                left.iter().map(|node| nodes.get(&node).copied()).try_fold(Bytes::ZERO, |sum, part| Some(sum.plus(part?)))
            }
        }
    }
}

/// The nodes that each may have in this tick: the nodes to come where it is their turn, else those and the ones that they have. Nodes that
/// are only gained cost nothing and are there at once.
///
/// In one tick at most `budget` moves, the least first, so that most are done soon; who has waited for 30 ticks goes before others, the
/// longest first. One that is larger than the budget moves in a tick of its own, and so does one of which nothing is known. In every tick
/// at least one moves, so nobody waits for ever.
#[must_use]
pub fn pace<K: Ord + Clone>(wanted: &BTreeMap<K, MemsChange>, budget: Bytes) -> BTreeMap<K, NumaSet> {
    let mut turns: Vec<(&K, &MemsChange, Bytes)> =
        wanted.iter().map(|(id, change)| (id, change, change.cost().unwrap_or(budget.max(Bytes::new(1))))).collect();
    let age = |change: &MemsChange| if change.waited >= PATIENCE { change.waited } else { 0 };
    turns.sort_by(|(a_id, a, a_cost), (b_id, b, b_cost)| (age(b), a_cost, a_id).cmp(&(age(a), b_cost, b_id)));
    let mut moved = Bytes::ZERO;
    let mut nodes = BTreeMap::new();
    for (id, change, cost) in turns {
        let fits = cost.is_zero() || moved.is_zero() || moved.plus(cost) <= budget;
        if fits {
            moved = moved.plus(cost);
        }
        nodes.insert(id.clone(), if fits { change.to.clone() } else { change.from.union(&change.to) });
    }
    nodes
}
