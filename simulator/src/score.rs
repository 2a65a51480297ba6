//! How good a simulated node's promises were. Pure. A replay of a recording scores intervals of uneven length by the same definitions.
//!
//! All is counted in steps of equal length; a step is one second unless a coarser one was asked for. In step `t`:
//! - `demand(t)` is what all pods but reclaimed ones want, `promise(t)` what is promised to reclaimed pods in it, which came of an earlier sample;
//! - `free(t) = max(0, capacity - reserve - demand(t))`;
//! - a **violation** is `promise(t) > free(t)`: something is promised, and together with the demand of the others it is more than capacity less reserve;
//! - **lent** is `min(promise(t), free(t))`;
//! - the **clairvoyant** lends the least `free` of the steps from `t` to the end of its horizon.
//!
//! A step in which the demand is not known is not scored, and what is watched over several steps begins anew after it.

mod clairvoyant;
mod cuts;
mod reclaimed;

pub use clairvoyant::Clairvoyant;

use crate::lender::Machine;
use cuts::Cuts;
use gleaner_model::{MilliCpu, Permille};
use reclaimed::Reclaimed;
use serde::{Deserialize, Serialize};

/// To which part of a run a step counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The beginning, in which nothing is known of the days before.
    WarmUp,
    /// The rest.
    Scored,
}

/// What is compared with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The node.
    pub machine: Machine,
    /// Length of a step in seconds, at least 1.
    pub step: u64,
    /// A cut is the fall of the promise within so many seconds.
    pub cut_within: u64,
    /// A change is a promise that differs from the one at the last change by more than this share of the capacity.
    pub change: Permille,
    /// Reclaimed pods of one CPU each fill the promise. When it stays below what runs for more than so many seconds, those that do not fit are evicted.
    pub evict_after: u64,
    /// When it has had room for another one for so many seconds, as many are started as had room in all of them.
    pub start_after: u64,
}

impl Rules {
    /// The usual ones for this node: cuts within 60 s, changes of more than 1 %, eviction after 10 s, starts after 60 s.
    #[must_use]
    pub const fn new(machine: Machine, step: u64) -> Self {
        let step = if step == 0 { 1 } else { step };
        Self { machine, step, cut_within: 60, change: Permille::new(10), evict_after: 10, start_after: 60 }
    }
}

/// What became of a policy's promises. CPU over time is in thousandths of a CPU for one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// Seconds that were scored.
    pub seconds: u64,
    /// Seconds that were not, since the demand was not known.
    pub unknown_seconds: u64,
    /// Capacity of the node over the scored seconds.
    pub capacity: u64,
    /// What the others wanted.
    pub demand: u64,
    /// What was promised.
    pub promised: u64,
    /// What of it was free.
    pub lent: u64,
    /// Seconds with a violation.
    pub violation_seconds: u64,
    /// The largest fall of the promise within the time of [`Rules::cut_within`].
    pub worst_cut: MilliCpu,
    /// Reclaimed pods that would have been evicted.
    pub evictions: u64,
    /// Changes of the promise.
    pub changes: u64,
}

impl Score {
    /// Both together: of several nodes, or of several times of one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            unknown_seconds: self.unknown_seconds + other.unknown_seconds,
            capacity: self.capacity + other.capacity,
            demand: self.demand + other.demand,
            promised: self.promised + other.promised,
            lent: self.lent + other.lent,
            violation_seconds: self.violation_seconds + other.violation_seconds,
            worst_cut: self.worst_cut.max(other.worst_cut),
            evictions: self.evictions + other.evictions,
            changes: self.changes + other.changes,
        }
    }
}

/// Watches one policy on one node.
#[derive(Debug, Clone)]
pub struct Tally {
    rules: Rules,
    cuts: Cuts,
    reclaimed: Reclaimed,
    /// More than this is a change.
    change: MilliCpu,
    /// The promise at the last change.
    settled: Option<MilliCpu>,
    parts: [Score; 2],
}

impl Tally {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            cuts: Cuts::new(rules.cut_within / rules.step),
            reclaimed: Reclaimed::default(),
            change: rules.machine.capacity.share(rules.change),
            settled: None,
            parts: [Score::default(); 2],
        }
    }

    /// Takes the next step.
    pub fn step(&mut self, demand: Option<MilliCpu>, promise: MilliCpu, part: Part) {
        let Rules { machine, step, .. } = self.rules;
        let [warm_up, scored] = &mut self.parts;
        let score = if part == Part::WarmUp { warm_up } else { scored };
        let Some(demand) = demand else {
            score.unknown_seconds += step;
            self.cuts.forget();
            self.reclaimed = Reclaimed::default();
            self.settled = None;
            return;
        };
        let free = machine.free(demand);
        score.seconds += step;
        score.capacity += machine.capacity.get() * step;
        score.demand += demand.get() * step;
        score.promised += promise.get() * step;
        score.lent += promise.min(free).get() * step;
        score.violation_seconds += if promise > free { step } else { 0 };
        score.worst_cut = score.worst_cut.max(self.cuts.step(promise));
        score.evictions += self.reclaimed.step(promise, &self.rules);
        let settled = *self.settled.get_or_insert(promise);
        let moved = settled.minus(promise).max(promise.minus(settled));
        if moved > self.change {
            score.changes += 1;
            self.settled = Some(promise);
        }
    }

    /// What became of it in this part.
    #[must_use]
    pub fn score(&self, part: Part) -> Score {
        let [warm_up, scored] = self.parts;
        if part == Part::WarmUp { warm_up } else { scored }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
