//! One file for each kind of load; this one is the command line.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

mod clock;
mod memory;
mod process;
mod quantile;
mod serve;
mod size;
mod tide;

/// A load for a node, as a process of its own.
#[derive(Debug, Parser)]
#[command(name = "workload", bin_name = "workload")]
pub(crate) enum Command {
    /// CPU use that swings between two levels like a day's traffic, starting at the low one.
    Tide(tide::Options),
    /// CPU use without pause.
    Spin(tide::SpinOptions),
    /// Memory that grows by steps and is held.
    Memory(memory::Options),
    /// Requests at a fixed rate, each some CPU time, and their latencies.
    Serve(serve::Options),
    /// Does nothing until SIGTERM, also as process 1 of a container.
    Sleep,
    /// Does nothing and blocks SIGTERM, so that only SIGKILL ends it.
    IgnoreTerm,
    /// Ends by itself.
    Exit(process::ExitOptions),
    /// Starts several sleeping children; ends them on SIGTERM, leaves them behind when killed.
    Forks(process::ForksOptions),
}

/// Runs the load to its end. What went wrong is one line on stderr.
pub(crate) fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Tide(options) => tide::run(&options),
        Command::Spin(options) => tide::spin(&options),
        Command::Memory(options) => memory::run(&options),
        Command::Serve(options) => serve::run(&options),
        Command::Sleep => process::sleep(),
        Command::IgnoreTerm => process::ignore_term(),
        Command::Exit(options) => return process::exit(&options),
        Command::Forks(options) => process::forks(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is closed too.
            let _ = writeln!(io::stderr(), "workload: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints one line at once, also into a pipe. A reader that has gone away is an error, where `println!` would panic.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
