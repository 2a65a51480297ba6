//! Rules that the compiler does not know: who may import whom, how files begin and how long they are, what must never be in them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr, reason = "tests")]

#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/source.rs"]
mod source;

use manifest::{crates, dependencies, entries};
use source::{Finding, files, is_test_file, names, none, product_lines, root, text, tracked};

/// The layers, the lowest first. A crate may import those of lower layers only.
const LAYERS: [&[&str]; 5] =
    [&["model"], &["host", "crds", "estimator"], &["qrm-plugins", "eviction", "nri", "simulator"], &["agent"], &["tests"]];
/// Crates without files, clocks, threads and networks. They may use nothing but the crates that follow.
const PURE: [&str; 3] = ["model", "estimator", "eviction"];
const PURE_MAY_USE: [&str; 3] = ["serde", "serde_json", "thiserror"];
/// Crates whose own code is pure, whatever else they may grow to link.
const PURE_CODE: [&str; 5] = ["model", "estimator", "eviction", "qrm-plugins", "simulator"];
/// The edges of such crates, as a module's file and folder: the one place that may know files, sockets, the runtime and the wire. `serve` answers for
/// `qrm-plugins` on the wire, in the same crate because its messages and the values that are decided over change together.
const EDGES: [&str; 1] = ["qrm-plugins/src/serve"];
/// Names that no pure code has.
const IMPURE: [&str; 9] = ["std::fs", "std::net", "std::thread", "std::process", "Instant", "SystemTime", "tokio", "tonic", "gleaner_crds"];
/// Third-party crates that only some of ours may use.
const ONLY_IN: [(&str, &[&str]); 9] = [
    ("cgroups-rs", &["host"]),
    ("hwlocality", &["host"]),
    ("procfs", &["host"]),
    ("sysinfo", &["host"]),
    ("nix", &["host", "nri", "agent", "tests"]),
    ("k8s-openapi", &["crds", "agent", "tests"]),
    ("kube", &["crds", "agent", "tests"]),
    ("anyhow", &["agent", "tests"]),
    ("plotters", &["simulator"]),
];
/// Crates that may know both the kernel and Kubernetes.
const BOTH_WORLDS: [&str; 2] = ["agent", "tests"];
/// How files are written or made.
const WRITES: [&str; 4] = ["fs::write", "OpenOptions", "File::create", "File::options"];
/// Files outside `host` that write, and what: no kernel file.
const MAY_WRITE: [(&str, &str); 5] = [
    ("agent/src/command/simulate.rs", "plots, where it is told to"),
    ("agent/src/command/logs.rs", "the agent's own log"),
    ("agent/src/runtime/container.rs", "logs of containers"),
    ("agent/src/record/files.rs", "recordings"),
    ("agent/src/record/read.rs", "nothing, but opens recordings so that it never waits"),
];
const LONGEST: usize = 400;

fn layer(folder: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&folder))
}

#[test]
fn imports_go_one_way() {
    let mut findings = Vec::new();
    for each in crates() {
        let folder = each.folder.as_str();
        let Some(own) = layer(folder) else {
            findings.push(Finding::new(&each.manifest, 1, format!("{folder} is in no layer; add it to LAYERS in {}", file!())));
            continue;
        };
        let all = dependencies(&each.text);
        let ours = all.iter().filter_map(|d| Some((d.line, d.name.strip_prefix("gleaner-")?)));
        for (line, other) in ours.clone().filter(|(_, other)| layer(other).is_none_or(|other| other >= own)) {
            findings.push(Finding::new(&each.manifest, line, format!("{folder} may not import {other}, which is in no lower layer")));
        }
        let uses = |name: &str| all.iter().find(|d| d.name == name && !d.dev).map(|d| d.line);
        let kubernetes = ["gleaner-crds", "k8s-openapi", "kube"].into_iter().find_map(uses);
        if let (Some(line), Some(_), false) = (kubernetes, uses("gleaner-host"), BOTH_WORLDS.contains(&folder)) {
            findings.push(Finding::new(&each.manifest, line, format!("{folder} knows both the kernel and Kubernetes; only agent may")));
        }
    }
    none(&findings);
}

#[test]
fn third_party_crates_stay_where_they_belong() {
    let mut findings = Vec::new();
    for each in crates() {
        let folder = each.folder.as_str();
        for dependency in dependencies(&each.text) {
            let name = dependency.name.as_str();
            let mut find = |rule| findings.push(Finding::new(&each.manifest, dependency.line, rule));
            if let Some((_, may)) = ONLY_IN.iter().find(|(only, may)| *only == name && !may.contains(&folder)) {
                find(format!("{folder} may not use {name}; only {} may", may.join(", ")));
            }
            let pure = PURE.contains(&folder) && !dependency.dev && !name.starts_with("gleaner-");
            if pure && !PURE_MAY_USE.contains(&name) {
                find(format!("{folder} is pure and may not use {name}, only {}", PURE_MAY_USE.join(", ")));
            }
        }
    }
    none(&findings);
}

#[test]
fn pure_code_names_no_file_clock_thread_or_network() {
    let mut findings = Vec::new();
    let of_edge = |file: &str| EDGES.iter().any(|edge| file.strip_prefix(edge).is_some_and(|rest| rest == ".rs" || rest.starts_with('/')));
    let all = PURE_CODE.iter().flat_map(|folder| files(&format!("{folder}/src"), ".rs"));
    for file in all.filter(|file| !is_test_file(file) && !of_edge(file)) {
        for (line, code) in product_lines(&text(&file)) {
            for name in IMPURE.iter().filter(|name| names(code, name)) {
                findings.push(Finding::new(&file, line, format!("pure code may not name {name}; it comes in as a value")));
            }
            if code.contains("std::{") {
                findings.push(Finding::new(&file, line, "a `use std::{` hides what is imported; one line for each module"));
            }
        }
    }
    for edge in EDGES.iter().filter(|edge| !root().join(format!("{edge}.rs")).is_file()) {
        findings.push(Finding::new(edge, 1, format!("is an edge, but is not there; correct EDGES in {}", file!())));
    }
    none(&findings);
}

#[test]
fn files_are_written_by_host_alone() {
    let mut findings = Vec::new();
    for file in crates()
        .iter()
        .filter(|each| !["host", "tests"].contains(&each.folder.as_str()))
        .flat_map(|each| files(&format!("{}/src", each.folder), ".rs"))
    {
        if is_test_file(&file) || MAY_WRITE.iter().any(|(may, _)| *may == file) {
            continue;
        }
        for (line, code) in product_lines(&text(&file)) {
            for name in WRITES.iter().filter(|name| names(code, name)) {
                findings.push(Finding::new(
                    &file,
                    line,
                    format!("{name}: kernel files go through host's arbiter, state through host::state"),
                ));
            }
        }
    }
    for (file, what) in MAY_WRITE.iter().filter(|(file, _)| !root().join(file).is_file()) {
        findings.push(Finding::new(file, 1, format!("may write {what}, but is not there; correct MAY_WRITE in {}", file!())));
    }
    none(&findings);
}

#[test]
fn no_source_file_is_too_long() {
    let lengths = files("", ".rs").into_iter().map(|file| (text(&file).lines().count(), file)).filter(|(lines, _)| *lines > LONGEST);
    none(&lengths.map(|(lines, file)| Finding::new(&file, lines, format!("{lines} lines, at most {LONGEST}"))).collect::<Vec<_>>());
}

#[test]
fn every_crate_says_what_it_is_and_what_it_must_not_know() {
    let mut findings = Vec::new();
    for folder in crates().into_iter().map(|each| each.folder) {
        for file in ["lib.rs", "main.rs"].map(|name| format!("{folder}/src/{name}")).into_iter().filter(|file| root().join(file).is_file())
        {
            let text = text(&file);
            let doc: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
            if doc.is_empty() {
                findings.push(Finding::new(&file, 1, "must begin with a `//!` page: purpose, what it must not know, entry points"));
            } else if !doc.join(" ").replace("//!", "").to_lowercase().contains("must not know") {
                findings.push(Finding::new(&file, doc.len(), "its `//!` page must say what this crate must not know, in these words"));
            }
        }
    }
    none(&findings);
}

#[test]
fn dependencies_are_declared_once_with_a_reason_and_lints_everywhere() {
    let mut findings = Vec::new();
    let workspace = entries(&text("Cargo.toml"));
    let table = workspace.iter().filter(|e| e.section == "workspace.dependencies" && !e.key.starts_with("gleaner-"));
    for entry in table {
        if !entry.comment {
            findings.push(Finding::new("Cargo.toml", entry.line, format!("{} needs a comment directly above it that says why", entry.key)));
        }
        if !entry.value.contains("default-features = false") {
            findings.push(Finding::new("Cargo.toml", entry.line, format!("{} needs `default-features = false`", entry.key)));
        }
    }
    for each in crates() {
        for dependency in dependencies(&each.text).iter().filter(|d| !d.value.contains("workspace = true")) {
            let rule = format!("{} must be declared in the root and inherited with `workspace = true`", dependency.name);
            findings.push(Finding::new(&each.manifest, dependency.line, rule));
        }
        if !entries(&each.text).iter().any(|e| e.section == "lints" && e.key == "workspace" && e.value == "true") {
            findings.push(Finding::new(&each.manifest, 1, "must inherit the lints: [lints] workspace = true"));
        }
    }
    none(&findings);
}

/// Put together here, so that this file does not break its own rule.
fn marks() -> [(String, &'static str); 6] {
    let path = "a path of one machine";
    let registry = "a host of a package registry";
    [
        (["/wo", "rk/"].concat(), path),
        (["/fa", "rm"].concat(), path),
        (["/ho", "me/"].concat(), path),
        (["crates", ".io"].concat(), registry),
        (["pypi", ".org"].concat(), registry),
        (["npmjs", ".org"].concat(), registry),
    ]
}

#[test]
fn nothing_names_one_machine_or_a_registry() {
    let Some(tracked) = tracked() else {
        eprintln!("SKIP nothing_names_one_machine_or_a_registry: this is no work tree of git");
        return;
    };
    let mut findings = Vec::new();
    for file in tracked.iter().filter(|file| *file != "Cargo.lock") {
        // What is no text has no lines to read; what is tracked but removed is no file any more.
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for (mark, what) in marks().iter().filter(|(mark, _)| stands_alone(line, mark)) {
                findings.push(Finding::new(file, number + 1, format!("{mark} is {what}")));
            }
        }
    }
    none(&findings);
}

/// Whether a path in the line begins with the mark: in `tests/vm/x/` no `/x/` begins a path. A host may follow anything.
fn stands_alone(line: &str, mark: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "._-$}*)".contains(c);
    line.match_indices(mark).any(|(at, _)| !mark.starts_with('/') || !line[..at].ends_with(inside))
}

#[test]
fn every_budget_names_its_bench() {
    let file = "SPECIFICATION.md";
    let spec =
        std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}; it must list every budget and its bench"));
    let benches: Vec<String> = files("tests/benches", ".rs").iter().map(|f| f.replace("tests/benches/", "").replace(".rs", "")).collect();
    let table: Vec<(usize, Vec<String>)> = spec
        .lines()
        .enumerate()
        .map(|(i, line)| (i + 1, cells(line)))
        .skip_while(|(_, row)| !is_head(row))
        .take_while(|(_, row)| !row.is_empty())
        .collect();
    assert!(table.len() > 2, "{file}: has no table whose third column is headed \"bench\"");
    let mut findings = Vec::new();
    for (line, row) in table.iter().skip(2) {
        let cell = row.get(2).map_or("", String::as_str);
        let quoted: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if quoted.is_empty() && !cell.starts_with("pending") {
            findings.push(Finding::new(file, *line, format!("the third column {cell:?} names no bench in backticks and is not pending")));
        }
        for name in quoted.iter().filter(|name| !benches.iter().any(|bench| bench == *name)) {
            findings.push(Finding::new(file, *line, format!("there is no bench tests/benches/{name}.rs")));
        }
    }
    none(&findings);
}

/// The cells of a row of a Markdown table; none of a line that is no row.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    inner.map(|inner| inner.split('|').map(|cell| cell.trim().to_owned()).collect()).unwrap_or_default()
}

fn is_head(row: &[String]) -> bool {
    row.get(2).is_some_and(|cell| cell.to_lowercase().contains("bench"))
}
