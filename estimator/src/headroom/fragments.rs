//! What is too little to be of use is not offered.

use super::settings::Fragments;
use crate::NodeShare;
use gleaner_model::{NumaId, Topology};
use std::collections::BTreeMap;

/// What new pods may be promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// On the whole node.
    pub(super) whole: NodeShare,
    /// The part of it on each NUMA node that is known.
    pub(super) by_node: BTreeMap<NumaId, NodeShare>,
}

impl Offer {
    /// Without NUMA nodes that have too little of CPU or of memory, whose part is then taken from the whole; and without all of it where the rest
    /// is too little. A NUMA node without CPUs is not judged by them, and one without memory not by that: bound pods are never there.
    pub(super) fn without_fragments(mut self, topology: &Topology, least: &Fragments) -> Self {
        for (id, share) in &mut self.by_node {
            let (cpus, memory) = topology.node(*id).map_or((true, true), |node| (!node.cpus.is_empty(), !node.memory.is_zero()));
            if (cpus && share.cpu < least.cpu) || (memory && share.memory < least.memory) {
                let part = std::mem::take(share);
                self.whole = NodeShare { cpu: self.whole.cpu.minus(part.cpu), memory: self.whole.memory.minus(part.memory) };
            }
        }
        if self.whole.cpu < least.cpu || self.whole.memory < least.memory {
            self.whole = NodeShare::default();
            self.by_node.values_mut().for_each(|share| *share = NodeShare::default());
        }
        self
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use gleaner_model::{Bytes, CpuId, MilliCpu, NodeInfo, RawCpu};

    const MIB: u64 = 1 << 20;

    /// Two nodes of one CPU and memory, one of memory alone.
    fn topology() -> Topology {
        let cpu = |cpu| RawCpu { cpu: CpuId::new(cpu), core: cpu.into(), package: 0, l3: None, numa: NumaId::new(cpu) };
        let node =
            |id| NodeInfo { id: NumaId::new(id), memory: Bytes::new(MIB << 10), distances: BTreeMap::new(), hugepages: BTreeMap::new() };
        Topology::build((0..2).map(cpu).collect(), (0..3).map(node).collect()).unwrap()
    }

    fn share((cpu, mib): (u64, u64)) -> NodeShare {
        NodeShare { cpu: MilliCpu::new(cpu), memory: Bytes::new(mib * MIB) }
    }

    fn offer(whole: (u64, u64), nodes: [(u64, u64); 3]) -> Offer {
        Offer { whole: share(whole), by_node: (0..).map(NumaId::new).zip(nodes.map(share)).collect() }
    }

    #[test]
    fn what_is_too_little_is_not_offered_and_not_in_the_sum() {
        let none = (0, 0);
        let table = [
            ("enough", offer((250, 600), [(100, 100), (100, 400), (0, 100)]), offer((250, 600), [(100, 100), (100, 400), (0, 100)])),
            (
                "too little CPU takes the memory along",
                offer((250, 600), [(99, 300), (151, 300), none]),
                offer((151, 300), [none, (151, 300), none]),
            ),
            (
                "too little memory takes the CPU along",
                offer((900, 600), [(500, 99), (300, 400), none]),
                offer((400, 501), [none, (300, 400), none]),
            ),
            ("the rest is too little", offer((180, 600), [(99, 300), (81, 300), none]), offer(none, [none, none, none])),
            ("too little on the whole", offer((99, 600), [none, none, none]), offer(none, [none, none, none])),
        ];
        for (name, given, expected) in table {
            assert_eq!(given.clone().without_fragments(&topology(), &Fragments::default()), expected, "{name}: {given:?}");
        }
    }
}
