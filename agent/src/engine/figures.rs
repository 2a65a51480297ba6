//! The figure and the rule of decisions that are made anew each tick, so that only news is kept.

use gleaner_model::{Reason, ReclaimRule, RequirementRule, SizeRule};

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
        Reason::PoolSize { cpus, rule, by, .. } => {
            let throttled = if matches!(rule, SizeRule::Throttled { .. }) { "throttled" } else { "" };
            // Which of the own rules it was changes often; whether it was an own one is news.
            let external = if *by == Some(RequirementRule::External) { "external" } else { "" };
            Some((u64::from(*cpus), format!("{throttled}{external}")))
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
