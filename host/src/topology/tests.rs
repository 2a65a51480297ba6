#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr, reason = "tests")]

use super::fixture::{Machine, put};
use super::from_sysfs;
use gleaner_model::{Id, NumaId, RawCpu};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

/// Every kind of machine that the readers must agree on.
pub(super) fn machines() -> Vec<(&'static str, Machine)> {
    let small = || Machine::regular(2, 1, 1, 2, 2);
    let with_nodes = |change: fn(&mut Machine)| {
        let mut machine = small();
        change(&mut machine);
        machine
    };
    vec![
        ("one node of two CPUs", Machine::regular(1, 1, 1, 2, 1)),
        ("two packages of 24 cores with SMT", Machine::regular(2, 1, 1, 24, 2)),
        ("two packages of two nodes", Machine::regular(4, 2, 1, 8, 2)),
        ("many L3 groups", Machine::regular(2, 1, 8, 2, 2)),
        ("CPUs offline", Machine { offline: "0,3,5-6".parse().unwrap(), ..small() }),
        ("a whole node's CPUs offline", Machine { offline: "2-3,6-7".parse().unwrap(), ..small() }),
        ("no table of distances", Machine { distances: None, ..small() }),
        ("old names of files", Machine { old_names: true, ..small() }),
        ("no L3", with_nodes(|m| m.cpus.iter_mut().for_each(|c| c.l3 = None))),
        ("a kernel without NUMA", Machine { numa: false, ..Machine::regular(1, 1, 1, 2, 2) }),
        (
            "huge pages of two sizes",
            Machine { pages: [((0, 2048), 512), ((0, 1 << 20), 0), ((1, 2048), 3), ((1, 1 << 20), 2)].into(), ..small() },
        ),
        ("huge pages of a kernel without NUMA", Machine { numa: false, pages: [((0, 2048), 7)].into(), ..Machine::regular(1, 1, 1, 2, 2) }),
        ("a node without memory", with_nodes(|m| m.nodes.insert(1, 0).map_or((), |_| ()))),
        (
            "a node without CPUs, near one of two",
            with_nodes(|m| {
                m.nodes.insert(2, 16 << 20);
                m.distances = Some(vec![vec![10, 21, 17], vec![21, 10, 28], vec![17, 28, 10]]);
            }),
        ),
        (
            "a node without CPUs, as near to both",
            with_nodes(|m| {
                m.nodes.insert(5, 16 << 20);
                m.distances = Some(vec![vec![10, 21, 20], vec![21, 10, 20], vec![20, 20, 10]]);
            }),
        ),
        (
            "the first node without CPUs, near one of two",
            with_nodes(|m| {
                m.cpus.iter_mut().for_each(|c| c.numa = NumaId::new(c.numa.index() + 1));
                m.nodes.insert(2, 16 << 20);
                m.distances = Some(vec![vec![10, 17, 28], vec![17, 10, 21], vec![28, 21, 10]]);
            }),
        ),
        ("the first node without CPUs", with_nodes(|m| m.cpus.iter_mut().for_each(|c| c.numa = NumaId::new(1)))),
        (
            "the first node without CPUs and memory",
            with_nodes(|m| {
                m.cpus.iter_mut().for_each(|c| c.numa = NumaId::new(1));
                m.nodes.insert(0, 0);
            }),
        ),
    ]
}

pub(super) fn tree(machine: &Machine) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    machine.write(dir.path());
    dir
}

#[test]
fn sysfs_tells_what_the_machine_is() {
    for (name, machine) in machines() {
        let dir = tree(&machine);
        assert_eq!(from_sysfs(dir.path()).unwrap(), machine.expected(), "{name}");
    }
}

#[test]
fn sibling_lists_may_name_offline_cpus() {
    let dir = tree(&Machine { offline: "0,3".parse().unwrap(), ..Machine::regular(2, 1, 1, 2, 2) });
    let whole = from_sysfs(dir.path()).unwrap();
    put(&dir.path().join("sys/devices/system/cpu/cpu4/topology/core_cpus_list"), "0,4");
    put(&dir.path().join("sys/devices/system/node/node0/cpulist"), "0-1,4-5");
    assert_eq!(from_sysfs(dir.path()).unwrap(), whole);
}

#[test]
fn ids_serve_where_there_are_no_lists() {
    let machine = Machine { old_names: true, ..Machine::regular(2, 1, 1, 2, 2) };
    let dir = tree(&machine);
    for RawCpu { cpu, .. } in &machine.cpus {
        let topology = dir.path().join(format!("sys/devices/system/cpu/cpu{cpu}/topology"));
        // Both packages number their cores from 0.
        put(&topology.join("core_id"), &(cpu.to_string().parse::<u32>().unwrap() % 2).to_string());
        std::fs::remove_file(topology.join("thread_siblings_list")).unwrap();
        std::fs::remove_file(topology.join("core_siblings_list")).unwrap();
    }
    assert_eq!(from_sysfs(dir.path()).unwrap(), machine.expected());
}

/// A broken tree must be an error that names `file`.
fn refused(file: &str, text: Option<&str>) {
    let dir = tree(&Machine::regular(2, 1, 1, 2, 2));
    let path = dir.path().join(file);
    match text {
        Some(text) => put(&path, text),
        None if path.is_dir() => std::fs::remove_dir_all(&path).unwrap(),
        None => std::fs::remove_file(&path).unwrap(),
    }
    match from_sysfs(dir.path()) {
        Ok(topology) => panic!("{file} = {text:?} was read as {topology:?}"),
        Err(error) => assert!(error.to_string().contains(path.to_str().unwrap()), "{file} = {text:?}: {error}"),
    }
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let system = "sys/devices/system";
    for file in
        ["cpu/online", "cpu/cpu2/topology", "cpu/cpu1", "cpu/cpu3/cache/index2/shared_cpu_list", "node/online", "node/node1/meminfo"]
    {
        refused(&format!("{system}/{file}"), None);
    }
    refused(&format!("{system}/node/node0/cpulist"), None);
}

#[test]
fn garbage_in_a_file_is_an_error_that_names_it() {
    let cases = [
        ("cpu/online", "0-"),
        ("cpu/online", ""),
        ("cpu/online", "0-99999"),
        ("cpu/cpu0/topology/core_cpus_list", "none"),
        ("cpu/cpu0/topology/core_cpus_list", "1"),
        ("cpu/cpu1/topology/package_cpus_list", ""),
        ("cpu/cpu2/cache/index2/shared_cpu_list", "0-1"),
        ("node/online", ""),
        ("node/online", "zero"),
        ("node/node1/cpulist", "2-3,6-7,0"),
        ("node/node1/cpulist", "-1"),
        ("node/node0/meminfo", "Node 0 MemTotal: many kB"),
        ("node/node0/meminfo", "Node 0 MemTotal: 18446744073709551615 kB"),
        ("node/node0/meminfo", "Node 0 MemFree: 1 kB"),
        ("node/node0/distance", "10"),
        ("node/node0/distance", "10 21 30"),
        ("node/node0/distance", "10 far"),
    ];
    for (file, text) in cases {
        refused(&format!("sys/devices/system/{file}"), Some(text));
    }
}

#[test]
fn an_online_cpu_on_no_node_is_an_error() {
    let dir = tree(&Machine::regular(2, 1, 1, 2, 2));
    put(&dir.path().join("sys/devices/system/node/node1/cpulist"), "2-3,6");
    let error = from_sysfs(dir.path()).unwrap_err().to_string();
    assert!(error.contains("CPU 7 is online but on no NUMA node"), "{error}");
}

#[test]
fn huge_pages_that_cannot_be_understood_are_named() {
    for (file, text) in
        [("hugepages-2048kB/nr_hugepages", "many"), ("hugepages-2048kB/nr_hugepages", "-1"), ("hugepages-2M/nr_hugepages", "1")]
    {
        let dir = tree(&Machine::regular(2, 1, 1, 2, 2));
        let path = dir.path().join("sys/devices/system/node/node1/hugepages").join(file);
        put(&path, text);
        let error = from_sysfs(dir.path()).unwrap_err().to_string();
        assert!(error.contains(path.parent().unwrap().to_str().unwrap()), "{file} = {text}: {error}");
    }
}

#[test]
fn the_huge_pages_of_this_machine_are_those_of_its_nodes() {
    let folder = Path::new("/sys/kernel/mm/hugepages");
    if !folder.exists() {
        return eprintln!("SKIP the_huge_pages_of_this_machine_are_those_of_its_nodes: the kernel offers none");
    }
    let topology = from_sysfs(Path::new("/")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        let kib: u64 = name.strip_prefix("hugepages-").unwrap().strip_suffix("kB").unwrap().parse().unwrap();
        let size = gleaner_model::PageSize::new(gleaner_model::Bytes::new(kib * 1024)).unwrap();
        let all: u64 = std::fs::read_to_string(entry.path().join("nr_hugepages")).unwrap().trim().parse().unwrap();
        let found: Vec<u64> = topology.nodes().filter_map(|(_, node)| node.hugepages.get(&size)).map(|count| count.get()).collect();
        assert!(!found.is_empty() && found.iter().sum::<u64>() == all, "{name}: {found:?} on nodes, {all} in all");
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_in_any_file_makes_the_reader_panic(
        pick in any::<prop::sample::Index>(),
        text in prop_oneof![".{0,40}", "[0-9,\\- ]{0,12}", "Node 0 MemTotal: [0-9]{1,22} ?kB"],
    ) {
        let dir = tree(&Machine::regular(2, 1, 1, 1, 1));
        let files = files(dir.path());
        let file = &files[pick.index(files.len())];
        put(file, &text);
        if let Err(error) = from_sysfs(dir.path()) {
            let root = dir.path().to_str().unwrap();
            prop_assert!(error.to_string().contains(root), "{} = {text:?}: {error}", file.display());
        }
    }
}

#[cfg(feature = "hwloc")]
mod both {
    use super::super::hwloc::from_hwloc_at;
    use super::super::{detect, detect_with, from_hwloc, from_hwloc_topology};
    use super::*;
    use crate::HostError;
    use gleaner_model::{Bytes, CpuId, Topology};
    use std::process::Command;

    const TREE: &str = "GLEANER_TEST_TOPOLOGY_TREE";
    const OUT: &str = "GLEANER_TEST_TOPOLOGY_OUT";
    const NAME: &str = "topology::tests::both::hwloc_and_sysfs_tell_the_same_of_every_machine";

    /// hwloc takes the root of its tree from the environment, which only a process of its own can have: this test runs itself.
    #[test]
    fn hwloc_and_sysfs_tell_the_same_of_every_machine() {
        if let (Some(tree), Some(out)) = (std::env::var_os(TREE), std::env::var_os(OUT)) {
            let found = from_hwloc_at(Path::new(&tree)).unwrap();
            return put(Path::new(&out), &serde_json::to_string(&found).unwrap());
        }
        for (name, machine) in machines() {
            let dir = tree(&machine);
            let by_hwloc = hwloc_reads(name, dir.path());
            assert_eq!(by_hwloc, from_sysfs(dir.path()).unwrap(), "{name}: hwloc left, sysfs right");
        }
    }

    fn hwloc_reads(name: &str, root: &Path) -> Topology {
        let out = root.join("found.json");
        let child = Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env("HWLOC_FSROOT", root)
            .env(TREE, root)
            .env(OUT, &out)
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
        assert!(child.status.success() && out.exists(), "{name}: {said}");
        serde_json::from_str(&std::fs::read_to_string(out).unwrap()).unwrap()
    }

    /// This machine, where it has a sysfs at all.
    fn live() -> Option<Topology> {
        let root = Path::new("/");
        if !root.join("sys/devices/system/cpu/online").exists() {
            eprintln!("SKIP live topology: no /sys/devices/system/cpu/online");
            return None;
        }
        Some(from_sysfs(root).unwrap())
    }

    #[test]
    fn hwloc_and_sysfs_tell_the_same_of_this_machine() {
        // A balloon or a hot-plug between two readings says nothing about the readers, so only a still machine counts.
        for _ in 0..10 {
            let Some(before) = live() else { return };
            let by_hwloc = from_hwloc().unwrap();
            if Some(&before) == live().as_ref() {
                assert_eq!(by_hwloc, before, "hwloc left, sysfs right");
                assert_eq!(detect().unwrap(), (before, None));
                return;
            }
        }
        eprintln!("SKIP hwloc_and_sysfs_tell_the_same_of_this_machine: the machine changes all the time");
    }

    fn synthetic(description: &str) -> Topology {
        let found = hwlocality::topology::Topology::builder().from_synthetic(description).unwrap().build().unwrap();
        from_hwloc_topology(&found).unwrap()
    }

    #[test]
    fn a_made_up_machine_has_the_parts_it_was_made_of() {
        let found = synthetic("pack:2 [numa(memory=4294967296)] l3:2 core:4 pu:2");
        let shape = (found.cpus().count(), found.cores().len(), found.l3_groups().len(), found.packages().len(), found.nodes().count());
        assert_eq!(shape, (32, 16, 4, 2, 2), "CPUs, cores, L3 groups, packages, nodes of {found:?}");
        assert_eq!(found.threads_per_core(), 2);
        assert_eq!(found.memory(), Bytes::new(8 << 30));
        assert_eq!(found.siblings(CpuId::new(5)), "4-5".parse().unwrap());
        assert_eq!(found.node(NumaId::new(1)).unwrap().cpus, "16-31".parse().unwrap());
        assert_eq!(found.distance(NumaId::new(0), NumaId::new(1)), None, "a made-up machine has no table of distances");
    }

    #[test]
    fn a_cpu_lives_on_the_node_that_covers_fewest_cpus() {
        let found = synthetic("[numa(memory=8589934592)] pack:2 [numa(memory=4294967296)] core:2 pu:1");
        let empty: Vec<Bytes> = found.nodes().filter(|(_, node)| node.cpus.is_empty()).map(|(_, node)| node.memory).collect();
        assert_eq!(empty, [Bytes::new(8 << 30)], "the machine-wide memory has no CPUs of its own: {found:?}");
    }

    #[test]
    fn a_machine_of_one_node_has_its_local_distance() {
        let found = synthetic("core:2 pu:1");
        assert_eq!(found.distance(NumaId::new(0), NumaId::new(0)), Some(10));
        assert_eq!((found.packages().len(), found.l3_groups().len()), (1, 0));
    }

    #[test]
    fn sysfs_steps_in_with_a_warning_when_hwloc_fails() {
        let machine = Machine::regular(1, 1, 1, 2, 1);
        let failed = || Err(HostError::Library { what: "hwloc's discovery", cause: "broken".to_owned() });
        let (found, warning) = detect_with(failed(), || Ok(machine.expected())).unwrap();
        assert_eq!(found, machine.expected());
        let warning = warning.unwrap();
        assert!(warning.contains("hwloc's discovery: broken"), "{warning}");
        assert!(detect_with(failed(), failed).is_err());
    }
}
