//! What is too little to be of use is not offered.

use super::cpu_nodes::ByNode;
use super::parts::{Parts, sum, within};
use super::settings::Fragments;
use gleaner_model::{NumaId, Topology};
use std::collections::BTreeSet;

/// NUMA nodes that have too little of CPU or of memory, so that neither is of use. A node without CPUs is not judged by them, and one without memory
/// not by that: bound pods are never there. A node of which either is not known is not judged.
pub(super) fn useless(topology: &Topology, cpu: &Parts, memory: &Parts, least: &Fragments) -> BTreeSet<NumaId> {
    let little = |(id, cpus): (&NumaId, &u64)| {
        let (node, bytes) = (topology.node(*id)?, memory.get(id)?);
        let cpu = !node.cpus.is_empty() && *cpus < least.cpu.get();
        let memory = !node.memory.is_zero() && *bytes < least.memory.get();
        (cpu || memory).then_some(*id)
    };
    cpu.iter().filter_map(little).collect()
}

/// What the whole node and each NUMA node offers without those: the whole no more than the others have. Those of which nothing is known may have all
/// their room. The nodes are judged and left out before they are cut to the whole, so that the whole never grows when one has less.
pub(super) fn without(useless: &BTreeSet<NumaId>, whole: u64, nodes: &ByNode) -> (u64, Parts) {
    if useless.is_empty() {
        return (whole, nodes.supply.clone());
    }
    let others = |parts: &Parts| -> Parts { parts.iter().filter(|(id, _)| !useless.contains(id)).map(|(id, part)| (*id, *part)).collect() };
    let most = others(&nodes.most);
    let dark: Parts = others(&nodes.room).into_iter().filter(|(id, _)| !most.contains_key(id)).collect();
    let have = sum(&most).saturating_add(sum(&dark));
    let whole = whole.min(u64::try_from(have).unwrap_or(u64::MAX));
    let mut parts = within(whole, most);
    parts.extend(useless.iter().filter(|id| nodes.most.contains_key(id)).map(|id| (*id, 0)));
    (whole, parts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use gleaner_model::Bytes;
    use gleaner_model::{CpuId, NodeInfo, RawCpu};
    use std::collections::BTreeMap;

    const MIB: u64 = 1 << 20;

    /// Two nodes of one CPU and memory, one of memory alone.
    fn topology() -> Topology {
        let cpu = |cpu| RawCpu { cpu: CpuId::new(cpu), core: cpu.into(), package: 0, l3: None, numa: NumaId::new(cpu) };
        let node =
            |id| NodeInfo { id: NumaId::new(id), memory: Bytes::new(MIB << 10), distances: BTreeMap::new(), hugepages: BTreeMap::new() };
        Topology::build((0..2).map(cpu).collect(), (0..3).map(node).collect()).unwrap()
    }

    fn parts(amounts: &[u64]) -> Parts {
        (0..).map(NumaId::new).zip(amounts.iter().copied()).collect()
    }

    #[test]
    fn a_node_with_too_little_of_one_is_of_no_use() {
        type Row = (&'static str, [u64; 3], &'static [u64], &'static [u32]);
        let table: [Row; 5] = [
            ("enough", [100, 100, 0], &[100, 400, 100], &[]),
            ("too little CPU", [99, 100, 0], &[400, 400, 100], &[0]),
            ("too little memory", [900, 900, 0], &[400, 99, 100], &[1]),
            ("too little on a node without CPUs", [900, 900, 0], &[400, 400, 99], &[2]),
            ("memory of two is not known", [0, 0, 0], &[400], &[0]),
        ];
        for (name, cpu, memory, expected) in table {
            let memory: Vec<u64> = memory.iter().map(|mib| mib * MIB).collect();
            let found = useless(&topology(), &parts(&cpu), &parts(&memory), &Fragments::default());
            assert_eq!(found, expected.iter().copied().map(NumaId::new).collect(), "{name}: {cpu:?} {memory:?}");
        }
    }

    #[test]
    fn the_whole_is_no_more_than_what_the_others_have() {
        type Row = (&'static str, &'static [u32], u64, &'static [u64], u64, &'static [u64]);
        let nodes = |most: &[u64]| ByNode { most: parts(most), supply: parts(&[1, 2]), room: parts(&[700, 700, 700]), ..ByNode::default() };
        let table: [Row; 5] = [
            ("all are of use", &[], 300, &[400, 500], 300, &[1, 2]),
            ("the other has less", &[0], 300, &[90, 200, 0], 200, &[0, 200, 0]),
            ("the other has more", &[0], 300, &[90, 600, 0], 300, &[0, 300, 0]),
            ("the others are cut to the whole", &[1], 300, &[400, 99, 200], 300, &[200, 0, 100]),
            ("one of them is not known", &[0], 900, &[90, 100], 800, &[0, 100]),
        ];
        for (name, useless, whole, most, expected, by_node) in table {
            let useless = useless.iter().copied().map(NumaId::new).collect();
            assert_eq!(without(&useless, whole, &nodes(most)), (expected, parts(by_node)), "{name}: {most:?} of {whole}");
        }
    }
}
