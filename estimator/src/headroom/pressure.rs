//! What waiting for memory does to what is lent of it.

use super::ramp::{Top, step, watched};
use crate::policy::Policy;
use gleaner_model::{Permille, QosClass, Reading, ReclaimRule, Snapshot, Timestamp};

/// How hard it is to get memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pressure {
    /// Nobody waits who matters, or this kernel does not tell.
    Calm,
    /// What is lent does not rise.
    Hold,
    /// It falls.
    Fall,
}

/// From `some avg10` of the node and of the containers that are not reclaimed, the largest. A reading of the node that there is but that is too
/// old, or cannot be read, holds: more is not promised in the dark. Of a container only a fresh one counts; that one cannot be read is seen by
/// its other readings.
pub(super) fn pressure(snapshot: &Snapshot, policy: &Policy) -> Pressure {
    let settings = &policy.headroom.pressure;
    let oldest = policy.stale_after.get();
    let pods = snapshot.pods.values().filter(|pod| pod.class() != QosClass::Reclaimed);
    let containers = pods.filter_map(|pod| snapshot.readings.get(&pod.uid)).flat_map(|readings| readings.containers.values());
    let waits = containers.filter_map(|container| container.memory_pressure.fresh(snapshot.at, oldest)).map(|waits| waits.some.avg10);
    let of_node = &snapshot.node.memory_pressure;
    let worst = of_node.fresh(snapshot.at, oldest).map(|waits| waits.some.avg10).into_iter().chain(waits).max();
    let worst = worst.unwrap_or(Permille::new(0));
    if worst > settings.fall {
        Pressure::Fall
    } else if worst > settings.hold || is_dark(of_node, snapshot.at, policy) {
        Pressure::Hold
    } else {
        Pressure::Calm
    }
}

/// Whether there should be a reading and is none that can be used.
pub(super) fn is_dark<T>(reading: &Reading<T>, now: Timestamp, policy: &Policy) -> bool {
    use gleaner_model::Absence::{NotOffered, NotYet, Unreadable, Vanished};
    match reading {
        Reading::Present { .. } => reading.fresh(now, policy.stale_after.get()).is_none(),
        Reading::Absent(Unreadable(_)) => true,
        Reading::Absent(NotOffered | NotYet | Vanished) => false,
    }
}

impl Pressure {
    /// The highest that a figure of memory may be now.
    pub(super) fn top(self, last: Option<(u64, Timestamp)>, capacity: u64, policy: &Policy, now: Timestamp) -> Top {
        let (figure, at) = last.unwrap_or_default();
        let fall = step(capacity, policy.headroom.pressure.fall_per_second, watched(at, now, policy));
        match self {
            Self::Calm => Top::rising(last, capacity, policy, now),
            Self::Hold => Top { at: figure, rule: ReclaimRule::Pressure },
            Self::Fall => Top { at: figure.saturating_sub(fall), rule: ReclaimRule::Pressure },
        }
    }
}
