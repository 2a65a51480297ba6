//! `oom_score_adj` of the processes of a cgroup: the one knob that no file of a cgroup holds.

use crate::error::HostError;
use crate::process::pids_in;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The file of each process (kernel, `filesystems/proc.rst` 3.1).
pub(crate) const FILE: &str = "oom_score_adj";

/// Where the score of a process is.
pub(crate) fn path(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{FILE}"))
}

/// The file of a process. It is bound to the process, not to its number: once the process has ended it answers ESRCH.
pub(crate) fn open(pid: Pid) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path(pid))
}

/// What an open file says.
pub(crate) fn held(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Whether the error only says that the process has ended.
pub(crate) fn ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ESRCH as i32)
}

/// The score of the process with the lowest number in a cgroup's folder; `None` when there is no process.
pub(crate) fn of_first(folder: &Path) -> Result<Option<String>, HostError> {
    Ok(scores(folder)?.into_iter().next())
}

/// Whether every process in a cgroup's folder has this score.
pub(crate) fn all_have(folder: &Path, text: &str) -> Result<bool, HostError> {
    Ok(scores(folder)?.iter().all(|score| score == text))
}

/// By rising number of process.
fn scores(folder: &Path) -> Result<Vec<String>, HostError> {
    let mut scores = Vec::new();
    for pid in pids_in(folder)? {
        let path = path(pid);
        match std::fs::read_to_string(&path) {
            Ok(text) => scores.push(text.trim().to_owned()),
            Err(error) if ended(&error) => {}
            Err(error) => return Err(HostError::io("read", &path, error)),
        }
    }
    Ok(scores)
}
