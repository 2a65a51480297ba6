//! Koordinator's formula for the memory of batch pods. Its formula for CPU is the policy `usage-margin`.

use gleaner_model::{Bytes, Permille};
use serde::{Deserialize, Serialize};

/// What of the other pods counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BatchMemoryRule {
    /// What they hold; the request where there is no reading.
    #[default]
    Usage,
    /// What they request. Of the system, then, only the reserve counts.
    Request,
    /// The larger of the two, for each pod.
    MaxUsageRequest,
}

/// Settings of [`batch_memory`]; the defaults are Koordinator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BatchMemorySettings {
    /// What of the other pods counts.
    pub rule: BatchMemoryRule,
    /// The share of the memory that all pods together may come to hold; above 100% it is 100%.
    pub threshold: Permille,
}

impl Default for BatchMemorySettings {
    fn default() -> Self {
        Self { rule: BatchMemoryRule::default(), threshold: Permille::new(650) }
    }
}

/// A pod that is not reclaimed.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchMember {
    /// What it requests.
    pub request: Bytes,
    /// What it holds; `None` without a fresh reading.
    pub used: Option<Bytes>,
}

/// What the figure is made of.
#[derive(Debug, Clone, Copy)]
pub struct BatchMemory<'a> {
    /// Memory of the node.
    pub capacity: Bytes,
    /// What is held outside of pods.
    pub system_used: Bytes,
    /// What is kept for kubelet and system.
    pub reserved: Bytes,
    /// The pods that are not reclaimed.
    pub members: &'a [BatchMember],
}

/// Memory for batch pods: `capacity x threshold - max(system use, reserve) - what of the other pods counts`.
#[must_use]
pub fn batch_memory(input: &BatchMemory<'_>, settings: &BatchMemorySettings) -> Bytes {
    let counted = |member: &BatchMember| {
        let used = member.used.unwrap_or(member.request);
        match settings.rule {
            BatchMemoryRule::Usage => used,
            BatchMemoryRule::Request => member.request,
            BatchMemoryRule::MaxUsageRequest => used.max(member.request),
        }
    };
    let system = match settings.rule {
        BatchMemoryRule::Request => input.reserved,
        BatchMemoryRule::Usage | BatchMemoryRule::MaxUsageRequest => input.system_used.max(input.reserved),
    };
    let usable = input.capacity.share(settings.threshold).min(input.capacity);
    usable.minus(system).minus(input.members.iter().map(counted).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: [BatchMemoryRule; 3] = [BatchMemoryRule::Usage, BatchMemoryRule::Request, BatchMemoryRule::MaxUsageRequest];

    fn of(rule: BatchMemoryRule, capacity: u64, system: u64, members: &[BatchMember]) -> u64 {
        let input = BatchMemory { capacity: Bytes::new(capacity), system_used: Bytes::new(system), reserved: Bytes::new(40), members };
        batch_memory(&input, &BatchMemorySettings { rule, ..BatchMemorySettings::default() }).get()
    }

    #[test]
    fn each_rule_counts_what_its_name_says() {
        let member = |request, used: Option<u64>| BatchMember { request: Bytes::new(request), used: used.map(Bytes::new) };
        let members = [member(100, Some(30)), member(50, Some(80)), member(20, None)];
        for (rule, expected) in RULES.into_iter().zip([650 - 60 - 130, 650 - 40 - 170, 650 - 60 - 200]) {
            assert_eq!(of(rule, 1000, 60, &members), expected, "{rule:?}");
        }
    }

    proptest! {
        #[test]
        fn more_use_of_others_never_raises_it(
            capacity: u64, system: u64, more_system: u64, request: u64, used: u64, more: u64, rule in prop::sample::select(RULES.to_vec()),
        ) {
            let member = |used| [BatchMember { request: Bytes::new(request), used: Some(Bytes::new(used)) }];
            let before = of(rule, capacity, system, &member(used));
            let after = of(rule, capacity, system.saturating_add(more_system), &member(used.saturating_add(more)));
            prop_assert!(after <= before && before <= capacity, "{before} then {after}");
        }
    }
}
