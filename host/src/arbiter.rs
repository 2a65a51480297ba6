//! The only writer of the kernel's knobs.
//!
//! It writes only at or below one cgroup, only what differs, shrinking before growing, reads back what it wrote, and remembers in a
//! journal what it found, so that a later process can put it back.

mod create;
mod execute;
mod journal;
mod order;
mod records;
mod restore;
pub(crate) mod write;

use crate::cgroup::{Layout, knob};
use crate::error::HostError;
use execute::Remember;
use gleaner_model::{CgroupPath, KnobId, KnobKind, KnobValue, Plan, Reason, Subject};
use journal::Journal;
use std::fs;
use std::path::Path;

pub use restore::{RestoreReport, Restored};

/// What came of one knob of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteResult {
    /// It was written and holds the new value.
    Wrote {
        /// What it held before.
        from: Option<KnobValue>,
        /// What it holds now.
        to: KnobValue,
    },
    /// It holds the value already, or the kernel takes none: a weight while the cgroup is idle, a score while it has no process.
    Unchanged,
    /// This kernel or hierarchy has no such knob.
    NotOffered,
    /// The cgroup does not exist any more.
    Gone,
    /// It was not written, or does not hold what was written; the text says why.
    Failed(String),
}

/// One knob of a plan, for whom and why it was to be written, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The knob.
    pub knob: KnobId,
    /// For whom.
    pub owner: Subject,
    /// Why.
    pub reason: Reason,
    /// What came of it.
    pub result: WriteResult,
}

/// The writer. There must be one a node; [`crate::lock::Lock`] sees to that.
#[derive(Debug)]
pub struct Arbiter {
    layout: Layout,
    tree: CgroupPath,
    journal: Journal,
}

impl Arbiter {
    /// Opens the arbiter of the cgroups at or below `tree` with its journal, which is made when missing. A journal that is damaged or of
    /// another boot is kept beside, with a warning.
    ///
    /// # Errors
    /// When the journal is of another tree, or the journal or the boot id cannot be opened or read.
    pub fn open(layout: Layout, tree: CgroupPath, journal: &Path) -> Result<(Self, Vec<String>), HostError> {
        let boot = Path::new("/proc/sys/kernel/random/boot_id");
        let boot = fs::read_to_string(boot).map_err(|e| HostError::io("read", boot, e))?;
        Self::open_in_boot(layout, tree, journal, boot.trim())
    }

    /// The tree that a journal speaks of; `None` where there is none, or none that can be read.
    #[must_use]
    pub fn journaled_tree(journal: &Path) -> Option<CgroupPath> {
        journal::tree_of(journal)
    }

    fn open_in_boot(layout: Layout, tree: CgroupPath, journal: &Path, boot: &str) -> Result<(Self, Vec<String>), HostError> {
        let (mut journal, mut warnings) = match Journal::open(journal, boot, &tree) {
            Err(HostError::OtherTree { found, .. }) if nothing_to_restore(&layout, journal, boot, &found)? => {
                fs::remove_file(journal).map_err(|e| HostError::io("remove", journal, e))?;
                Journal::open(journal, boot, &tree)?
            }
            opened => opened?,
        };
        let compacted = journal.compact(|records| records.keep_living(&layout, &tree));
        // Entries that stay in the file are passed over next time just as well.
        warnings.extend(compacted.err().map(|e| e.to_string()));
        Ok((Self { layout, tree, journal }, warnings))
    }

    /// What a knob holds; `None` when it is not offered.
    ///
    /// # Errors
    /// When the cgroup is gone ([`HostError::is_gone`]), or a file cannot be read or understood.
    pub fn read(&self, id: &KnobId) -> Result<Option<KnobValue>, HostError> {
        knob::read(&self.layout, id)
    }

    /// Brings every knob of a plan to its value and tells what came of each, in the order of their ids; unchanged ones are left out. One
    /// that fails does not stop the others. On v1, `cpuset.memory_migrate` is set before the memory nodes of a cgroup change.
    pub fn apply(&mut self, plan: &Plan) -> Vec<Outcome> {
        let wanted = plan.iter().map(|(id, desired)| (id.clone(), desired.value.clone())).collect();
        let results = self.bring(&wanted, Remember::Always);
        let changed = results.into_iter().filter(|(_, result)| *result != WriteResult::Unchanged);
        let outcome = |(knob, result): (KnobId, WriteResult)| {
            // What the arbiter writes for the sake of another knob is for the same one and for the same reason.
            let mems = || plan.get(&KnobId { cgroup: knob.cgroup.clone(), kind: KnobKind::CpusetMems });
            let desired = plan.get(&knob).or_else(mems)?;
            Some(Outcome { owner: desired.owner.clone(), reason: desired.reason.clone(), knob, result })
        };
        changed.filter_map(outcome).collect()
    }

    /// Refuses what is not ours to touch.
    fn inside(&self, cgroup: &CgroupPath) -> Result<(), HostError> {
        if cgroup.is_within(&self.tree) { Ok(()) } else { Err(HostError::OutsideTree(cgroup.to_string())) }
    }
}

/// Whether a journal of another tree speaks of nothing that still exists: that tree was put back, or is gone.
fn nothing_to_restore(layout: &Layout, path: &Path, boot: &str, tree: &CgroupPath) -> Result<bool, HostError> {
    let (mut journal, _) = Journal::open(path, boot, tree)?;
    journal.compact(|records| records.keep_living(layout, tree))?;
    Ok(journal.records().is_empty())
}

#[cfg(test)]
mod kernel_tests;
#[cfg(test)]
mod score_tests;
#[cfg(test)]
mod test_tree;
#[cfg(test)]
mod tests;
