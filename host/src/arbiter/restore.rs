//! Putting the node back as it was found.

use crate::arbiter::execute::Remember;
use crate::arbiter::records::Records;
use crate::arbiter::{Arbiter, WriteResult, write};
use crate::cgroup::Controller;
use crate::cgroup::knob::{inode, locate};
use crate::process;
use gleaner_model::{CgroupPath, KnobId, KnobValue};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

/// A value that was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The cgroup.
    pub cgroup: CgroupPath,
    /// The knob or file.
    pub what: String,
    /// What it held.
    pub from: String,
    /// What it holds again.
    pub to: String,
}

/// What came of a restore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Values that were put back. Those that nobody had changed meanwhile are not listed.
    pub restored: Vec<Restored>,
    /// How many noted values belonged to cgroups that no longer exist.
    pub gone: usize,
    /// What could not be put back, and why.
    pub failed: Vec<String>,
    /// Cgroups that we made and that still have processes or children.
    pub remaining_cgroups: Vec<CgroupPath>,
}

impl Arbiter {
    /// Removes the cgroups that we made and puts back every noted value, in the order in which they would be applied. What could not be
    /// put back stays in the journal for another attempt.
    pub fn restore(&mut self) -> RestoreReport {
        let mut report = RestoreReport::default();
        self.remove_made(&mut report);
        let mut done = BTreeSet::new();
        let wanted = self.noted(&mut report, &mut done);
        for (id, result) in self.bring(&wanted, Remember::Never) {
            match result {
                WriteResult::Failed(cause) => {
                    report.failed.push(format!("{} {}: {cause}", id.cgroup, id.kind));
                    continue;
                }
                WriteResult::Gone | WriteResult::NotOffered => report.gone += 1,
                WriteResult::Unchanged => {}
                WriteResult::Wrote { from, to } => report.restored.push(Restored {
                    cgroup: id.cgroup.clone(),
                    what: id.kind.to_string(),
                    from: from.map(|value| value.to_string()).unwrap_or_default(),
                    to: to.to_string(),
                }),
            }
            done.insert(id);
        }
        let disabled = self.disable(&mut report);
        let compacted = self.journal.rewrite_without(|records| {
            records.first.retain(|id, _| !done.contains(id));
            records.enabled.retain(|cgroup, _| !disabled.contains(cgroup));
        });
        report.failed.extend(compacted.err().map(|e| e.to_string()));
        report
    }

    /// The values to put back, by knob; those of cgroups that are gone are counted and done.
    fn noted(&self, report: &mut RestoreReport, done: &mut BTreeSet<KnobId>) -> BTreeMap<KnobId, KnobValue> {
        let mut wanted = BTreeMap::new();
        for (id, first) in &self.journal.records().first {
            let place = locate(&self.layout, id).filter(|place| inode(&place.dir).is_ok_and(|now| now == first.inode));
            let Some(place) = place else {
                report.gone += 1;
                done.insert(id.clone());
                continue;
            };
            let texts: Vec<String> = first.files.iter().map(|(_, text)| text.clone()).collect();
            match place.parse(id.kind, &texts) {
                Ok(value) => {
                    wanted.insert(id.clone(), self.possible(id, value));
                }
                Err(error) => report.failed.push(format!("journal: {error}")),
            }
        }
        wanted
    }

    /// The kernel refuses to empty the set of a cgroup that holds processes (ENOSPC of `validate_change` in kernel/cgroup/cpuset.c). On v2 an
    /// empty set means all that the parent has, so that is what such a cgroup gets.
    fn possible(&self, id: &KnobId, value: KnobValue) -> KnobValue {
        let file = match &value {
            KnobValue::Cpus(cpus) if cpus.is_empty() => "cpuset.cpus.effective",
            KnobValue::Mems(mems) if mems.is_empty() => "cpuset.mems.effective",
            _ => return value,
        };
        let parent = id.cgroup.parent().and_then(|parent| self.layout.dir(Controller::Cpuset, &parent));
        let above = parent.filter(|_| process::populated(&self.layout, &id.cgroup).unwrap_or(false));
        let text = above.and_then(|dir| fs::read_to_string(dir.join(file)).ok()).unwrap_or_default();
        match value {
            KnobValue::Cpus(none) => KnobValue::Cpus(text.trim().parse().unwrap_or(none)),
            KnobValue::Mems(none) => KnobValue::Mems(text.trim().parse().unwrap_or(none)),
            other => other,
        }
    }

    fn remove_made(&mut self, report: &mut RestoreReport) {
        let mut created: Vec<_> = self.journal.records().created.clone().into_iter().collect();
        created.sort_by_key(|(cgroup, _)| std::cmp::Reverse(cgroup.depth()));
        for (cgroup, dirs) in created {
            let mut left = false;
            for made in dirs {
                // Another cgroup that has the path now is not ours.
                if !inode(&made.dir).is_ok_and(|now| made.inode.is_none_or(|then| then == now)) {
                    continue;
                }
                match fs::remove_dir(&made.dir) {
                    Ok(()) => {}
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => {
                        left = true;
                        if !in_use(&e) {
                            report.failed.push(format!("remove {}: {e}", made.dir.display()));
                        }
                    }
                }
            }
            if left {
                report.remaining_cgroups.push(cgroup);
            } else {
                self.journal.forget(|records: &mut Records| records.forget(&cgroup));
            }
        }
        report.remaining_cgroups.sort();
    }

    /// Takes back the controllers that we enabled, except above cgroups of ours that remain; gives the cgroups that are done.
    fn disable(&self, report: &mut RestoreReport) -> BTreeSet<CgroupPath> {
        let mut done = BTreeSet::new();
        let mut enabled: Vec<_> = self.journal.records().enabled.iter().collect();
        enabled.sort_by_key(|(cgroup, _)| std::cmp::Reverse(cgroup.depth()));
        for (cgroup, enabled) in enabled {
            let dir = self.layout.unified_dir(cgroup).filter(|dir| inode(dir).is_ok_and(|now| now == enabled.inode));
            let Some(dir) = dir else {
                done.insert(cgroup.clone());
                continue;
            };
            if report.remaining_cgroups.iter().any(|left| left.is_within(cgroup)) {
                continue;
            }
            let file = dir.join("cgroup.subtree_control");
            match enabled.controllers.iter().try_for_each(|c| write::write(&file, &format!("-{c}"))) {
                Ok(()) => {
                    let controllers: Vec<&str> = enabled.controllers.iter().map(String::as_str).collect();
                    let (what, from) = ("cgroup.subtree_control".to_owned(), controllers.join(" "));
                    report.restored.push(Restored { cgroup: cgroup.clone(), what, from, to: String::new() });
                    done.insert(cgroup.clone());
                }
                Err(error) => report.failed.push(error.to_string()),
            }
        }
        done
    }
}

fn in_use(error: &io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw).is_some_and(|errno| matches!(errno, Errno::EBUSY | Errno::ENOTEMPTY))
}
