//! The files of a recording: the one that is written, and older ones beside it, `FILE.1` the youngest.

use super::line::Line;
use super::member::whole;
use super::read::{Lines, Next, check};
use super::settings::RecordSettings;
use gleaner_host::lock::Lock;
use nix::libc::{ELOOP, O_CLOEXEC, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The files, of which one may be open.
pub(super) struct Files {
    path: PathBuf,
    max: u64,
    keep: u32,
    lock: Option<Lock>,
    open: Option<Open>,
}

struct Open {
    file: File,
    length: u64,
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The part would make the file too long, and cannot begin a new one.
    #[error("a part of {0} bytes does not fit into maxSize any more")]
    TooLong(u64),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Files {
    pub(super) fn new(path: PathBuf, settings: &RecordSettings) -> Self {
        Self { path, max: settings.max_size.get(), keep: settings.keep, lock: None, open: None }
    }

    /// Bytes in the file that is written; `None` when none is open.
    pub(super) fn length(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.length)
    }

    /// How much more fits into a file of this length.
    pub(super) fn room_after(&self, length: u64) -> u64 {
        self.max.saturating_sub(length)
    }

    /// Lets go of a file that somebody removed: what is written to it is lost.
    pub(super) fn let_go_if_removed(&mut self) {
        let there = |open: &Open| open.file.metadata().is_ok_and(|meta| meta.nlink() > 0);
        self.open = self.open.take().filter(there);
    }

    /// Opens the file, which may hold an earlier recording. What was cut off at its end is taken away.
    ///
    /// # Errors
    /// When it belongs to somebody else, is no recording, is recorded into by another agent, or cannot be opened.
    pub(super) fn open(&mut self) -> Result<(), FileError> {
        if self.open.is_some() {
            return Ok(());
        }
        // Taken anew: whoever removed the file may have removed what was locked, and another agent may record here by now.
        self.lock = None;
        self.lock = Some(Lock::take(&beside(&self.path, "lock")).map_err(|error| FileError::Other(error.to_string()))?);
        let mut file = self.create()?;
        let length = whole(&mut file).map_err(|error| self.failed("read", &error))?;
        if length > 0 && !of_this_format(&file) {
            drop(file);
            return self.rotate();
        }
        if length == 0 && file.metadata().map_or(0, |meta| meta.len()) > 0 && !is_ours_by_its_start(&file) {
            return Err(self.other("is no recording of gleaner, and is left alone"));
        }
        file.set_len(length).map_err(|error| self.failed("truncate", &error))?;
        self.open = Some(Open { file, length });
        Ok(())
    }

    fn create(&self) -> Result<File, FileError> {
        // Never through a link: whoever may write to the folder could lead it anywhere.
        let flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(&self.path);
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(ELOOP) => self.other("is a symbolic link, which is not followed"),
            _ => self.failed("open", &error),
        })?;
        self.refuse_foreign(&file)?;
        Ok(file)
    }

    fn refuse_foreign(&self, file: &File) -> Result<(), FileError> {
        let meta = file.metadata().map_err(|error| self.failed("look at", &error))?;
        if !meta.is_file() {
            return Err(self.other("is not a regular file"));
        }
        if meta.uid() != nix::unistd::geteuid().as_raw() {
            return Err(self.other(&format!("belongs to the user {}", meta.uid())));
        }
        if meta.nlink() > 1 {
            return Err(self.other("has other names too"));
        }
        file.set_permissions(Permissions::from_mode(0o600)).map_err(|error| self.failed("make private", &error))
    }

    /// Adds a part at the end, whole or not at all.
    ///
    /// # Errors
    /// When it does not fit into the file, or the disk does not take it.
    pub(super) fn append(&mut self, part: &[u8]) -> Result<(), FileError> {
        let more = u64::try_from(part.len()).unwrap_or(u64::MAX);
        let Some(open) = &mut self.open else { return Err(self.other("is not open")) };
        if open.length.saturating_add(more) > self.max {
            return Err(FileError::TooLong(more));
        }
        match open.file.seek(SeekFrom::Start(open.length)).and_then(|_| open.file.write_all(part)) {
            Ok(()) => {
                open.length += more;
                Ok(())
            }
            Err(error) => {
                // What got there is half a part. Should this fail too, the next writer finds it.
                let _ = open.file.set_len(open.length);
                // Somebody may have taken the file away; it is opened anew.
                self.open = None;
                Err(self.failed("write", &error))
            }
        }
    }

    /// Begins a new file. The old one is `FILE.1` from now on, and so on; the oldest is gone.
    ///
    /// # Errors
    /// When a file cannot be renamed.
    pub(super) fn rotate(&mut self) -> Result<(), FileError> {
        self.open = None;
        let name = |number: u32| if number == 0 { self.path.clone() } else { beside(&self.path, &number.to_string()) };
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        if self.keep == 0 {
            gone(fs::remove_file(&self.path)).map_err(|error| self.failed("remove", &error))?;
        }
        for number in (0..self.keep).rev() {
            gone(fs::rename(name(number), name(number + 1))).map_err(|error| self.failed("rename", &error))?;
        }
        let file = self.create()?;
        self.open = Some(Open { file, length: 0 });
        Ok(())
    }

    fn failed(&self, operation: &str, error: &io::Error) -> FileError {
        FileError::Other(format!("{operation} {}: {error}", self.path.display()))
    }

    fn other(&self, cause: &str) -> FileError {
        FileError::Other(format!("{}: {cause}", self.path.display()))
    }
}

/// Whether the first line is a header of the format that is written.
fn of_this_format(file: &File) -> bool {
    let mut packed = file;
    let first = packed.seek(SeekFrom::Start(0)).map(|_| Lines::new(packed).next());
    matches!(first, Ok(Ok(Next::Line(Line::Header(header)))) if check(&header).is_ok())
}

/// Whether a file without a whole part begins as ours do: then it is one that was cut off in its first part.
fn is_ours_by_its_start(file: &File) -> bool {
    let mut start = [0; 4];
    match file.read_at(&mut start, 0) {
        Ok(4) => start == [0x1f, 0x8b, 8, 4],
        // A loss of power may leave so little.
        Ok(few) => start.get(..few) == [0x1f, 0x8b, 8, 4].get(..few),
        Err(_) => false,
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
