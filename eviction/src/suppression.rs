//! Reclaimed pods were promised far more CPU than there is for them.
//!
//! A pod is suppressed beyond its tolerance while `promised > supply x tolerance`, where promised is the sum over all reclaimed pods that
//! are not leaving, and tolerance is the policy's or, if less, the pod's own. A supply of zero is beyond any tolerance.

use crate::policy::Policy;
use crate::{Victim, victim};
use gleaner_model::{MilliCpu, Permille, Pod, PodUid, Reason};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long each pod has been suppressed beyond its tolerance; pods that are not are left out.
pub(crate) fn lasting(
    pods: &[&Pod],
    supply: Option<MilliCpu>,
    policy: &Policy,
    before: &BTreeMap<PodUid, Duration>,
    elapsed: Duration,
) -> BTreeMap<PodUid, Duration> {
    let promised = promised(pods);
    let beyond = |pod: &Pod| supply.is_some_and(|supply| exceeds(promised, supply, tolerance(pod, policy)));
    let each = pods.iter().filter_map(|pod| {
        let lasted = crate::lasting(before.get(&pod.uid).copied(), beyond(pod), elapsed)?;
        Some((pod.uid.clone(), lasted))
    });
    each.collect()
}

/// Pods in the order of their rank, until what is promised to the others fits or the budget is spent. Lower priority goes first, then the
/// larger promise; the name decides the rest only so that the same input has the same victims.
pub(crate) fn victims(pods: &[&Pod], supply: MilliCpu, policy: &Policy, lasted: &BTreeMap<PodUid, Duration>) -> Vec<Victim> {
    let mut ranked: Vec<&Pod> = pods.iter().copied().filter(|pod| !pod.reclaimed_cpu().is_zero()).collect();
    ranked.sort_by_key(|pod| (pod.priority, Reverse(pod.reclaimed_cpu()), Reverse((&pod.name, &pod.uid))));
    let budget = usize::try_from(policy.cpu_budget).unwrap_or(usize::MAX);
    let mut promised = promised(pods);
    let mut victims = Vec::new();
    for pod in ranked {
        if victims.len() >= budget {
            break;
        }
        let Some(lasted) = lasted.get(&pod.uid).copied().filter(|lasted| *lasted >= policy.suppression_after.get()) else { continue };
        let tolerated = tolerance(pod, policy);
        if exceeds(promised, supply, tolerated) {
            let frees = pod.reclaimed_cpu();
            victims.push(victim(pod, policy, Reason::EvictSuppressed { promised, supply, tolerated, lasted, frees }));
            promised = promised.minus(frees);
        }
    }
    victims
}

fn promised(pods: &[&Pod]) -> MilliCpu {
    pods.iter().map(|pod| pod.reclaimed_cpu()).sum()
}

fn tolerance(pod: &Pod, policy: &Policy) -> Permille {
    pod.qos.cpu.suppression_tolerance.map_or(policy.suppression_tolerance, |own| own.min(policy.suppression_tolerance))
}

fn exceeds(promised: MilliCpu, supply: MilliCpu, tolerance: Permille) -> bool {
    u128::from(promised.get()) * 1000 > u128::from(supply.get()) * u128::from(tolerance.get())
}
