//! Promises of more than there is, while little is used of what was promised.

use super::ramp::watched;
use super::settings::Utilisation;
use crate::policy::Policy;
use gleaner_model::{Permille, QosClass, Snapshot, Timestamp};
use serde::{Deserialize, Serialize};

/// A factor in millionths.
const ONE: u64 = 1_000_000;
const MINUTE: u128 = 60_000_000;

/// How far the promises are raised, in millionths of what there is, beyond it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Raised {
    /// Of CPU.
    pub(crate) cpu: u64,
    /// Of memory.
    pub(crate) memory: u64,
}

/// What reclaimed pods were promised and use of one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) promised: u64,
    pub(super) used: u64,
}

/// The use of CPU and of memory. A pod of which any container has no fresh reading counts as using what it was promised.
pub(super) fn uses(snapshot: &Snapshot, policy: &Policy) -> (Use, Use) {
    let (mut cpu, mut memory) = (Use::default(), Use::default());
    let oldest = policy.stale_after.get();
    for pod in snapshot.pods.values().filter(|pod| pod.class() == QosClass::Reclaimed) {
        let containers: Vec<_> = snapshot.readings.get(&pod.uid).into_iter().flat_map(|readings| readings.containers.values()).collect();
        let of_cpu = containers.iter().map(|c| c.cpu_usage.fresh(snapshot.at, oldest).map(|usage| usage.get()));
        let of_memory = containers.iter().map(|c| c.memory.fresh(snapshot.at, oldest).map(|memory| memory.working_set.get()));
        let (of_cpu, of_memory) = (total(of_cpu), total(of_memory));
        cpu.add(pod.reclaimed_cpu().get(), of_cpu);
        memory.add(pod.reclaimed_memory().get(), of_memory);
    }
    (cpu, memory)
}

/// The sum, if there is anything and all of it is known.
fn total(readings: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let known: Option<Vec<u64>> = readings.collect();
    known.filter(|all| !all.is_empty()).map(|all| all.into_iter().fold(0, u64::saturating_add))
}

impl Use {
    fn add(&mut self, promised: u64, used: Option<u64>) {
        self.promised = self.promised.saturating_add(promised);
        self.used = self.used.saturating_add(used.unwrap_or(promised));
    }
}

/// How far to raise:
///
/// ```text
/// use     = used / min(promised, supply)
/// goal    = target / use, from 1 to the ceiling
/// factor  = min(goal, last + risePerMinute x time since the last tick)
/// ```
///
/// Nobody can use more than there is, so that pods which were promised more than the supply and use all of it count as busy, not as idle. Where
/// nothing is promised nothing is known of use, and nothing is raised.
pub(super) fn raise(
    target: Option<Permille>,
    uses: Use,
    supply: u64,
    last: Option<(u64, Timestamp)>,
    policy: &Policy,
    now: Timestamp,
) -> u64 {
    let Utilisation { ceiling, rise_per_minute, .. } = policy.headroom.utilisation;
    let can_use = uses.promised.min(supply);
    let (Some(target), true) = (target, can_use > 0) else { return 0 };
    let highest = u64::from(ceiling.get()).saturating_mul(1000);
    let wanted = (u128::from(target.get()) * 1000).saturating_mul(u128::from(can_use)).checked_div(u128::from(uses.used));
    let goal = wanted.map_or(highest, |wanted| u64::try_from(wanted).unwrap_or(u64::MAX)).min(highest).saturating_sub(ONE);
    let (raised, at) = last.unwrap_or((0, now));
    let step = watched(at, now, policy).as_micros().saturating_mul(u128::from(rise_per_minute.get()) * 1000) / MINUTE;
    goal.min(raised.saturating_add(u64::try_from(step).unwrap_or(u64::MAX)))
}

/// An amount raised so far.
pub(super) fn raised(amount: u64, by: u64) -> u64 {
    let more = u128::from(amount) * u128::from(by) / u128::from(ONE);
    amount.saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
}
