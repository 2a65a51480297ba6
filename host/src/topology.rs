//! Reads the machine's hardware topology once, at start, into the model's plain [`Topology`] value.
//!
//! Two readers give the same value: hwloc (feature `hwloc`, on by default), which knows the quirks of many machines, and a plain
//! reader of sysfs, which needs no library. Where the two sources tell different stories, this is the value that both give:
//!
//! - CPUs: the online ones, those outside the agent's own cpuset too. Offline CPUs are not part of the value.
//! - The node of a CPU is the kernel's (`nodeN/cpulist`). hwloc knows which CPUs are *near* a memory, and so counts a node without CPUs
//!   to the CPUs of its neighbours; see `from_hwloc_topology` for what follows from that.
//! - Nodes: every online node, without CPUs or without memory (zero bytes) too. A kernel without NUMA is one node 0 with all memory.
//! - Distances: a full table or none at all. A single node is at the local distance, 10 (ACPI's SLIT), from itself, whether or not a
//!   table says so; hwloc keeps no table for one node.
//! - Huge pages: those that the kernel keeps for a node, of every size that it offers, by sysfs in both readers. A made-up machine has none.
//! - L3: the data or unified cache of level 3; `None` where none is told of, as in many virtual machines.

#[cfg(feature = "hwloc")]
mod hwloc;
mod pages;
mod sysfs;

#[cfg(feature = "hwloc")]
pub use hwloc::{from_hwloc, from_hwloc_topology};
pub use sysfs::from_sysfs;

use crate::HostError;
use gleaner_model::{NodeInfo, Topology};
use std::path::Path;

/// The kernel's distance of a node to itself (`LOCAL_DISTANCE`).
const LOCAL_DISTANCE: u32 = 10;

/// The topology of this machine, with a warning when hwloc failed and sysfs was read in its place.
///
/// # Errors
/// When sysfs cannot be read either.
#[cfg(feature = "hwloc")]
pub fn detect() -> Result<(Topology, Option<String>), HostError> {
    detect_with(from_hwloc(), || from_sysfs(Path::new("/")))
}

/// The topology of this machine; without the feature `hwloc` there is only one reader and never a warning.
///
/// # Errors
/// When sysfs cannot be read.
#[cfg(not(feature = "hwloc"))]
pub fn detect() -> Result<(Topology, Option<String>), HostError> {
    Ok((from_sysfs(Path::new("/"))?, None))
}

#[cfg(feature = "hwloc")]
fn detect_with(
    hwloc: Result<Topology, HostError>,
    sysfs: impl FnOnce() -> Result<Topology, HostError>,
) -> Result<(Topology, Option<String>), HostError> {
    match hwloc {
        Ok(topology) => Ok((topology, None)),
        Err(error) => Ok((sysfs()?, Some(format!("the topology was read from sysfs, because hwloc failed: {error}")))),
    }
}

/// Makes distances a full table or none, and gives a single node its local distance.
fn complete_distances(nodes: &mut [NodeInfo]) {
    if let [only] = nodes {
        only.distances = [(only.id, LOCAL_DISTANCE)].into();
        return;
    }
    let ids: Vec<_> = nodes.iter().map(|node| node.id).collect();
    let full = nodes.iter().all(|node| ids.iter().all(|id| node.distances.contains_key(id)));
    if !full {
        nodes.iter_mut().for_each(|node| node.distances.clear());
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
