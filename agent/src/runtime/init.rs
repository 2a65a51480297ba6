//! The first step of a container's process: it joins the container's cgroup and then becomes the container's command. A process of its own,
//! since only the process itself can join before its first instruction of foreign code without `unsafe`.

use crate::cli::InitArgs;
use gleaner_host::cgroup::Layout;
use gleaner_host::process;
use gleaner_model::CgroupPath;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The status of a container whose command could not be run, as shells have it.
pub(crate) const NOT_RUN: u8 = 127;

/// Becomes the container's command. Returns only when it cannot, with the reason.
pub(crate) fn run(args: &InitArgs) -> String {
    match prepare(args) {
        Ok(mut command) => {
            let error = command.exec();
            format!("cannot run {:?}: {error}", command.get_program())
        }
        Err(cause) => cause,
    }
}

fn prepare(args: &InitArgs) -> Result<Command, String> {
    let cgroup: CgroupPath = args.cgroup.parse().map_err(|e| format!("--cgroup: {e}"))?;
    let layout = Layout::detect().map_err(|e| e.to_string())?;
    process::join(&layout, &cgroup).map_err(|e| e.to_string())?;
    // An agent that died meanwhile has a successor that may start this container too; whoever finds the agent gone does not start.
    if nix::unistd::getppid().as_raw() != args.parent {
        return Err("the agent that started this container is gone".to_owned());
    }
    // Its own session, so that an interrupt typed at the agent's terminal does not reach it.
    nix::unistd::setsid().map_err(|e| format!("setsid: {e}"))?;
    let (program, arguments) = args.command.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}
