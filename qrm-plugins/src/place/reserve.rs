//! CPUs kept for the system. They depend on the machine and the policy alone, so that they never move by themselves.

use super::policy::ReserveRule;
use crate::layout::Layout;
use gleaner_model::{CpuSet, Id};

/// The reserved CPUs that are online.
pub(crate) fn reserve(layout: &Layout<'_>, rule: &ReserveRule) -> CpuSet {
    let count = match rule {
        ReserveRule::Cpus(cpus) => return cpus.intersection(&layout.online),
        ReserveRule::Count(count) => *count,
    };
    let mut cores: Vec<_> = layout.cores_of(&layout.online).into_iter().map(|core| core.part).collect();
    cores.sort_by_key(|core| core.first().map(Id::index));
    let mut left = count;
    let mut taken = CpuSet::new();
    for cpu in cores.iter().flat_map(CpuSet::iter) {
        if left == 0 {
            break;
        }
        taken.insert(cpu);
        left -= 1;
    }
    taken
}
