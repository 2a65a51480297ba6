//! What the journal knows, as a value.

use crate::cgroup::Layout;
use crate::cgroup::knob::{inode, locate};
use crate::cgroup::within;
use gleaner_model::{CgroupPath, KnobId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// A knob as it was found before the first write.
    First {
        knob: KnobId,
        #[serde(flatten)]
        first: First,
    },
    /// Folders of a cgroup that we make: noted without inode numbers before, and with them afterwards.
    Created { cgroup: CgroupPath, dirs: Vec<MadeDir> },
    /// A cgroup was removed with all below it.
    Removed { cgroup: CgroupPath },
    /// Controllers that we enabled for the children of a v2 cgroup.
    Enabled { cgroup: CgroupPath, inode: u64, controllers: BTreeSet<String> },
}

/// The texts of a knob's files as found, and the inode number of the cgroup's folder: another cgroup that later has the same path has
/// another number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct First {
    pub(super) inode: u64,
    pub(super) files: Vec<(String, String)>,
}

/// A folder that we made in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MadeDir {
    pub(super) dir: PathBuf,
    /// `None` while it is being made.
    pub(super) inode: Option<u64>,
}

/// Controllers that we enabled in one cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enabled {
    pub(super) inode: u64,
    pub(super) controllers: BTreeSet<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) first: BTreeMap<KnobId, First>,
    pub(super) created: BTreeMap<CgroupPath, Vec<MadeDir>>,
    pub(super) enabled: BTreeMap<CgroupPath, Enabled>,
}

impl Records {
    pub(super) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::First { knob, first } => {
                self.first.insert(knob, first);
            }
            Entry::Created { cgroup, dirs } => {
                let known = self.created.entry(cgroup).or_default();
                known.retain(|old| dirs.iter().all(|new| new.dir != old.dir));
                known.extend(dirs);
            }
            Entry::Removed { cgroup } => self.forget(&cgroup),
            Entry::Enabled { cgroup, inode, controllers } => {
                let known = self.enabled.entry(cgroup).or_insert_with(|| Enabled { inode, controllers: BTreeSet::new() });
                if known.inode != inode {
                    *known = Enabled { inode, controllers: BTreeSet::new() };
                }
                known.controllers.extend(controllers);
            }
        }
    }

    /// Whether anything is known of a cgroup or of those below it.
    pub(super) fn mention(&self, cgroup: &CgroupPath) -> bool {
        let paths = self.first.keys().map(|id| &id.cgroup).chain(self.created.keys()).chain(self.enabled.keys());
        paths.into_iter().any(|path| path.is_within(cgroup))
    }

    /// Drops what is known of a cgroup and of those below it.
    pub(super) fn forget(&mut self, cgroup: &CgroupPath) {
        self.first.retain(|id, _| !id.cgroup.is_within(cgroup));
        self.created.retain(|path, _| !path.is_within(cgroup));
        self.enabled.retain(|path, _| !path.is_within(cgroup));
    }

    /// Drops what speaks of cgroups that no longer exist, or whose path has been taken by another, or that are not ours to touch.
    pub(super) fn keep_living(&mut self, layout: &Layout, tree: &CgroupPath) {
        let is = |dir: &Path, expected: Option<u64>| inode(dir).is_ok_and(|now| expected.is_none_or(|then| then == now));
        self.first.retain(|id, first| locate(layout, id).is_some_and(|place| is(&place.dir, Some(first.inode))));
        self.created.retain(|cgroup, dirs| {
            let ours = |dir: &Path| cgroup.is_within(tree) && layout.hierarchies().iter().any(|mount| within(mount, cgroup) == dir);
            dirs.retain(|made| ours(&made.dir) && is(&made.dir, made.inode));
            !dirs.is_empty()
        });
        self.enabled.retain(|cgroup, enabled| layout.unified_dir(cgroup).is_some_and(|dir| is(&dir, Some(enabled.inode))));
    }

    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.created.is_empty() && self.enabled.is_empty()
    }

    /// The fewest entries that give these records.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let first = self.first.iter().map(|(knob, first)| Entry::First { knob: knob.clone(), first: first.clone() });
        let created = self.created.iter().map(|(cgroup, dirs)| Entry::Created { cgroup: cgroup.clone(), dirs: dirs.clone() });
        let enabled = self.enabled.iter().map(|(cgroup, e)| Entry::Enabled {
            cgroup: cgroup.clone(),
            inode: e.inode,
            controllers: e.controllers.clone(),
        });
        first.chain(created).chain(enabled).collect()
    }
}
