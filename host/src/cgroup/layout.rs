use crate::cgroup::mountinfo;
use crate::error::HostError;
use gleaner_model::CgroupPath;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A part of the kernel that accounts for or bounds the use of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// Weights and bounds of CPU time.
    Cpu,
    /// CPU time used; on v2 a part of `cpu`.
    Cpuacct,
    /// CPUs and NUMA nodes that may be used.
    Cpuset,
    /// Memory used and its bounds.
    Memory,
    /// How many processes there may be.
    Pids,
    /// Block devices; named `io` on v2.
    Blkio,
    /// Stops and continues all processes; on v2 a part of the core, always there.
    Freezer,
}

impl Controller {
    /// All of them, in the order of the enum.
    pub const ALL: [Self; 7] = [Self::Cpu, Self::Cpuacct, Self::Cpuset, Self::Memory, Self::Pids, Self::Blkio, Self::Freezer];

    /// The name among the mount options of a v1 hierarchy.
    #[must_use]
    pub const fn v1_name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Blkio => "blkio",
            Self::Freezer => "freezer",
        }
    }

    /// The name in `cgroup.controllers` of v2; `None` for what needs no controller there.
    #[must_use]
    pub const fn v2_name(self) -> Option<&'static str> {
        match self {
            Self::Cpu | Self::Cpuacct => Some("cpu"),
            Self::Cpuset => Some("cpuset"),
            Self::Memory => Some("memory"),
            Self::Pids => Some("pids"),
            Self::Blkio => Some("io"),
            Self::Freezer => None,
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.v1_name())
    }
}

/// The two generations of the cgroup interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// One hierarchy a controller, or a few controllers together.
    V1,
    /// One hierarchy for all.
    V2,
}

/// How the machine mounts its cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Only v1 hierarchies.
    V1,
    /// v1 hierarchies, and a cgroup2 mount for what is left.
    Hybrid,
    /// Only cgroup2.
    V2,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V1 => "cgroup v1",
            Self::Hybrid => "hybrid cgroups (v1 controllers and a cgroup2 mount)",
            Self::V2 => "cgroup v2",
        })
    }
}

/// Which hierarchy is mounted where and has which controllers. A plain value: it does not notice later mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    v1: BTreeMap<Controller, PathBuf>,
    v2: Option<PathBuf>,
    v2_offers: BTreeSet<Controller>,
}

impl Layout {
    /// The layout of this machine, as this process sees it.
    ///
    /// # Errors
    /// When `/proc/self/mountinfo` or the v2 root's `cgroup.controllers` cannot be read, or no cgroup hierarchy is mounted.
    pub fn detect() -> Result<Self, HostError> {
        let path = Path::new("/proc/self/mountinfo");
        let text = fs::read(path).map_err(|e| HostError::io("read", path, e))?;
        let text = String::from_utf8_lossy(&text);
        let offered = match mountinfo::mounts(&text)?.v2 {
            None => String::new(),
            Some(root) => {
                let file = root.join("cgroup.controllers");
                fs::read_to_string(&file).map_err(|e| HostError::io("read", &file, e))?
            }
        };
        Self::from_mountinfo(&text, &offered)
    }

    /// The layout that a `mountinfo` text describes, with the text of the v2 root's `cgroup.controllers` (empty without one). A
    /// controller bound to a v1 hierarchy is not offered by v2, whatever that text says.
    ///
    /// # Errors
    /// When a line is not a mount, or no cgroup hierarchy is mounted.
    pub fn from_mountinfo(text: &str, v2_controllers: &str) -> Result<Self, HostError> {
        let mounts = mountinfo::mounts(text)?;
        if mounts.v1.is_empty() && mounts.v2.is_none() {
            return Err(HostError::Missing("no cgroup hierarchy is mounted".to_owned()));
        }
        let words: BTreeSet<&str> = v2_controllers.split_whitespace().collect();
        let offers = |c: &Controller| c.v2_name().is_none_or(|name| words.contains(name));
        let v2_offers = if mounts.v2.is_some() { Controller::ALL.into_iter().filter(offers).collect() } else { BTreeSet::new() };
        Ok(Self { v1: mounts.v1, v2: mounts.v2, v2_offers })
    }

    /// A pure v2 layout with all controllers, mounted at `root`.
    #[must_use]
    pub fn with_v2_root(root: impl Into<PathBuf>) -> Self {
        Self { v1: BTreeMap::new(), v2: Some(root.into()), v2_offers: Controller::ALL.into_iter().collect() }
    }

    /// A layout of v1 mounts, and with a `unified` mount a hybrid one whose cgroup2 mount has no controllers. Controllers that are
    /// mounted together name the same folder.
    #[must_use]
    pub fn with_v1_dirs(dirs: impl IntoIterator<Item = (Controller, PathBuf)>, unified: Option<PathBuf>) -> Self {
        let v2_offers = unified.iter().map(|_| Controller::Freezer).collect();
        Self { v1: dirs.into_iter().collect(), v2: unified, v2_offers }
    }

    /// How the machine mounts its cgroups.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match (self.v1.is_empty(), &self.v2) {
            (true, _) => Mode::V2,
            (false, Some(_)) => Mode::Hybrid,
            (false, None) => Mode::V1,
        }
    }

    /// Which version has a controller; `None` when neither offers it.
    #[must_use]
    pub fn version(&self, controller: Controller) -> Option<Version> {
        if self.v1.contains_key(&controller) {
            return Some(Version::V1);
        }
        self.v2_offers.contains(&controller).then_some(Version::V2)
    }

    /// The folder of a cgroup in the hierarchy that has the controller, whether or not that cgroup exists; `None` when the controller
    /// is not offered.
    #[must_use]
    pub fn dir(&self, controller: Controller, path: &CgroupPath) -> Option<PathBuf> {
        match self.version(controller)? {
            Version::V1 => self.v1.get(&controller).map(|mount| within(mount, path)),
            Version::V2 => self.unified_dir(path),
        }
    }

    /// The folder of a cgroup in the cgroup2 mount, on hybrid machines too: PSI files live there.
    #[must_use]
    pub fn unified_dir(&self, path: &CgroupPath) -> Option<PathBuf> {
        self.v2.as_ref().map(|mount| within(mount, path))
    }

    /// Every mount point that a cgroup must be made in to be under all controllers: the v1 mounts, then the cgroup2 mount.
    #[must_use]
    pub fn hierarchies(&self) -> Vec<PathBuf> {
        let v1: BTreeSet<&PathBuf> = self.v1.values().collect();
        v1.into_iter().chain(&self.v2).cloned().collect()
    }

    /// The cgroup2 mount point.
    #[must_use]
    pub fn unified_mount(&self) -> Option<&Path> {
        self.v2.as_deref()
    }
}

/// The folder of a cgroup below a mount point.
pub(crate) fn within(mount: &Path, path: &CgroupPath) -> PathBuf {
    // Joining an empty path would leave a slash at the end.
    if path.is_root() { mount.to_owned() } else { mount.join(path.relative()) }
}

#[cfg(test)]
mod tests;
