//! The processes of a cgroup: listing, signalling, ending them, and joining them.
//!
//! A container has one path and, on v1 and hybrid hosts, a folder in several hierarchies; what any of them lists belongs to it.

mod kill;
#[cfg(test)]
pub(crate) mod scratch;

use crate::HostError;
use crate::cgroup::{Controller, Layout, within};
use gleaner_model::CgroupPath;
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

pub use kill::kill;
pub use nix::sys::signal::Signal;
pub use nix::unistd::Pid;

const PROCS: &str = "cgroup.procs";
/// How often the processes of a folder are listed before those without a number are taken for foreign ones.
const LISTS: u32 = 3;

/// The processes of a cgroup, without those of the cgroups below it, in rising order.
///
/// # Errors
/// When no hierarchy has the cgroup ([`HostError::is_gone`]), or the kernel refuses to list it.
pub fn pids(layout: &Layout, path: &CgroupPath) -> Result<Vec<Pid>, HostError> {
    members(layout, path, false).map(Members::into_pids)
}

/// The processes of a cgroup and of all cgroups below it, in rising order.
///
/// # Errors
/// As [`pids`].
pub fn pids_below(layout: &Layout, path: &CgroupPath) -> Result<Vec<Pid>, HostError> {
    members(layout, path, true).map(Members::into_pids)
}

/// The processes that one hierarchy's folder of a cgroup lists, without those of the cgroups below it, in rising order.
///
/// # Errors
/// When the folder is gone ([`HostError::is_gone`]), or the kernel refuses to list it; when one of them cannot be named in this process's pid namespace.
pub(crate) fn pids_in(folder: &Path) -> Result<Vec<Pid>, HostError> {
    // One that ends just while it is printed has no number any more either, and is not in the next list.
    for _ in 0..LISTS {
        let mut members = Members::default();
        if !list(folder, false, &mut members)? {
            return Err(HostError::io("list the processes of", folder, ErrorKind::NotFound.into()));
        }
        if members.foreign == 0 {
            return Ok(members.into_pids());
        }
    }
    Err(HostError::Missing(format!("{}: its processes are of another pid namespace; in a pod, set hostPID", folder.display())))
}

/// Whether a cgroup or one below it has processes. One that is in no hierarchy has none.
///
/// # Errors
/// When the kernel refuses to list it.
pub fn populated(layout: &Layout, path: &CgroupPath) -> Result<bool, HostError> {
    match members(layout, path, true) {
        Ok(members) => Ok(members.count() > 0),
        Err(error) if error.is_gone() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sends a signal to every process of a cgroup and of the cgroups below it, and answers how many got it. Process 1 and this process are
/// passed over. Between being listed and being signalled a process may end and its number be given to another; the kernel offers no
/// way to signal a listed process otherwise, so the list is used at once.
///
/// # Errors
/// When the cgroup is the root, which holds what is no pod's; when it is gone; or when the kernel refused a signal (the others are
/// sent nevertheless).
pub fn signal(layout: &Layout, path: &CgroupPath, signal: Signal) -> Result<usize, HostError> {
    refuse_root(path)?;
    send(&members(layout, path, true)?.victims(), signal)
}

/// Moves the calling process into a cgroup, in every hierarchy that has its tree: what a container's first process does before it becomes the
/// container's program. It changes no knob, so the arbiter has no part in it.
///
/// # Errors
/// When no hierarchy has the cgroup, when one that has the tree lacks the cgroup itself (it is being removed, and the process would run
/// unbounded there), or when one refuses (a v1 cpuset without CPUs or memory nodes does).
pub fn join(layout: &Layout, path: &CgroupPath) -> Result<(), HostError> {
    let mut joined = false;
    let tree = std::iter::successors(Some(path.clone()), CgroupPath::parent).find(|ancestor| ancestor.name() == "kubepods");
    for mount in layout.hierarchies() {
        let folder = within(&mount, path);
        let missing = !folder.is_dir() && tree.as_ref().is_some_and(|tree| within(&mount, tree).is_dir());
        if missing {
            return Err(HostError::io("join", &folder, ErrorKind::NotFound.into()));
        }
    }
    for folder in folders(layout, path) {
        let file = folder.join(PROCS);
        match OpenOptions::new().write(true).open(&file) {
            // Zero is the process that writes.
            Ok(mut procs) => procs.write_all(b"0").map_err(|source| HostError::io("join", &file, source))?,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(source) => return Err(HostError::io("join", &file, source)),
        }
        joined = true;
    }
    if joined { Ok(()) } else { Err(nowhere("join", path)) }
}

/// Whether a process is in a cgroup in the hierarchy that bounds its CPUs; `None` where no hierarchy does, or it cannot be told.
#[must_use]
pub fn is_bound(layout: &Layout, path: &CgroupPath, pid: Pid) -> Option<bool> {
    let folder = layout.dir(Controller::Cpuset, path)?;
    let mut members = Members::default();
    let found = list(&folder, true, &mut members).ok()?;
    Some(found && members.pids.contains(&pid.as_raw()))
}

/// What the hierarchies list for a cgroup.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    pids: BTreeSet<i32>,
    /// Processes outside this process's pid namespace: the kernel prints them as 0, and they cannot be signalled from here.
    foreign: usize,
}

impl Members {
    fn into_pids(self) -> Vec<Pid> {
        self.pids.into_iter().map(Pid::from_raw).collect()
    }

    /// How many there are.
    fn count(&self) -> usize {
        self.pids.len().saturating_add(self.foreign)
    }

    /// Whom signals may be sent to: not everyone (0 and below), not the machine's first process, not this one.
    fn victims(&self) -> BTreeSet<i32> {
        let own = Pid::this().as_raw();
        self.pids.iter().copied().filter(|pid| *pid > 1 && *pid != own).collect()
    }

    fn has_self(&self) -> bool {
        self.pids.contains(&Pid::this().as_raw())
    }
}

fn members(layout: &Layout, path: &CgroupPath, below: bool) -> Result<Members, HostError> {
    let mut all = Members::default();
    let mut found = false;
    for folder in folders(layout, path) {
        let mut here = Members::default();
        found |= list(&folder, below, &mut here)?;
        all.pids.append(&mut here.pids);
        // A foreign process is listed in every hierarchy, and cannot be told from another one.
        all.foreign = all.foreign.max(here.foreign);
    }
    if found { Ok(all) } else { Err(nowhere("list the processes of", path)) }
}

/// Adds the processes of a folder, and with `below` of all folders in it; says whether the folder is there.
fn list(folder: &Path, below: bool, members: &mut Members) -> Result<bool, HostError> {
    let mut waiting = vec![folder.to_owned()];
    let mut found = false;
    while let Some(folder) = waiting.pop() {
        let file = folder.join(PROCS);
        match fs::read_to_string(&file) {
            Ok(text) => {
                found = true;
                add(&text, members).map_err(|cause| HostError::Malformed { path: file, cause })?;
            }
            // A threaded cgroup of v2 lists its processes at the root of its domain.
            Err(error) if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => found = true,
            Err(error) => match HostError::io("read", &file, error) {
                // Removed in the meantime, with all below it.
                error if error.is_gone() => continue,
                error => return Err(error),
            },
        }
        if below && let Ok(entries) = fs::read_dir(&folder) {
            waiting.extend(entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
        }
    }
    Ok(found)
}

fn add(text: &str, members: &mut Members) -> Result<(), String> {
    for line in text.lines() {
        match line.trim().parse::<i32>() {
            Ok(0) => members.foreign = members.foreign.saturating_add(1),
            Ok(pid) if pid > 0 => {
                members.pids.insert(pid);
            }
            _ => return Err(format!("`{line}` is no process number")),
        }
    }
    Ok(())
}

/// Signals each; one that ended in the meantime is not counted.
fn send(victims: &BTreeSet<i32>, signal: Signal) -> Result<usize, HostError> {
    let (mut sent, mut refused) = (0, None);
    for pid in victims {
        match nix::sys::signal::kill(Pid::from_raw(*pid), signal) {
            Ok(()) => sent += 1,
            Err(Errno::ESRCH) => {}
            Err(errno) => {
                refused = Some(HostError::Library { what: "send a signal", cause: format!("{signal} to process {pid}: {errno}") })
            }
        }
    }
    refused.map_or(Ok(sent), Err)
}

/// The cgroup's folder in each hierarchy, whether or not it is there.
fn folders(layout: &Layout, path: &CgroupPath) -> Vec<PathBuf> {
    // Joining the root's empty path would leave a slash at the end.
    let within = |mount: PathBuf| if path.is_root() { mount } else { mount.join(path.relative()) };
    layout.hierarchies().into_iter().map(within).collect()
}

fn refuse_root(path: &CgroupPath) -> Result<(), HostError> {
    if path.is_root() { Err(HostError::OutsideTree(path.to_string())) } else { Ok(()) }
}

fn nowhere(operation: &'static str, path: &CgroupPath) -> HostError {
    HostError::io(operation, Path::new(path.as_str()), ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests;
