//! Finds the cases, runs them, counts.

use gleaner_model::{Bytes, CpuSet, MilliCpu, NumaId, NumaSet, Permille};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One case of the file.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: Value,
    pub(crate) expect: Value,
}

/// What came of a case.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    Wrong(String),
    /// The operation is not one of ours.
    Skipped,
}

/// Passed if equal.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(got: &T, expect: &T) -> Outcome {
    if got == expect { Outcome::Passed } else { Outcome::Wrong(format!("got {got:?}, expected {expect:?}")) }
}

impl Case {
    /// The operation that the case is about.
    pub(crate) fn op(&self) -> &str {
        self.input["op"].as_str().expect("every case names its operation")
    }

    pub(crate) fn number(&self, key: &str) -> f64 {
        self.input[key].as_f64().unwrap_or_else(|| panic!("{}: no number {key}", self.id))
    }

    pub(crate) fn count(&self, key: &str) -> u32 {
        count(&self.input[key])
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.input[key].as_bool().unwrap_or_else(|| panic!("{}: no flag {key}", self.id))
    }

    pub(crate) fn list(&self, key: &str) -> &[Value] {
        self.input[key].as_array().unwrap_or_else(|| panic!("{}: no list {key}", self.id))
    }

    pub(crate) fn share(&self, key: &str) -> Permille {
        Permille::new(u32::try_from(whole(self.number(key) * 1000.0)).expect("a share"))
    }

    pub(crate) fn cpu(&self, key: &str) -> MilliCpu {
        cpu(self.number(key))
    }

    pub(crate) fn bytes(&self, key: &str) -> Bytes {
        bytes(self.number(key))
    }
}

/// What is no whole number is a mistake in reading the case.
pub(crate) fn count(value: &Value) -> u32 {
    u32::try_from(whole(value.as_f64().expect("a count"))).expect("a count")
}

pub(crate) fn cpu(cpus: f64) -> MilliCpu {
    MilliCpu::new(whole(cpus * 1000.0))
}

pub(crate) fn bytes(number: f64) -> Bytes {
    Bytes::new(whole(number))
}

fn whole(value: f64) -> u64 {
    assert!((value - value.round()).abs() < 1e-6 && value >= 0.0, "{value} is not whole in our unit");
    format!("{value:.0}").parse().expect("a whole number")
}

/// An object by name.
pub(crate) fn by_name<K: std::str::FromStr + Ord, V>(value: &Value, of: impl Fn(&Value) -> V) -> BTreeMap<K, V> {
    let entry = |(name, value): (&String, &Value)| (name.parse().ok().unwrap_or_else(|| panic!("{name:?} is no name")), of(value));
    value.as_object().expect("an object").iter().map(entry).collect()
}

/// An object by NUMA node.
pub(crate) fn by_node<V>(value: &Value, of: impl Fn(&Value) -> V) -> BTreeMap<NumaId, V> {
    by_name::<u32, V>(value, of).into_iter().map(|(node, value)| (NumaId::new(node), value)).collect()
}

pub(crate) fn cpus(value: &Value) -> CpuSet {
    value.as_str().expect("a CPU list").parse().expect("a CPU list")
}

pub(crate) fn nodes(value: &Value) -> NumaSet {
    value.as_str().expect("a list of nodes").parse().expect("a list of nodes")
}

/// Where the cases are; `None` when they are nowhere, which is then said.
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("GLEANER_VECTORS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = named.clone().unwrap_or(beside);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(named.is_none(), "GLEANER_VECTORS names {}, which is no folder", folder.display());
    let test = std::thread::current().name().unwrap_or("vectors").to_owned();
    eprintln!("SKIP {test}: no vectors; GLEANER_VECTORS names their folder");
    None
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> T {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("read {}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

#[derive(Default)]
struct Tally {
    passed: u32,
    on_purpose: u32,
    skipped: u32,
    all: u32,
}

/// Runs every case of a file through `check`. Prints passed of total, for each operation and in all; fails with every case that differs and
/// is not listed, and every listed one that does not differ.
pub(crate) fn run(file: &str, check: impl Fn(&Case) -> Outcome) {
    let Some(folder) = folder() else { return };
    let cases: Vec<Case> = read(&folder.join(format!("{file}.json")));
    let listed: BTreeMap<String, String> = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/differences.json"));
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut problems = Vec::new();
    for case in &cases {
        let tally = tallies.entry(case.op()).or_default();
        tally.all += 1;
        match (check(case), listed.contains_key(&case.id)) {
            (Outcome::Passed, false) => tally.passed += 1,
            (Outcome::Wrong(_), true) => tally.on_purpose += 1,
            (Outcome::Skipped, false) => tally.skipped += 1,
            (Outcome::Passed | Outcome::Skipped, true) => problems.push(format!("{} is listed as different, but is not", case.id)),
            (Outcome::Wrong(what), false) => {
                problems.push(format!("{} ({}, {}): {what}\n    input {}", case.id, case.op(), case.name, case.input));
            }
        }
    }
    let known: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    for id in listed.keys().filter(|id| !known.contains(id.as_str())) {
        eprintln!("note: {id} is listed as different, but is not in this folder");
    }
    for (op, tally) in &tallies {
        let Tally { passed, on_purpose, skipped, all } = tally;
        eprintln!("{file} {op}: {passed} of {all} passed, {on_purpose} differ on purpose, {skipped} skipped");
    }
    let sum = |of: fn(&Tally) -> u32| tallies.values().map(of).sum::<u32>();
    let (passed, on_purpose, skipped) = (sum(|t| t.passed), sum(|t| t.on_purpose), sum(|t| t.skipped));
    eprintln!("{file}: {passed} of {} passed, {on_purpose} differ on purpose, {skipped} skipped", cases.len());
    assert!(problems.is_empty(), "{} of {} cases:\n{}", problems.len(), cases.len(), problems.join("\n"));
    assert!(!cases.is_empty(), "{file} has no cases");
}
