//! Processes that end, or refuse to, in a known way.

use std::env;
use std::io;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use clap::Args;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::say;

#[derive(Debug, Args)]
pub(crate) struct ExitOptions {
    /// Exit status
    #[arg(long, value_name = "N")]
    code: u8,
    /// Milliseconds until then
    #[arg(long, value_name = "MS")]
    after: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ForksOptions {
    /// Children
    #[arg(long, value_name = "N")]
    n: u32,
}

/// Blocks SIGTERM in this, the only thread. A blocked signal stays pending even for process 1 of a container, for which the kernel
/// drops signals that nobody handles.
fn block_term() -> io::Result<SigSet> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.thread_block()?;
    Ok(set)
}

/// Waits for SIGTERM.
pub(super) fn sleep() -> io::Result<()> {
    let set = block_term()?;
    say("ready")?;
    set.wait()?;
    Ok(())
}

/// Never ends by SIGTERM.
pub(super) fn ignore_term() -> io::Result<()> {
    let _set = block_term()?;
    say("ready")?;
    loop {
        thread::park();
    }
}

/// Ends with a given status after a given time.
pub(super) fn exit(options: &ExitOptions) -> ExitCode {
    thread::sleep(Duration::from_millis(options.after));
    ExitCode::from(options.code)
}

/// Starts the children, says their ids, and on SIGTERM ends them and waits for them. SIGKILL leaves them behind: that whoever kills
/// this process must find its children too is the point of it.
pub(super) fn forks(options: &ForksOptions) -> io::Result<()> {
    let set = block_term()?;
    let mut children = Vec::new();
    let started = start_children(options.n, &mut children).and_then(|()| {
        let ids: Vec<String> = children.iter().map(|child| child.id().to_string()).collect();
        say(&format!("ready {}", ids.join(" ")))?;
        set.wait()?;
        Ok(())
    });
    let ended = children.iter_mut().try_for_each(end);
    started.and(ended)
}

fn start_children(n: u32, children: &mut Vec<Child>) -> io::Result<()> {
    let program = env::current_exe()?;
    for _ in 0..n {
        let child = Command::new(&program).arg("sleep").stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        children.push(child);
    }
    Ok(())
}

fn end(child: &mut Child) -> io::Result<()> {
    let id = i32::try_from(child.id()).map_err(io::Error::other)?;
    // Not yet waited for, so the id is still the child's.
    kill(Pid::from_raw(id), Signal::SIGTERM)?;
    child.wait()?;
    Ok(())
}
