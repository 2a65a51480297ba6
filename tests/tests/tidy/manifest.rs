//! As much of TOML as a Cargo manifest is made of: sections, and entries whose values may go over several lines.

use crate::source::{files, text};

/// One `key = value`.
pub(crate) struct Entry {
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) line: usize,
    /// The line directly above, if it is a comment.
    pub(crate) comment: bool,
}

/// Reads a manifest.
pub(crate) fn entries(text: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let (mut section, mut open, mut above) = (String::new(), 0, "");
    for (number, line) in text.lines().enumerate() {
        let code = uncommented(line);
        if open > 0 {
            found.last_mut().unwrap().value.push_str(code);
            open += depth(code);
        } else if code.starts_with('[') {
            section = code.trim_matches(|c| c == '[' || c == ']').to_owned();
        } else if let Some((key, value)) = code.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            open = depth(&value);
            found.push(Entry { section: section.clone(), key, value, line: number + 1, comment: above.starts_with('#') });
        }
        above = line.trim();
    }
    found
}

fn uncommented(line: &str) -> &str {
    let mut quoted = false;
    let end = line.find(|c| {
        quoted ^= c == '"';
        c == '#' && !quoted
    });
    line[..end.unwrap_or(line.len())].trim()
}

fn depth(code: &str) -> i32 {
    code.chars().map(|c| i32::from("[{".contains(c)) - i32::from("]}".contains(c))).sum()
}

/// One dependency of a crate.
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) line: usize,
    /// Of tests, benches and examples alone.
    pub(crate) dev: bool,
}

/// The dependencies that a manifest declares, those of single targets too.
pub(crate) fn dependencies(text: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    for Entry { section, key, value, line, .. } in entries(text) {
        let dev = section.contains("dev-dependencies");
        if section.ends_with("dependencies") {
            // `serde.workspace = true` is short for a table.
            let (name, rest) = key.split_once('.').unwrap_or((&key, ""));
            found.push(Dependency { name: name.to_owned(), value: format!("{rest} = {value}"), line, dev });
        } else if let Some((_, name)) = section.rsplit_once("dependencies.") {
            found.push(Dependency { name: name.to_owned(), value: format!("{key} = {value}"), line, dev });
        }
    }
    found
}

/// One crate of the workspace.
pub(crate) struct Crate {
    /// Its folder, such as `qrm-plugins`.
    pub(crate) folder: String,
    pub(crate) manifest: String,
    pub(crate) text: String,
}

/// All crates, by folder.
pub(crate) fn crates() -> Vec<Crate> {
    let manifests = files("", "Cargo.toml").into_iter().filter(|file| file != "Cargo.toml");
    manifests.map(|manifest| Crate { folder: manifest.replace("/Cargo.toml", ""), text: text(&manifest), manifest }).collect()
}

#[test]
fn a_manifest_is_read_as_cargo_reads_it() {
    let text = "[package]\nname = \"x\" # no = here\n\n[dependencies]\n# Why.\na.workspace = true\nb = { workspace = true, features = [\n  \"c\",\n] }\n\
                [target.'cfg(unix)'.dependencies]\nd = \"1\"\n[dev-dependencies.e]\nversion = \"2\"\n";
    let short = |d: &Dependency| format!("{} {} {} {}", d.name, d.value, d.line, d.dev);
    let found: Vec<String> = dependencies(text).iter().map(short).collect();
    let expected = [
        "a workspace = true 6 false",
        "b  = { workspace = true, features = [\"c\",] } 7 false",
        "d  = \"1\" 11 false",
        "e version = \"2\" 13 true",
    ];
    assert_eq!(found, expected);
    let commented: Vec<usize> = entries(text).iter().filter(|e| e.comment).map(|e| e.line).collect();
    assert_eq!(commented, [6]);
}
