//! What tests of the whole agent need: a node of its own for each test, pods to run on it, and the kernel's own word on what became of them.
//!
//! Purpose: [`Node`] starts, kills and asks the real binary in a folder and a cgroup that no other test has, and removes all of it when the
//! test ends, however it ends. What the agent did is read by [`Kernel`] from the kernel's files, not by the agent's own readers.
//!
//! This crate must not know: how the agent works inside. A failure here is a panic, which fails the test that asked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a harness for tests: what goes wrong fails the test"
)]

pub mod apiserver;
pub mod bench;
pub mod containerd;
pub mod cri;
pub mod estimator;
pub mod http;
mod kernel;
pub mod kubelet;
pub mod manifests;
mod node;
pub mod plugin;
mod pod;
pub mod runtime;
pub mod serving;
mod source;
mod tree;
mod wait;

pub use kernel::{Kernel, PodFiles, allowed_cpus, command_name, is_alive};
pub use node::{Ended, Node, pod_state, program};
pub use pod::Pod;
pub use source::NODE;
pub use tree::Tree;
pub use wait::{Deadline, pause, poll_until, slow};

/// Says why a test is skipped, in the form that is counted.
pub fn skip(test: &str, reason: &str) {
    eprintln!("SKIP {test}: {reason}");
}
