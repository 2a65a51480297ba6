//! `gleaner`: the agent and its command line.
//!
//! Purpose: wires topology, sampler, estimator, solvers, arbiter and eviction into one event loop, takes pods from a folder of manifests, and
//! shows what is decided. Only this crate knows both the kernel's files and Kubernetes' objects.
//!
//! This crate must not know: how a figure, a placement or a choice of victims comes about; it carries values from one part to the next.
//!
//! Entry points: [`engine::start`] and the one place where events are handled, `Engine::handle`.

mod claims;
mod cli;
mod command;
mod config;
mod doctor;
mod engine;
mod error;
mod estimators;
mod health;
mod histories;
mod http;
mod kubelet;
mod kubernetes;
mod manifest;
mod pod_object;
mod presence;
mod qrm;
mod record;
mod recorder;
mod remote;
mod report;
mod runtime;
mod stock;
mod store;

use clap::Parser;
use cli::{Cli, Command};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors. A closed terminal is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(config::EX_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let result = match &cli.command {
        Command::Agent(args) => command::agent(args),
        Command::Status(args) => command::status(args),
        Command::Explain(args) => command::explain(args),
        Command::Doctor(args) => command::doctor(args),
        Command::Replay(args) => command::replay(args),
        Command::Restore(args) => command::restore(args),
        Command::Simulate(args) => command::simulate(args),
        Command::InitContainer(args) => {
            let cause = runtime::init::run(args);
            let _ = writeln!(std::io::stderr(), "gleaner: {cause}");
            return ExitCode::from(runtime::init::NOT_RUN);
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "gleaner: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
