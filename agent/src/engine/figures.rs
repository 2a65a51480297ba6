//! The figure and the rule of decisions that are made anew each tick, so that only news is kept.

use gleaner_model::{Reason, ReclaimRule};

pub(super) fn cpu(reason: &Reason) -> Option<(u64, String)> {
    match reason {
        Reason::ReclaimableCpu { given, rule, missing, .. } => Some((steady(*rule, given.get()), format!("{rule:?}{missing:?}"))),
        _ => None,
    }
}

pub(super) fn memory(reason: &Reason) -> Option<(u64, String)> {
    match reason {
        Reason::ReclaimableMemory { given, rule, missing, .. } => Some((steady(*rule, given.get()), format!("{rule:?}{missing:?}"))),
        _ => None,
    }
}

pub(super) fn pool(reason: &Reason) -> Option<(u64, String)> {
    match reason {
        Reason::PoolSize { cpus, .. } => Some((u64::from(*cpus), String::new())),
        _ => None,
    }
}

/// A figure that rises slowly is news when it begins to rise and when it has risen, not on the way.
const fn steady(rule: ReclaimRule, given: u64) -> u64 {
    match rule {
        ReclaimRule::SlowRise => 0,
        _ => given,
    }
}
