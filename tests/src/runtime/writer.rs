//! What writes a container's specification into files of cgroups.

use super::amounts::Amounts;
use crate::Node;
use crate::tree::{Tree, pids_below, put};
use crate::wait::Deadline;
use gleaner_host::cgroup::{Controller, Version};
use gleaner_model::CgroupPath;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Debug;
use std::path::Path;

/// Where the runtime's decisions go. An error fails what the runtime was about to do.
pub trait Writer: Debug + Send {
    /// Makes a cgroup, and those above it; it may exist.
    ///
    /// # Errors
    /// When that is impossible.
    fn make(&mut self, cgroup: &CgroupPath) -> Result<(), String>;
    /// Writes everything that a specification gives; what it does not give is left alone.
    ///
    /// # Errors
    /// What runc says of the first file that is refused.
    fn write(&mut self, cgroup: &CgroupPath, amounts: &Amounts) -> Result<(), String>;
    /// Ends all processes of a container.
    ///
    /// # Errors
    /// When some of them do not end.
    fn kill(&mut self, cgroup: &CgroupPath) -> Result<(), String>;
    /// Removes a container's cgroup.
    ///
    /// # Errors
    /// When that is impossible.
    fn remove(&mut self, cgroup: &CgroupPath) -> Result<(), String>;
}

/// Writes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWriter;

impl Writer for NoWriter {
    fn make(&mut self, _cgroup: &CgroupPath) -> Result<(), String> {
        Ok(())
    }

    fn write(&mut self, _cgroup: &CgroupPath, _amounts: &Amounts) -> Result<(), String> {
        Ok(())
    }

    fn kill(&mut self, _cgroup: &CgroupPath) -> Result<(), String> {
        Ok(())
    }

    fn remove(&mut self, _cgroup: &CgroupPath) -> Result<(), String> {
        Ok(())
    }
}

/// Writes the kernel's files below the cgroup of a test's node, on v1 and on v2. A cgroup that is not below it is taken as if its path began
/// there, which is how paths of the systemd driver are brought into the tree.
#[derive(Debug)]
pub struct KernelWriter {
    tree: Tree,
}

impl KernelWriter {
    /// Below this node, which removes everything when it ends.
    #[must_use]
    pub fn below(node: &Node) -> Self {
        Self { tree: Tree { layout: node.layout().clone(), root: node.root().clone() } }
    }

    /// Where a cgroup of the runtime is in the kernel.
    #[must_use]
    pub fn place(&self, cgroup: &CgroupPath) -> CgroupPath {
        if cgroup.is_within(&self.tree.root) {
            return cgroup.clone();
        }
        let parts = cgroup.relative().split('/').filter(|part| !part.is_empty());
        parts.fold(self.tree.root.clone(), |above, part| above.join(part).expect("a part of a path"))
    }

    fn put(&self, controller: Controller, cgroup: &CgroupPath, file: &str, text: &str) -> Result<(), String> {
        let dir = self.tree.layout.dir(controller, cgroup).ok_or_else(|| format!("no controller {controller}"))?;
        put(&dir.join(file), text).map_err(|error| format!("failed to write {text:?}: write {error}"))
    }

    fn is_v2(&self, controller: Controller) -> bool {
        self.tree.layout.version(controller) == Some(Version::V2)
    }

    /// Weight first, as runc does: nothing else of an idle cgroup is written.
    fn cpu(&self, cgroup: &CgroupPath, amounts: &Amounts) -> Result<(), String> {
        let v2 = self.is_v2(Controller::Cpu);
        if amounts.shares != 0 && v2 {
            self.put(Controller::Cpu, cgroup, "cpu.weight", &amounts.weight().to_string())?;
        } else if amounts.shares != 0 {
            self.put(Controller::Cpu, cgroup, "cpu.shares", &amounts.shares.to_string())?;
        }
        if amounts.quota == 0 {
            return Ok(());
        }
        if v2 {
            return self.put(Controller::Cpu, cgroup, "cpu.max", &amounts.cpu_max());
        }
        if amounts.period != 0 {
            self.put(Controller::Cpu, cgroup, "cpu.cfs_period_us", &amounts.period.to_string())?;
        }
        self.put(Controller::Cpu, cgroup, "cpu.cfs_quota_us", &amounts.quota.to_string())
    }

    fn memory(&self, cgroup: &CgroupPath, amounts: &Amounts) -> Result<(), String> {
        if amounts.memory == 0 {
            return Ok(());
        }
        if !self.is_v2(Controller::Memory) {
            return self.put(Controller::Memory, cgroup, "memory.limit_in_bytes", &amounts.memory.to_string());
        }
        let limit = if amounts.memory == -1 { "max".to_owned() } else { amounts.memory.to_string() };
        self.put(Controller::Memory, cgroup, "memory.max", &limit)?;
        let swap = self.tree.layout.dir(Controller::Memory, cgroup).map(|dir| dir.join("memory.swap.max"));
        match swap.filter(|file| file.exists()) {
            Some(file) => put(&file, if amounts.memory == -1 { "max" } else { "0" }).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    fn unified(&self, cgroup: &CgroupPath, amounts: &Amounts) -> Result<(), String> {
        if amounts.unified.is_empty() {
            return Ok(());
        }
        if !self.is_v2(Controller::Cpu) {
            return Err("cgroup: setting unified resources on cgroup v1 is not supported".to_owned());
        }
        amounts.unified.iter().try_for_each(|(file, text)| self.put(Controller::Cpu, cgroup, file, text))
    }
}

impl Writer for KernelWriter {
    fn make(&mut self, cgroup: &CgroupPath) -> Result<(), String> {
        let cgroup = self.place(cgroup);
        self.tree.make_below(&cgroup).map_err(|error| format!("make {cgroup}: {error}"))
    }

    fn write(&mut self, cgroup: &CgroupPath, amounts: &Amounts) -> Result<(), String> {
        let cgroup = self.place(cgroup);
        self.cpu(&cgroup, amounts)?;
        for (file, text) in [("cpuset.cpus", &amounts.cpus), ("cpuset.mems", &amounts.mems)] {
            if !text.is_empty() {
                self.put(Controller::Cpuset, &cgroup, file, text)?;
            }
        }
        self.memory(&cgroup, amounts)?;
        self.unified(&cgroup, amounts)
    }

    fn kill(&mut self, cgroup: &CgroupPath) -> Result<(), String> {
        let cgroup = self.place(cgroup);
        let (dirs, deadline) = (self.tree.dirs(&cgroup), Deadline::usual());
        loop {
            let pids: Vec<i32> = dirs.iter().flat_map(|dir: &std::path::PathBuf| pids_below(Path::new(dir))).collect();
            for pid in &pids {
                // Ended meanwhile is as good.
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            if pids.is_empty() {
                return Ok(());
            }
            if !deadline.again() {
                return Err(format!("{cgroup}: {pids:?} do not end"));
            }
        }
    }

    fn remove(&mut self, cgroup: &CgroupPath) -> Result<(), String> {
        let tree = Tree { layout: self.tree.layout.clone(), root: self.place(cgroup) };
        let left = tree.remove();
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    }
}
