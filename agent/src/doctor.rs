//! What this node has and lacks, and which features are on because of it. It looks and asks; it changes nothing.
//!
//! [`look`] gathers the facts, in bounded time and with everything optional; what follows from them is pure.

mod cluster;
mod facts;
mod features;
mod findings;
mod look;
mod nri_socket;
mod page;
mod rights;
#[cfg(test)]
mod tests;

pub(crate) use look::look;
pub(crate) use page::{Diagnosis, draw};

use serde::Serialize;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Group {
    /// The configuration, and the agent that runs.
    Agent,
    /// What the kernel and the machine offer.
    Kernel,
    /// What this process may do here and in the cluster.
    Rights,
    /// Kubelet, container runtime, API server.
    Kubernetes,
}

/// How much of something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// All of it, or it is not wanted.
    Ok,
    /// Less than could be.
    Limited,
    /// Nothing.
    Missing,
    /// Nobody could tell.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What it is about.
    pub(crate) group: Group,
    /// What was looked at.
    pub(crate) name: String,
    /// How much of it is there.
    pub(crate) state: State,
    /// Whether the mode cannot do its work without it.
    pub(crate) needed: bool,
    /// What was found.
    pub(crate) what: String,
    /// What is lost, and what to do; always there for what is limited or missing.
    pub(crate) effect: Option<String>,
}

/// Whether a feature is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum On {
    /// It is.
    Yes,
    /// Not wholly.
    Partly,
    /// It is not.
    No,
    /// Nobody could tell.
    Unknown,
}

/// One thing that the agent does for pods, or does not do here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Feature {
    /// What it does.
    pub(crate) name: &'static str,
    /// Whether it does.
    pub(crate) on: On,
    /// Why.
    pub(crate) because: String,
}
