//! The reader through hwloc. Its objects are converted here and seen nowhere else.

use super::{complete_distances, pages, sysfs};
use crate::HostError;
use gleaner_model::{Bytes, CpuId, Id, NodeInfo, NumaId, PageCount, PageSize, RawCpu, Topology};
use hwlocality::object::TopologyObject;
use hwlocality::object::attributes::ObjectAttributes;
use hwlocality::object::distance::DistancesKind;
use hwlocality::object::types::ObjectType;
use hwlocality::topology::Topology as Hwloc;
use hwlocality::topology::builder::BuildFlags;
use std::collections::BTreeMap;
use std::path::Path;

/// Missing on a kernel without NUMA.
const NODES: &str = "sys/devices/system/node";

/// Keeps keys made up for what hwloc does not know apart from its own object numbers, which count up from 0.
const MADE_UP: u64 = 1 << 63;

/// The topology of this machine as hwloc finds it.
///
/// # Errors
/// When hwloc fails, or what it found contradicts itself.
pub fn from_hwloc() -> Result<Topology, HostError> {
    from_hwloc_at(Path::new("/"))
}

/// `root` must be the tree that hwloc itself reads.
pub(super) fn from_hwloc_at(root: &Path) -> Result<Topology, HostError> {
    // The agent may itself be confined to a cpuset, and hwloc must not move its thread from CPU to CPU to ask each one.
    let flags = BuildFlags::INCLUDE_DISALLOWED | BuildFlags::DONT_CHANGE_BINDING;
    let builder = Hwloc::builder().with_flags(flags).map_err(|e| failed("setting hwloc's flags", &e))?;
    let found = builder.build().map_err(|e| failed("hwloc's discovery", &e))?;
    // Without the kernel's lists, nearness decides; a tree that lacks them is no reason to do without hwloc.
    let homes = sysfs::homes(root).unwrap_or_default();
    // hwloc tells them too, but not on a kernel without NUMA.
    let pages = |id: NumaId| if root.join(NODES).exists() { pages::of_node(root, id) } else { pages::of_machine(root) };
    convert(&found, &homes, pages)
}

/// Converts a topology that hwloc found, imported or made up.
///
/// hwloc tells to which CPUs a node's memory is near, not which node the kernel gives a CPU to: a node without CPUs may cover the CPUs of
/// its neighbours, or all. So here a CPU's node is the one among those near it that covers the fewest CPUs; of several, one that is not a
/// DAX device, then one that has memory, then the one with the lowest number. [`from_hwloc`] asks the kernel and does not need to guess.
///
/// # Errors
/// When a CPU or node has no number, a CPU is near no node, or the description contradicts itself.
pub fn from_hwloc_topology(topology: &Hwloc) -> Result<Topology, HostError> {
    convert(topology, &BTreeMap::new(), |_| Ok(BTreeMap::new()))
}

fn convert(
    topology: &Hwloc,
    homes: &BTreeMap<CpuId, NumaId>,
    pages: impl Fn(NumaId) -> Result<BTreeMap<PageSize, PageCount>, HostError>,
) -> Result<Topology, HostError> {
    let mut near = Vec::new();
    let mut nodes = Vec::new();
    for object in topology.objects_with_type(ObjectType::NUMANode) {
        let id: NumaId = number(object)?;
        let memory = match object.attributes() {
            Some(ObjectAttributes::NUMANode(node)) => node.local_memory().map_or(0, u64::from),
            _ => 0,
        };
        near.push((id, object));
        nodes.push(NodeInfo { id, memory: Bytes::new(memory), distances: BTreeMap::new(), hugepages: pages(id)? });
    }
    near.sort_by_key(|(id, object)| preference(*id, object));
    add_distances(topology, &mut nodes)?;
    complete_distances(&mut nodes);
    let cpus = topology.objects_with_type(ObjectType::PU).map(|pu| {
        let cpu: CpuId = number(pu)?;
        let kernel = homes.get(&cpu).copied().filter(|home| near.iter().any(|(id, _)| id == home));
        let nearest = || near.iter().find(|(_, object)| covers(object, pu)).map(|(id, _)| *id);
        let numa = kernel.or_else(nearest).ok_or_else(|| failed("hwloc's discovery", &format!("CPU {cpu} is near no NUMA node")))?;
        let key = |kind| pu.first_ancestor_with_type(kind).map(TopologyObject::global_persistent_index);
        Ok(RawCpu {
            cpu,
            // A machine that tells of no cores has single-threaded ones; of no packages, one.
            core: key(ObjectType::Core).unwrap_or(MADE_UP | u64::from(cpu.index())),
            package: key(ObjectType::Package).unwrap_or(MADE_UP),
            l3: key(ObjectType::L3Cache),
            numa,
        })
    });
    Ok(Topology::build(cpus.collect::<Result<Vec<_>, HostError>>()?, nodes)?)
}

/// Sorts the likelier home of a CPU first.
fn preference(id: NumaId, node: &TopologyObject) -> (usize, bool, bool, NumaId) {
    let reach = node.cpuset().and_then(|set| set.weight()).unwrap_or(usize::MAX);
    (reach, node.info("DAXDevice").is_some(), node.total_memory() == 0, id)
}

fn covers(node: &TopologyObject, pu: &TopologyObject) -> bool {
    match (node.cpuset(), pu.cpuset()) {
        (Some(all), Some(one)) => all.includes(one),
        _ => false,
    }
}

fn add_distances(topology: &Hwloc, nodes: &mut [NodeInfo]) -> Result<(), HostError> {
    let kind = Some(DistancesKind::MEANS_LATENCY);
    let tables = topology.distances_with_type(kind, ObjectType::NUMANode).map_err(|e| failed("hwloc's distances", &e))?;
    // Users of hwloc may add tables of their own; the system's is the first.
    let Some(table) = tables.first() else { return Ok(()) };
    let ids: Vec<Option<NumaId>> = table.objects().map(|o| o.map(number).transpose()).collect::<Result<_, _>>()?;
    for ((from, to), distance) in table.enumerate_distances() {
        let (Some(Some(from)), Some(Some(to))) = (ids.get(from), ids.get(to)) else { continue };
        let value = u32::try_from(distance).map_err(|e| failed("hwloc's distances", &e))?;
        if let Some(node) = nodes.iter_mut().find(|node| node.id == *from) {
            node.distances.insert(*to, value);
        }
    }
    Ok(())
}

/// The kernel's number of a CPU or node.
fn number<I: Id>(object: &TopologyObject) -> Result<I, HostError> {
    let index = object.os_index().and_then(|index| u32::try_from(index).ok()).filter(|index| *index <= I::MAX);
    index.map(I::from_index).ok_or_else(|| failed("hwloc's discovery", &format!("{object} has no number that the kernel knows")))
}

fn failed(what: &'static str, cause: &dyn std::fmt::Display) -> HostError {
    HostError::Library { what, cause: cause.to_string() }
}
