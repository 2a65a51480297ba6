//! One agent a node.

use crate::error::HostError;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc::O_NOFOLLOW;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held as long as the value lives; the kernel frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

impl Lock {
    /// Locks a file, made when missing, and leaves the process id in it, so that whoever comes second can name the first.
    ///
    /// # Errors
    /// [`HostError::Locked`] when another has it; otherwise when the file cannot be made or written.
    pub fn take(path: &Path) -> Result<Self, HostError> {
        let failed = |operation| move |e| HostError::io(operation, path, e);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(O_NOFOLLOW)
            .open(path)
            .map_err(failed("open"))?;
        let mut held = lock(file, path)?;
        write_pid(&mut held).map_err(failed("write"))?;
        Ok(Self { _held: held })
    }

    /// Locks an existing folder, such as that of the pods' cgroup: agents with different state folders exclude each other there.
    ///
    /// # Errors
    /// [`HostError::Locked`] when another has it; otherwise when the folder cannot be opened.
    pub fn take_dir(dir: &Path) -> Result<Self, HostError> {
        let file = File::open(dir).map_err(|e| HostError::io("open", dir, e))?;
        lock(file, dir).map(|held| Self { _held: held })
    }
}

fn lock(file: File, path: &Path) -> Result<Flock<File>, HostError> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(mut file, errno)| match errno {
        Errno::EWOULDBLOCK => HostError::Locked { path: path.to_owned(), pid: read_pid(&mut file) },
        other => HostError::io("lock", path, io::Error::from(other)),
    })
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

/// The pid that the holder left; `None` for folders and while it is still being written.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_and_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path).unwrap();
        let error = Lock::take(&path).unwrap_err();
        let expected = format!("{} is held by another gleaner (process {}): stop it first", path.display(), std::process::id());
        assert_eq!(error.to_string(), expected);
        drop(first);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn a_folder_can_be_locked_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take_dir(dir.path()).unwrap();
        assert!(matches!(Lock::take_dir(dir.path()), Err(HostError::Locked { pid: None, .. })));
        drop(first);
        Lock::take_dir(dir.path()).unwrap();
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        std::os::unix::fs::symlink(&target, dir.path().join("lock")).unwrap();
        assert!(Lock::take(&dir.path().join("lock")).is_err());
        assert!(!target.exists());
    }
}
