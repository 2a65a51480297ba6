//! Files that must never be found half written.

use crate::error::HostError;
use nix::libc::{O_CLOEXEC, O_NOCTTY, O_NONBLOCK};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Replaces a file so that a reader, or a crash at any moment, sees either the old or the new content: a new file beside it, made durable,
/// then renamed. Readable by its owner only.
///
/// # Errors
/// When the folder is missing, full or read-only; the old file is then unchanged.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), HostError> {
    let new = beside(path, "new");
    let written = write_new(&new, bytes).and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        // The error to report is the first one; a left-over is overwritten by the next attempt.
        let _ = fs::remove_file(&new);
        return Err(HostError::io("write", path, error));
    }
    sync_folder(path)
}

/// As [`write_atomically`], but not made durable: after a loss of power the file may be the old one, or empty. For what is asked for again
/// after a boot, and must not wait for the disk.
///
/// # Errors
/// When the folder is missing, full or read-only; the old file is then unchanged.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), HostError> {
    let new = beside(path, "new");
    let written = create_new(&new).and_then(|mut file| file.write_all(bytes)).and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&new);
        HostError::io("write", path, error)
    })
}

/// The text of an ordinary file of at most `largest` bytes. Never waits: a fifo or a device in its place, or a link to one, is an error.
///
/// # Errors
/// When it is no ordinary file, too large, no UTF-8, or cannot be read.
pub fn read_text(path: &Path, largest: u64) -> io::Result<String> {
    // A fifo without a writer would make a plain open wait for ever, and the kernel's log a read.
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_CLOEXEC | O_NOCTTY).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > largest {
        return Err(io::Error::other(format!("is larger than {} MiB", largest >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is not UTF-8 text"))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn create_new(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    // `create_new` also refuses to follow a symbolic link.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Moves a damaged or foreign file out of the way, to `<name>.damaged-<n>` with the first free number, and says where it is now.
///
/// # Errors
/// When it cannot be renamed.
pub fn set_aside(path: &Path) -> Result<PathBuf, HostError> {
    let to = keep_beside(path)?;
    fs::remove_file(path).map_err(|e| HostError::io("set aside", path, e))?;
    sync_folder(path)?;
    Ok(to)
}

/// A second name `<name>.damaged-<n>` for a file, so that its content survives when the first name is replaced.
pub(crate) fn keep_beside(path: &Path) -> Result<PathBuf, HostError> {
    for number in 1..=u32::MAX {
        let to = beside(path, &format!("damaged-{number}"));
        // A hard link never replaces what is there, unlike a rename.
        match fs::hard_link(path, &to) {
            Ok(()) => return Ok(to),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(HostError::io("set aside", path, e)),
        }
    }
    Err(HostError::Missing(format!("no free name beside {}", path.display())))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    PathBuf::from(name)
}

/// Makes a rename durable.
fn sync_folder(path: &Path) -> Result<(), HostError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| HostError::io("sync", folder, e))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_new_content_replaces_the_old_and_nothing_is_left_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        fs::write(dir.path().join("state.new"), "left by a crash").unwrap();
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_the_place_of_the_new_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, dir.path().join("state.new")).unwrap();
        write_atomically(&dir.path().join("state"), b"x").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"kept");
    }

    #[test]
    fn what_need_not_be_durable_is_replaced_in_one_step_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        fs::create_dir(dir.path().join("full")).unwrap();
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(replace(&dir.path().join("full"), b"x").is_err(), "a folder is in its place");
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "nothing is left beside: {left:?}");
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("no/state");
        let error = write_atomically(&path, b"x").unwrap_err();
        assert!(error.to_string().starts_with(&format!("write {}: ", path.display())), "{error}");
    }

    #[test]
    fn what_is_set_aside_never_replaces_what_was_set_aside_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        for expected in ["state.damaged-1", "state.damaged-2"] {
            fs::write(&path, expected).unwrap();
            let to = set_aside(&path).unwrap();
            assert_eq!((to.file_name().unwrap().to_str().unwrap(), fs::read_to_string(&to).unwrap().as_str()), (expected, expected));
            assert!(!path.exists());
        }
    }
}
