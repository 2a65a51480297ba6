//! One estimate by the default policy, after an hour of the same node: what it takes, how that grows with containers, and how large the state is.
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

use gleaner_estimator::{Input, Policy, State, estimate};
use gleaner_model::{
    Assignment, Bytes, Container, ContainerKind, ContainerReadings, CpuPressure, KubeQos, MemoryReadings, MilliCpu, NodeReadings, Permille,
    Pod, PodName, Pressure, PressureLine, QosClass, QosSpec, Reading, Requirement, Snapshot, Timestamp, Topology, WallTime, WorkloadName,
};
use gleaner_tests::bench::{Series, info, timed, within};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

const GIB: u64 = 1 << 30;
const HOUR: u32 = 3600;
const MEASURED: u32 = 600;
/// A Monday in 2024, at midnight.
const MONDAY: u64 = 1_704_067_200;
/// A pod is replaced by another one of its workload so often, in ticks.
const REPLACED: u32 = 30;
const REPLICAS: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let [few, some, many] = [run(110)?, run(500)?, run(2000)?];
    within("estimate, 110 containers, median", few.median(), 150.0, "us");
    within("estimate, 500 containers, median", some.median(), 1000.0, "us");
    within("estimate, 500 containers, p99", some.quantile(0.99), 1500.0, "us");
    within("estimate, 2000 containers, median", many.median(), 4500.0, "us");
    within("estimate, growth from 110 to 2000 containers", many.median() / few.median(), 35.0, "times");
    Ok(())
}

fn run(containers: u32) -> Result<Series, Box<dyn Error>> {
    let topology = Topology::regular(1, 2, 32, 2, Bytes::new(128 * GIB))?;
    let (assignment, advice, policy) = (Assignment::default(), BTreeMap::new(), Policy::default());
    let (mut snapshot, mut state) = (node(containers)?, State::default());
    let mut taken = Vec::new();
    for tick in 0..HOUR + MEASURED {
        go_on(&mut snapshot, containers, tick)?;
        let input = Input { snapshot: &snapshot, topology: &topology, assignment: &assignment, advice: &advice };
        let ((_, next), took) = timed(|| estimate(&input, &policy, state));
        state = next;
        if tick >= HOUR {
            taken.push(took);
        }
    }
    let series = Series::new(taken);
    info(&format!("estimate, {containers} containers"), &format!("{} p99 {:.1} us", series.spread("us"), series.quantile(0.99)));
    sizes(containers, &state)?;
    Ok(series)
}

/// The state after the hour, in memory and as it would be stored.
fn sizes(containers: u32, state: &State) -> Result<(), Box<dyn Error>> {
    let histories = state.histories();
    let largest_region = histories.regions.iter().map(|(_, history)| history.bytes()).max().unwrap_or(0);
    let largest_workload = histories.workloads.iter().map(|(_, history)| history.bytes()).max().unwrap_or(0);
    let written = serde_json::to_string(state)?.len();
    let float = |bytes: usize| f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
    let of = |what: &str| format!("estimate, {containers} containers, {what}");
    within(&of("largest history of a region"), float(largest_region), 14_500.0, "B");
    within(&of("largest history of a container of a workload"), float(largest_workload), 2200.0, "B");
    let (regions, workloads) = (histories.regions.len(), histories.workloads.len());
    info(&of("histories"), &format!("{} B of {regions} regions and {workloads} containers of workloads", histories.bytes()));
    within(&of("state as JSON, each container"), float(written) / f64::from(containers), 1000.0, "B");
    Ok(())
}

/// Pods of one container each, before their first reading.
fn node(containers: u32) -> Result<Snapshot, Box<dyn Error>> {
    let mut snapshot = Snapshot::default();
    for number in 0..containers {
        let pod = pod(number, 0, containers)?;
        snapshot.pods.insert(pod.uid.clone(), pod);
    }
    Ok(snapshot)
}

/// The next second: the use of all follows a slow wave, and now and then a pod is replaced.
fn go_on(snapshot: &mut Snapshot, containers: u32, tick: u32) -> Result<(), Box<dyn Error>> {
    let at = Timestamp::since_boot(Duration::from_secs(1000 + u64::from(tick)));
    snapshot.at = at;
    snapshot.wall = Some(WallTime::from_unix(MONDAY + u64::from(tick)));
    if tick % REPLACED == REPLACED - 1 {
        let number = (tick / REPLACED) % containers;
        let old = format!("pod-{number}-");
        let gone = snapshot.pods.keys().find(|uid| uid.as_str().starts_with(&old)).cloned();
        if let Some(uid) = gone {
            snapshot.pods.remove(&uid);
            snapshot.readings.remove(&uid);
        }
        let pod = pod(number, tick, containers)?;
        snapshot.pods.insert(pod.uid.clone(), pod);
    }
    for (number, (uid, pod)) in (0u32..).zip(&snapshot.pods) {
        let wave = 50 + (number * 7 + tick / 10) % 100 + tick % 3;
        let readings = snapshot.readings.entry(uid.clone()).or_default();
        for container in &pod.containers {
            let fresh = Box::new(used(wave, pod.cpu_request(), at));
            readings.containers.insert(container.name.clone(), fresh);
        }
    }
    snapshot.node = NodeReadings {
        cpu_usage: Reading::present(MilliCpu::new(20_000), at),
        memory_total: Reading::present(Bytes::new(256 * GIB), at),
        memory_free: Reading::present(Bytes::new(120 * GIB), at),
        memory_available: Reading::present(Bytes::new(150 * GIB), at),
        memory_low_watermark: Reading::present(Bytes::new(GIB), at),
        cpu_pressure: Reading::present(waiting(5), at),
        ..NodeReadings::default()
    };
    Ok(())
}

/// Of ten pods: seven shared in three pools, one of the system, two reclaimed. Four are replicas of one workload.
fn pod(number: u32, born: u32, count: u32) -> Result<Pod, Box<dyn Error>> {
    let class = match number % 10 {
        0 => QosClass::System,
        1 | 2 => QosClass::Reclaimed,
        _ => QosClass::Shared,
    };
    let mut qos = QosSpec::of(class);
    if class == QosClass::Shared {
        qos.cpu.pool = match number % 3 {
            0 => Some("web".parse()?),
            1 => Some("search".parse()?),
            _ => None,
        };
    }
    let reclaimed = class == QosClass::Reclaimed;
    let (cpu, memory) = (Some(MilliCpu::new(u64::from(60_000 / count))), Some(Bytes::new(GIB / 16)));
    let container = Container {
        name: "main".parse()?,
        kind: ContainerKind::Main,
        cpu: Requirement { request: cpu.filter(|_| !reclaimed), limit: None },
        memory: Requirement { request: memory.filter(|_| !reclaimed), limit: memory.filter(|_| !reclaimed) },
        reclaimed_cpu: cpu.filter(|_| reclaimed),
        reclaimed_memory: memory.filter(|_| reclaimed),
        hugepages: BTreeMap::new(),
        extended: BTreeMap::new(),
    };
    // Replicas are of the same class and pool: their numbers differ by multiples of thirty.
    let workload = number % 30 + 30 * (number / (30 * REPLICAS));
    let containers = vec![container];
    Ok(Pod {
        workload: Some(WorkloadName::new("bench", "Deployment", &format!("app-{workload}"))?),
        uid: format!("pod-{number}-{born}").parse()?,
        name: PodName { namespace: "bench".to_owned(), name: format!("pod-{number}") },
        qos,
        kube_qos: KubeQos::of(&containers),
        priority: 0,
        grace: Duration::from_secs(30),
        containers,
    })
}

/// Readings of a container that uses this share (in hundredths) of a third of its request.
fn used(wave: u32, request: MilliCpu, at: Timestamp) -> ContainerReadings {
    let held = Bytes::new(GIB / 32);
    let memory = MemoryReadings { usage: held, working_set: held, anon: held, file: Bytes::ZERO, inactive_file: Bytes::ZERO };
    ContainerReadings {
        cpu_usage: Reading::present(request.scaled(u64::from(wave), 300), at),
        throttled: Reading::present(Permille::new(0), at),
        cpu_pressure: Reading::present(waiting(wave % 7), at),
        memory: Reading::present(memory, at),
        ..ContainerReadings::default()
    }
}

fn waiting(share: u32) -> CpuPressure {
    let line = PressureLine { avg10: Permille::new(share), ..PressureLine::default() };
    CpuPressure { pressure: Pressure { some: line, full: Some(line) }, waiting: Permille::new(share) }
}
