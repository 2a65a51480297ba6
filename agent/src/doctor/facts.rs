//! What was gathered, before anybody judges it.

use crate::config::{Config, Mode};
use crate::kubelet::{CgroupDriver, Exclusive, KubeletConfig};
use gleaner_host::cgroup;
use gleaner_host::offers::Offers;
use gleaner_model::{Bytes, CgroupPath};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything that is known of the node. What could not be learnt is a cause, never a guess.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// The host's name, or the node's where the cluster was found.
    pub(crate) node: String,
    /// The configuration, as far as it is right.
    pub(crate) config: Config,
    /// Where it was read; `None`: nowhere.
    pub(crate) file: Option<PathBuf>,
    /// What is wrong with it, a line each.
    pub(crate) problems: Vec<String>,
    /// The agent that runs, or why it is not known.
    pub(crate) agent: Result<AgentSays, NoAgent>,
    /// The kernel and the machine.
    pub(crate) kernel: Kernel,
    /// This process.
    pub(crate) process: Process,
    /// The container runtime's socket for plugins.
    pub(crate) nri: NriSocket,
    /// The kubelet's files.
    pub(crate) kubelet: KubeletFiles,
    /// The cluster.
    pub(crate) cluster: Cluster,
}

impl Facts {
    /// The mode that is judged: flags of an agent that runs count more than the file.
    pub(crate) fn mode(&self) -> Mode {
        self.agent.as_ref().map_or(self.config.mode, |agent| agent.mode)
    }

    /// Whether nothing is to be written.
    pub(crate) fn shadow(&self) -> bool {
        self.agent.as_ref().map_or(self.config.shadow, |agent| agent.shadow)
    }

    /// Whether pods and their cgroups are a stock kubelet's.
    pub(crate) fn is_stock(&self) -> bool {
        matches!(self.mode(), Mode::Nri | Mode::Reconcile)
    }

    /// What the kernel offers, while it is known.
    pub(crate) fn offers(&self) -> Option<&Offers> {
        self.kernel.offers.as_ref().ok()
    }

    /// What kubelet's CPU manager does: by its checkpoint, or where there is none by kubelet's configuration.
    pub(crate) fn cpu_manager(&self) -> CpuManager<'_> {
        let configured = self.kubelet.config.as_ref().ok().and_then(Option::as_ref).map(|config| config.cpu_manager_policy.as_str());
        match (&self.kubelet.exclusive, configured) {
            (Ok(Some(exclusive)), _) if exclusive.policy == "static" => CpuManager::Gives(exclusive),
            (Ok(Some(exclusive)), _) => CpuManager::Keeps(&exclusive.policy),
            (Ok(None), Some(policy)) if policy != "static" => CpuManager::Keeps(policy),
            (Ok(None), _) => CpuManager::NotKnown(format!("no cpu_manager_state in {}", self.config.kubernetes.kubelet_dir.display())),
            (Err(cause), _) => CpuManager::NotKnown(cause.clone()),
        }
    }

    /// What the API server answered, if it did.
    pub(crate) fn answers(&self) -> Option<&Answers> {
        match &self.cluster {
            Cluster::Answers(answers) => Some(answers),
            _ => None,
        }
    }
}

/// What an agent that runs says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentSays {
    /// Its mode.
    pub(crate) mode: Mode,
    /// It writes nothing.
    pub(crate) shadow: bool,
    /// The container runtime that asks it before it creates containers.
    pub(crate) runtime: Option<String>,
    /// What is wrong with its parts.
    pub(crate) problems: BTreeMap<String, String>,
}

/// Why there is no word of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoAgent {
    /// There is no socket, or nobody behind it.
    NotThere(String),
    /// It cannot be asked.
    NotTold(String),
}

/// The kernel and the machine.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// The kernel's release.
    pub(crate) release: Result<String, String>,
    /// How cgroups are mounted.
    pub(crate) cgroups: Result<cgroup::Mode, String>,
    /// What is offered to the tree of pods.
    pub(crate) offers: Result<Offers, String>,
    /// The tree of pods: where it is or would be, and who made it, if it is there.
    pub(crate) tree: (CgroupPath, Option<CgroupDriver>),
    /// Which windows of memory pressure the kernel takes from this process.
    pub(crate) windows: Windows,
    /// The machine.
    pub(crate) shape: Result<Shape, String>,
    /// Swap.
    pub(crate) swap: Result<Bytes, String>,
}

/// Which windows of memory pressure the kernel takes from this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Windows {
    /// Short ones: pressure is told at once.
    Short,
    /// Those of 2 s.
    Slow,
    /// None.
    None(String),
}

/// The machine in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Logical CPUs.
    pub(crate) cpus: u32,
    /// Sockets.
    pub(crate) sockets: usize,
    /// NUMA nodes.
    pub(crate) nodes: usize,
    /// Groups of CPUs that share an L3 cache; 0 where none is told of.
    pub(crate) l3_groups: usize,
    /// Threads of a core.
    pub(crate) threads: u32,
}

/// This process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its effective user.
    pub(crate) user: u32,
    /// Whether files of the pods' cgroups may be written, or why not.
    pub(crate) writes: Result<(), String>,
}

/// The container runtime's socket for plugins. Only looked at: one who connects and does not register keeps all plugins waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NriSocket {
    /// There is nothing.
    Absent,
    /// There is something else.
    NoSocket,
    /// It cannot be looked at.
    Hidden(String),
    /// It is there.
    There {
        /// The user that owns it.
        owner: u32,
        /// Whether somebody listens; `None`: another network namespace may know.
        listens: Option<bool>,
    },
}

/// The kubelet's files; `None`: there is no such file.
#[derive(Debug, Clone)]
pub(crate) struct KubeletFiles {
    /// Its configuration.
    pub(crate) config: Result<Option<KubeletConfig>, String>,
    /// The checkpoint of its CPU manager.
    pub(crate) exclusive: Result<Option<Exclusive>, String>,
}

/// What kubelet's CPU manager does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CpuManager<'a> {
    /// It gives CPUs to containers alone.
    Gives(&'a Exclusive),
    /// It gives none away, by this policy.
    Keeps(&'a str),
    /// Nobody could tell.
    NotKnown(String),
}

/// The cluster.
#[derive(Debug, Clone)]
pub(crate) enum Cluster {
    /// The mode has none.
    NotAsked,
    /// Nobody knows where it is.
    NoWay(String),
    /// Its API server does not answer.
    Silent(String),
    /// It answers.
    Answers(Box<Answers>),
}

/// What the API server said.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    /// The name by which it was asked for this node.
    pub(crate) node: String,
    /// The server's version.
    pub(crate) version: Result<String, String>,
    /// Whether it knows this node.
    pub(crate) knows_node: Said,
    /// Whether it knows kinds that others defined, by resource.
    pub(crate) kinds: BTreeMap<&'static str, Said>,
    /// Whether it allows something, by resource and verb.
    pub(crate) rights: BTreeMap<(&'static str, &'static str), Said>,
}

/// An answer of the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// It is so.
    Yes,
    /// It is not so, in its words.
    No(String),
    /// It did not say; why.
    NotKnown(String),
}
