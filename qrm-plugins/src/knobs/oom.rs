//! How early the kernel kills a pod's processes when memory has run out.

use super::Target;
use gleaner_model::{KnobValue, OomScoreAdj, Plan, PodUid, Reason};
use std::collections::BTreeMap;

/// The score on every container of a pod that has one; a pod without keeps what its runtime gave it. Whoever makes the scores sees to it
/// that reclaimed pods come first: kubelet gives 1000 to pods without requests, 2 to 999 to those with some, -997 to guaranteed ones.
pub(super) fn scores(plan: &mut Plan, target: &Target<'_>, scores: &BTreeMap<PodUid, OomScoreAdj>) {
    let Some(score) = scores.get(&target.pod.uid).copied() else { return };
    for cgroup in target.cgroups.containers.values() {
        target.set(plan, cgroup, KnobValue::OomScoreAdj(score), &Reason::OomScore { class: target.pod.class(), score });
    }
}
