#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::fixtures::{by_uid, machine, pod};
use crate::{PlacePolicy, demands, place};
use gleaner_model::{KnobKind, KubeQos, Requirement};

pub(super) const MI: u64 = 1 << 20;

pub(super) fn cgroups_of(pods: &BTreeMap<PodUid, Pod>) -> BTreeMap<PodUid, PodCgroups> {
    let of = |pod: &Pod| {
        let path: CgroupPath = format!("/kubepods/{}/{}", pod.kube_qos.to_string().to_lowercase(), pod.uid).parse().unwrap();
        let containers = pod.containers.iter().map(|c| (c.name.clone(), path.join(c.name.as_str()).unwrap())).collect();
        PodCgroups { pod: path, containers }
    };
    pods.iter().map(|(uid, pod)| (uid.clone(), of(pod))).collect()
}

fn plan_with(pods: &BTreeMap<PodUid, Pod>, supply: Supply, policy: &KnobPolicy) -> Plan {
    let topology = machine(1, 1, 4, 1);
    let placed = place(&topology, &Assignment::default(), pods, &demands(pods, &BTreeMap::new()), &PlacePolicy::default());
    knobs(&topology, pods, &cgroups_of(pods), &placed.assignment, &supply, &BTreeMap::new(), policy)
}

fn plan(pods: &BTreeMap<PodUid, Pod>, cpu: u64, memory: u64) -> Vec<String> {
    shown(&plan_with(pods, Supply { cpu: MilliCpu::new(cpu), memory: Bytes::new(memory), ..Supply::default() }, &KnobPolicy::default()))
}

/// The plan as lines, `cgroup knob value`, with what all paths have in common left out.
pub(super) fn shown(plan: &Plan) -> Vec<String> {
    plan.iter().map(|(id, desired)| format!("{} {} {}", id.cgroup.as_str().replace("/kubepods/", ""), id.kind, desired.value)).collect()
}

fn limited(mut pod: Pod, cpu: u64, memory_mi: u64) -> Pod {
    let memory = Bytes::new(memory_mi * MI);
    pod.containers[0].cpu.limit = Some(MilliCpu::new(cpu));
    pod.containers[0].memory = Requirement { request: Some(memory), limit: Some(memory) };
    pod.kube_qos = KubeQos::of(&pod.containers);
    pod
}

pub(super) fn promised(mut pod: Pod, memory_mi: u64) -> Pod {
    pod.containers[0].reclaimed_memory = Some(Bytes::new(memory_mi * MI));
    pod
}

#[test]
fn a_shared_pod_has_its_pool_and_what_kubelet_would_set() {
    let pods = by_uid([limited(pod("s", QosClass::Shared, 1500), 2000, 64)]);
    assert_eq!(
        plan(&pods, 0, 0),
        [
            "burstable/s cpu shares 1536",
            "burstable/s cpu.max 200000 100000",
            "burstable/s memory.low 64Mi",
            "burstable/s memory.max 64Mi",
            "burstable/s/main cpuset.cpus 0-3",
            "burstable/s/main cpuset.mems 0",
            "burstable/s/main cpu shares 1536",
            "burstable/s/main cpu.max 200000 100000",
            "burstable/s/main memory.max 64Mi",
        ]
    );
}

#[test]
fn a_pod_that_asks_for_nothing_has_only_its_pool_and_the_least_weight() {
    assert_eq!(
        plan(&by_uid([pod("s", QosClass::Shared, 0)]), 0, 0),
        [
            "besteffort/s cpu shares 2",
            "besteffort/s/main cpuset.cpus 0-3",
            "besteffort/s/main cpuset.mems 0",
            "besteffort/s/main cpu shares 2",
        ]
    );
}

#[test]
fn a_pod_with_own_cpus_is_not_throttled() {
    let dedicated = plan(&by_uid([limited(pod("d", QosClass::Dedicated, 2000), 2000, 64)]), 0, 0);
    let quotas: Vec<&String> = dedicated.iter().filter(|line| line.contains("cpu.max")).collect();
    assert_eq!(quotas.len(), 2, "{dedicated:?}");
    assert!(quotas.iter().all(|line| line.ends_with("max 100000")), "{dedicated:?}");
    // Refused, it runs with the others and keeps its limit.
    let refused = plan(&by_uid([limited(pod("d", QosClass::Dedicated, 9000), 9000, 64)]), 0, 0);
    assert!(refused.iter().any(|line| line.ends_with("cpu.max 900000 100000")), "{refused:?}");
    assert!(!refused.iter().any(|line| line.contains("cpuset")), "{refused:?}");
}

#[test]
fn a_reclaimed_pod_is_idle_and_bounded_and_has_no_weight_of_its_own() {
    let pods = by_uid([promised(pod("r", QosClass::Reclaimed, 1500), 100)]);
    assert_eq!(
        plan(&pods, 2000, 100 * MI),
        [
            "besteffort/r cpu.idle 1",
            "besteffort/r cpu.max 150000 100000",
            "besteffort/r memory.high 90Mi",
            "besteffort/r memory.max 100Mi",
            "besteffort/r/main cpuset.cpus 0-3",
            "besteffort/r/main cpuset.mems 0",
            "besteffort/r/main cpu shares 2",
        ]
    );
}

#[test]
fn promises_beyond_the_supply_are_squeezed_in_proportion_and_never_to_nothing() {
    let pods = by_uid([promised(pod("a", QosClass::Reclaimed, 3000), 300), promised(pod("b", QosClass::Reclaimed, 1000), 100)]);
    let of = |knob: &str, lines: Vec<String>| -> Vec<String> { lines.into_iter().filter(|line| line.contains(knob)).collect() };
    let half = || plan(&pods, 2000, 200 * MI);
    assert_eq!(of("cpu.max", half()), ["besteffort/a cpu.max 150000 100000", "besteffort/b cpu.max 50000 100000"]);
    assert_eq!(of("memory.high", half()), ["besteffort/a memory.high 135Mi", "besteffort/b memory.high 45Mi"]);
    assert_eq!(of("memory.max", half()), ["besteffort/a memory.max 300Mi", "besteffort/b memory.max 100Mi"]);
    let patient = KnobPolicy { squeeze_floor: MilliCpu::new(200), ..KnobPolicy::default() };
    let floored = shown(&plan_with(&pods, Supply::default(), &patient));
    assert_eq!(of("cpu.max", floored), ["besteffort/a cpu.max 20000 100000", "besteffort/b cpu.max 20000 100000"]);
    let none = || plan(&pods, 0, 0);
    assert_eq!(of("cpu.max", none()), ["besteffort/a cpu.max 1000 100000", "besteffort/b cpu.max 1000 100000"]);
    assert_eq!(of("memory.high", none()), ["besteffort/a memory.high 16Mi", "besteffort/b memory.high 16Mi"]);
}

#[test]
fn the_quota_says_with_which_numbers_it_was_made() {
    let pods = by_uid([pod("a", QosClass::Reclaimed, 3000), pod("b", QosClass::Reclaimed, 1000)]);
    let plan = plan_with(&pods, Supply { cpu: MilliCpu::new(2000), ..Supply::default() }, &KnobPolicy::default());
    let reasons: Vec<String> =
        plan.iter().filter(|(id, _)| id.kind == KnobKind::CpuMax).map(|(_, d)| format!("{}: {}", d.owner, d.reason)).collect();
    assert_eq!(
        reasons,
        [
            "ns/a: may use 1500m CPU: promised 3 of 4 promised in all, supply 2",
            "ns/b: may use 500m CPU: promised 1 of 4 promised in all, supply 2",
        ]
    );
}

#[test]
fn a_pod_limit_needs_a_limit_on_every_container() {
    let mut shared = limited(pod("s", QosClass::Shared, 1000), 1000, 64);
    let second = Container { name: "side".parse().unwrap(), kind: ContainerKind::Sidecar, ..shared.containers[0].clone() };
    let init = Container { name: "init".parse().unwrap(), kind: ContainerKind::Init, ..second.clone() };
    shared.containers.extend([second, init]);
    shared.containers[2].cpu.limit = Some(MilliCpu::new(5000));
    let of = |pod: &Pod| pod_limit(pod, MilliCpu::plus, |c| c.cpu.limit);
    assert_eq!(of(&shared), Some(MilliCpu::new(5000)), "the init container needs most");
    shared.containers[2].cpu.limit = Some(MilliCpu::new(500));
    assert_eq!(of(&shared), Some(MilliCpu::new(2000)), "the running containers need most");
    shared.containers[1].cpu.limit = None;
    assert_eq!(of(&shared), None);
}

#[test]
fn protection_reaches_up_to_the_root_of_the_pods_and_not_beyond() {
    let pods = by_uid([limited(pod("a", QosClass::Shared, 1000), 2000, 64), limited(pod("b", QosClass::Shared, 1000), 2000, 32)]);
    let policy = KnobPolicy { pod_root: Some("/kubepods".parse().unwrap()), ..KnobPolicy::default() };
    let plan = plan_with(&pods, Supply::default(), &policy);
    let low: Vec<String> =
        plan.iter().filter(|(id, _)| id.kind == KnobKind::MemoryLow).map(|(id, d)| format!("{} {}", id.cgroup, d.value)).collect();
    assert_eq!(low, ["/kubepods 96Mi", "/kubepods/burstable 96Mi", "/kubepods/burstable/a 64Mi", "/kubepods/burstable/b 32Mi"]);
}

#[test]
fn a_set_of_an_older_topology_is_cut_to_what_is_there() {
    let pods = by_uid([pod("s", QosClass::Shared, 1000)]);
    let large = machine(1, 2, 4, 1);
    let placed = place(&large, &Assignment::default(), &pods, &demands(&pods, &BTreeMap::new()), &PlacePolicy::default());
    let small = machine(1, 1, 4, 1);
    let lines =
        shown(&knobs(&small, &pods, &cgroups_of(&pods), &placed.assignment, &Supply::default(), &BTreeMap::new(), &KnobPolicy::default()));
    assert!(
        lines.iter().any(|line| line.ends_with("cpuset.cpus 0-3")) && lines.iter().any(|line| line.ends_with("cpuset.mems 0")),
        "{lines:?}"
    );
}

#[test]
fn a_policy_below_the_kernels_least_is_named() {
    let policy = KnobPolicy {
        squeeze_floor: MilliCpu::new(1),
        memory_high: Permille::new(1001),
        migration_per_tick: Bytes::ZERO,
        ..KnobPolicy::default()
    };
    assert_eq!(
        policy.validate(),
        [
            "squeezeFloor: 1m is less than the kernel's least quota, 10m",
            "memoryHigh: 100.1% is not above 0% and at most 100%",
            "migrationPerTick: 0 would keep memory where it is; at least one byte",
        ]
    );
    assert_eq!(KnobPolicy::default().validate(), Vec::<String>::new());
}
