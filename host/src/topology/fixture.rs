//! Writes a tree as the kernel shows it for a described machine, and says which value readers must make of it.

use gleaner_model::{Bytes, CpuId, CpuSet, Id, NodeInfo, NumaId, NumaSet, PageCount, PageSize, RawCpu, Topology};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A machine. CPUs carry the numbers of their groups; everything the kernel derives from them is derived here too.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) cpus: Vec<RawCpu>,
    pub(super) offline: CpuSet,
    /// Memory of each node in KiB.
    pub(super) nodes: BTreeMap<u32, u64>,
    /// Between nodes in the order of `nodes`.
    pub(super) distances: Option<Vec<Vec<u32>>>,
    /// Names of files as before Linux 5.3.
    pub(super) old_names: bool,
    /// A kernel without NUMA shows no nodes.
    pub(super) numa: bool,
    /// Huge pages of each size in KiB on each node; a kernel without them shows no folder.
    pub(super) pages: BTreeMap<(u32, u64), u64>,
}

impl Machine {
    /// Nodes x L3 groups a node x cores a group x threads, thread siblings as far apart as there are cores.
    pub(super) fn regular(nodes: u32, nodes_per_package: u32, l3_per_node: u32, cores_per_l3: u32, threads: u32) -> Self {
        let cores = nodes * l3_per_node * cores_per_l3;
        let cpu = |thread: u32, core: u32| {
            let (l3, node) = (core / cores_per_l3, core / cores_per_l3 / l3_per_node);
            RawCpu {
                cpu: CpuId::new(thread * cores + core),
                core: u64::from(core),
                package: u64::from(node / nodes_per_package),
                l3: Some(u64::from(l3)),
                numa: NumaId::new(node),
            }
        };
        let distance = |a: u32, b: u32| match (a == b, a / nodes_per_package == b / nodes_per_package) {
            (true, _) => 10,
            (false, true) => 12,
            (false, false) => 21,
        };
        Self {
            cpus: (0..threads).flat_map(|thread| (0..cores).map(move |core| cpu(thread, core))).collect(),
            offline: CpuSet::new(),
            nodes: (0..nodes).map(|node| (node, (u64::from(node) + 4) << 20)).collect(),
            distances: Some((0..nodes).map(|a| (0..nodes).map(|b| distance(a, b)).collect()).collect()),
            old_names: false,
            numa: true,
            pages: BTreeMap::new(),
        }
    }

    /// The value that this machine is.
    pub(super) fn expected(&self) -> Topology {
        let row = |index: usize| -> BTreeMap<NumaId, u32> {
            let table = self.distances.clone().unwrap_or_default();
            table.get(index).map(|row| self.nodes.keys().map(|id| NumaId::new(*id)).zip(row.iter().copied()).collect()).unwrap_or_default()
        };
        let nodes = self.nodes.iter().enumerate().map(|(index, (id, kib))| NodeInfo {
            id: NumaId::new(*id),
            memory: Bytes::new(kib * 1024),
            distances: if self.nodes.len() == 1 { [(NumaId::new(*id), 10)].into() } else { row(index) },
            hugepages: self
                .pages
                .iter()
                .filter(|((node, _), _)| node == id)
                .map(|((_, kib), count)| (size(*kib), PageCount::new(*count)))
                .collect(),
        });
        Topology::build(self.online().cloned().collect(), nodes.collect()).unwrap()
    }

    /// Writes the tree.
    pub(super) fn write(&self, root: &Path) {
        let (cpu_dir, node_dir) = (root.join("sys/devices/system/cpu"), root.join("sys/devices/system/node"));
        let online = self.having(|_| true);
        let present: CpuSet = self.cpus.iter().map(|c| c.cpu).collect();
        put(&cpu_dir.join("online"), &online.to_string());
        put(&cpu_dir.join("possible"), &present.to_string());
        put(&cpu_dir.join("present"), &present.to_string());
        for cpu in self.offline.iter() {
            put(&cpu_dir.join(format!("cpu{cpu}/online")), "0");
        }
        self.online().for_each(|cpu| self.write_cpu(&cpu_dir.join(format!("cpu{}", cpu.cpu)), cpu));
        let total: u64 = self.nodes.values().sum();
        for ((node, kib), count) in &self.pages {
            let dir = if self.numa { node_dir.join(format!("node{node}/hugepages")) } else { root.join("sys/kernel/mm/hugepages") };
            put(&dir.join(format!("hugepages-{kib}kB/nr_hugepages")), &count.to_string());
            put(&dir.join(format!("hugepages-{kib}kB/free_hugepages")), "0");
        }
        put(&root.join("proc/meminfo"), &format!("MemTotal:       {total} kB\nMemFree:        1024 kB"));
        if !self.numa {
            return;
        }
        let ids: NumaSet = self.nodes.keys().map(|id| NumaId::new(*id)).collect();
        put(&node_dir.join("online"), &ids.to_string());
        for (index, (id, kib)) in self.nodes.iter().enumerate() {
            let dir = node_dir.join(format!("node{id}"));
            put_set(&dir, "cpumap", "cpulist", &self.having(|c| c.numa.index() == *id));
            put(&dir.join("meminfo"), &format!("Node {id} MemTotal:       {kib} kB\nNode {id} MemFree:        {} kB", kib / 2));
            if let Some(row) = self.distances.as_ref().and_then(|table| table.get(index)) {
                put(&dir.join("distance"), &row.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
            }
        }
    }

    fn write_cpu(&self, dir: &Path, cpu: &RawCpu) {
        let topology = dir.join("topology");
        let core = self.having(|c| c.core == cpu.core);
        let package = self.having(|c| c.package == cpu.package);
        put(&topology.join("core_id"), &cpu.core.to_string());
        put(&topology.join("physical_package_id"), &cpu.package.to_string());
        if self.old_names {
            put_set(&topology, "thread_siblings", "thread_siblings_list", &core);
            put_set(&topology, "core_siblings", "core_siblings_list", &package);
        } else {
            put_set(&topology, "core_cpus", "core_cpus_list", &core);
            put_set(&topology, "package_cpus", "package_cpus_list", &package);
        }
        let cache = |index: u32, level: u32, kind: &str, shared: &CpuSet| {
            let dir = dir.join(format!("cache/index{index}"));
            put(&dir.join("level"), &level.to_string());
            put(&dir.join("type"), kind);
            put_set(&dir, "shared_cpu_map", "shared_cpu_list", shared);
        };
        cache(0, 1, "Data", &core);
        if cpu.l3.is_some() {
            cache(2, 3, "Unified", &self.having(|c| c.l3 == cpu.l3));
        }
    }

    fn online(&self) -> impl Iterator<Item = &RawCpu> {
        self.cpus.iter().filter(|c| !self.offline.contains(c.cpu))
    }

    fn having(&self, test: impl Fn(&RawCpu) -> bool) -> CpuSet {
        self.online().filter(|c| test(c)).map(|c| c.cpu).collect()
    }
}

fn size(kib: u64) -> PageSize {
    PageSize::new(Bytes::new(kib * 1024)).unwrap()
}

fn put_set(dir: &Path, mask: &str, list: &str, cpus: &CpuSet) {
    let words = (0..=cpus.iter().last().map_or(0, |last| last.index() / 32)).rev();
    let word = |word: u32| (0..32).filter(|bit| cpus.contains(CpuId::new(word * 32 + bit))).fold(0u32, |bits, bit| bits | 1 << bit);
    let words: Vec<String> = words.map(|index| format!("{:08x}", word(index))).collect();
    put(&dir.join(mask), &words.join(","));
    put(&dir.join(list), &cpus.to_string());
}

/// Writes a file as the kernel does, with a final newline.
#[allow(clippy::disallowed_methods, reason = "a tree that only looks like the kernel's")]
pub(super) fn put(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, format!("{text}\n")).unwrap();
}
