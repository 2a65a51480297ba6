//! The plain reader of `/sys/devices/system/{cpu,node}` (kernel: Documentation/ABI/stable/sysfs-devices-{system-cpu,node}).

use super::{complete_distances, pages};
use crate::HostError;
use gleaner_model::{Bytes, CpuId, CpuSet, Id, IdSet, NodeInfo, NumaId, NumaSet, RawCpu, Topology};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// More `cache/indexN` folders than any CPU has.
const CACHE_INDEXES: u32 = 16;

/// The topology that sysfs below `root` describes; `/` is this machine, anything else a tree of the same shape.
///
/// Newer names of files are preferred (`core_cpus_list` over `thread_siblings_list`, `package_cpus_list` over `core_siblings_list`),
/// and lists over `core_id` and `physical_package_id`, which are not unique on every machine.
///
/// # Errors
/// When a file is missing that an online CPU or node must have, or holds what the kernel would never write; the error names the file.
pub fn from_sysfs(root: &Path) -> Result<Topology, HostError> {
    let cpu_dir = root.join("sys/devices/system/cpu");
    let online_file = cpu_dir.join("online");
    let online: CpuSet = read_set(&online_file)?;
    if online.is_empty() {
        return Err(malformed(&online_file, "no CPU is online"));
    }
    let ids = node_ids(root)?;
    let homes = homes_among(root, ids.as_ref())?;
    let mut nodes = match &ids {
        Some(ids) => ids.iter().map(|id| node_info(root, id, ids)).collect::<Result<Vec<_>, _>>()?,
        None => {
            let memory = mem_total(&root.join("proc/meminfo"))?;
            vec![NodeInfo { id: NumaId::new(0), memory, distances: BTreeMap::new(), hugepages: pages::of_machine(root)? }]
        }
    };
    complete_distances(&mut nodes);
    let home = |cpu: CpuId| match ids {
        Some(_) => homes.get(&cpu).copied().ok_or_else(|| malformed(&online_file, format!("CPU {cpu} is online but on no NUMA node"))),
        None => Ok(NumaId::new(0)),
    };
    let cpus = online.iter().map(|cpu| raw_cpu(&cpu_dir.join(format!("cpu{cpu}")), cpu, home(cpu)?, &online));
    Ok(Topology::build(cpus.collect::<Result<Vec<_>, HostError>>()?, nodes)?)
}

/// The kernel's node of every CPU; empty on a kernel without NUMA.
#[cfg(feature = "hwloc")]
pub(super) fn homes(root: &Path) -> Result<BTreeMap<CpuId, NumaId>, HostError> {
    homes_among(root, node_ids(root)?.as_ref())
}

/// The online nodes; `None` on a kernel without NUMA.
fn node_ids(root: &Path) -> Result<Option<NumaSet>, HostError> {
    let dir = root.join("sys/devices/system/node");
    if !dir.try_exists().map_err(|e| HostError::io("read", &dir, e))? {
        return Ok(None);
    }
    let file = dir.join("online");
    let ids: NumaSet = read_set(&file)?;
    if ids.is_empty() {
        return Err(malformed(&file, "no NUMA node is online"));
    }
    Ok(Some(ids))
}

fn homes_among(root: &Path, ids: Option<&NumaSet>) -> Result<BTreeMap<CpuId, NumaId>, HostError> {
    let mut homes = BTreeMap::new();
    for id in ids.into_iter().flat_map(IdSet::iter) {
        let file = node_dir(root, id).join("cpulist");
        let cpus: CpuSet = read_set(&file)?;
        for cpu in cpus.iter() {
            if let Some(other) = homes.insert(cpu, id) {
                return Err(malformed(&file, format!("CPU {cpu} is on NUMA node {other} too")));
            }
        }
    }
    Ok(homes)
}

fn node_info(root: &Path, id: NumaId, ids: &NumaSet) -> Result<NodeInfo, HostError> {
    let dir = node_dir(root, id);
    Ok(NodeInfo {
        id,
        memory: mem_total(&dir.join("meminfo"))?,
        distances: distances(&dir.join("distance"), ids)?,
        hugepages: pages::of_node(root, id)?,
    })
}

/// One row of the table: a column for each online node, in rising order. Empty where there is no such file.
fn distances(file: &Path, ids: &NumaSet) -> Result<BTreeMap<NumaId, u32>, HostError> {
    let Some(text) = read_optional(file)? else { return Ok(BTreeMap::new()) };
    let row: Result<Vec<u32>, _> = text.split_whitespace().map(str::parse).collect();
    match row {
        Ok(row) if row.len() == ids.len() => Ok(ids.iter().zip(row).collect()),
        _ => Err(malformed(file, format!("{:?} is not one distance for each of the online nodes {ids}", text.trim()))),
    }
}

fn raw_cpu(dir: &Path, cpu: CpuId, numa: NumaId, online: &CpuSet) -> Result<RawCpu, HostError> {
    let topology = dir.join("topology");
    let lists = |names: &[&str]| -> Result<Option<u64>, HostError> {
        for file in names.iter().map(|name| topology.join(name)) {
            if let Some(text) = read_optional(&file)? {
                return group(&file, &text, cpu, online).map(Some);
            }
        }
        Ok(None)
    };
    let package = match lists(&["package_cpus_list", "core_siblings_list"])? {
        Some(key) => key,
        None => by_id(&topology.join("physical_package_id"))?,
    };
    let core = match lists(&["core_cpus_list", "thread_siblings_list"])? {
        Some(key) => key,
        // A core's id is unique in its package only. One kernel has lists for all CPUs or for none, so keys of both kinds never meet.
        None => (package << 32) | by_id(&topology.join("core_id"))?,
    };
    Ok(RawCpu { cpu, core, package, l3: l3(&dir.join("cache"), cpu, online)?, numa })
}

fn l3(dir: &Path, cpu: CpuId, online: &CpuSet) -> Result<Option<u64>, HostError> {
    for index in (0..CACHE_INDEXES).map(|n| dir.join(format!("index{n}"))) {
        let level = read_optional(&index.join("level"))?;
        let kind = read_optional(&index.join("type"))?;
        let is_l3 = level.is_some_and(|l| l.trim() == "3") && kind.is_none_or(|k| k.trim() != "Instruction");
        if is_l3 {
            let file = index.join("shared_cpu_list");
            return group(&file, &read(&file)?, cpu, online).map(Some);
        }
    }
    Ok(None)
}

/// A group is known by its lowest online CPU.
fn group(file: &Path, text: &str, cpu: CpuId, online: &CpuSet) -> Result<u64, HostError> {
    let set: CpuSet = parse_set(file, text)?;
    let members = set.intersection(online);
    match members.first() {
        Some(first) if members.contains(cpu) => Ok(u64::from(first.index())),
        _ => Err(malformed(file, format!("{:?} does not list CPU {cpu} itself", text.trim()))),
    }
}

/// A number in 32 bits. The kernel writes -1 for an id that it does not know: then all such CPUs are one group.
fn by_id(file: &Path) -> Result<u64, HostError> {
    let text = read(file)?;
    let id: Option<i32> = text.trim().parse().ok();
    id.and_then(|id| u64::try_from(i64::from(id) + 1).ok()).ok_or_else(|| malformed(file, format!("{:?} is not an id", text.trim())))
}

/// The line `MemTotal:  6645976 kB` of a `meminfo`, which `nodeN/meminfo` starts with `Node N`.
fn mem_total(file: &Path) -> Result<Bytes, HostError> {
    let text = read(file)?;
    let line = text.lines().find_map(|line| line.split_once("MemTotal:")).map(|(_, value)| value.trim());
    let kibibytes = line.and_then(|value| value.strip_suffix("kB")?.trim().parse::<u64>().ok());
    let bytes = kibibytes.and_then(|value| value.checked_mul(1024));
    bytes.map(Bytes::new).ok_or_else(|| malformed(file, "there is no line \"MemTotal: <number> kB\""))
}

pub(super) fn node_dir(root: &Path, id: NumaId) -> PathBuf {
    root.join("sys/devices/system/node").join(format!("node{id}"))
}

fn read_set<I: Id>(file: &Path) -> Result<IdSet<I>, HostError> {
    parse_set(file, &read(file)?)
}

fn parse_set<I: Id>(file: &Path, text: &str) -> Result<IdSet<I>, HostError> {
    text.parse().map_err(|error: gleaner_model::ValueError| malformed(file, error.to_string()))
}

pub(super) fn read(file: &Path) -> Result<String, HostError> {
    std::fs::read_to_string(file).map_err(|e| HostError::io("read", file, e))
}

fn read_optional(file: &Path) -> Result<Option<String>, HostError> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(HostError::io("read", file, e)),
    }
}

pub(super) fn malformed(file: &Path, cause: impl Into<String>) -> HostError {
    HostError::Malformed { path: file.to_owned(), cause: cause.into() }
}
