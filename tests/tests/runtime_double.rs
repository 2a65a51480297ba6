//! The double of the container runtime against plugins that do as they are told: is it as strict, and as unforgiving, as it says?
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "runtime_double/changes.rs"]
mod changes;
#[path = "runtime_double/client.rs"]
mod client;
#[path = "runtime_double/existing.rs"]
mod existing;
#[path = "runtime_double/files.rs"]
mod files;
#[path = "runtime_double/handshake.rs"]
mod handshake;
#[path = "runtime_double/life.rs"]
mod life;
#[path = "runtime_double/moods.rs"]
mod moods;
#[path = "runtime_double/properties.rs"]
mod properties;
#[path = "runtime_double/transport.rs"]
mod transport;

use client::{Plan, Plugin};
use gleaner_tests::runtime::{Amounts, ContainerSpec, Entry, Options, PodSpec, Runtime, Version};
use gleaner_tests::slow;
use std::time::Duration;
use tempfile::TempDir;

const VERSIONS: [Version; 3] = [Version::V0_6, Version::V0_8, Version::V0_12];

/// How long something may take that takes milliseconds.
fn limit() -> Duration {
    Duration::from_secs(30).saturating_mul(slow())
}

/// A runtime in a folder of its own.
fn runtime(options: Options) -> (TempDir, Runtime) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Runtime::start(&dir.path().join("nri"), options);
    (dir, runtime)
}

/// A runtime of this version with one plugin.
fn with_plugin(options: Options, plan: Plan) -> (TempDir, Runtime, Plugin) {
    let (dir, runtime) = runtime(options);
    let plugin = Plugin::join(&runtime, plan);
    (dir, runtime, plugin)
}

fn web() -> PodSpec {
    PodSpec::new("web", "11111111-aaaa")
}

/// A container of a pod that asks for one CPU.
fn main() -> ContainerSpec {
    ContainerSpec::new("main", Amounts::cpu(1000, 0))
}

/// A pod with one container that runs. Returns the ids of both.
fn running(runtime: &Runtime) -> (String, String) {
    let pod = runtime.run_pod(&web()).unwrap();
    let container = runtime.run_container(&pod, &main()).unwrap().id;
    (pod, container)
}

/// Why connections were closed, in order.
fn closed(runtime: &Runtime) -> Vec<String> {
    let why = |entry| match entry {
        Entry::Closed { why, .. } => Some(why),
        _ => None,
    };
    runtime.log().into_iter().filter_map(why).collect()
}

fn wait_closed(runtime: &Runtime, words: &str) {
    runtime.wait_for(&format!("a connection is closed: {words}"), limit(), |log| {
        log.iter().any(|entry| matches!(entry, Entry::Closed { why, .. } if why.contains(words))).then_some(())
    });
}
