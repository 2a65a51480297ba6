//! Memory knobs: what reclaimed pods may hold, what others may, and what the kernel keeps for them.

use super::{Common, KnobPolicy, Supply, Target, pod_limit};
use crate::memory::MemRules;
use gleaner_model::{Bytes, CgroupPath, KnobValue, Limit, NumaId, NumaSet, Plan, Pod, PodUid, QosClass, Reason, Subject};
use std::collections::BTreeMap;

/// What was promised out of one supply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Part {
    promised: Bytes,
    supply: Bytes,
}

impl Part {
    /// An amount cut in proportion, where more was promised than there is.
    fn cut(self, amount: Bytes) -> Bytes {
        if self.promised > self.supply { amount.scaled(self.supply.get(), self.promised.get()) } else { amount }
    }
}

/// What there is for reclaimed pods and what they were promised of it.
pub(super) struct Lent {
    /// Of NUMA nodes that reclaimed pods are bound to; empty where the supply is not known by node.
    nodes: BTreeMap<NumaId, Part>,
    /// For all others.
    rest: Part,
}

impl Lent {
    pub(super) fn new(pods: &BTreeMap<PodUid, Pod>, rules: &MemRules<'_>, supply: &Supply) -> Self {
        let (mut nodes, mut rest) = (BTreeMap::<NumaId, Part>::new(), Part::default());
        for (uid, pod) in pods.iter().filter(|(_, pod)| pod.class() == QosClass::Reclaimed) {
            match rules.bound(uid).filter(|_| !supply.memory_by_node.is_empty()) {
                Some(bound) => {
                    for (id, promised) in bound.iter().zip(split(pod.reclaimed_memory(), bound)) {
                        let part = nodes.entry(id).or_default();
                        part.promised = part.promised.plus(promised);
                    }
                }
                None => rest.promised = rest.promised.plus(pod.reclaimed_memory()),
            }
        }
        for (id, part) in &mut nodes {
            part.supply = supply.memory_by_node.get(id).copied().unwrap_or_default();
        }
        rest.supply = if nodes.is_empty() { supply.memory } else { left_for_others(&nodes, rules, supply) };
        Self { nodes, rest }
    }

    /// What a pod may have of an amount.
    fn cut(&self, pod: &PodUid, rules: &MemRules<'_>, amount: Bytes) -> Bytes {
        match rules.bound(pod).filter(|_| !self.nodes.is_empty()) {
            Some(bound) => bound.iter().zip(split(amount, bound)).filter_map(|(id, part)| Some(self.nodes.get(&id)?.cut(part))).sum(),
            None => self.rest.cut(amount),
        }
    }
}

/// What bound pods leave on the nodes that unbound reclaimed pods may use.
fn left_for_others(nodes: &BTreeMap<NumaId, Part>, rules: &MemRules<'_>, supply: &Supply) -> Bytes {
    let promised = |id: NumaId| nodes.get(&id).map(|part| part.promised).unwrap_or_default();
    let open = rules.open(QosClass::Reclaimed);
    let left = open.iter().filter_map(|id| Some(supply.memory_by_node.get(&id)?.minus(promised(id))));
    left.sum::<Bytes>().min(supply.memory)
}

/// An amount on each of the nodes, the same but for the remainder, which the last has.
fn split(amount: Bytes, nodes: &NumaSet) -> impl Iterator<Item = Bytes> {
    let count = u64::from(nodes.count().max(1));
    let (each, rest) = (amount.get() / count, amount.get() % count);
    (1..=count).map(move |at| Bytes::new(if at == count { each + rest } else { each }))
}

/// Bounds of a reclaimed pod. It is killed only above what it was promised; when there is less than was promised, on its NUMA nodes if it is
/// bound to some, it is slowed down earlier. A pod that was promised no memory has its native limits.
pub(super) fn bound(plan: &mut Plan, target: &Target<'_>, common: &Common<'_>) {
    let promised = target.pod.reclaimed_memory();
    if promised.is_zero() {
        if !common.policy.behind_kubelet {
            limits(plan, target);
        }
        return;
    }
    let squeezed = common.lent.cut(&target.pod.uid, &common.rules, promised.share(common.policy.memory_high));
    let (high, max) = (Limit::At(squeezed.max(common.policy.memory_floor).min(promised)), Limit::At(promised));
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
