//! Making and removing cgroups.

use crate::arbiter::execute::Remember;
use crate::arbiter::records::{Entry, MadeDir};
use crate::arbiter::{Arbiter, WriteResult, write};
use crate::cgroup::knob::inode;
use crate::cgroup::{Controller, Version, within};
use crate::error::HostError;
use cgroups_rs::fs::Controller as _;
use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::cpuset::CpuSetController;
use gleaner_model::{CgroupPath, KnobId, KnobValue};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The controllers that a v2 parent must enable for its children to have the knobs that Gleaner writes.
const NEEDED: [Controller; 3] = [Controller::Cpu, Controller::Cpuset, Controller::Memory];

impl Arbiter {
    /// Makes a cgroup, and those of its parents that are missing inside the tree, in every hierarchy, and writes the values that it is
    /// born with. What exists is used as it is. A hierarchy that lacks the parent of the tree is passed over. On an error what was made
    /// is removed again.
    ///
    /// # Errors
    /// When the cgroup is outside the tree, or the journal or the kernel refuses.
    pub fn create(&mut self, cgroup: &CgroupPath, birth: &[KnobValue]) -> Result<(), HostError> {
        self.inside(cgroup)?;
        let mut family: Vec<CgroupPath> = std::iter::successors(Some(cgroup.clone()), CgroupPath::parent).collect();
        family.reverse();
        let mut fresh = BTreeSet::new();
        let made = self.make_family(&family, &mut fresh).and_then(|()| self.bear(cgroup, birth, &fresh));
        if made.is_err() {
            // Below comes after above in the order of paths.
            for dir in fresh.iter().rev() {
                // The error to report is the one that stopped us; what cannot be removed stays in the journal.
                let _ = fs::remove_dir(dir);
            }
            let (layout, tree) = (&self.layout, &self.tree);
            self.journal.forget(|records| records.keep_living(layout, tree));
        }
        made
    }

    /// Whether this arbiter, or an earlier one with the same journal, made this very cgroup.
    #[must_use]
    pub fn created(&self, cgroup: &CgroupPath) -> bool {
        self.journal.records().created.contains_key(cgroup)
    }

    /// Removes a cgroup from every hierarchy, and forgets what it held. It must be empty; that it is gone already is fine.
    ///
    /// # Errors
    /// When it is outside the tree, or still has processes or children.
    pub fn remove(&mut self, cgroup: &CgroupPath) -> Result<(), HostError> {
        self.inside(cgroup)?;
        let mut failed = None;
        // Not by the library, whose removal takes children with it and waits.
        for mount in self.layout.hierarchies() {
            let dir = within(&mount, cgroup);
            match fs::remove_dir(&dir) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => failed = failed.or(Some(HostError::io("remove", &dir, e))),
                _ => {}
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if self.journal.records().mention(cgroup) && self.journal.append(vec![Entry::Removed { cgroup: cgroup.clone() }]).is_err() {
            // The entries that stay in the file are recognised as stale by their inode numbers.
            self.journal.forget(|records| records.forget(cgroup));
        }
        Ok(())
    }

    fn make_family(&mut self, family: &[CgroupPath], fresh: &mut BTreeSet<PathBuf>) -> Result<(), HostError> {
        let last = family.len().saturating_sub(1);
        for (index, cgroup) in family.iter().enumerate() {
            if cgroup.is_within(&self.tree) {
                self.make(cgroup, fresh)?;
            }
            if index < last {
                self.enable(cgroup)?;
            }
        }
        let exists = |cgroup: &CgroupPath| self.layout.hierarchies().iter().any(|mount| within(mount, cgroup).is_dir());
        let missing = || HostError::Missing(format!("{} has no parent in any hierarchy", self.tree));
        family.last().is_some_and(exists).then_some(()).ok_or_else(missing)
    }

    /// Makes one cgroup where it is missing, noting that it is ours before and after.
    fn make(&mut self, cgroup: &CgroupPath, fresh: &mut BTreeSet<PathBuf>) -> Result<(), HostError> {
        let missing: Vec<(PathBuf, PathBuf)> = self
            .layout
            .hierarchies()
            .into_iter()
            .map(|mount| (within(&mount, cgroup), mount))
            .filter(|(dir, _)| !dir.exists() && dir.parent().is_some_and(Path::is_dir))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let dirs = missing.iter().map(|(dir, _)| MadeDir { dir: dir.clone(), inode: None }).collect();
        self.journal.append(vec![Entry::Created { cgroup: cgroup.clone(), dirs }])?;
        let cpuset = self.layout.dir(Controller::Cpuset, cgroup).filter(|_| self.layout.version(Controller::Cpuset) == Some(Version::V1));
        let mut dirs = Vec::new();
        for (dir, mount) in missing {
            fresh.insert(dir.clone());
            if cpuset.as_ref() == Some(&dir) {
                make_v1_cpuset(&dir, mount)?
            } else {
                make_dir(&dir, mount)?
            }
            dirs.push(MadeDir { inode: Some(inode(&dir)?), dir });
        }
        self.journal.append(vec![Entry::Created { cgroup: cgroup.clone(), dirs }])
    }

    /// Lets the children of a v2 cgroup have the controllers that we need, as far as it has them itself.
    fn enable(&mut self, cgroup: &CgroupPath) -> Result<(), HostError> {
        let Some(dir) = self.layout.unified_dir(cgroup) else { return Ok(()) };
        let needed = NEEDED.into_iter().filter(|c| self.layout.version(*c) == Some(Version::V2)).filter_map(Controller::v2_name);
        let (offered, enabled) = (words(&dir.join("cgroup.controllers"))?, words(&dir.join("cgroup.subtree_control"))?);
        let missing: BTreeSet<String> = needed.map(str::to_owned).filter(|c| offered.contains(c) && !enabled.contains(c)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.journal.append(vec![Entry::Enabled { cgroup: cgroup.clone(), inode: inode(&dir)?, controllers: missing.clone() }])?;
        missing.iter().try_for_each(|controller| write::write(&dir.join("cgroup.subtree_control"), &format!("+{controller}")))
    }

    fn bear(&mut self, cgroup: &CgroupPath, birth: &[KnobValue], fresh: &BTreeSet<PathBuf>) -> Result<(), HostError> {
        let wanted = birth.iter().map(|value| (KnobId { cgroup: cgroup.clone(), kind: value.kind() }, value.clone())).collect();
        for (id, result) in self.bring(&wanted, Remember::NotIn(fresh)) {
            let cause = match result {
                WriteResult::Failed(cause) => cause,
                WriteResult::Gone => format!("{cgroup} vanished while it was made"),
                WriteResult::Wrote { .. } | WriteResult::Unchanged | WriteResult::NotOffered => continue,
            };
            return Err(HostError::Missing(format!("{cgroup} cannot be born with {}: {cause}", id.kind)));
        }
        Ok(())
    }
}

/// The words of a file; none when there is no such file.
fn words(path: &Path) -> Result<BTreeSet<String>, HostError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(e) => Err(HostError::io("read", path, e)),
    }
}

/// Makes one folder. The library would make missing parents too, outside the tree at that; the caller has seen that there is none. The
/// type of controller makes no difference to it here, and none is asked for its version.
fn make_dir(dir: &Path, mount: PathBuf) -> Result<(), HostError> {
    made(dir, CpuController::new(dir.to_owned(), mount, true).create())
}

/// Makes one v1 cpuset, which takes no process until it has CPUs and memory nodes. The library copies both from the nearest parent that
/// has some, writing into every empty one on the way, and reports no failure; so the parent is looked at before and the result after.
fn make_v1_cpuset(dir: &Path, mount: PathBuf) -> Result<(), HostError> {
    const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];
    let filled = |dir: &Path| {
        FILES.into_iter().map(|file| dir.join(file)).try_for_each(|path| match words(&path)?.is_empty() {
            true => Err(HostError::Malformed { path, cause: "empty, so no process can run below".to_owned() }),
            false => Ok(()),
        })
    };
    filled(dir.parent().unwrap_or(&mount))?;
    made(dir, CpuSetController::new(dir.to_owned(), mount, false).create())?;
    filled(dir)?;
    // Memory moves along when the memory nodes change.
    write::write(&dir.join("cpuset.memory_migrate"), "1")
}

fn made(dir: &Path, result: cgroups_rs::fs::error::Result<()>) -> Result<(), HostError> {
    result.map_err(|error| match error.source().and_then(|source| source.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error) {
        Some(code) => HostError::io("create", dir, io::Error::from_raw_os_error(code)),
        None => HostError::Library { what: "create a cgroup", cause: error.to_string() },
    })
}
