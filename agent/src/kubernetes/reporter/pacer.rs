//! When an object is written. Pure: what it says, what it should say and the time go in, a verdict comes out. A fall is told soon, a rise when it
//! has lasted, everything else at the refresh, and no two nodes keep step. Where rises are soon taken back, the next one has to last longer.

use crate::kubernetes::ReportSettings;
use gleaner_model::{Permille, Timestamp};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// One amount, as the object has it and as it should be. Compared as numbers: the API server writes `3000` as `3k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount {
    /// What the object says; missing is zero here, since a scheduler reads it so.
    pub(crate) told: u64,
    /// What it should say.
    pub(crate) wanted: u64,
    /// What the threshold is a share of: the amount of the whole node as told, for an amount of a zone too.
    pub(crate) base: u64,
    /// Whether it is the amount of the whole node.
    pub(crate) whole: bool,
    /// A change up to this is too small for anybody, however little is lent.
    pub(crate) least: u64,
}

impl Amount {
    /// An amount of the whole node.
    pub(crate) const fn whole(told: u64, wanted: u64, least: u64) -> Self {
        Self { told, wanted, base: told, whole: true, least }
    }

    fn matters(self, threshold: Permille) -> bool {
        let change = self.told.abs_diff(self.wanted);
        change > self.least && u128::from(change) * 1000 > u128::from(threshold.get()) * u128::from(self.base)
    }
}

/// What differs beside amounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Other {
    /// Nothing.
    #[default]
    Same,
    /// Something that can wait: allocations, conditions, a taint that is taken back.
    Changed,
    /// Something that keeps pods away, such as a new taint.
    Urgent,
}

/// The difference between an object and what it should say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Amounts, in the same order each time.
    pub(crate) amounts: Vec<Amount>,
    /// Everything else.
    pub(crate) other: Other,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Write now.
    Write,
    /// Nothing before this moment, if nothing changes.
    Wait(Timestamp),
}

/// What is remembered between decisions, for one object.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    seed: u64,
    last: Option<Timestamp>,
    round: u64,
    rising: Option<Timestamp>,
    /// What was told at the last look to be due.
    kind: Kind,
    /// When a rise was told that was not taken back so far.
    risen: Option<Timestamp>,
    /// How many rises in a row were taken back before the next refresh.
    taken_back: u32,
    said: Vec<u64>,
    // What is still urgent after it was written cannot be said, and trying faster does not help.
    urged: bool,
}

impl Pacer {
    /// For an object of this node that was not written yet.
    pub(crate) fn new(node: &str) -> Self {
        Self {
            seed: seed(node),
            last: None,
            round: 0,
            rising: None,
            kind: Kind::Same,
            risen: None,
            taken_back: 0,
            said: Vec::new(),
            urged: false,
        }
    }

    /// Whether to write now. The first time always: nobody knows what was meant by what is there.
    pub(crate) fn decide(&mut self, gap: &Gap, now: Timestamp, settings: &ReportSettings) -> Verdict {
        let Some(last) = self.last else { return Verdict::Write };
        self.kind = self.kind(gap, settings.threshold);
        self.rising = if self.kind == Kind::Rises { Some(self.rising.unwrap_or(now)) } else { None };
        self.urged &= gap.other == Other::Urgent;
        if self.risen.is_some_and(|risen| now.since(risen) >= settings.refresh.get()) {
            (self.risen, self.taken_back) = (None, 0);
        }
        let slow = self.spread(settings.raise_after.get());
        let lent = match self.kind {
            Kind::Same => None,
            Kind::Withdrawn => Some(now),
            Kind::Falls => Some(last.after(settings.lower_after.get())),
            Kind::Rises => Some(last.max(self.rising.unwrap_or(now)).after(slow.saturating_mul(1 << self.taken_back))),
        };
        let other = match gap.other {
            Other::Same => None,
            Other::Urgent if !self.urged => Some(last.after(settings.lower_after.get())),
            Other::Changed | Other::Urgent => Some(last.after(slow)),
        };
        let refresh = last.after(self.spread(settings.refresh.get()));
        let due = [lent, other].into_iter().flatten().fold(refresh, Timestamp::min);
        if due <= now { Verdict::Write } else { Verdict::Wait(due) }
    }

    /// Notes that everything in the gap was written.
    pub(crate) fn wrote(&mut self, gap: &Gap, now: Timestamp) {
        match self.kind {
            Kind::Same => {}
            Kind::Rises => self.risen = Some(now),
            Kind::Falls | Kind::Withdrawn => {
                self.taken_back = (self.taken_back + u32::from(self.risen.take().is_some())).min(MOST_DOUBLINGS);
            }
        }
        self.last = Some(now);
        self.round = self.round.wrapping_add(1);
        self.rising = None;
        self.urged = gap.other == Other::Urgent;
        self.said = gap.amounts.iter().filter(|amount| amount.whole).map(|amount| amount.wanted).collect();
    }

    fn kind(&self, gap: &Gap, threshold: Permille) -> Kind {
        let whole = gap.amounts.iter().filter(|amount| amount.whole);
        let said = whole.zip(&self.said);
        // Who finds another amount than was written, has somebody to undo; twice at once would be a race.
        let foreign = |amount: &Amount, said: u64| amount.told != said;
        if said.clone().any(|(amount, said)| amount.wanted == 0 && amount.told > 0 && !foreign(amount, *said)) {
            return Kind::Withdrawn;
        }
        let lowered = |(amount, said): (&Amount, &u64)| amount.told < *said && amount.matters(threshold);
        let mut falls = gap.amounts.iter().any(|amount| amount.wanted < amount.told && amount.matters(threshold));
        // A kubelet that restarts sets foreign resources to zero.
        falls |= said.clone().any(lowered);
        match falls {
            true => Kind::Falls,
            false if gap.amounts.iter().any(|amount| amount.matters(threshold)) => Kind::Rises,
            false => Kind::Same,
        }
    }

    /// The span and up to a fifth more, different for each node and each round.
    fn spread(&self, span: Duration) -> Duration {
        span.saturating_add(part(span, self.seed, self.round) / 5)
    }
}

/// Of the time that a rise has to last. The refresh ends the wait in any case.
const MOST_DOUBLINGS: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Same,
    Withdrawn,
    Falls,
    Rises,
}

/// A number of the node that is the same in each run.
pub(crate) fn seed(node: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    node.hash(&mut hasher);
    hasher.finish()
}

/// A part of the span, from nothing to all of it, evenly spread over seeds and rounds.
pub(crate) fn part(span: Duration, seed: u64, round: u64) -> Duration {
    let mut hasher = DefaultHasher::new();
    (seed, round).hash(&mut hasher);
    let thousandths = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
    span / 1000 * thousandths
}

#[cfg(test)]
mod tests;
