//! Finds the cases, runs them, counts.

use gleaner_model::{Bytes, CpuId, NodeInfo, NumaId, RawCpu, Topology};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One case of a file.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: Value,
    pub(crate) expect: Value,
}

impl Case {
    /// The operation that the case is about.
    pub(crate) fn op(&self) -> &str {
        self.input["op"].as_str().expect("every case names its operation")
    }
}

/// Where the cases are; `None` when they are nowhere, which is then said.
pub(crate) fn folder(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("GLEANER_VECTORS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = named.clone().unwrap_or(beside);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(named.is_none(), "GLEANER_VECTORS names {}, which is no folder", folder.display());
    eprintln!("SKIP {test}: no vectors; GLEANER_VECTORS names their folder");
    None
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> T {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("read {}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Runs every case of a file through `check`, which says what is wrong. Prints passed of total; fails with every case that differs and is not
/// listed, and every listed one that does not differ.
pub(crate) fn run(file: &str, check: impl Fn(&Case, &Machines) -> Result<(), String>) {
    let Some(folder) = folder(file) else { return };
    let machines = Machines(read(&folder.join("topologies.json")));
    let cases: Vec<Case> = read(&folder.join(format!("{file}.json")));
    let listed: BTreeMap<String, String> = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/differences.json"));
    let (mut passed, mut on_purpose, mut problems) = (0, 0, Vec::new());
    for case in &cases {
        match (check(case, &machines), listed.get(&case.id)) {
            (Ok(()), None) => passed += 1,
            (Err(_), Some(_)) => on_purpose += 1,
            (Ok(()), Some(_)) => problems.push(format!("{} is listed as different, but is not", case.id)),
            (Err(what), None) => problems.push(format!("{} ({}, {}): {what}\n    input {}", case.id, case.op(), case.name, case.input)),
        }
    }
    let known: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    let ours = listed.keys().filter(|id| id.starts_with(file) && !known.contains(id.as_str()));
    let gone = ours.map(|id| format!("note: {id} is listed as different, but is not in this folder")).collect::<Vec<_>>();
    gone.iter().for_each(|line| eprintln!("{line}"));
    eprintln!("{file}: {passed} of {} passed, {on_purpose} differ on purpose", cases.len());
    assert!(problems.is_empty(), "{} of {} cases:\n{}", problems.len(), cases.len(), problems.join("\n"));
    assert!(!cases.is_empty(), "{file} has no cases");
}

/// The machines that the cases name.
pub(crate) struct Machines(BTreeMap<String, Machine>);

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Machine {
    pub(crate) declared: Declared,
    pub(crate) cpus: Vec<MachineCpu>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Declared {
    pub(crate) cpus: Option<u32>,
    pub(crate) cores: Option<u32>,
    pub(crate) sockets: Option<u32>,
    pub(crate) numa_nodes: Option<u32>,
    pub(crate) caches: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MachineCpu {
    pub(crate) cpu: u32,
    pub(crate) core: u32,
    pub(crate) socket: u32,
    pub(crate) numa: u32,
    pub(crate) cache: u32,
}

impl Machines {
    /// The machine that a case is about.
    pub(crate) fn of(&self, case: &Case) -> &Machine {
        let name = case.input["topology"].as_str().expect("a topology");
        self.0.get(name).unwrap_or_else(|| panic!("{}: no topology {name}", case.id))
    }
}

impl Machine {
    /// The machine as the agent would know it; every node has 64 GiB. Where all cache numbers are 0 the machine tells of no cache.
    pub(crate) fn topology(&self) -> Topology {
        let caches = self.cpus.iter().any(|c| c.cache != 0);
        let cpus = self.cpus.iter().map(|c| RawCpu {
            cpu: CpuId::new(c.cpu),
            core: u64::from(c.core),
            package: u64::from(c.socket),
            l3: caches.then_some(u64::from(c.cache)),
            numa: NumaId::new(c.numa),
        });
        let nodes: BTreeSet<u32> = self.cpus.iter().map(|c| c.numa).collect();
        let nodes = nodes.into_iter().map(|id| NodeInfo {
            id: NumaId::new(id),
            memory: Bytes::new(64 << 30),
            distances: BTreeMap::new(),
            hugepages: BTreeMap::new(),
        });
        Topology::build(cpus.collect(), nodes.collect()).expect("a machine")
    }
}
