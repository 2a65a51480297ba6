//! The figure and the rule of decisions that are made anew each tick, so that only news is kept.

use gleaner_model::{Reason, ReclaimRule, SizeRule};

pub(super) fn cpu(reason: &Reason) -> Option<(u64, String)> {
    match reason {
        Reason::ReclaimableCpu { given, rule, missing, .. } => news(*rule, given.get(), missing.as_deref()),
        _ => None,
    }
}

pub(super) fn memory(reason: &Reason) -> Option<(u64, String)> {
    match reason {
        Reason::ReclaimableMemory { given, rule, missing, .. } => news(*rule, given.get(), missing.as_deref()),
        _ => None,
    }
}

pub(super) fn pool(reason: &Reason) -> Option<(u64, String)> {
    match reason {
        Reason::PoolSize { cpus, rule, .. } => {
            let throttled = matches!(rule, SizeRule::Throttled { .. });
            Some((u64::from(*cpus), if throttled { "throttled".to_owned() } else { String::new() }))
        }
        Reason::Isolated { cpus, .. } => Some((u64::from(*cpus), String::new())),
        _ => None,
    }
}

/// A figure that rises slowly is news when it has risen, not on the way. Otherwise the amount counts, and what is missing.
fn news(rule: ReclaimRule, given: u64, missing: Option<&str>) -> Option<(u64, String)> {
    match rule {
        ReclaimRule::SlowRise => None,
        ReclaimRule::Demand
        | ReclaimRule::Free
        | ReclaimRule::Off
        | ReclaimRule::Unknown
        | ReclaimRule::Pressure
        | ReclaimRule::Raised
        | ReclaimRule::Fragment => Some((given, missing.unwrap_or_default().to_owned())),
    }
}
