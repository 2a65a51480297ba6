//! What the estimate says of single NUMA nodes, as plugins, schedulers and knobs want to hear it.

use gleaner_estimator::{Estimate, NodeShare};
use gleaner_model::{NumaId, Topology};
use gleaner_qrm_plugins::Supply;
use std::collections::BTreeMap;

/// What can be lent on each NUMA node; `None` where it is not known at all, or not by node. On the only node that has CPUs it is all of it.
pub(super) fn by_node(estimate: &Estimate, topology: &Topology) -> Option<BTreeMap<NumaId, NodeShare>> {
    let whole = NodeShare { cpu: estimate.known_cpu()?, memory: estimate.memory };
    if !estimate.by_node.is_empty() {
        return Some(estimate.by_node.clone());
    }
    let mut nodes = topology.nodes().filter(|(_, node)| !node.cpus.is_empty()).map(|(id, _)| id);
    match (nodes.next(), nodes.next()) {
        (Some(only), None) => Some(BTreeMap::from([(only, whole)])),
        _ => None,
    }
}

/// What there is for reclaimed pods that run: not what may be promised, which can be more or less.
pub(super) fn supply(estimate: &Estimate) -> Supply {
    let gleaner_estimator::Supply { cpu, memory, memory_by_node, .. } = estimate.supply.clone();
    Supply { cpu: cpu.max(estimate.least_reclaimed_cpu()), memory, memory_by_node }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use gleaner_estimator::{Input, Policy, State, estimate};
    use gleaner_model::{Assignment, Bytes, MilliCpu, NumaReadings, Permille, Reading, Snapshot, Timestamp};
    use std::time::Duration;

    const GIB: u64 = 1 << 30;

    fn machine(nodes: u32) -> Topology {
        Topology::regular(1, nodes, 4, 1, Bytes::new(8 * GIB)).unwrap()
    }

    /// An idle machine of which all memory is free; with `numa` it is known where.
    fn idle(topology: &Topology, numa: bool) -> Estimate {
        let at = Timestamp::since_boot(Duration::from_secs(1000));
        let bytes = |bytes: Bytes| Reading::present(bytes, at);
        let mut snapshot = Snapshot { at, ..Snapshot::default() };
        snapshot.node.cpu_usage = Reading::present(MilliCpu::ZERO, at);
        snapshot.node.cpu_usage_by_cpu = Reading::present(topology.cpus().iter().map(|cpu| (cpu, Permille::new(0))).collect(), at);
        snapshot.node.memory_total = bytes(topology.memory());
        snapshot.node.memory_available = bytes(topology.memory());
        snapshot.node.memory_low_watermark = bytes(Bytes::ZERO);
        let readings = |memory: Bytes| NumaReadings {
            memory_total: bytes(memory),
            memory_free: bytes(memory),
            inactive_file: bytes(Bytes::ZERO),
            memory_low_watermark: bytes(Bytes::ZERO),
        };
        snapshot.node.numa = topology.nodes().filter(|_| numa).map(|(id, node)| (id, readings(node.memory))).collect();
        let (assignment, advice) = (Assignment::default(), BTreeMap::new());
        let input = Input { snapshot: &snapshot, topology, assignment: &assignment, advice: &advice };
        let state = State::resume(MilliCpu::from_cpus(8), topology.memory(), at);
        estimate(&input, &Policy::default(), state).0
    }

    #[test]
    fn several_nodes_are_told_as_far_as_they_are_known_and_a_single_one_has_it_all() {
        let two = machine(2);
        let known = idle(&two, true);
        let told = by_node(&known, &two).unwrap();
        assert_eq!(told.len(), 2, "{:?}", known.unknown);
        let sum: MilliCpu = told.values().map(|share| share.cpu).sum();
        assert!(sum <= known.cpu && !sum.is_zero(), "{told:?} of {}", known.cpu);
        assert_eq!(by_node(&idle(&two, false), &two), None);

        let one = machine(1);
        let alone = idle(&one, false);
        let whole = NodeShare { cpu: alone.cpu, memory: alone.memory };
        assert_eq!(by_node(&alone, &one), Some(BTreeMap::from([(NumaId::new(0), whole)])));
    }

    #[test]
    fn knobs_hear_of_the_supply_by_node() {
        let estimate = idle(&machine(2), true);
        let supply = supply(&estimate);
        assert_eq!(supply.memory_by_node, estimate.supply.memory_by_node);
        assert_eq!(supply.memory_by_node.len(), 2);
        let estimate = Estimate { cpu: MilliCpu::new(1), ..estimate };
        assert_eq!(super::supply(&estimate).cpu, estimate.supply.cpu, "which is not the promise");
    }
}
