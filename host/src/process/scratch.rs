//! Cgroups that a test makes for itself and that end with it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use crate::cgroup::{Controller, Layout};
use gleaner_model::CgroupPath;
use nix::poll::{PollTimeout, poll};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A cgroup in all hierarchies of this machine. Dropping it kills what is in it and removes it.
pub(crate) struct Scratch {
    pub(crate) layout: Layout,
    pub(crate) path: CgroupPath,
    children: Vec<Child>,
}

impl Scratch {
    /// Makes one, or says on stderr why the test is skipped.
    pub(crate) fn make(test: &str) -> Option<Self> {
        let skip = |why: String| eprintln!("SKIP {test}: {why}");
        let layout = Layout::detect().map_err(|e| skip(e.to_string())).ok()?;
        let name = format!("gleaner-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = CgroupPath::root().join(&name).unwrap();
        let scratch = Self { layout, path, children: Vec::new() };
        scratch.enable(&CgroupPath::root());
        scratch.create(&scratch.path).map_err(|e| skip(e.to_string())).ok()?;
        Some(scratch)
    }

    /// Lets the children of a cgroup have controllers on v2; it cannot hold processes itself from then on, unless it is the root.
    pub(crate) fn enable(&self, path: &CgroupPath) {
        let Some(folder) = self.layout.unified_dir(path) else { return };
        for controller in ["+cpu", "+cpuset", "+memory"] {
            // Not offered by v2 on this machine, or taken by v1: the test sees that for itself.
            let control = OpenOptions::new().write(true).open(folder.join("cgroup.subtree_control"));
            let _ = control.and_then(|mut file| file.write_all(controller.as_bytes()));
        }
    }

    /// Makes a cgroup in all hierarchies.
    pub(crate) fn create(&self, path: &CgroupPath) -> std::io::Result<()> {
        for folder in self.folders(path) {
            fs::create_dir(&folder).map_err(|e| std::io::Error::new(e.kind(), format!("{}: {e}", folder.display())))?;
        }
        // A v1 cpuset takes no processes before it has CPUs and memory nodes.
        if let Some(cpuset) = self.layout.dir(Controller::Cpuset, path) {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let above = cpuset.parent().unwrap().join(file);
                if let (Ok(value), true) = (fs::read_to_string(above), cpuset.join(file).exists()) {
                    put(&cpuset.join(file), value.trim());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn folders(&self, path: &CgroupPath) -> Vec<PathBuf> {
        self.layout.hierarchies().iter().map(|mount| mount.join(path.relative())).collect()
    }

    /// Runs a shell script in a cgroup; it begins once it is there.
    pub(crate) fn run(&mut self, path: &CgroupPath, script: &str) -> i32 {
        let script = format!("read -r _\n{script}");
        let mut child =
            Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        let mut start = child.stdin.take().unwrap();
        self.children.push(child);
        for folder in self.folders(path) {
            put(&folder.join("cgroup.procs"), &pid.to_string());
        }
        start.write_all(b"go\n").unwrap();
        i32::try_from(pid).unwrap()
    }

    /// Removes a cgroup and those below it in all hierarchies.
    pub(crate) fn remove(&self, path: &CgroupPath) {
        for folder in self.folders(path) {
            remove_tree(&folder);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let left = super::kill(&self.layout, &self.path);
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.remove(&self.path);
        if !std::thread::panicking() {
            assert_eq!(left.unwrap(), 0, "processes outlived their test in {}", self.path);
            assert!(self.folders(&self.path).iter().all(|f| !f.exists()), "{} outlived its test", self.path);
        }
    }
}

/// Looks every 10 ms, for at most 20 s, whether something has come about; a slow machine makes a test slow, not wrong.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if done() {
            return;
        }
        let _ = poll(&mut [], PollTimeout::from(10u8));
    }
    panic!("still not {what}");
}

pub(crate) fn put(file: &Path, value: &str) {
    let written = OpenOptions::new().write(true).open(file).and_then(|mut f| f.write_all(value.as_bytes()));
    written.unwrap_or_else(|e| panic!("write {value:?} to {}: {e}", file.display()));
}

fn remove_tree(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // A killed process leaves its cgroup only when it has ended.
    for _ in 0..200 {
        match fs::remove_dir(folder) {
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EBUSY as i32) => {
                let _ = poll(&mut [], PollTimeout::from(10u8));
            }
            _ => return,
        }
    }
}
