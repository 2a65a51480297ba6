//! A cgroup of a test's own, in every hierarchy.

use crate::kernel::Kernel;
use crate::wait::Deadline;
use gleaner_host::cgroup::{Controller, Layout, Version};
use gleaner_model::CgroupPath;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Made by a test, removed with all that is in it by [`Tree::remove`].
#[derive(Debug)]
pub struct Tree {
    pub(crate) layout: Layout,
    pub(crate) root: CgroupPath,
}

impl Tree {
    /// # Errors
    /// What this machine lacks.
    pub(crate) fn make() -> Result<Self, String> {
        Self::make_at(&format!("gleaner-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// A tree of this name right below the root of the machine.
    ///
    /// # Errors
    /// What this machine lacks; a cgroup of this name that somebody else made is among it.
    pub fn make_at(name: &str) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("needs root: it writes cgroups".to_owned());
        }
        let layout = Layout::detect().map_err(|e| e.to_string())?;
        for controller in [Controller::Cpu, Controller::Cpuset, Controller::Memory] {
            if layout.version(controller).is_none() {
                return Err(format!("no cgroup hierarchy has the controller {controller}"));
            }
        }
        let root = CgroupPath::root().join(name).map_err(|e| e.to_string())?;
        if Kernel::new(layout.clone()).exists(&root) {
            return Err(format!("cgroup {root} is there already"));
        }
        let tree = Self { layout, root };
        match tree.fill() {
            Ok(()) => Ok(tree),
            Err(error) => {
                tree.remove();
                Err(format!("cannot make cgroup {}: {error}", tree.root))
            }
        }
    }

    fn fill(&self) -> io::Result<()> {
        if let Some(top) = self.layout.unified_mount() {
            // Left enabled: other tests, and other programs, count on it from then on.
            for controller in [Controller::Cpu, Controller::Cpuset, Controller::Memory] {
                if let (Some(Version::V2), Some(name)) = (self.layout.version(controller), controller.v2_name()) {
                    put(&top.join("cgroup.subtree_control"), &format!("+{name}"))?;
                }
            }
        }
        for dir in self.dirs(&self.root) {
            fs::create_dir(&dir).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", dir.display())))?;
        }
        // A v1 cpuset takes no process before it has CPUs and memory nodes.
        let cpuset =
            self.layout.dir(Controller::Cpuset, &self.root).filter(|_| self.layout.version(Controller::Cpuset) == Some(Version::V1));
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Some(dir) = &cpuset {
                let above = dir.parent().map(|parent| fs::read_to_string(parent.join(file))).transpose()?.unwrap_or_default();
                put(&dir.join(file), above.trim())?;
            }
        }
        Ok(())
    }

    /// Makes a cgroup below the tree as kubelet does: every missing one on the way, with the controllers of v2 and the sets that a v1 cpuset
    /// must have.
    ///
    /// # Errors
    /// When the kernel refuses.
    ///
    /// # Panics
    /// When the cgroup is not in the tree.
    pub fn make_below(&self, cgroup: &CgroupPath) -> io::Result<()> {
        assert!(cgroup.is_within(&self.root), "{cgroup} is not this test's");
        if let Some(parent) = cgroup.parent().filter(|parent| *parent != self.root) {
            self.make_below(&parent)?;
        }
        if self.layout.version(Controller::Cpuset) == Some(Version::V2)
            && let (Some(parent), Some(top)) = (cgroup.parent(), self.layout.unified_mount())
        {
            put(&top.join(parent.relative()).join("cgroup.subtree_control"), "+cpu +cpuset +memory")?;
        }
        for dir in self.dirs(cgroup) {
            match fs::create_dir(&dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let cpuset = self.layout.dir(Controller::Cpuset, cgroup).filter(|_| self.layout.version(Controller::Cpuset) == Some(Version::V1));
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Some(dir) = &cpuset
                && fs::read_to_string(dir.join(file))?.trim().is_empty()
            {
                let above = fs::read_to_string(dir.join("..").join(file))?;
                put(&dir.join(file), above.trim())?;
            }
        }
        Ok(())
    }

    /// The kernel's word.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        Kernel::new(self.layout.clone())
    }

    /// The folders of a cgroup, whether or not they exist.
    pub(crate) fn dirs(&self, cgroup: &CgroupPath) -> Vec<PathBuf> {
        self.layout.hierarchies().into_iter().map(|mount| mount.join(cgroup.relative())).collect()
    }

    /// Kills what runs in the tree and removes it. Returns what could not be removed.
    pub fn remove(&self) -> Vec<String> {
        let deadline = Deadline::usual();
        loop {
            let mut pids: Vec<i32> = self.dirs(&self.root).iter().flat_map(|dir| pids_below(dir)).collect();
            pids.sort_unstable();
            pids.dedup();
            for pid in pids {
                // Ended meanwhile is as good.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            let left: Vec<String> = self.dirs(&self.root).iter().filter_map(|dir| remove_below(dir).err()).collect();
            if left.is_empty() || !deadline.again() {
                return left;
            }
        }
    }
}

/// The processes in a folder of a hierarchy and below; never this one, nor those that signals would reach more than.
pub(crate) fn pids_below(dir: &Path) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let here = text.lines().filter_map(|line| line.trim().parse::<i32>().ok()).filter(|pid| *pid > 1 && *pid != own);
    let below = folders(dir).into_iter().flat_map(|child| pids_below(&child));
    here.chain(below).collect()
}

/// The folders directly in a folder.
pub(crate) fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn remove_below(dir: &Path) -> Result<(), String> {
    for child in folders(dir) {
        remove_below(&child)?;
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("{}: {error}", dir.display())),
        _ => Ok(()),
    }
}

pub(crate) fn put(file: &Path, text: &str) -> io::Result<()> {
    let written = OpenOptions::new().write(true).open(file).and_then(|mut open| open.write_all(text.as_bytes()));
    written.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))
}
