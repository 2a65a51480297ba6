//! What every knob of every pod should hold, given the pools and what there is for reclaimed pods.
//!
//! The kernel protects first: cpusets keep classes apart, weights and `cpu.idle` order those that share, quotas and memory bounds keep
//! reclaimed pods to what there is for them. cpusets are set on containers, `cpu.idle` on pods alone: runtimes write weights into a
//! container's cgroup on every update, and the kernel refuses that where the cgroup is idle.

mod memory;
mod moving;
mod oom;

use crate::memory::MemRules;
use gleaner_model::{
    Assignment, Bytes, CgroupPath, Container, ContainerKind, ContainerName, CpuMax, CpuSet, CpuShares, KnobValue, MilliCpu, NumaId,
    OomScoreAdj, Permille, Plan, Pod, PodUid, Pool, PoolName, QosClass, Reason, Subject, Topology,
};
pub use moving::{MemsHeld, pace_mems};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a pod lives in the cgroup tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodCgroups {
    /// The pod's cgroup.
    pub pod: CgroupPath,
    /// The cgroups of its containers, as far as they exist.
    pub containers: BTreeMap<ContainerName, CgroupPath>,
}

/// What there is for all reclaimed pods together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Supply {
    /// CPU time.
    pub cpu: MilliCpu,
    /// Memory.
    pub memory: Bytes,
    /// The part of the memory that is on each NUMA node; empty: there is one node, or it is not known by node. Of a node that is missing nothing is
    /// known, so nothing is there.
    pub memory_by_node: BTreeMap<NumaId, Bytes>,
}

/// How hard reclaimed pods are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KnobPolicy {
    /// CPU time that a reclaimed pod always may use, so that it still answers signals and probes.
    pub squeeze_floor: MilliCpu,
    /// Memory above which a reclaimed pod is slowed down, as a share of what it was promised.
    pub memory_high: Permille,
    /// Memory below which a reclaimed pod is never slowed down, unless it was promised less.
    pub memory_floor: Bytes,
    /// Memory that moves between NUMA nodes in one tick at most, when containers change their nodes.
    pub migration_per_tick: Bytes,
    /// The cgroup that all pods live below, such as `/kubepods`. The kernel grants a cgroup no more protection than its ancestors have, so
    /// with this given the ancestors up to it get the sum; without, memory protection of pods is only what their parents happen to have.
    #[serde(skip)]
    pub pod_root: Option<CgroupPath>,
    /// Whether a kubelet runs the pods. Weights and limits by native requests and limits are its own to write then, by whatever formula its version
    /// has; two writers of one file would undo each other for ever.
    #[serde(skip)]
    pub behind_kubelet: bool,
}

impl Default for KnobPolicy {
    fn default() -> Self {
        Self {
            squeeze_floor: MilliCpu::new(10),
            memory_high: Permille::new(900),
            memory_floor: Bytes::new(16 << 20),
            migration_per_tick: Bytes::new(1 << 30),
            pod_root: None,
            behind_kubelet: false,
        }
    }
}

impl KnobPolicy {
    /// What is wrong with the policy, one line each; empty when nothing is.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.squeeze_floor < MilliCpu::new(10) {
            problems.push(format!("squeezeFloor: {} is less than the kernel's least quota, 10m", self.squeeze_floor));
        }
        if self.memory_high.get() == 0 || self.memory_high.get() > 1000 {
            problems.push(format!("memoryHigh: {} is not above 0% and at most 100%", self.memory_high));
        }
        if self.migration_per_tick.is_zero() {
            problems.push("migrationPerTick: 0 would keep memory where it is; at least one byte".to_owned());
        }
        problems
    }
}

/// One pod with what its knobs need.
struct Target<'a> {
    pod: &'a Pod,
    cgroups: &'a PodCgroups,
    /// Its pool; `None` for a pod that was refused.
    pool: Option<(&'a PoolName, &'a Pool)>,
}

impl Target<'_> {
    fn owner(&self) -> Subject {
        Subject::Pod(self.pod.name.clone())
    }

    /// The containers of the manifest that have a cgroup.
    fn containers(&self) -> impl Iterator<Item = (&Container, &CgroupPath)> {
        self.pod.containers.iter().filter_map(|container| Some((container, self.cgroups.containers.get(&container.name)?)))
    }

    fn set(&self, plan: &mut Plan, cgroup: &CgroupPath, value: KnobValue, reason: &Reason) {
        plan.set(cgroup.clone(), value, self.owner(), reason.clone());
    }
}

/// What is the same for all pods of a plan.
struct Common<'a> {
    /// The CPUs of each pool that are there: the kernel refuses a set with any other, and an assignment may be older than the topology.
    cpus: BTreeMap<&'a PoolName, CpuSet>,
    rules: MemRules<'a>,
    /// The CPU that all reclaimed pods were promised.
    promised_cpu: MilliCpu,
    lent: memory::Lent,
    supply: &'a Supply,
    oom: &'a BTreeMap<PodUid, OomScoreAdj>,
    policy: &'a KnobPolicy,
}

/// The desired value of every knob of the pods whose cgroups are known. Where a pod asks for nothing and nothing has to be enforced, the
/// plan has no opinion and the knob stays as it is. `oom` has the scores of the pods that are to have one.
#[must_use]
pub fn knobs(
    topology: &Topology,
    pods: &BTreeMap<PodUid, Pod>,
    cgroups: &BTreeMap<PodUid, PodCgroups>,
    assignment: &Assignment,
    supply: &Supply,
    oom: &BTreeMap<PodUid, OomScoreAdj>,
    policy: &KnobPolicy,
) -> Plan {
    let online = topology.cpus();
    let rules = MemRules::new(topology, pods, assignment);
    let common = Common {
        cpus: assignment.pools.iter().map(|(name, pool)| (name, pool.cpus.intersection(&online))).collect(),
        promised_cpu: pods.values().filter(|pod| pod.class() == QosClass::Reclaimed).map(Pod::reclaimed_cpu).sum(),
        lent: memory::Lent::new(pods, &rules, supply),
        rules,
        supply,
        oom,
        policy,
    };
    let known = pods.iter().filter_map(|(uid, pod)| Some((uid, pod, cgroups.get(uid)?)));
    let targets: Vec<Target<'_>> = known.map(|(uid, pod, cgroups)| Target { pod, cgroups, pool: assignment.pool_of(uid) }).collect();
    let parts = targets.iter().map(|target| of_pod(target, &common));
    // The ancestors last: their sum is right, should one of them be a pod's cgroup too.
    Plan::of_parts(parts.chain(std::iter::once(memory::protect_ancestors(&targets, policy))))
}

/// The knobs of one pod.
fn of_pod(target: &Target<'_>, common: &Common<'_>) -> Plan {
    let mut plan = Plan::new();
    cpusets(&mut plan, target, common);
    if target.pod.class() == QosClass::Reclaimed {
        squeeze(&mut plan, target, common);
        memory::bound(&mut plan, target, common);
    } else {
        unlimit(&mut plan, target);
        if !common.policy.behind_kubelet {
            weights(&mut plan, target);
            limits(&mut plan, target);
            memory::limits(&mut plan, target);
        }
        memory::protect(&mut plan, target);
    }
    oom::scores(&mut plan, target, common.oom);
    plan
}

/// The CPUs of a pod's pool and the memory nodes that it may use, on its containers.
fn cpusets(plan: &mut Plan, target: &Target<'_>, common: &Common<'_>) {
    let Some((name, cpus)) = target.pool.and_then(|(name, _)| Some((name, common.cpus.get(name)?))) else { return };
    let mems = common.rules.of(target.pod);
    let reason = Reason::Joined { class: target.pod.class(), pool: name.clone(), cpus: cpus.clone() };
    for cgroup in target.cgroups.containers.values() {
        if !cpus.is_empty() {
            target.set(plan, cgroup, KnobValue::Cpus(cpus.clone()), &reason);
        }
        if !mems.is_empty() {
            target.set(plan, cgroup, KnobValue::Mems(mems.clone()), &reason);
        }
    }
}

/// Kubelet's weights, on the pod and on its containers.
fn weights(plan: &mut Plan, target: &Target<'_>) {
    let mut set = |cgroup: &CgroupPath, request: MilliCpu| {
        target.set(plan, cgroup, KnobValue::Shares(CpuShares::for_request(request)), &Reason::Weight { request });
    };
    set(&target.cgroups.pod, target.pod.cpu_request());
    for (container, cgroup) in target.containers() {
        set(cgroup, container.cpu.request.unwrap_or_default());
    }
}

/// No limit of CPU time for a pod that has its own CPUs: they bound it already, and a quota would only throttle.
fn unlimit(plan: &mut Plan, target: &Target<'_>) {
    let Some((pool, own)) = target.pool.filter(|(pool, _)| pool.is_dedicated()) else { return };
    let reason = Reason::Joined { class: target.pod.class(), pool: pool.clone(), cpus: own.cpus.clone() };
    for cgroup in std::iter::once(&target.cgroups.pod).chain(target.cgroups.containers.values()) {
        target.set(plan, cgroup, KnobValue::CpuMax(CpuMax::UNLIMITED), &reason);
    }
}

/// Kubelet's limits of CPU time, for pods that have no CPUs of their own.
fn limits(plan: &mut Plan, target: &Target<'_>) {
    if target.pool.is_some_and(|(pool, _)| pool.is_dedicated()) {
        return;
    }
    let mut set = |cgroup: &CgroupPath, limit: Option<MilliCpu>| {
        if let Some(limit) = limit.filter(|limit| !limit.is_zero()) {
            target.set(plan, cgroup, KnobValue::CpuMax(CpuMax::for_limit(limit)), &Reason::AsRequested);
        }
    };
    set(&target.cgroups.pod, pod_limit(target.pod, MilliCpu::plus, |container| container.cpu.limit));
    for (container, cgroup) in target.containers() {
        set(cgroup, container.cpu.limit);
    }
}

/// Kubelet's limit of a pod (`ResourceConfigForPod`): the sum over running containers or the largest init container, if every container
/// has a limit; else none.
fn pod_limit<T: Copy + Ord>(pod: &Pod, plus: impl Fn(T, T) -> T, of: impl Fn(&Container) -> Option<T>) -> Option<T> {
    let each = |init: bool| pod.containers.iter().filter(move |c| (c.kind == ContainerKind::Init) == init).filter_map(&of);
    if pod.containers.iter().any(|container| of(container).is_none()) {
        return None;
    }
    let running = each(false).reduce(plus);
    each(true).chain(running).max()
}

/// The idle class and a quota on the pod of reclaimed containers, the least weight on the containers. The pod has no weight: the kernel
/// refuses one on an idle cgroup.
fn squeeze(plan: &mut Plan, target: &Target<'_>, common: &Common<'_>) {
    let (pod, supply, promised_all) = (&target.cgroups.pod, common.supply.cpu, common.promised_cpu);
    target.set(plan, pod, KnobValue::Idle(true), &Reason::IdleClass);
    let promised = target.pod.reclaimed_cpu();
    let part = if promised_all > supply { promised.scaled(supply.get(), promised_all.get()) } else { promised };
    let given = part.max(common.policy.squeeze_floor);
    let reason = Reason::Quota { promised, promised_all, supply, given };
    target.set(plan, pod, KnobValue::CpuMax(CpuMax::for_limit(given)), &reason);
    for (_, cgroup) in target.containers() {
        target.set(plan, cgroup, KnobValue::Shares(CpuShares::MIN), &Reason::Weight { request: MilliCpu::ZERO });
    }
}

#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod tests;
