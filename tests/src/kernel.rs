//! What the kernel says, read by the shortest way and not by the agent's own readers.

use crate::tree::{folders, pids_below};
use gleaner_host::cgroup::{Controller, Layout, Version};
use gleaner_model::{CgroupPath, CpuSet, NumaSet};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// The kernel's files of a layout.
#[derive(Debug, Clone)]
pub struct Kernel {
    layout: Layout,
}

/// Where a pod and its containers live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFiles {
    /// The pod's cgroup.
    pub pod: CgroupPath,
    /// Those of its containers, by name.
    pub containers: BTreeMap<String, CgroupPath>,
}

impl PodFiles {
    /// The cgroup of the only container.
    ///
    /// # Panics
    /// When there are several, or none.
    #[must_use]
    pub fn container(&self) -> &CgroupPath {
        let mut all = self.containers.values();
        match (all.next(), all.next()) {
            (Some(one), None) => one,
            _ => panic!("not one container: {self:?}"),
        }
    }
}

impl Kernel {
    /// Of this layout.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// Whether the controller is on cgroup v2.
    #[must_use]
    pub fn is_v2(&self, controller: Controller) -> bool {
        self.layout.version(controller) == Some(Version::V2)
    }

    /// A file of a cgroup without its line end; `None` when there is no such file.
    #[must_use]
    pub fn text(&self, controller: Controller, cgroup: &CgroupPath, file: &str) -> Option<String> {
        let path = self.layout.dir(controller, cgroup)?.join(file);
        fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    }

    fn parsed<T: FromStr>(&self, controller: Controller, cgroup: &CgroupPath, file: &str) -> T {
        let text = self.text(controller, cgroup, file);
        text.as_deref().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{cgroup} {file} holds {text:?}"))
    }

    /// CPUs that tasks of the cgroup may run on.
    #[must_use]
    pub fn cpus(&self, cgroup: &CgroupPath) -> CpuSet {
        self.parsed(
            Controller::Cpuset,
            cgroup,
            if self.is_v2(Controller::Cpuset) { "cpuset.cpus.effective" } else { "cpuset.effective_cpus" },
        )
    }

    /// Memory nodes that tasks of the cgroup may use.
    #[must_use]
    pub fn mems(&self, cgroup: &CgroupPath) -> NumaSet {
        self.parsed(
            Controller::Cpuset,
            cgroup,
            if self.is_v2(Controller::Cpuset) { "cpuset.mems.effective" } else { "cpuset.effective_mems" },
        )
    }

    /// Whether the cgroup is of the idle class; `None` on kernels without it.
    #[must_use]
    pub fn idle(&self, cgroup: &CgroupPath) -> Option<bool> {
        self.text(Controller::Cpu, cgroup, "cpu.idle").map(|text| text == "1")
    }

    /// The weight of the cgroup: v1 shares, v2 weight.
    #[must_use]
    pub fn weight(&self, cgroup: &CgroupPath) -> u64 {
        self.parsed(Controller::Cpu, cgroup, if self.is_v2(Controller::Cpu) { "cpu.weight" } else { "cpu.shares" })
    }

    /// CPU time per time at most, in thousandths; `None` without a bound.
    #[must_use]
    pub fn quota(&self, cgroup: &CgroupPath) -> Option<u64> {
        let (quota, period) = if self.is_v2(Controller::Cpu) {
            let text = self.text(Controller::Cpu, cgroup, "cpu.max").unwrap_or_else(|| panic!("{cgroup} has no cpu.max"));
            let (quota, period) = text.split_once(' ').unwrap_or_else(|| panic!("{cgroup} cpu.max holds {text:?}"));
            (quota.parse::<u64>().ok(), period.parse::<u64>().unwrap())
        } else {
            let quota: i64 = self.parsed(Controller::Cpu, cgroup, "cpu.cfs_quota_us");
            (u64::try_from(quota).ok(), self.parsed(Controller::Cpu, cgroup, "cpu.cfs_period_us"))
        };
        quota.map(|quota| quota * 1000 / period)
    }

    /// Memory above which the cgroup is killed, in bytes; `None` without a bound.
    #[must_use]
    pub fn memory_max(&self, cgroup: &CgroupPath) -> Option<u64> {
        let text =
            self.text(Controller::Memory, cgroup, if self.is_v2(Controller::Memory) { "memory.max" } else { "memory.limit_in_bytes" });
        // v1 shows "no limit" as the largest whole number of pages.
        text.and_then(|text| text.parse().ok()).filter(|bytes| *bytes < 1 << 62)
    }

    /// Processes of a cgroup and those below, in rising order.
    #[must_use]
    pub fn pids(&self, cgroup: &CgroupPath) -> Vec<i32> {
        let dirs = self.layout.hierarchies().into_iter().map(|mount| mount.join(cgroup.relative()));
        let mut pids: Vec<i32> = dirs.flat_map(|dir| pids_below(&dir)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Whether any hierarchy has the cgroup.
    #[must_use]
    pub fn exists(&self, cgroup: &CgroupPath) -> bool {
        self.layout.hierarchies().into_iter().any(|mount| mount.join(cgroup.relative()).exists())
    }

    /// The cgroups of the pod with this uid, wherever below `root` it lives.
    #[must_use]
    pub fn find_pod(&self, root: &CgroupPath, uid: &str) -> Option<PodFiles> {
        let name = format!("pod{uid}");
        let mut waiting = vec![root.clone()];
        while let Some(cgroup) = waiting.pop() {
            let children = || folders(&self.layout.dir(Controller::Cpu, &cgroup).unwrap_or_default()).into_iter();
            let inside = children().filter_map(|dir| cgroup.join(dir.file_name()?.to_str()?).ok());
            if cgroup.name() == name {
                let containers = inside.map(|child| (child.name().to_owned(), child)).collect();
                return Some(PodFiles { pod: cgroup, containers });
            }
            waiting.extend(inside);
        }
        None
    }
}

fn status_field(pid: i32, key: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned())
}

/// The CPUs that a process itself may run on; `None` when it has ended.
#[must_use]
pub fn allowed_cpus(pid: i32) -> Option<CpuSet> {
    status_field(pid, "Cpus_allowed_list:")?.parse().ok()
}

/// The name of a process' program, `None` when it has ended.
#[must_use]
pub fn command_name(pid: i32) -> Option<String> {
    status_field(pid, "Name:")
}

/// Whether a process is there and no zombie.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists() && status_field(pid, "State:").is_some_and(|state| !state.starts_with('Z'))
}
