//! What was found on the node, kept in a file so that it can be put back by a later process.
//!
//! Lines of JSON, only ever appended, each made durable before the kernel is written. A line without its end was cut off by a crash before
//! its kernel write could happen, so it may be dropped.

use crate::arbiter::records::{Entry, Records};
use crate::error::HostError;
use crate::state;
use gleaner_model::CgroupPath;
use nix::libc::O_NOFOLLOW;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

/// The first line. Cgroups do not survive a boot, and another tree is another agent's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    gleaner_journal: u32,
    boot: String,
    tree: CgroupPath,
}

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    header: Header,
    file: File,
    /// Length up to which the file is known to be whole lines.
    length: u64,
    /// Length at which the file is rewritten without what is over.
    rewrite_at: u64,
    records: Records,
}

/// A file that grew to four times what it held after the last rewrite, and at least to this, is rewritten: with `L` bytes of living entries it
/// takes at most `max(REWRITE_FROM, 4 * L)` and one append.
const REWRITE_FROM: u64 = 128 << 10;

struct Replayed {
    records: Records,
    /// Length of the whole lines.
    length: u64,
    damaged: usize,
}

impl Journal {
    /// Opens a journal, or makes it. What cannot be used is kept beside and described by the warnings.
    pub(super) fn open(path: &Path, boot: &str, tree: &CgroupPath) -> Result<(Self, Vec<String>), HostError> {
        let header = Header { gleaner_journal: VERSION, boot: boot.to_owned(), tree: tree.clone() };
        let mut warnings = Vec::new();
        let mut replayed = Replayed { records: Records::default(), length: 0, damaged: 0 };
        if let Some(bytes) = content(path)? {
            match replay(&bytes, &header) {
                Ok(found) => replayed = found,
                Err(Unusable::OtherTree(found)) => {
                    return Err(HostError::OtherTree { journal: path.to_owned(), found, wanted: tree.clone() });
                }
                Err(Unusable::SetAside(why)) => {
                    let to = state::set_aside(path)?;
                    warnings.push(format!("journal {}: {why}; kept as {}", path.display(), to.display()));
                }
            }
        }
        if replayed.damaged > 0 {
            let to = state::keep_beside(path)?;
            let what = format!("journal {}: {} damaged lines passed over", path.display(), replayed.damaged);
            warnings.push(format!("{what}; kept as {}", to.display()));
        }
        let file = append_to(path)?;
        let mut journal =
            Self { path: path.to_owned(), header, file, length: replayed.length, rewrite_at: REWRITE_FROM, records: replayed.records };
        if replayed.damaged > 0 {
            warnings.extend(journal.rewrite().err().map(|e| e.to_string()));
        }
        Ok((journal, warnings))
    }

    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// Takes note of entries and makes them durable. On an error nothing was noted.
    pub(super) fn append(&mut self, entries: Vec<Entry>) -> Result<(), HostError> {
        let mut bytes = Vec::new();
        if self.length == 0 {
            line(&mut bytes, &self.header).map_err(|e| self.failed(e))?;
        }
        for entry in &entries {
            line(&mut bytes, entry).map_err(|e| self.failed(e))?;
        }
        // Whatever a failed attempt left behind the last whole line would swallow the first new one.
        let regular = self.file.metadata().map_err(|e| self.failed(e))?;
        if regular.is_file() && regular.len() != self.length {
            self.file.set_len(self.length).map_err(|e| self.failed(e))?;
        }
        self.file.write_all(&bytes).and_then(|()| self.file.sync_data()).map_err(|e| self.failed(e))?;
        self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        for entry in entries {
            self.records.apply(entry);
        }
        if self.length > self.rewrite_at {
            // Everything is noted already; a file that cannot be made smaller now is tried again when it is twice as long.
            let small = self.rewrite().is_ok();
            self.rewrite_at = self.length.saturating_mul(if small { 4 } else { 2 }).max(REWRITE_FROM);
        }
        Ok(())
    }

    /// Keeps only what `change` leaves, in memory at once and in the file by a rewrite when something went.
    pub(super) fn compact(&mut self, change: impl FnOnce(&mut Records)) -> Result<(), HostError> {
        let before = self.records.clone();
        change(&mut self.records);
        if self.records == before { Ok(()) } else { self.rewrite() }
    }

    /// Keeps only what `change` leaves and rewrites the file, to which entries that were forgotten in memory may still belong.
    pub(super) fn rewrite_without(&mut self, change: impl FnOnce(&mut Records)) -> Result<(), HostError> {
        change(&mut self.records);
        if self.length == 0 { Ok(()) } else { self.rewrite() }
    }

    /// Changes what is known in memory only, for cgroups that are gone: the file's entries of them are recognised by their inode number.
    pub(super) fn forget(&mut self, change: impl FnOnce(&mut Records)) {
        change(&mut self.records);
    }

    fn rewrite(&mut self) -> Result<(), HostError> {
        let mut bytes = Vec::new();
        line(&mut bytes, &self.header).map_err(|e| self.failed(e))?;
        for entry in self.records.entries() {
            line(&mut bytes, &entry).map_err(|e| self.failed(e))?;
        }
        let written = state::write_atomically(&self.path, &bytes);
        // Even a failed attempt can have replaced the file, when only the folder could not be made durable.
        let now = append_to(&self.path)?;
        let inode = |file: &File| file.metadata().map(|meta| meta.ino()).map_err(|e| self.failed(e));
        if inode(&now)? != inode(&self.file)? {
            self.file = now;
            self.length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        }
        written
    }

    fn failed(&self, error: io::Error) -> HostError {
        HostError::io("journal to", &self.path, error)
    }
}

fn line<T: Serialize>(bytes: &mut Vec<u8>, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *bytes, value)?;
    bytes.push(b'\n');
    Ok(())
}

fn append_to(path: &Path) -> Result<File, HostError> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(O_NOFOLLOW).open(path);
    opened.map_err(|e| HostError::io("open", path, e))
}

/// The bytes of an ordinary file; `None` when there is none, or for a device, which has no content to replay.
fn content(path: &Path) -> Result<Option<Vec<u8>>, HostError> {
    let failed = |e| HostError::io("read", path, e);
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_char_device() => Ok(None),
        Ok(meta) if meta.is_file() => fs::read(path).map(Some).map_err(failed),
        Ok(_) => Err(HostError::Malformed { path: path.to_owned(), cause: "not an ordinary file".to_owned() }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

/// Why a file as a whole cannot be used.
enum Unusable {
    /// It says nothing about this boot's cgroups.
    SetAside(String),
    /// It is what puts another tree back, so it must not be lost.
    OtherTree(CgroupPath),
}

/// The tree that the journal at this path speaks of; `None` where there is no journal, or none that can be read.
pub(super) fn tree_of(path: &Path) -> Option<CgroupPath> {
    let bytes = content(path).ok()??;
    let first = bytes.split(|b| *b == b'\n').next()?;
    serde_json::from_slice::<Header>(first).ok().map(|header| header.tree)
}

fn replay(bytes: &[u8], header: &Header) -> Result<Replayed, Unusable> {
    let mut replayed = Replayed { records: Records::default(), length: 0, damaged: 0 };
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n"));
    let Some(first) = lines.next() else { return Ok(replayed) };
    let found: Header = serde_json::from_slice(first).map_err(|e| Unusable::SetAside(format!("no journal of gleaner ({e})")))?;
    if found.gleaner_journal != header.gleaner_journal {
        return Err(Unusable::SetAside(format!("has version {}, this program knows {VERSION}", found.gleaner_journal)));
    }
    if found.boot != header.boot {
        return Err(Unusable::SetAside("written before the last boot".to_owned()));
    }
    if found.tree != header.tree {
        return Err(Unusable::OtherTree(found.tree));
    }
    let mut length = first.len();
    for text in lines {
        length += text.len();
        match serde_json::from_slice(text) {
            Ok(entry) => replayed.records.apply(entry),
            Err(_) => replayed.damaged += 1,
        }
    }
    replayed.length = u64::try_from(length).unwrap_or(u64::MAX);
    Ok(replayed)
}

#[cfg(test)]
mod tests;
