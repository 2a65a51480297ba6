//! What this kernel offers, and what this process may do with it.

use crate::HostError;
use crate::cgroup::{Controller, Layout, Version, knob};
use crate::reclaim;
use gleaner_model::{CgroupPath, KnobId, KnobKind};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What the kernel offers to a tree of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// The version that each controller is on; `None`: it is nowhere.
    pub controllers: BTreeMap<Controller, Option<Version>>,
    /// Whether each knob is there on the tree's cgroups; `None`: there is no such cgroup to look at.
    pub knobs: BTreeMap<KnobKind, Option<bool>>,
    /// Whether the kernel tells how long tasks of the node waited (PSI), and of which resource.
    pub pressure: BTreeMap<&'static str, bool>,
    /// Whether it tells that of single cgroups too.
    pub cgroup_pressure: bool,
    /// Whether it takes memory back from a cgroup when asked.
    pub takes_memory_back: bool,
    /// How far the division of caches and memory bandwidth can be used.
    pub resctrl: Resctrl,
    /// The capabilities of this process, by the kernel's numbers.
    pub capabilities: u64,
    /// Whether this process sees all processes of the machine.
    pub sees_all_processes: bool,
}

/// The division of caches and memory bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resctrl {
    /// The kernel or the processor has none.
    Absent,
    /// It is there but not mounted.
    NotMounted,
    /// It can be used.
    Mounted,
}

/// The capability to take pressure windows shorter than 2 s (`CAP_SYS_RESOURCE`).
pub const SYS_RESOURCE: u32 = 24;

impl Offers {
    /// Looks at this machine, and at a tree of pods on it.
    ///
    /// # Errors
    /// When this process cannot look at itself.
    pub fn read(layout: &Layout, tree: &CgroupPath) -> Result<Self, HostError> {
        let status = procfs::process::Process::myself()
            .and_then(|own| own.status())
            .map_err(|cause| HostError::Library { what: "the status of this process", cause: cause.to_string() })?;
        let knobs = KNOBS.map(|kind| (kind, offered(layout, &KnobId { cgroup: tree.clone(), kind })));
        Ok(Self {
            controllers: Controller::ALL.map(|controller| (controller, layout.version(controller))).into(),
            knobs: knobs.into(),
            pressure: ["cpu", "memory", "io"].map(|name| (name, Path::new("/proc/pressure").join(name).exists())).into(),
            cgroup_pressure: layout.unified_dir(tree).is_some_and(|dir| dir.join("memory.pressure").exists()),
            takes_memory_back: reclaim::means(layout, tree).is_some(),
            resctrl: resctrl(),
            capabilities: status.capeff,
            // In a namespace of processes of its own, the first one is not the machine's.
            sees_all_processes: fs::read_link("/proc/1/ns/pid").ok() == fs::read_link("/proc/self/ns/pid").ok() && kernel_threads(),
        })
    }

    /// Whether this process has a capability, by the kernel's number.
    #[must_use]
    pub fn can(&self, capability: u32) -> bool {
        self.capabilities.checked_shr(capability).is_some_and(|rest| rest & 1 == 1)
    }

    /// Whether a knob can be used.
    #[must_use]
    pub fn has(&self, kind: KnobKind) -> Option<bool> {
        self.knobs.get(&kind).copied().flatten()
    }
}

/// Knobs whose presence differs between kernels.
const KNOBS: [KnobKind; 6] =
    [KnobKind::CpusetCpus, KnobKind::CpuIdle, KnobKind::CpuMax, KnobKind::MemoryLow, KnobKind::MemoryHigh, KnobKind::MemoryMax];

fn offered(layout: &Layout, id: &KnobId) -> Option<bool> {
    match knob::read(layout, id) {
        Ok(value) => Some(value.is_some()),
        Err(error) if error.is_gone() => None,
        // It is there, whatever it holds.
        Err(_) => Some(true),
    }
}

fn resctrl() -> Resctrl {
    let lists = |file: &str, mounted: bool| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| line.split_whitespace().nth(if mounted { 2 } else { 1 }) == Some("resctrl"))
    };
    match (lists("/proc/self/mounts", true), lists("/proc/filesystems", false)) {
        (true, _) => Resctrl::Mounted,
        (false, true) => Resctrl::NotMounted,
        (false, false) => Resctrl::Absent,
    }
}

/// Only the first namespace of processes has the kernel's own threads, whose ancestor is process 2.
fn kernel_threads() -> bool {
    fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_offers_agree_with_the_kernels_own_files() {
        let layout = Layout::detect().unwrap();
        let offers = Offers::read(&layout, &CgroupPath::root()).unwrap();
        assert_eq!(offers.pressure.get("memory"), Some(&Path::new("/proc/pressure/memory").exists()));
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        assert_eq!(offers.capabilities, u64::from_str_radix(line.trim(), 16).unwrap());
        let bit = |number: u32| offers.capabilities & (1 << number) != 0;
        assert_eq!(offers.can(SYS_RESOURCE), bit(SYS_RESOURCE), "{line}");
        assert!(!offers.can(200), "there is no such capability");
        for (controller, version) in &offers.controllers {
            assert_eq!(*version, layout.version(*controller), "{controller}");
        }
    }

    #[test]
    fn knobs_of_a_tree_that_is_not_there_are_not_known() {
        let layout = Layout::detect().unwrap();
        let offers = Offers::read(&layout, &"/no-such-tree".parse().unwrap()).unwrap();
        assert_eq!(offers.has(KnobKind::CpuMax), None, "{offers:?}");
        assert_eq!(offers.has(KnobKind::CpuShares), None, "not looked at");
    }
}
