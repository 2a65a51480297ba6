#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod isolation;
mod lending;
mod memory_care;
mod numa;
mod numa_properties;
mod policies;
mod pool_sizes;
mod properties;
mod regions;
mod utilisation;

use super::*;
use crate::state::Given;
use gleaner_model::{
    Absence, Container, ContainerKind, ContainerReadings, CpuId, CpuPressure, CpuSet, Id, KubeQos, MemoryReadings, NodeReadings,
    NumaBinding, Permille, Pod, PodName, PodReadings, Pool, Pressure, PressureLine, QosClass, QosSpec, Reading, ReclaimRule, Requirement,
    SizeRule,
};
use std::time::Duration;

const GIB: u64 = 1 << 30;

fn at(seconds: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(seconds))
}

fn uid(name: &str) -> PodUid {
    name.parse().unwrap()
}

fn pool(name: &str) -> PoolName {
    name.parse().unwrap()
}

/// A pod of one container `main` that requests this much CPU, and 1 GiB.
fn pod(name: &str, class: QosClass, milli: u64) -> Pod {
    let container = Container {
        name: "main".parse().unwrap(),
        kind: ContainerKind::Main,
        cpu: Requirement { request: Some(MilliCpu::new(milli)), limit: None },
        memory: Requirement { request: Some(Bytes::new(GIB)), limit: None },
        reclaimed_cpu: None,
        reclaimed_memory: None,
        hugepages: BTreeMap::new(),
        extended: BTreeMap::new(),
    };
    Pod {
        workload: None,
        uid: uid(name),
        name: PodName { namespace: "test".to_owned(), name: name.to_owned() },
        qos: QosSpec::of(class),
        kube_qos: KubeQos::Burstable,
        priority: 0,
        grace: Duration::from_secs(30),
        containers: vec![container],
    }
}

fn in_pool(mut pod: Pod, name: &str) -> Pod {
    pod.qos.cpu.pool = Some(pool(name));
    pod
}

fn memory(working_set: u64) -> MemoryReadings {
    let bytes = Bytes::new(working_set);
    MemoryReadings { usage: bytes, working_set: bytes, anon: bytes, file: Bytes::ZERO, inactive_file: Bytes::ZERO }
}

fn measured(milli: u64, working_set: u64, when: Timestamp) -> ContainerReadings {
    ContainerReadings {
        cpu_usage: Reading::present(MilliCpu::new(milli), when),
        memory: Reading::present(memory(working_set), when),
        ..ContainerReadings::default()
    }
}

fn waiting(share: u32, when: Timestamp) -> Reading<CpuPressure> {
    let pressure = Pressure { some: PressureLine::default(), full: None };
    Reading::present(CpuPressure { pressure, waiting: Permille::new(share) }, when)
}

/// 8 CPUs and 16 GiB.
fn machine() -> Topology {
    Topology::regular(1, 1, 8, 1, Bytes::new(16 * GIB)).unwrap()
}

/// Neither the past nor what is to come has a say.
fn only_now() -> CompositeSettings {
    CompositeSettings { windows: Vec::new(), warm_up: gleaner_model::Span::default(), ..CompositeSettings::default() }
}

/// Margins of 10 %, reserves of 1 CPU and 1 GiB, and a rise to full capacity in one second.
fn policy() -> Policy {
    Policy {
        cpu_reserve: MilliCpu::from_cpus(1),
        memory_reserve: Bytes::new(GIB),
        rise_per_second: Permille::new(1000),
        composite: only_now(),
        ..Policy::default()
    }
}

/// A node that uses this much CPU, with 12 GiB of 16 available, and the pods with their readings.
fn snapshot(seconds: u64, node_milli: u64, pods: &[(Pod, Option<ContainerReadings>)]) -> Snapshot {
    let now = at(seconds);
    let readings = pods.iter().filter_map(|(pod, readings)| {
        let containers = BTreeMap::from([("main".parse().unwrap(), Box::new(readings.clone()?))]);
        Some((pod.uid.clone(), PodReadings { containers }))
    });
    Snapshot {
        at: now,
        wall: None,
        pods: pods.iter().map(|(pod, _)| (pod.uid.clone(), pod.clone())).collect(),
        readings: readings.collect(),
        node: NodeReadings {
            cpu_usage: Reading::present(MilliCpu::new(node_milli), now),
            memory_total: Reading::present(Bytes::new(16 * GIB), now),
            memory_available: Reading::present(Bytes::new(12 * GIB), now),
            memory_low_watermark: Reading::present(Bytes::new(GIB / 16), now),
            ..NodeReadings::default()
        },
    }
}

/// With nothing supplied from elsewhere, and the state before kept.
fn estimate(snapshot: &Snapshot, topology: &Topology, assignment: &Assignment, policy: &Policy, state: &State) -> (Estimate, State) {
    let none = BTreeMap::new();
    super::estimate(&Input { snapshot, topology, assignment, advice: &none }, policy, state.clone())
}

/// A state of long ago, so that nothing rises slowly and no pod is new.
fn settled(snapshot: &Snapshot, assignment: &Assignment) -> State {
    let (_, mut state) = estimate(snapshot, &machine(), assignment, &policy(), &State::default());
    state.given = Some(Given { at: snapshot.at, cpu: MilliCpu::from_cpus(8), memory: Bytes::new(16 * GIB), ..Given::default() });
    for seen in state.seen.values_mut() {
        seen.first = at(0);
        seen.starting.values_mut().for_each(|since| *since = at(0));
    }
    state.pools = crate::pools::PoolState::default();
    state
}

fn run(snapshot: &Snapshot, assignment: &Assignment) -> Estimate {
    estimate(snapshot, &machine(), assignment, &policy(), &settled(snapshot, assignment)).0
}

fn cpu_rule(estimate: &Estimate) -> (ReclaimRule, Option<String>) {
    match &estimate.cpu_reason {
        Reason::ReclaimableCpu { rule, missing, .. } => (*rule, missing.clone()),
        other => panic!("{other}"),
    }
}

fn memory_rule(estimate: &Estimate) -> (ReclaimRule, Option<String>) {
    match &estimate.memory_reason {
        Reason::ReclaimableMemory { rule, missing, .. } => (*rule, missing.clone()),
        other => panic!("{other}"),
    }
}

fn dedicated_on(pod: &str, cpus: std::ops::Range<u32>) -> Assignment {
    let name = PoolName::dedicated(&uid(pod));
    let cpus: CpuSet = cpus.map(CpuId::from_index).collect();
    Assignment {
        pools: BTreeMap::from([(name.clone(), Pool { cpus, ..Pool::default() })]),
        members: BTreeMap::from([(uid(pod), name)]),
        ..Assignment::default()
    }
}
