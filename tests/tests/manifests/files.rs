//! Files of the tree, read as YAML.

pub(crate) use gleaner_tests::manifests::{document, documents};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every YAML file below a folder, sorted.
pub(crate) fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            match path.extension().is_some_and(|ending| ending == "yaml") {
                _ if path.is_dir() => waiting.push(path),
                true => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}
