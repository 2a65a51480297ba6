//! What a runtime is started with, and what it does wrong on demand.

use super::writer::{KernelWriter, NoWriter, Writer};
use crate::Node;
use std::time::Duration;

/// The protocol's version inside the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// containerd 1.7: never splits, tells no time limits, keeps a dead connection after a failed Synchronize, loses files of cgroup v2.
    V0_6,
    /// containerd 2.1: splits a large Synchronize, tells its time limits, closes after a failed Synchronize.
    #[default]
    V0_8,
    /// The newest: tells its version and has a call of its own for each event.
    V0_12,
}

/// How long a plugin may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the connection to RegisterPlugin.
    pub registration: Duration,
    /// From a request to its answer.
    pub request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { registration: Duration::from_secs(5), request: Duration::from_secs(2) }
    }
}

/// The machine that adjustments are held against when a container starts, in the kernel's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its CPUs.
    pub cpus: String,
    /// Its memory nodes.
    pub mems: String,
}

impl Default for Machine {
    fn default() -> Self {
        Self { cpus: "0-7".to_owned(), mems: "0-1".to_owned() }
    }
}

/// What a runtime is. The default is containerd 2.1 on a machine of 8 CPUs and 2 memory nodes, which writes no files.
#[derive(Debug)]
pub struct Options {
    /// The version of the protocol.
    pub version: Version,
    /// The version that [`Version::V0_12`] tells.
    pub protocol: String,
    /// How long plugins may take.
    pub limits: Limits,
    /// What values are legal.
    pub machine: Machine,
    /// What writes files of cgroups.
    pub writer: Box<dyn Writer>,
    /// What is unusual from the start.
    pub mood: Mood,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: Version::default(),
            protocol: "v0.12.1".to_owned(),
            limits: Limits::default(),
            machine: Machine::default(),
            writer: Box::new(NoWriter),
            mood: Mood::default(),
        }
    }
}

impl Options {
    /// The usual, of this version.
    #[must_use]
    pub fn of(version: Version) -> Self {
        Self { version, ..Self::default() }
    }

    /// With these time limits, in milliseconds.
    #[must_use]
    pub fn limits(mut self, registration: u64, request: u64) -> Self {
        self.limits = Limits { registration: Duration::from_millis(registration), request: Duration::from_millis(request) };
        self
    }

    /// On a test's node: what tasks of it may use is the machine, and files are written below its cgroup.
    #[must_use]
    pub fn on(mut self, node: &Node) -> Self {
        let (kernel, root) = (node.kernel(), node.root());
        self.machine = Machine { cpus: kernel.cpus(root).to_string(), mems: kernel.mems(root).to_string() };
        self.writer(KernelWriter::below(node))
    }

    /// With this writer.
    #[must_use]
    pub fn writer(mut self, writer: impl Writer + 'static) -> Self {
        self.writer = Box::new(writer);
        self
    }

    /// The runtime's own version.
    pub(super) fn runtime_version(&self) -> &'static str {
        match self.version {
            Version::V0_6 => "1.7.24~ds1",
            Version::V0_8 => "2.1.9",
            Version::V0_12 => "2.3.0",
        }
    }

    /// Whether UpdateContainers cannot lock this runtime up.
    pub(super) fn takes_updates(&self) -> bool {
        let parts: Vec<u32> = self.protocol.trim_start_matches('v').split('.').map_while(|part| part.parse().ok()).collect();
        self.version == Version::V0_12 && parts >= vec![0, 12, 1]
    }
}

/// How it treats plugins from the next handshake on. A plugin must live with all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mood {
    /// It sends Configure before it answers RegisterPlugin.
    pub configure_first: bool,
    /// It waits this long between RegisterPlugin and Configure.
    pub configure_late: Duration,
    /// It never sends Synchronize, so that the plugin is never added.
    pub never_synchronize: bool,
    /// So many bytes more in Synchronize, spread over the containers.
    pub ballast: usize,
}
