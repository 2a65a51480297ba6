//! Samples of what pods and the node use.
//!
//! Cost: every file is opened once and then read with one `pread`, and only the wanted numbers are searched in its text. Memory for a
//! target with a cgroup path of `L` bytes: at most 3 KiB + 16 `L`, and in the kernel up to 8 open files of about 4.7 KiB each, of which
//! 4 KiB is the kernel's own read buffer. One shared buffer of 16 KiB to 1 MiB, as large as the largest file, comes to that.

mod container;
mod folder;
mod limit;
mod node;
mod numa;
pub(crate) mod parse;
mod proc_file;
mod rate;
mod seldom;
mod swap;
mod thread;

use crate::cgroup::Layout;
use crate::clock;
use crate::file::Buffer;
use container::ContainerFiles;
use folder::Access;
use gleaner_model::{CgroupPath, ContainerName, NodeReadings, PodReadings, PodUid, Timestamp};
use node::NodeFiles;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub use thread::Sampler;

/// A container to be sampled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its pod.
    pub pod: PodUid,
    /// Its name.
    pub container: ContainerName,
    /// Its cgroup.
    pub cgroup: CgroupPath,
}

/// What was measured at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When it began; the readings bear their own times.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Of every target.
    pub pods: BTreeMap<PodUid, PodReadings>,
    /// Of the node.
    pub node: NodeReadings,
}

/// Takes samples when told to. [`Sampler`] does so on a thread of its own.
#[derive(Debug)]
pub struct SamplerCore {
    layout: Layout,
    node: NodeFiles,
    targets: BTreeMap<Target, ContainerFiles>,
    buffer: Buffer,
    keep_open: bool,
    clock: fn() -> Timestamp,
}

impl SamplerCore {
    /// A sampler without targets: it samples the node.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self::with(layout, Path::new("/proc"), Path::new("/sys"), clock::now)
    }

    fn with(layout: Layout, proc: &Path, sys: &Path, clock: fn() -> Timestamp) -> Self {
        let node = NodeFiles::new(proc, sys);
        Self { layout, node, targets: BTreeMap::new(), buffer: Buffer::new(), keep_open: true, clock }
    }

    /// What is sampled from now on. Targets that stay keep their open files and rates, those that are left out are closed. When more
    /// files are needed than this process may open, the soft limit is raised to the hard one; when that is not enough, files are opened
    /// and closed for each sample, at about three times the cost.
    pub fn set_targets(&mut self, targets: Vec<Target>) {
        let mut before = std::mem::take(&mut self.targets);
        for target in targets {
            let files = before.remove(&target).unwrap_or_else(|| ContainerFiles::new(&self.layout, &target.cgroup));
            self.targets.insert(target, files);
        }
        let targets = u64::try_from(self.targets.len()).unwrap_or(u64::MAX);
        self.keep_open = limit::may_hold(targets.saturating_mul(container::FILES).saturating_add(node::FILES));
    }

    /// Reads everything once. `now` is the present, from [`clock::now`]; rates are compared to the previous call.
    pub fn take(&mut self, now: Timestamp) -> Sample {
        let begun = (self.clock)();
        let node = self.node.read(&mut self.buffer, now);
        let mut pods: BTreeMap<PodUid, PodReadings> = BTreeMap::new();
        let mut access = Access { buffer: &mut self.buffer, keep_open: self.keep_open };
        for (target, files) in &mut self.targets {
            // Rates need the moment of each read: a sampler that is held up in between must not call the first targets idle.
            let at = now.after((self.clock)().since(begun));
            let readings = files.read(&mut access, at);
            pods.entry(target.pod.clone()).or_default().containers.insert(target.container.clone(), Box::new(readings));
        }
        Sample { at: now, took: (self.clock)().since(begun), pods, node }
    }
}

#[cfg(test)]
mod tests;
