//! Files in the order in which they were recorded, whatever order a shell lists them in.

use crate::record::line::Line;
use crate::record::read::{Next, open};
use gleaner_model::WallTime;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The files, the oldest first. Those that do not tell their time stay in the order in which they were given.
///
/// # Errors
/// When one cannot be opened, or is given twice, by whatever names: its ticks would count twice.
pub(super) fn by_time(files: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut dated: Vec<(Option<WallTime>, PathBuf)> = Vec::new();
    let mut seen: BTreeSet<(u64, u64)> = BTreeSet::new();
    for file in files {
        let meta = fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?;
        if !seen.insert((meta.dev(), meta.ino())) {
            return Err(format!("{}: is given twice", file.display()));
        }
        let mut lines = open(file).map_err(|error| format!("{}: {error}", file.display()))?;
        // What is wrong with it is said when it is read.
        let wall = match lines.next() {
            Ok(Next::Line(Line::Header(header))) => header.wall,
            _ => None,
        };
        dated.push((wall, file.clone()));
    }
    if dated.iter().all(|(wall, _)| wall.is_some()) {
        dated.sort_by_key(|(wall, _)| *wall);
    }
    Ok(dated.into_iter().map(|(_, file)| file).collect())
}
