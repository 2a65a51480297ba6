//! In which order changes are written. Pure.
//!
//! 1. Prepare: what makes memory move along with its nodes.
//! 2. Shrink, deepest cgroups first: sets lose what they must lose, bounds and weights go down.
//! 3. Grow, shallowest first: sets get their final value, bounds and weights go up.
//! 4. Settle, deepest first: a set that had to hold more for a while, since a cgroup below it moved to entirely other ids, gets its
//!    final value; what bounds nothing and orders nothing comes last.
//!
//! So a parent grows before its children, a child shrinks before its parent (the v1 kernel refuses anything else), and what one set loses
//! is free before another gains it.

use gleaner_model::{CgroupPath, CpuMax, CpuSet, Id, IdSet, KnobId, KnobKind, KnobValue, Limit, NumaSet};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A knob that must change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) knob: KnobId,
    pub(crate) from: KnobValue,
    pub(crate) to: KnobValue,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) knob: KnobId,
    pub(crate) value: KnobValue,
    /// Whether the knob then has its final value.
    pub(crate) last: bool,
}

#[derive(Default)]
struct Phases {
    prepare: Vec<Step>,
    shrink: Vec<Step>,
    grow: Vec<Step>,
    settle: Vec<Step>,
}

/// The writes that bring every knob to its final value, in order. Changes of one knob must not repeat.
pub(crate) fn order(changes: &[Change]) -> Vec<Step> {
    let mut phases = Phases::default();
    sets(changes, &mut phases, cpus, KnobValue::Cpus);
    sets(changes, &mut phases, mems, KnobValue::Mems);
    let waking: BTreeSet<&CgroupPath> = changes.iter().filter(|c| c.to == KnobValue::Idle(false)).map(|c| &c.knob.cgroup).collect();
    for change in changes {
        let step = Step { knob: change.knob.clone(), value: change.to.clone(), last: true };
        match shrinks(&change.from, &change.to) {
            _ if change.to == KnobValue::MemoryMigrate(true) => phases.prepare.push(step),
            // The memory nodes that go before still take memory along.
            _ if matches!(change.knob.kind, KnobKind::MemoryMigrate | KnobKind::OomScoreAdj) => phases.settle.push(step),
            None => {}
            // The kernel refuses a weight while the cgroup is idle, and forgets it on the way out.
            Some(true) if change.knob.kind == KnobKind::CpuShares && waking.contains(&change.knob.cgroup) => phases.grow.push(step),
            Some(true) => phases.shrink.push(step),
            Some(false) => phases.grow.push(step),
        }
    }
    phases.shrink.sort_by(deepest_first);
    phases.grow.sort_by(shallowest_first);
    phases.settle.sort_by(deepest_first);
    [phases.prepare, phases.shrink, phases.grow, phases.settle].concat()
}

/// Within one cgroup: idle before the weight, the rest as declared.
fn rank(step: &Step) -> (bool, KnobKind) {
    (step.knob.kind != KnobKind::CpuIdle, step.knob.kind)
}

fn deepest_first(a: &Step, b: &Step) -> Ordering {
    b.knob.cgroup.depth().cmp(&a.knob.cgroup.depth()).then_with(|| (&a.knob.cgroup, rank(a)).cmp(&(&b.knob.cgroup, rank(b))))
}

fn shallowest_first(a: &Step, b: &Step) -> Ordering {
    (a.knob.cgroup.depth(), &a.knob.cgroup, rank(a)).cmp(&(b.knob.cgroup.depth(), &b.knob.cgroup, rank(b)))
}

/// Whether a change takes something from the cgroup; `None` for sets, which can do both at once.
fn shrinks(from: &KnobValue, to: &KnobValue) -> Option<bool> {
    match (from, to) {
        (_, KnobValue::Cpus(_) | KnobValue::Mems(_)) => None,
        (_, KnobValue::Idle(idle)) => Some(*idle),
        (KnobValue::CpuMax(from), KnobValue::CpuMax(to)) => Some(looseness(*to, *from) == Ordering::Less),
        (from, to) => Some(to < from),
    }
}

/// Compares how much CPU two bounds allow.
fn looseness(a: CpuMax, b: CpuMax) -> Ordering {
    match (a.quota, b.quota) {
        (Limit::At(qa), Limit::At(qb)) => {
            let scaled = |quota: u64, period: u64| u128::from(quota) * u128::from(period);
            scaled(qa.get(), b.period.get()).cmp(&scaled(qb.get(), a.period.get()))
        }
        (a, b) => a.cmp(&b),
    }
}

fn cpus(value: &KnobValue) -> Option<&CpuSet> {
    if let KnobValue::Cpus(cpus) = value { Some(cpus) } else { None }
}

fn mems(value: &KnobValue) -> Option<&NumaSet> {
    if let KnobValue::Mems(mems) = value { Some(mems) } else { None }
}

struct SetChange<'a, I> {
    knob: &'a KnobId,
    from: &'a IdSet<I>,
    to: &'a IdSet<I>,
}

fn sets<I: Id>(changes: &[Change], phases: &mut Phases, of: fn(&KnobValue) -> Option<&IdSet<I>>, value: fn(IdSet<I>) -> KnobValue) {
    let mut list: Vec<SetChange<'_, I>> =
        changes.iter().filter_map(|c| Some(SetChange { knob: &c.knob, from: of(&c.from)?, to: of(&c.to)? })).collect();
    list.sort_by(|a, b| b.knob.cgroup.depth().cmp(&a.knob.cgroup.depth()).then_with(|| a.knob.cmp(b.knob)));
    let step = |c: &SetChange<'_, I>, set: &IdSet<I>| Step { knob: c.knob.clone(), value: value(set.clone()), last: set == c.to };

    // What each cgroup holds after shrinking; deeper ones are there already when a shallower one asks.
    let mut held: BTreeMap<&CgroupPath, IdSet<I>> = BTreeMap::new();
    let below = |held: &BTreeMap<&CgroupPath, IdSet<I>>, cgroup: &CgroupPath| {
        let inside = |other: &CgroupPath| other != cgroup && other.is_within(cgroup);
        held.iter().filter(|(other, _)| inside(other)).fold(IdSet::new(), |all, (_, set)| all.union(set))
    };
    for change in &list {
        let after = shrunk(change, &below(&held, &change.knob.cgroup), &list);
        if after != *change.from {
            phases.shrink.push(step(change, &after));
        }
        held.insert(&change.knob.cgroup, after);
    }
    for change in &list {
        let cgroup = &change.knob.cgroup;
        // An empty set stands for the parent's, to which nothing can be added.
        let wide = if change.to.is_empty() { IdSet::new() } else { change.to.union(&below(&held, cgroup)) };
        if held.get(cgroup) != Some(&wide) {
            phases.grow.push(step(change, &wide));
        }
        if wide != *change.to {
            phases.settle.push(step(change, change.to));
        }
    }
}

/// What a set shrinks to before anything grows. It keeps what the cgroups below still hold, and stays as it is when nothing would be left:
/// a cgroup with processes must have some id.
fn shrunk<I: Id>(change: &SetChange<'_, I>, below: &IdSet<I>, all: &[SetChange<'_, I>]) -> IdSet<I> {
    if change.from.is_empty() {
        // It has the parent's ids now, so a set of its own takes some away; but first the parent must have got its own.
        let waits = all.iter().any(|c| c.knob != change.knob && change.knob.cgroup.is_within(&c.knob.cgroup));
        return if waits { IdSet::new() } else { change.to.union(below) };
    }
    let kept = change.from.intersection(change.to);
    if kept.is_empty() { change.from.clone() } else { kept.union(&below.intersection(change.from)) }
}

#[cfg(test)]
mod tests;
