//! What the agent's process costs, by its files in `/proc`.

use crate::Node;
use nix::unistd::{SysconfVar, sysconf};
use std::error::Error;

fn proc(node: &Node, file: &str) -> Result<String, Box<dyn Error>> {
    let path = format!("/proc/{}/{file}", node.agent_pid());
    std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}\n{}", node.log()).into())
}

/// A number of `/proc/<pid>/status` of the agent; memory is in KiB.
///
/// # Errors
/// When the agent does not run, or the line is not there.
pub fn status(node: &Node, key: &str) -> Result<f64, Box<dyn Error>> {
    let text = proc(node, "status")?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)).and_then(|rest| rest.split_whitespace().next());
    Ok(value.ok_or_else(|| format!("no {key}"))?.parse()?)
}

/// User and system time of all threads of the agent.
///
/// # Errors
/// When the agent does not run.
pub fn cpu_seconds(node: &Node) -> Result<f64, Box<dyn Error>> {
    let text = proc(node, "stat")?;
    // The name may hold spaces; after it come the state as field 3, and utime and stime as fields 14 and 15 (proc_pid_stat(5)).
    let (_, fields) = text.rsplit_once(')').ok_or("no name in stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.ok_or("the clock tick is not known")?;
    Ok(f64::from(ticks) / f64::from(u32::try_from(per_second)?))
}
