//! What a cluster admin applies: the manifests compose, are complete, ask for no more than they need, and their policies say what the agent says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "manifests/annotations.rs"]
mod annotations;
#[path = "manifests/compose.rs"]
mod compose;
#[path = "manifests/deploy.rs"]
mod deploy;
#[path = "manifests/e2e.rs"]
mod e2e;
#[path = "manifests/files.rs"]
mod files;
#[path = "manifests/image.rs"]
mod image;
#[path = "manifests/objects.rs"]
mod objects;
#[path = "manifests/own_node.rs"]
mod own_node;
#[path = "manifests/policy.rs"]
mod policy;
#[path = "manifests/reclaimed.rs"]
mod reclaimed;
#[path = "manifests/samples.rs"]
mod samples;
