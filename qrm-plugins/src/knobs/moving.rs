//! Memory nodes of containers on their way to what a plan wants.

use crate::memory::{MemsChange, Resident, pace};
use gleaner_model::{Bytes, CgroupPath, KnobValue, NumaSet, Plan};
use std::collections::BTreeMap;

/// The memory nodes that one container has now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemsHeld {
    /// The nodes, as last planned or as the kernel says.
    pub mems: NumaSet,
    /// For how many ticks it has been held back from the nodes to come.
    pub waited: u32,
}

/// The plan of this tick on the way to `wanted`, and what the containers hold when it is applied: the next tick's `held`. Containers whose
/// memory would move wait for their turn with the old and the new nodes, see [`pace`]. One that is not in `held` has nothing to move.
///
/// `resident` is what is known of the memory of each container, by its cgroup; one that is not there is unknown and moves alone.
#[must_use]
pub fn pace_mems(
    wanted: &Plan,
    held: &BTreeMap<CgroupPath, MemsHeld>,
    resident: &BTreeMap<CgroupPath, Resident>,
    budget: Bytes,
) -> (Plan, BTreeMap<CgroupPath, MemsHeld>) {
    let mut changes = BTreeMap::new();
    for (id, desired) in wanted.iter() {
        let KnobValue::Mems(to) = &desired.value else { continue };
        let now = held.get(&id.cgroup);
        let change = MemsChange {
            from: now.map_or_else(|| to.clone(), |now| now.mems.clone()),
            to: to.clone(),
            resident: resident.get(&id.cgroup).cloned().unwrap_or_default(),
            waited: now.map_or(0, |now| now.waited),
        };
        changes.insert(id, change);
    }
    let mut plan = Plan::new();
    let mut after = BTreeMap::new();
    for (id, mems) in pace(&changes, budget) {
        let waits = changes.get(id).filter(|change| change.to != mems).map(|change| change.waited.saturating_add(1));
        if let (Some(_), Some(desired)) = (waits, wanted.get(id)) {
            plan.set(id.cgroup.clone(), KnobValue::Mems(mems.clone()), desired.owner.clone(), desired.reason.clone());
        }
        after.insert(id.cgroup.clone(), MemsHeld { mems, waited: waits.unwrap_or(0) });
    }
    let plan = if plan.is_empty() { wanted.clone() } else { Plan::of_parts([wanted.clone(), plan]) };
    (plan, after)
}
