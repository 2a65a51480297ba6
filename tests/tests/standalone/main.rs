//! The real agent with its embedded runtime, on the real kernel, seen from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests: what goes wrong fails the test"
)]

mod bad_input;
mod crash;
mod damage;
mod endpoint;
mod escape;
mod estimators;
mod eviction;
mod foreign;
mod memory;
mod numa;
mod pods;
mod pools;
mod record;
mod refusal;
mod shadow;
mod slips;
mod stop;
mod take_back;

/// CPUs of this machine.
fn cpus() -> u32 {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    text.trim().parse::<gleaner_model::CpuSet>().unwrap().count()
}
