//! The loads that samples, tests and benches put on a node: CPU that swings like traffic, memory that grows, requests with latencies,
//! and processes that end (or refuse to end) in a known way. It must run with nothing else around it, so it links no part of gleaner.
#![allow(clippy::disallowed_methods, reason = "a load is made of clocks and sleeping threads")]

use std::process::ExitCode;

use clap::Parser;

#[path = "../workload/mod.rs"]
mod workload;

fn main() -> ExitCode {
    workload::run(workload::Command::parse())
}
