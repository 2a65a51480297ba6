//! The double of the kubelet against plugins that do as they are told: is it as strict as it says?
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "kubelet_double/admission.rs"]
mod admission;
#[path = "kubelet_double/fake.rs"]
mod fake;
#[path = "kubelet_double/registration.rs"]
mod registration;
#[path = "kubelet_double/running.rs"]
mod running;
#[path = "kubelet_double/transport.rs"]
mod transport;

use fake::{Fake, Plan};
use gleaner_tests::kubelet::{Authority, Caller, Kubelet, Options};
use gleaner_tests::slow;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// What is made wrong about a message, and words of the complaint.
type Twist<T> = (fn(&mut T), &'static str);

/// How long something may take that takes milliseconds.
fn limit() -> Duration {
    Duration::from_secs(30).saturating_mul(slow())
}

/// A folder for sockets.
fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    (dir, path)
}

/// The fork, but with an `:authority` that a plain server takes.
fn options() -> Options {
    Options { caller: Caller { authority: Authority::Localhost, ..Caller::default() }, ..Options::default() }
}

/// A kubelet with a plugin for CPU and one for memory.
fn pair(options: Options) -> (TempDir, Kubelet, Fake, Fake) {
    let (dir, path) = folder();
    let (cpu, memory) = (Fake::start(&path.join("cpu.sock"), Plan::cpu()), Fake::start(&path.join("memory.sock"), Plan::memory()));
    let kubelet = Kubelet::start(&path, options);
    kubelet.wait_for_plugins(&["cpu", "memory"], limit());
    (dir, kubelet, cpu, memory)
}
