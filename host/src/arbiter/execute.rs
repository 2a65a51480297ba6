//! From wanted values to writes and their results.

use crate::arbiter::order::{Change, Step, order};
use crate::arbiter::records::{Entry, First};
use crate::arbiter::{Arbiter, WriteResult, write};
use crate::cgroup::knob::{self, Keeper, Place, inode, locate};
use crate::cgroup::{Controller, Layout, Version, scores};
use crate::error::HostError;
use gleaner_model::{CgroupPath, KnobId, KnobKind, KnobValue};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Whether what a knob held is noted before it is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Remember<'a> {
    /// Once a cgroup and knob.
    Always,
    /// Not in these folders, which we have just made: what they hold is not anybody's value.
    NotIn(&'a BTreeSet<PathBuf>),
    /// Not at all, when the noted values are put back.
    Never,
}

enum Compared {
    Same,
    NotOffered,
    Differs { change: Change, place: Place, texts: Vec<String> },
}

type Results = BTreeMap<KnobId, WriteResult>;

/// What is to be written, what must be noted before, and what needs no write.
#[derive(Default)]
struct Draft {
    results: Results,
    changes: Vec<Change>,
    entries: Vec<Entry>,
}

/// The knobs that make memory move along with these changes. A v1 cpuset of another program leaves what its processes hold where it is; v2
/// always moves it.
fn migrations(layout: &Layout, changes: &[Change]) -> Vec<KnobId> {
    if layout.version(Controller::Cpuset) != Some(Version::V1) {
        return Vec::new();
    }
    let moving = changes.iter().filter(|change| change.knob.kind == KnobKind::CpusetMems);
    moving.map(|change| KnobId { cgroup: change.knob.cgroup.clone(), kind: KnobKind::MemoryMigrate }).collect()
}

impl Arbiter {
    /// Brings knobs to their values and tells what came of each.
    pub(super) fn bring(&mut self, wanted: &BTreeMap<KnobId, KnobValue>, remember: Remember<'_>) -> Results {
        let mut draft = Draft::default();
        for (id, value) in wanted {
            self.draw_up(&mut draft, id, value, wanted, remember);
        }
        // On the way back each knob has its own first value.
        if !matches!(remember, Remember::Never) {
            for id in migrations(&self.layout, &draft.changes).into_iter().filter(|id| !wanted.contains_key(id)) {
                self.draw_up(&mut draft, &id, &KnobValue::MemoryMigrate(true), wanted, remember);
                // Nobody asked for it.
                draft.results.retain(|knob, result| *knob != id || matches!(result, WriteResult::Failed(_)));
            }
        }
        let Draft { mut results, mut changes, entries } = draft;
        self.note(entries, &changes, &mut results);
        changes.retain(|change| !results.contains_key(&change.knob));
        self.write_all(&changes, &mut results);
        results
    }

    /// Adds what it takes to bring one knob to a value.
    fn draw_up(&mut self, draft: &mut Draft, id: &KnobId, value: &KnobValue, wanted: &BTreeMap<KnobId, KnobValue>, remember: Remember<'_>) {
        let outcome = self.compare(id, value, wanted).and_then(|compared| match compared {
            Compared::Same => Ok(Some(WriteResult::Unchanged)),
            Compared::NotOffered => Ok(Some(WriteResult::NotOffered)),
            Compared::Differs { change, place, texts } => {
                draft.entries.extend(self.first_values(id, &place, texts, remember)?);
                draft.changes.push(change);
                Ok(None)
            }
        });
        match outcome {
            Ok(result) => draft.results.extend(result.map(|result| (id.clone(), result))),
            Err(error) => {
                let result = self.fault(id, &error);
                draft.results.insert(id.clone(), result);
            }
        }
    }

    fn compare(&self, id: &KnobId, value: &KnobValue, wanted: &BTreeMap<KnobId, KnobValue>) -> Result<Compared, HostError> {
        self.inside(&id.cgroup)?;
        let Some(place) = locate(&self.layout, id) else { return Ok(Compared::NotOffered) };
        let Some(texts) = place.read()? else {
            // A cgroup without processes has none that could differ.
            return Ok(if place.keeper == Keeper::Processes { Compared::Same } else { Compared::NotOffered });
        };
        let from = place.parse(id.kind, &texts)?;
        let mut forced = place.keeper == Keeper::Processes && !scores::all_have(&place.dir, &value.to_string())?;
        if id.kind == KnobKind::CpuShares {
            let idle = KnobId { cgroup: id.cgroup.clone(), kind: KnobKind::CpuIdle };
            if let Some(KnobValue::Idle(now)) = knob::read(&self.layout, &idle)? {
                // The kernel refuses a weight while the cgroup is idle (EINVAL).
                if wanted.get(&idle).map_or(now, |value| *value == KnobValue::Idle(true)) {
                    return Ok(Compared::Same);
                }
                // What an idle cgroup shows is not the weight that it will have then.
                forced = now;
            }
        }
        if !forced && knob::same(place.version, &from, value, knob::page_size()) {
            return Ok(Compared::Same);
        }
        Ok(Compared::Differs { change: Change { knob: id.clone(), from, to: value.clone() }, place, texts })
    }

    /// What must be noted before the first write of a knob. Making a cgroup idle also loses its weight, so that is noted too.
    fn first_values(&self, id: &KnobId, place: &Place, texts: Vec<String>, remember: Remember<'_>) -> Result<Vec<Entry>, HostError> {
        let inode = inode(&place.dir)?;
        let wants = match remember {
            Remember::Always => true,
            Remember::NotIn(fresh) => !fresh.contains(&place.dir),
            Remember::Never => false,
        };
        let known = |id: &KnobId| self.journal.records().first.get(id).is_some_and(|first| first.inode == inode);
        let entry = |id: &KnobId, place: &Place, texts: Vec<String>| {
            let files = place.files.iter().map(|file| (*file).to_owned()).zip(texts).collect();
            Entry::First { knob: id.clone(), first: First { inode, files } }
        };
        let mut entries = Vec::new();
        if wants && !known(id) {
            entries.push(entry(id, place, texts));
        }
        let shares = KnobId { cgroup: id.cgroup.clone(), kind: KnobKind::CpuShares };
        let lost = (wants && id.kind == KnobKind::CpuIdle && !known(&shares)).then(|| locate(&self.layout, &shares)).flatten();
        if let Some(place) = lost {
            entries.extend(place.read()?.map(|texts| entry(&shares, &place, texts)));
        }
        Ok(entries)
    }

    /// Notes first values, in one durable write for all. What cannot be noted must not be written.
    fn note(&mut self, entries: Vec<Entry>, changes: &[Change], results: &mut Results) {
        if entries.is_empty() {
            return;
        }
        let cgroups: BTreeSet<CgroupPath> = entries
            .iter()
            .filter_map(|entry| if let Entry::First { knob, .. } = entry { Some(knob.cgroup.clone()) } else { None })
            .collect();
        if let Err(error) = self.journal.append(entries) {
            for change in changes.iter().filter(|change| cgroups.contains(&change.knob.cgroup)) {
                results.insert(change.knob.clone(), WriteResult::Failed(error.to_string()));
            }
        }
    }

    fn write_all(&mut self, changes: &[Change], results: &mut Results) {
        let from: BTreeMap<&KnobId, &KnobValue> = changes.iter().map(|c| (&c.knob, &c.from)).collect();
        let mut now: BTreeMap<KnobId, KnobValue> = changes.iter().map(|c| (c.knob.clone(), c.from.clone())).collect();
        for step in order(changes) {
            let Some(current) = now.get(&step.knob) else { continue };
            match self.take(&step, current) {
                Ok(()) if step.last => {
                    let from = from.get(&step.knob).map(|value| (*value).clone());
                    results.insert(step.knob, WriteResult::Wrote { from, to: step.value });
                }
                Ok(()) => {
                    now.insert(step.knob, step.value);
                }
                Err(error) => {
                    // Its later steps would build on this one.
                    now.remove(&step.knob);
                    let result = self.fault(&step.knob, &error);
                    results.insert(step.knob, result);
                }
            }
        }
    }

    /// Writes one step and reads it back.
    fn take(&self, step: &Step, current: &KnobValue) -> Result<(), HostError> {
        let missing = || HostError::Missing(format!("{} {} is not offered any more", step.knob.cgroup, step.knob.kind));
        let place = locate(&self.layout, &step.knob).ok_or_else(missing)?;
        for (file, text) in knob::texts(place.version, current, &step.value) {
            match place.keeper {
                Keeper::Cgroup => write::write(&place.dir.join(file), &text)?,
                Keeper::Processes => write::write_scores(&place.dir, &text)?,
            }
        }
        let texts = match place.read()? {
            Some(texts) => texts,
            None if place.keeper == Keeper::Processes => return Ok(()),
            None => return Err(missing()),
        };
        let held = place.parse(step.knob.kind, &texts)?;
        if knob::same(place.version, &held, &step.value, knob::page_size()) {
            return Ok(());
        }
        Err(HostError::Malformed { path: place.path(), cause: format!("wrote {}, the kernel holds {held}", step.value) })
    }

    fn fault(&mut self, id: &KnobId, error: &HostError) -> WriteResult {
        if !error.is_gone() {
            return WriteResult::Failed(error.to_string());
        }
        self.journal.forget(|records| records.first.retain(|other, _| other.cgroup != id.cgroup));
        WriteResult::Gone
    }
}
