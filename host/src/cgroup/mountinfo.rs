//! The cgroup mounts among the lines of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use crate::cgroup::layout::Controller;
use crate::error::HostError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the hierarchies are mounted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mounts {
    pub(crate) v1: BTreeMap<Controller, PathBuf>,
    pub(crate) v2: Option<PathBuf>,
}

struct Mount<'a> {
    /// How many cgroups above the namespace's own root the mount begins.
    above: usize,
    point: PathBuf,
    v2: bool,
    options: Vec<&'a str>,
}

/// Chooses the mounts that show whole hierarchies. A mount of a part (root `/a/b`) is passed over, since paths in it mean other cgroups.
/// Inside a cgroup namespace the machine's own mount has a root of only `..` parts and is preferred to the container's own view (`/`).
pub(crate) fn mounts(text: &str) -> Result<Mounts, HostError> {
    let mut visible: Vec<Mount<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let malformed = || HostError::Malformed {
            path: Path::new("/proc/self/mountinfo").to_owned(),
            cause: format!("line {} is not a mount: {line:?}", index + 1),
        };
        if let Some(mount) = parse(line).ok_or_else(malformed)? {
            // A later mount on the same point hides the earlier one.
            visible.retain(|earlier| earlier.point != mount.point);
            visible.push(mount);
        }
    }
    let mut found = Mounts::default();
    // Stable, so that the first of several equal mounts is used: the machine's own comes before copies of it.
    visible.sort_by_key(|mount| std::cmp::Reverse(mount.above));
    for mount in visible {
        if mount.v2 {
            found.v2.get_or_insert(mount.point);
            continue;
        }
        for controller in Controller::ALL.into_iter().filter(|c| mount.options.contains(&c.v1_name())) {
            found.v1.entry(controller).or_insert_with(|| mount.point.clone());
        }
    }
    Ok(found)
}

/// One line; `Some(None)` for a mount that is no whole cgroup hierarchy.
fn parse(line: &str) -> Option<Option<Mount<'_>>> {
    let (front, back) = line.split_once(" - ")?;
    let mut back = back.split(' ');
    let kind = back.next()?;
    let mut front = front.split(' ').skip(3);
    let (root, point) = (front.next()?, front.next()?);
    if kind != "cgroup" && kind != "cgroup2" {
        return Some(None);
    }
    let options = back.next_back()?.split(',').collect();
    let parts: Vec<&str> = root.split('/').filter(|part| !part.is_empty()).collect();
    let whole = root.starts_with('/') && parts.iter().all(|part| *part == "..");
    let mount = || Mount { above: parts.len(), point: PathBuf::from(unescape(point)), v2: kind == "cgroup2", options };
    Some(whole.then(mount))
}

/// Undoes the kernel's escapes of space, tab, newline and backslash: `\040`.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let byte = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match (byte, after.get(3..)) {
            (Some(byte), Some(tail)) => {
                plain.push(char::from(byte));
                rest = tail;
            }
            _ => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}
