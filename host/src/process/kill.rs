//! Ending all processes of a cgroup.

use super::{Members, members, refuse_root, send};
use crate::HostError;
use crate::cgroup::Layout;
use gleaner_model::CgroupPath;
use nix::poll::{PollTimeout, poll};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;

/// How often the processes are listed and killed at most; processes that fork are found in a later round.
const ROUNDS: u32 = 300;
/// How often, of these, to wait for killed processes to be gone.
const WAITS: u32 = 100;
/// How long each wait is. v1 has nothing that could be waited on.
const WAIT_MS: u8 = 10;

/// Kills every process of a cgroup and of the cgroups below it, and answers how many are left: none, unless processes fork faster than
/// they can be killed, hang in the kernel, or cannot be signalled from here. Process 1 and this process are passed over. Takes up to one
/// second, so it does not belong on an event loop. A cgroup that is in no hierarchy has no processes.
///
/// On cgroup v2 the kernel kills all of them at once (`cgroup.kill`, Linux 5.14). It covers only processes that are in the cgroup2 mount,
/// so on hybrid hosts, and on older kernels, each process is signalled.
///
/// # Errors
/// When the cgroup is the root, or the kernel refuses to list it or to kill.
pub fn kill(layout: &Layout, path: &CgroupPath) -> Result<usize, HostError> {
    refuse_root(path)?;
    let Some(first) = listed(layout, path)? else { return Ok(0) };
    // The kernel would kill this process, too.
    if !first.has_self() {
        kill_at_once(layout, path);
    }
    let mut signalled = BTreeSet::new();
    let mut waits = 0;
    let mut left = first.count();
    for _ in 0..ROUNDS {
        let Some(members) = listed(layout, path)? else { return Ok(0) };
        left = members.count();
        let victims = members.victims();
        if victims.is_empty() && (left == 0 || members.has_self()) {
            break;
        }
        let fresh: BTreeSet<i32> = victims.difference(&signalled).copied().collect();
        if !fresh.is_empty() {
            send(&fresh, Signal::SIGKILL)?;
            signalled.extend(fresh);
        } else if waits < WAITS {
            waits += 1;
            // An interrupted wait is a shorter one.
            let _ = poll(&mut [], PollTimeout::from(WAIT_MS));
            // A number may have been given to a new process of the same cgroup: the next round signals all that are left.
            signalled.clear();
        } else {
            break;
        }
    }
    Ok(left)
}

/// The members, or `None` when the cgroup is gone.
fn listed(layout: &Layout, path: &CgroupPath) -> Result<Option<Members>, HostError> {
    match members(layout, path, true) {
        Ok(members) => Ok(Some(members)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes `cgroup.kill` where there is one. It is a signal, not a value that lasts, so the arbiter has no part in it; whatever the kernel
/// answers, the rounds that follow show what is left.
fn kill_at_once(layout: &Layout, path: &CgroupPath) {
    let file = layout.unified_dir(path).map(|dir| dir.join("cgroup.kill"));
    if let Some(mut kill) = file.and_then(|file| OpenOptions::new().write(true).open(file).ok()) {
        let _ = kill.write_all(b"1");
    }
}
