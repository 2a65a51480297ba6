//! Who may be on one NUMA node with whom: the one rule for hints and for placing.

use crate::demand::{BoundDemand, DedicatedDemand};
use crate::refusal::{Refusal, Rule};
use gleaner_model::{NumaBinding, PodName, PoolName, QosClass};

/// A dedicated or bound pod, as far as its neighbours are concerned.
#[derive(Clone, Copy)]
pub(crate) struct Company<'a> {
    name: &'a PodName,
    class: QosClass,
    /// The pool of a shared pod.
    pool: Option<&'a PoolName>,
    /// `numa_share`.
    shares: bool,
    /// `numa_exclusive`.
    alone: bool,
}

impl<'a> Company<'a> {
    pub(crate) fn dedicated(demand: &'a DedicatedDemand) -> Self {
        let alone = demand.binding == NumaBinding::Exclusive;
        Self { name: &demand.name, class: QosClass::Dedicated, pool: None, shares: demand.numa_share, alone }
    }

    pub(crate) fn bound(demand: &'a BoundDemand) -> Self {
        let class = if demand.reclaimed() { QosClass::Reclaimed } else { QosClass::Shared };
        Self { name: &demand.name, class, pool: Some(&demand.pool), shares: demand.numa_share, alone: false }
    }

    /// Any two pods that share get along; else only those of one class, and of shared pods only those of one pool.
    fn gets_along(&self, other: &Self) -> bool {
        (self.shares && other.shares) || (self.class == other.class && self.pool == other.pool)
    }
}

/// Why a node with these pods is not for one that comes.
pub(crate) fn closed<'a>(comes: &Company<'a>, there: &[Company<'a>]) -> Option<Refusal> {
    kept_alone(comes, there).or_else(|| {
        let other = there.iter().find(|other| !comes.gets_along(other))?;
        let cause = if other.shares { "is on it" } else { "does not share it" };
        Some(Refusal::by(Rule::NumaShare, format!("{} ({}) {cause}", other.name, other.class)))
    })
}

/// `numa_exclusive` of one of the two.
pub(crate) fn kept_alone<'a>(comes: &Company<'a>, there: &[Company<'a>]) -> Option<Refusal> {
    let owner = there.iter().find(|other| other.alone).map(|other| format!("{} has it alone", other.name));
    let other = || there.first().filter(|_| comes.alone).map(|other| format!("{} is on it", other.name));
    Some(Refusal::by(Rule::NumaExclusive, owner.or_else(other)?))
}
