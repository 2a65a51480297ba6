//! The only place that writes knobs to the kernel.

use crate::cgroup::scores;
use crate::error::HostError;
use crate::process::pids_in;
use nix::errno::Errno;
use nix::libc::O_NOFOLLOW;
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a text to an existing file in one call: the kernel takes each write as a whole value. Never creates, never follows a link in the
/// last part of the path.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), HostError> {
    // Truncating means nothing to the kernel's files; it keeps an ordinary file from ending in the rest of a longer text.
    let opened = OpenOptions::new().write(true).truncate(true).custom_flags(O_NOFOLLOW).open(path);
    opened.and_then(|mut file| at_once(&mut file, text)).map_err(|e| HostError::io("write", path, e))
}

fn at_once(file: &mut File, text: &str) -> io::Result<()> {
    if file.write(text.as_bytes())? == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// How often the processes of a cgroup are listed at most: a child that is born while its parent is written has the parent's old score.
const ROUNDS: u32 = 8;

/// Gives each process of a cgroup's folder this `oom_score_adj`. Those that end meanwhile are none; one that cannot be written does not stop
/// the others.
pub(super) fn write_scores(folder: &Path, text: &str) -> Result<(), HostError> {
    for _ in 0..ROUNDS {
        // The files are opened before the processes are listed again: a number that was given to a process elsewhere in the meantime is not
        // in the second list, and an open file never speaks of another process.
        let opened: Vec<(Pid, io::Result<File>)> = pids_in(folder)?.into_iter().map(|pid| (pid, scores::open(pid))).collect();
        let still = pids_in(folder)?;
        let mut changed = false;
        let mut failed = None;
        for (pid, file) in opened.into_iter().filter(|(pid, _)| still.contains(pid)) {
            match file
                .map_err(|e| (e, unopened as Refusal))
                .and_then(|mut file| write_score(&mut file, text).map_err(|e| (e, refused as Refusal)))
            {
                Ok(written) => changed |= written,
                Err((error, _)) if scores::ended(&error) => {}
                Err((error, explain)) => failed = failed.or(Some(explain(pid, text, error))),
            }
        }
        match failed {
            Some(error) => return Err(error),
            None if !changed => return Ok(()),
            None => {}
        }
    }
    Err(HostError::Missing(format!("{}: its processes are born faster than they can be given an oom_score_adj", folder.display())))
}

/// Whether it had to be written.
fn write_score(file: &mut File, text: &str) -> io::Result<bool> {
    if scores::held(file)? == text {
        return Ok(false);
    }
    at_once(file, text).map(|()| true)
}

/// How an error is told to people.
type Refusal = fn(Pid, &str, io::Error) -> HostError;

fn unopened(pid: Pid, text: &str, source: io::Error) -> HostError {
    let path = scores::path(pid);
    if source.raw_os_error() != Some(Errno::EACCES as i32) {
        return HostError::io("open", &path, source);
    }
    HostError::Malformed { path, cause: format!("may not be set to {text} ({source}): a process of another user needs CAP_DAC_OVERRIDE") }
}

fn refused(pid: Pid, text: &str, source: io::Error) -> HostError {
    let path = scores::path(pid);
    if source.raw_os_error() != Some(Errno::EACCES as i32) {
        return HostError::io("write", &path, source);
    }
    HostError::Malformed { path, cause: format!("may not be lowered to {text} ({source}): that needs CAP_SYS_RESOURCE") }
}
