use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What went wrong with the kernel's files.
#[derive(Debug, Error)]
pub enum HostError {
    /// A file or folder could not be used.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write`, `create`.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A file holds what could not be understood.
    #[error("{}: {cause}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with its text.
        cause: String,
    },
    /// The machine lacks something that is needed.
    #[error("{0}")]
    Missing(String),
    /// A write outside the tree that Gleaner may touch.
    #[error("{0} lies outside the cgroup tree of pods")]
    OutsideTree(String),
    /// A journal of another tree, which is needed to put that one back.
    #[error("{} is about the cgroup tree {found}, not {wanted}: run `gleaner restore` first, or use another state folder", journal.display())]
    OtherTree {
        /// The journal.
        journal: PathBuf,
        /// The tree that it speaks of.
        found: gleaner_model::CgroupPath,
        /// The tree that was asked for.
        wanted: gleaner_model::CgroupPath,
    },
    /// Another agent has this node.
    #[error("{} is held by another gleaner{}: stop it first", path.display(), pid.map(|p| format!(" (process {p})")).unwrap_or_default())]
    Locked {
        /// What is locked.
        path: PathBuf,
        /// The process that holds it, where it is known.
        pid: Option<u32>,
    },
    /// The hardware description contradicts itself.
    #[error("topology: {0}")]
    Topology(#[from] gleaner_model::TopologyError),
    /// A library that reads the machine failed.
    #[error("{what}: {cause}")]
    Library {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        cause: String,
    },
}

impl HostError {
    /// An I/O error with the operation and the path that it happened on.
    pub fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source }
    }

    /// Whether the file or cgroup is simply not there (any more): removed between being listed and being used.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        // ENODEV is the kernel's answer on an open file of a removed cgroup.
        const ENODEV: i32 = 19;
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound || source.raw_os_error() == Some(ENODEV))
    }
}
