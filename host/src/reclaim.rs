//! Taking memory back from a cgroup, once.
//!
//! It is an action and no value that lasts: there is nothing to compare, to journal or to put back. So the arbiter has no part in it, as it
//! has none in `cgroup.kill`. Whether and how much to take back is not decided here.

use crate::arbiter::write::write;
use crate::cgroup::{Controller, Layout, Version};
use crate::error::HostError;
use gleaner_model::{Bytes, CgroupPath};
use nix::errno::Errno;
use std::{fs, io};

/// How exactly the kernel can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// For an amount (v2 `memory.reclaim`, Linux 5.19).
    Amount,
    /// Only for all that can be had, at the cost of what is in use too (v1 `memory.force_empty`).
    Everything,
}

impl Means {
    const fn file(self) -> &'static str {
        match self {
            Self::Amount => "memory.reclaim",
            Self::Everything => "memory.force_empty",
        }
    }
}

/// What came of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reclaimed {
    /// The kernel took back what was asked for; with [`Means::Everything`] all that it could.
    Done,
    /// The kernel could not take back all of it, or was interrupted: the rest is in use, or cannot be written anywhere.
    Partly,
    /// This kernel or hierarchy has no way to ask.
    NotOffered,
}

/// How the kernel can be asked to take memory back from a cgroup; `None` when it cannot.
#[must_use]
pub fn means(layout: &Layout, cgroup: &CgroupPath) -> Option<Means> {
    let means = match layout.version(Controller::Memory)? {
        Version::V1 => Means::Everything,
        Version::V2 => Means::Amount,
    };
    layout.dir(Controller::Memory, cgroup)?.join(means.file()).exists().then_some(means)
}

/// What is charged to a cgroup and those below it; `None` where no hierarchy counts memory.
///
/// # Errors
/// When the kernel refuses ([`HostError::is_gone`] when the cgroup was removed), or prints no number.
pub fn usage(layout: &Layout, cgroup: &CgroupPath) -> Result<Option<Bytes>, HostError> {
    let Some((dir, version)) = layout.dir(Controller::Memory, cgroup).zip(layout.version(Controller::Memory)) else { return Ok(None) };
    let path = dir.join(match version {
        Version::V1 => "memory.usage_in_bytes",
        Version::V2 => "memory.current",
    });
    let text = fs::read_to_string(&path).map_err(|e| HostError::io("read", &path, e))?;
    let bytes = text.trim().parse().map_err(|_| HostError::Malformed { path, cause: format!("`{}` is no number", text.trim()) })?;
    Ok(Some(Bytes::new(bytes)))
}

/// Asks the kernel to take `bytes` back from a cgroup and those below it, in one write. With [`Means::Everything`] the amount does not
/// matter. It returns when the kernel is done, which takes as long as it takes to look at that much memory; so the caller bounds the amount.
///
/// # Errors
/// When the cgroup is the root, which holds what is no pod's; when it is gone ([`HostError::is_gone`]); or when the kernel refuses. That it
/// could not take back all is no error, but [`Reclaimed::Partly`].
pub fn reclaim(layout: &Layout, cgroup: &CgroupPath, bytes: Bytes) -> Result<Reclaimed, HostError> {
    if cgroup.is_root() {
        return Err(HostError::OutsideTree(cgroup.to_string()));
    }
    let Some(dir) = layout.dir(Controller::Memory, cgroup) else { return Ok(Reclaimed::NotOffered) };
    let Some(means) = means(layout, cgroup) else {
        let missing = HostError::io("reclaim", &dir, io::ErrorKind::NotFound.into());
        return if dir.is_dir() { Ok(Reclaimed::NotOffered) } else { Err(missing) };
    };
    if bytes.is_zero() {
        return Ok(Reclaimed::Done);
    }
    match write(&dir.join(means.file()), &bytes.get().to_string()) {
        Ok(()) => Ok(Reclaimed::Done),
        Err(HostError::Io { source, .. }) if is_partly(&source) => Ok(Reclaimed::Partly),
        Err(error) => Err(error),
    }
}

/// EAGAIN is `memory.reclaim`'s answer when less was taken back than asked for (kernel, `cgroup-v2.rst`), EINTR that of both when a signal
/// came in between.
fn is_partly(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EAGAIN | Errno::EINTR))
}

#[cfg(test)]
mod tests;
