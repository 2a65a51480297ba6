//! A file of kubelet's that is looked at again and again, and read when it was replaced.

use gleaner_host::state::read_text;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A file of kubelet's above this size is none: 500 pods with their containers are well below 1 MiB.
const LARGEST: u64 = 4 << 20;

/// What a look found that is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// The file's text.
    Text(String),
    /// There is no file.
    Missing,
    /// It cannot be read; why.
    Unreadable(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// Device, inode, size and time of change: a file that is replaced by rename has another inode.
    File([u64; 3], (i64, i64)),
    Missing,
    Unreadable(String),
}

/// The file and what the last look found.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    path: PathBuf,
    seen: Option<Seen>,
}

impl Watched {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, seen: None }
    }

    /// Looks at the file; `None` when nothing changed since the last look. Waits for the disk.
    pub(super) fn look(&mut self) -> Option<Look> {
        // Looked at before it is read: a file that is replaced in between is read again at the next look.
        let found = match std::fs::metadata(&self.path) {
            Ok(meta) => Seen::File([meta.dev(), meta.ino(), meta.size()], (meta.mtime(), meta.mtime_nsec())),
            Err(error) if error.kind() == ErrorKind::NotFound => Seen::Missing,
            Err(error) => Seen::Unreadable(self.named(&error)),
        };
        if self.seen.as_ref() == Some(&found) {
            return None;
        }
        let look = match &found {
            Seen::Missing => Look::Missing,
            Seen::Unreadable(cause) => Look::Unreadable(cause.clone()),
            Seen::File(..) => match read_text(&self.path, LARGEST) {
                Ok(text) => Look::Text(text),
                Err(error) => Look::Unreadable(self.named(&error)),
            },
        };
        self.seen = Some(found);
        Some(look)
    }

    /// What is wrong, with the path.
    pub(super) fn named(&self, problem: &impl std::fmt::Display) -> String {
        format!("{}: {problem}", self.path.display())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_read_once_until_it_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let mut watched = Watched::new(path.clone());
        assert_eq!((watched.look(), watched.look()), (Some(Look::Missing), None), "missing is told once");
        fs::write(&path, "one").unwrap();
        assert_eq!((watched.look(), watched.look()), (Some(Look::Text("one".into())), None));
        // The same size, and perhaps the same time: only the inode tells.
        gleaner_host::state::replace(&path, b"two").unwrap();
        assert_eq!((watched.look(), watched.look()), (Some(Look::Text("two".into())), None));
        fs::remove_file(&path).unwrap();
        assert_eq!((watched.look(), watched.look()), (Some(Look::Missing), None));
    }

    #[test]
    fn what_is_no_file_or_too_large_is_one_line_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let large = dir.path().join("large");
        fs::File::create(&large).unwrap().set_len(LARGEST + 1).unwrap();
        for path in [dir.path().to_owned(), large, dir.path().join("large/inside")] {
            let mut watched = Watched::new(path.clone());
            let Some(Look::Unreadable(cause)) = watched.look() else { panic!("{}: not refused", path.display()) };
            assert!(cause.starts_with(&path.display().to_string()) && !cause.contains('\n'), "{cause}");
            assert_eq!(watched.look(), None, "told once");
        }
    }
}
