//! The files of this workspace, and what is wrong with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One breach of a rule.
pub(crate) struct Finding {
    file: String,
    line: usize,
    rule: String,
}

impl Finding {
    pub(crate) fn new(file: &str, line: usize, rule: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, rule: rule.into() }
    }
}

/// Fails the test with a line for each finding.
pub(crate) fn none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(|Finding { file, line, rule }| format!("{file}:{line}: {rule}")).collect();
    assert!(lines.is_empty(), "{} findings\n{}\n", lines.len(), lines.join("\n"));
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file as text, by its path from the root.
pub(crate) fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The files below a folder whose names end like this, by their paths from the root, sorted. What is built is not looked at.
pub(crate) fn files(below: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(below)];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if path.is_dir() && !path.is_symlink() {
                let built = name == "target" || name.starts_with('.') || path.ends_with("tests/vm/work");
                waiting.extend((!built).then_some(path));
            } else if name.ends_with(ending) {
                found.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// The files that are tracked; `None` where this is no work tree of git.
pub(crate) fn tracked() -> Option<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().ok()?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// The lines of a Rust file that are part of the product, with their numbers: no comments, and nothing of modules of tests, which end files
/// here.
pub(crate) fn product_lines(text: &str) -> Vec<(usize, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_test = |i: usize| {
        let after = || lines.iter().skip(i + 1).find(|line| !line.starts_with("#["));
        lines[i] == "#[cfg(test)]" && after().is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let end = (0..lines.len()).find(|i| is_test(*i)).unwrap_or(lines.len());
    let code = lines.into_iter().take(end).enumerate().map(|(i, line)| (i + 1, line));
    code.filter(|(_, line)| !line.trim_start().starts_with("//")).collect()
}

/// Whether a file is of tests alone.
pub(crate) fn is_test_file(file: &str) -> bool {
    ["/tests/", "/tests.rs", "_tests.rs", "/fixtures.rs", "/fixture.rs", "/test_tree.rs", "/scratch.rs", "/properties.rs"]
        .iter()
        .any(|mark| file.contains(mark))
}

/// Whether code names this path or identifier: `std::fs` is in `std::fs::read` and not in `mystd::fs` or `std::fsx`.
pub(crate) fn names(code: &str, wanted: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(wanted).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + wanted.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}
