//! Memory knobs: what reclaimed pods may hold, what others may, and what the kernel keeps for them.

use super::{KnobPolicy, Promises, Supply, Target, pod_limit};
use gleaner_model::{Bytes, CgroupPath, KnobValue, Limit, Plan, Pod, QosClass, Reason, Subject};
use std::collections::BTreeMap;

/// Bounds of a reclaimed pod. It is killed only above what it was promised; when there is less than was promised it is slowed down earlier.
/// A pod that was promised no memory has its native limits.
pub(super) fn bound(plan: &mut Plan, target: &Target<'_>, promises: &Promises, supply: &Supply, policy: &KnobPolicy) {
    let promised = target.pod.reclaimed_memory();
    if promised.is_zero() {
        limits(plan, target);
        return;
    }
    let high = promised.share(policy.memory_high);
    let squeezed = if promises.memory > supply.memory { high.scaled(supply.memory.get(), promises.memory.get()) } else { high };
    let (high, max) = (Limit::At(squeezed.max(policy.memory_floor).min(promised)), Limit::At(promised));
    let reason = Reason::MemoryBound { promised, high, max };
    target.set(plan, &target.cgroups.pod, KnobValue::MemoryHigh(high), &reason);
    target.set(plan, &target.cgroups.pod, KnobValue::MemoryMax(max), &reason);
}

/// Kubelet's memory limits.
pub(super) fn limits(plan: &mut Plan, target: &Target<'_>) {
    let mut set = |cgroup: &CgroupPath, limit: Option<Bytes>| {
        if let Some(limit) = limit.filter(|limit| !limit.is_zero()) {
            target.set(plan, cgroup, KnobValue::MemoryMax(Limit::At(limit)), &Reason::AsRequested);
        }
    };
    set(&target.cgroups.pod, pod_limit(target.pod, Bytes::plus, |container| container.memory.limit));
    for (container, cgroup) in target.containers() {
        set(cgroup, container.memory.limit);
    }
}

/// Protection of a shared or dedicated pod by its request.
pub(super) fn protect(plan: &mut Plan, target: &Target<'_>) {
    if let Some(request) = protected(target.pod) {
        target.set(plan, &target.cgroups.pod, KnobValue::MemoryLow(request), &Reason::MemoryProtected { request });
    }
}

fn protected(pod: &Pod) -> Option<Bytes> {
    let protects = matches!(pod.class(), QosClass::Shared | QosClass::Dedicated);
    protects.then(|| pod.memory_request()).filter(|request| !request.is_zero())
}

/// Protection of the cgroups between the protected pods and the root of the pods by the sum.
pub(super) fn protect_ancestors(targets: &[Target<'_>], policy: &KnobPolicy) -> Plan {
    let mut parents: BTreeMap<CgroupPath, Bytes> = BTreeMap::new();
    for target in targets {
        if let (Some(request), Some(parent)) = (protected(target.pod), target.cgroups.pod.parent()) {
            add(&mut parents, parent, request);
        }
    }
    let mut plan = Plan::new();
    for (cgroup, request) in ancestors(&parents, policy) {
        plan.set(cgroup, KnobValue::MemoryLow(request), Subject::Node, Reason::MemoryProtected { request });
    }
    plan
}

/// What the parents of pods need together, on each cgroup from them up to the root of the pods.
fn ancestors(parents: &BTreeMap<CgroupPath, Bytes>, policy: &KnobPolicy) -> BTreeMap<CgroupPath, Bytes> {
    let within = |cgroup: &CgroupPath| policy.pod_root.as_ref().is_some_and(|root| !cgroup.is_root() && cgroup.is_within(root));
    let mut sums = BTreeMap::new();
    for (parent, request) in parents {
        for ancestor in std::iter::successors(Some(parent.clone()), CgroupPath::parent).take_while(within) {
            add(&mut sums, ancestor, *request);
        }
    }
    sums
}

fn add(sums: &mut BTreeMap<CgroupPath, Bytes>, cgroup: CgroupPath, request: Bytes) {
    let sum = sums.entry(cgroup).or_default();
    *sum = sum.plus(request);
}
