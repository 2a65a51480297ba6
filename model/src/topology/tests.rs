#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn raw(cpu: u32, core: u64, package: u64, numa: u32) -> RawCpu {
    RawCpu { cpu: CpuId::new(cpu), core, package, l3: None, numa: NumaId::new(numa) }
}

fn node(id: u32) -> NodeInfo {
    NodeInfo { id: NumaId::new(id), memory: Bytes::new(1 << 30), distances: BTreeMap::new(), hugepages: BTreeMap::new() }
}

#[test]
fn groups_are_numbered_by_their_lowest_cpu_whatever_the_order_of_reading() {
    let cpus = vec![raw(3, 70, 9, 1), raw(0, 80, 5, 0), raw(2, 80, 5, 0), raw(1, 70, 9, 1)];
    let mut turned = cpus.clone();
    turned.reverse();
    let topology = Topology::build(cpus, vec![node(1), node(0)]).unwrap();
    assert_eq!(topology, Topology::build(turned, vec![node(0), node(1)]).unwrap());
    let cores: Vec<String> = topology.cores().values().map(ToString::to_string).collect();
    assert_eq!(cores, ["0,2", "1,3"]);
    assert_eq!(topology.packages().len(), 2);
    assert!(topology.l3_groups().is_empty());
}

#[test]
fn contradictions_are_named() {
    assert_eq!(Topology::build(vec![], vec![node(0)]), Err(TopologyError::NoCpu));
    assert_eq!(Topology::build(vec![raw(0, 0, 0, 0), raw(0, 0, 0, 0)], vec![node(0)]), Err(TopologyError::DuplicateCpu(0)));
    assert_eq!(Topology::build(vec![raw(0, 0, 0, 0)], vec![node(0), node(0)]), Err(TopologyError::DuplicateNode(0)));
    assert_eq!(Topology::build(vec![raw(4, 0, 0, 7)], vec![node(0)]), Err(TopologyError::UnknownNode { cpu: 4, node: 7 }));
}

#[test]
fn a_regular_machine_has_its_threads_far_apart() {
    let t = Topology::regular(2, 2, 3, 2, Bytes::new(1 << 30)).unwrap();
    assert_eq!(t.cpus().to_string(), "0-23");
    assert_eq!(t.siblings(CpuId::new(1)).to_string(), "1,13");
    assert_eq!(t.node(NumaId::new(3)).unwrap().cpus.to_string(), "9-11,21-23");
    assert_eq!(t.distance(NumaId::new(0), NumaId::new(1)), Some(12));
    assert_eq!(t.distance(NumaId::new(0), NumaId::new(2)), Some(21));
    assert_eq!(t.threads_per_core(), 2);
    assert_eq!(t.l3_groups().len(), 4);
}

#[test]
fn nodes_without_memory_cannot_be_bound_to() {
    let mut empty = node(1);
    empty.memory = Bytes::ZERO;
    let t = Topology::build(vec![raw(0, 0, 0, 0), raw(1, 1, 0, 1)], vec![node(0), empty]).unwrap();
    assert_eq!(t.memory_nodes().to_string(), "0");
    assert_eq!(t.nodes_of(&t.cpus()).to_string(), "0-1");
}
