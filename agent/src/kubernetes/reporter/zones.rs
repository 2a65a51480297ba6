//! The tree of sockets, NUMA nodes and caches. Katalyst's scheduler looks at NUMA nodes below sockets only.

use super::allocations::{on_cpus, on_nodes};
use super::offer::{Offer, split};
use crate::kubernetes::NodeReport;
use gleaner_crds::cnr::{Allocation, Attribute, ResourceList, Resources, Sibling, TopologyZone, ZoneType};
use gleaner_crds::keys::resource;
use gleaner_crds::quantity::{MilliValue, WholeValue};
use gleaner_model::{Bytes, CpuSet, MilliCpu, NumaId, NumaNode, PackageId, Topology};
use std::collections::BTreeMap;

/// Katalyst's name for the distances from one NUMA node to all, by rising number.
const NUMA_DISTANCE: &str = "numa_distance";
/// Katalyst's name for the CPUs of a NUMA node that pods never get.
const RESERVED_CPUS: &str = "reserved_cpu_list";
/// Katalyst's name for the CPUs of a cache.
const CPU_LIST: &str = "cpu_lists";
/// Of a relation between two NUMA nodes; the kernel's number, 10 is local.
const DISTANCE: &str = "distance";

/// All zones: sockets by number, then NUMA nodes without CPUs, which are in no socket.
pub(super) fn zones(report: &NodeReport, offer: &Offer) -> Vec<TopologyZone> {
    let topology = &report.topology;
    let mut allocations = on_nodes(&report.pods, topology);
    let mut sockets: BTreeMap<PackageId, Vec<TopologyZone>> = BTreeMap::new();
    let mut alone = Vec::new();
    let weights: Vec<u64> = topology.nodes().map(|(_, node)| node.ordinary_memory().get()).collect();
    let reserves = split(report.memory_reserve.get(), &weights);
    for ((id, node), reserve) in topology.nodes().zip(reserves) {
        let place = Place { id, node, reserve: Bytes::new(reserve) };
        let zone = numa(report, offer, &place, allocations.remove(&id).unwrap_or_default());
        match node.cpus.first().and_then(|cpu| topology.cpu(cpu)) {
            Some(cpu) => sockets.entry(cpu.package).or_default().push(zone),
            None => alone.push(zone),
        }
    }
    let socket =
        |(id, children): (PackageId, Vec<TopologyZone>)| TopologyZone { children, ..TopologyZone::new(ZoneType::Socket, id.to_string()) };
    sockets.into_iter().map(socket).chain(alone).collect()
}

/// One NUMA node, with its part of the memory that pods never get.
struct Place<'a> {
    id: NumaId,
    node: &'a NumaNode,
    reserve: Bytes,
}

fn numa(report: &NodeReport, offer: &Offer, place: &Place<'_>, allocations: Vec<Allocation>) -> TopologyZone {
    let Place { id, node, reserve } = place;
    let mut capacity = native(node.cpus.count(), node.memory);
    let free = node.cpus.difference(&report.reserved).count();
    let mut allocatable = native(free, node.ordinary_memory().minus(*reserve));
    if let Some(by_node) = &offer.by_node {
        let (cpu, memory) = by_node.get(id).copied().unwrap_or_default();
        let lent = reclaimed(cpu, memory);
        capacity.extend(lent.clone());
        allocatable.extend(lent);
    }
    TopologyZone {
        resources: Resources { capacity: Some(capacity), allocatable: Some(allocatable), ..Resources::default() },
        attributes: numa_attributes(&report.topology, &report.reserved, place),
        allocations,
        children: caches(report, node),
        siblings: siblings(&report.topology, *id),
        ..TopologyZone::new(ZoneType::Numa, id.to_string())
    }
}

fn numa_attributes(topology: &Topology, reserved: &CpuSet, place: &Place<'_>) -> Vec<Attribute> {
    let distances: Option<Vec<String>> =
        topology.nodes().map(|(other, _)| topology.distance(place.id, other).map(|distance| distance.to_string())).collect();
    let reserved = reserved.intersection(&place.node.cpus);
    let distances = distances.map(|all| attribute(NUMA_DISTANCE, all.join(",")));
    let reserved = (!reserved.is_empty()).then(|| attribute(RESERVED_CPUS, reserved.to_string()));
    distances.into_iter().chain(reserved).collect()
}

fn siblings(topology: &Topology, id: NumaId) -> Vec<Sibling> {
    let others = topology.nodes().map(|(other, _)| other).filter(|other| *other != id);
    others
        .filter_map(|other| topology.distance(id, other).map(|distance| (other, distance)))
        .map(|(other, distance)| Sibling {
            type_: ZoneType::Numa,
            name: other.to_string(),
            attributes: vec![attribute(DISTANCE, distance.to_string())],
        })
        .collect()
}

/// The caches of a NUMA node that has several; a single one would say the same again.
fn caches(report: &NodeReport, node: &NumaNode) -> Vec<TopologyZone> {
    let groups = report.topology.l3_groups().into_iter().map(|(id, cpus)| (id, cpus.intersection(&node.cpus)));
    let groups: Vec<_> = groups.filter(|(_, cpus)| !cpus.is_empty()).collect();
    if groups.len() < 2 {
        return Vec::new();
    }
    let zone = |(id, cpus): (gleaner_model::CacheId, CpuSet)| {
        let free = cpus.difference(&report.reserved).count();
        TopologyZone {
            resources: Resources { capacity: Some(cores(cpus.count())), allocatable: Some(cores(free)), ..Resources::default() },
            attributes: vec![attribute(CPU_LIST, cpus.to_string())],
            allocations: on_cpus(&report.pods, &cpus),
            ..TopologyZone::new(ZoneType::CacheGroup, id.to_string())
        }
    };
    groups.into_iter().map(zone).collect()
}

fn attribute(name: &str, value: String) -> Attribute {
    Attribute { name: name.to_owned(), value }
}

fn cores(cpus: u32) -> ResourceList {
    BTreeMap::from([(resource::CPU.to_owned(), MilliValue::new(MilliCpu::from_cpus(cpus).get()).to_quantity())])
}

fn native(cpus: u32, memory: Bytes) -> ResourceList {
    let mut list = cores(cpus);
    list.insert(resource::MEMORY.to_owned(), WholeValue::new(memory.get()).to_quantity());
    list
}

/// The names of what is lent.
pub(super) const RECLAIMED: [&str; 2] = [resource::RECLAIMED_MILLICPU, resource::RECLAIMED_MEMORY];

/// Reclaimed amounts as plain numbers: thousandths of a core, and bytes.
pub(super) fn reclaimed(cpu: MilliCpu, memory: Bytes) -> ResourceList {
    BTreeMap::from([
        (resource::RECLAIMED_MILLICPU.to_owned(), WholeValue::new(cpu.get()).to_quantity()),
        (resource::RECLAIMED_MEMORY.to_owned(), WholeValue::new(memory.get()).to_quantity()),
    ])
}
