//! The kernel's files: the only crate that reads or writes them.
//!
//! Purpose: the machine's topology, the cgroup hierarchies (v1, hybrid, v2), samples of what pods and node use, PSI triggers, the
//! processes of pods, and the arbiter through which every write goes.
//!
//! This crate must not know: Kubernetes objects, policies, async runtimes.
//!
//! Entry points: [`topology::detect`], [`cgroup::Layout::detect`], [`sampler::Sampler`], [`psi::Watcher`], [`arbiter::Arbiter`].

pub mod arbiter;
pub mod cgroup;
pub mod clock;
mod error;
pub mod file;
pub mod lock;
pub mod node;
pub mod offers;
pub mod process;
pub mod psi;
pub mod reclaim;
pub mod sampler;
pub mod state;
pub mod topology;

pub use error::HostError;
