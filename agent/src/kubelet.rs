//! The kubelet of this node, as far as the agent must know it: how it is configured, and which CPUs and NUMA nodes it gave away by itself. Everything is
//! read, nothing is written.

mod amounts;
mod checkpoint;
mod config;
mod file;
mod follow;
mod news;

pub(crate) use checkpoint::{Exclusive, PinnedMemory};
pub(crate) use config::KubeletConfig;
pub(crate) use follow::{FollowKubelet, follow};

/// What is read of the kubelet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KubeletPart {
    /// Its configuration.
    Config,
    /// The checkpoint of its CPU manager.
    CpuManager,
    /// The checkpoint of its memory manager.
    MemoryManager,
}

/// The name of a part of the agent's health.
impl std::fmt::Display for KubeletPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Config => "kubelet configuration",
            Self::CpuManager => "kubelet CPU manager",
            Self::MemoryManager => "kubelet memory manager",
        })
    }
}

/// What was learnt of the kubelet. Each is told when it changes, not at every look.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum KubeletEvent {
    /// How it is configured.
    Config(Box<KubeletConfig>),
    /// Which CPUs its CPU manager gave to whom.
    Exclusive(Exclusive),
    /// Which NUMA nodes its memory manager bound whom to.
    Pinned(PinnedMemory),
    /// There is nothing to read: no such file, since that manager was never on, or there is no kubelet. What was told before no longer holds.
    Absent(KubeletPart),
    /// What could not be read, and why; `None` when it can be read again. What was told before still holds.
    Problem(KubeletPart, Option<String>),
}
