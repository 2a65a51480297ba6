//! What this kernel offers, and what this process may do with it.

use crate::HostError;
use crate::cgroup::{Controller, Layout, Version, knob};
use crate::reclaim::{self, Means};
use gleaner_model::{CgroupPath, KnobId, KnobKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What the kernel offers to a tree of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// The version that each controller is on; `None`: it is nowhere.
    pub controllers: BTreeMap<Controller, Option<Version>>,
    /// Whether each knob is there; `None`: there is no cgroup to look at.
    pub knobs: BTreeMap<KnobKind, Option<bool>>,
    /// Whether the kernel tells how long tasks of the node waited (PSI), and of which resource.
    pub pressure: BTreeMap<&'static str, bool>,
    /// Whether it tells that of single cgroups too; `None`: there is no cgroup to look at.
    pub cgroup_pressure: Option<bool>,
    /// Whether it takes memory back from a cgroup when asked.
    pub take_back: TakeBack,
    /// How far the division of caches and memory bandwidth can be used.
    pub resctrl: Resctrl,
    /// The capabilities of this process, by the kernel's numbers.
    pub capabilities: u64,
    /// Whether this process sees all processes of the machine.
    pub sees_all_processes: bool,
    /// Whether it is in a user namespace of its own, where capabilities say nothing about the machine.
    pub own_users: bool,
}

/// Whether the kernel takes memory back from a cgroup when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeBack {
    /// There is no cgroup to look at.
    NotKnown,
    /// It cannot be asked.
    NotOffered,
    /// It can be asked this exactly.
    By(Means),
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

/// The capability to take pressure windows shorter than 2 s, and to lower an `oom_score_adj` (`CAP_SYS_RESOURCE`).
pub const SYS_RESOURCE: u32 = 24;
/// The capability to write files of other users, such as the `oom_score_adj` of their processes (`CAP_DAC_OVERRIDE`).
pub const DAC_OVERRIDE: u32 = 1;

impl Offers {
    /// Looks at this machine, and at a tree of pods on it. While there is no such tree, any other cgroup shows what the kernel offers.
    ///
    /// # Errors
    /// When this process cannot look at itself.
    pub fn read(layout: &Layout, tree: &CgroupPath) -> Result<Self, HostError> {
        let status = procfs::process::Process::myself()
            .and_then(|own| own.status())
            .map_err(|cause| HostError::Library { what: "the status of this process", cause: cause.to_string() })?;
        let knobs = KNOBS
            .map(|kind| (kind, sample(layout, tree, knob::controller(kind)).and_then(|cgroup| offered(layout, &KnobId { cgroup, kind }))));
        let take_back = sample(layout, tree, Controller::Memory).map(|cgroup| reclaim::means(layout, &cgroup));
        Ok(Self {
            controllers: Controller::ALL.map(|controller| (controller, layout.version(controller))).into(),
            knobs: knobs.into(),
            pressure: ["cpu", "memory", "io"].map(|name| (name, Path::new("/proc/pressure").join(name).exists())).into(),
            cgroup_pressure: cgroup_pressure(layout, tree),
            take_back: take_back.map_or(TakeBack::NotKnown, |means| means.map_or(TakeBack::NotOffered, TakeBack::By)),
            resctrl: resctrl(),
            capabilities: status.capeff,
            sees_all_processes: kernel_threads() && in_first_namespace(),
            own_users: own_users(),
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

/// A cgroup that is under the controller: the tree, or while it is not there any other. The root is the last resort, and on v2 none at all: many
/// files are missing there.
fn sample(layout: &Layout, tree: &CgroupPath, controller: Controller) -> Option<CgroupPath> {
    // On v2 a cgroup is under a controller when its parent says so, and then has this file.
    let mark = match (layout.version(controller)?, controller) {
        (Version::V1, _) => "cgroup.procs",
        (Version::V2, Controller::Cpu | Controller::Cpuacct) => "cpu.weight",
        (Version::V2, Controller::Cpuset) => "cpuset.cpus",
        (Version::V2, Controller::Memory) => "memory.current",
        (Version::V2, _) => "cgroup.procs",
    };
    let is_under = |cgroup: &CgroupPath| layout.dir(controller, cgroup).is_some_and(|dir| dir.join(mark).exists());
    if !tree.is_root() && is_under(tree) {
        return Some(tree.clone());
    }
    let any = children(&layout.dir(controller, &CgroupPath::root())?).into_iter().find(is_under);
    any.or_else(|| (layout.version(controller) == Some(Version::V1)).then(CgroupPath::root))
}

/// The cgroups right below the root of a hierarchy, by name.
fn children(root: &Path) -> BTreeSet<CgroupPath> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    entries.filter_map(|entry| format!("/{}", entry.file_name().to_str()?).parse().ok()).collect()
}

fn cgroup_pressure(layout: &Layout, tree: &CgroupPath) -> Option<bool> {
    // Where there is no cgroup2 mount there is no place for it.
    let Some(root) = layout.unified_mount() else { return Some(false) };
    let has = |dir: &Path| dir.join("memory.pressure").exists();
    let own = layout.unified_dir(tree).filter(|dir| !tree.is_root() && dir.is_dir());
    match own.or_else(|| layout.unified_dir(&children(root).into_iter().next()?)) {
        Some(dir) => Some(has(&dir)),
        // Older kernels do not keep it on the root.
        None => has(root).then_some(true),
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

/// Whether the files of processes are those of this process's own namespace: it has one number in each namespace down to its own.
fn in_first_namespace() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_none_or(|numbers| numbers.split_whitespace().count() == 1)
}

/// The first namespace has all users there can be, each by its own number (kernel, `user_namespaces(7)`).
fn own_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.is_empty() && map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
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
    fn while_the_tree_is_not_there_any_other_cgroup_shows_what_the_kernel_offers() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::with_v2_root(root.path());
        let tree: CgroupPath = "/kubepods".parse().unwrap();
        let offers = || Offers::read(&layout, &tree).unwrap();
        assert_eq!((offers().has(KnobKind::CpuMax), offers().take_back, offers().cgroup_pressure), (None, TakeBack::NotKnown, None));
        let make = |cgroup: &str, files: &[&str]| {
            fs::create_dir(root.path().join(cgroup)).unwrap();
            files.iter().for_each(|file| drop(fs::File::create(root.path().join(cgroup).join(file)).unwrap()));
        };
        make("a.slice", &["cgroup.procs", "memory.pressure"]);
        assert_eq!(offers().has(KnobKind::CpuMax), None, "it is not under the controller");
        make("b.slice", &["cpu.weight", "cpu.max", "memory.current", "memory.reclaim"]);
        let found = offers();
        assert_eq!((found.has(KnobKind::CpuMax), found.has(KnobKind::CpuIdle)), (Some(true), Some(false)));
        assert_eq!((found.take_back, found.cgroup_pressure), (TakeBack::By(Means::Amount), Some(true)));
        make("kubepods", &["cpu.weight", "cpu.max", "cpu.idle", "memory.current"]);
        let found = offers();
        assert_eq!((found.has(KnobKind::CpuIdle), found.take_back, found.cgroup_pressure), (Some(true), TakeBack::NotOffered, Some(false)));
        assert_eq!(found.has(KnobKind::CpuShares), None, "not looked at");
    }
}
