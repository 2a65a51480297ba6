//! CPUs kept from pods. They depend on the machine and the policy alone, so that they never move by themselves.

use super::policy::{PlacePolicy, ReserveRule};
use crate::layout::Layout;
use gleaner_model::{CpuSet, Id, NumaId, apportion};
use std::collections::BTreeMap;

/// The online CPUs that are kept from pods.
pub(super) struct Kept {
    /// For the system.
    pub(super) reserve: CpuSet,
    /// For interrupts; never in the reserve too, since system pods may use that.
    pub(super) interrupt: CpuSet,
}

/// The CPUs that are kept by this policy on this machine.
pub(super) fn kept(layout: &Layout<'_>, policy: &PlacePolicy) -> Kept {
    let interrupt = policy.interrupt.intersection(&layout.online);
    let others = layout.online.difference(&interrupt);
    let reserve = match &policy.reserve {
        ReserveRule::Cpus(cpus) => cpus.intersection(&others),
        ReserveRule::Count(count) => lowest(layout, &others, *count),
        ReserveRule::Spread(count) => {
            let there: BTreeMap<NumaId, u32> =
                layout.nodes.iter().map(|(node, cpus)| (*node, cpus.intersection(&others).count())).collect();
            by_node(layout, &others, &apportion(&there, (*count).min(there.values().sum()), 0))
        }
        ReserveRule::ByNode(counts) => by_node(layout, &others, counts),
    };
    Kept { reserve, interrupt }
}

fn by_node(layout: &Layout<'_>, cpus: &CpuSet, counts: &BTreeMap<NumaId, u32>) -> CpuSet {
    let nodes = counts.iter().filter_map(|(node, count)| Some((layout.nodes.get(node)?, *count)));
    nodes.fold(CpuSet::new(), |all, (node, count)| all.union(&lowest(layout, &node.intersection(cpus), count)))
}

fn lowest(layout: &Layout<'_>, cpus: &CpuSet, count: u32) -> CpuSet {
    let mut cores: Vec<_> = layout.cores_of(cpus).into_iter().map(|core| core.part).collect();
    cores.sort_by_key(|core| core.first().map(Id::index));
    cores.iter().flat_map(CpuSet::iter).take(usize::try_from(count).unwrap_or(usize::MAX)).collect()
}
