//! One whole tick, its pure part: estimate, demands, placement, knobs and the choice of victims, on a large node whose load and pods
//! change from tick to tick.
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

use gleaner_estimator::{Input, estimate};
use gleaner_eviction::decide;
use gleaner_model::{
    Assignment, Bytes, Container, ContainerKind, ContainerReadings, CpuPressure, CpuSet, KubeQos, MemoryReadings, MilliCpu, NodeReadings,
    NumaBinding, Permille, Pod, PodName, PodReadings, PodUid, Pressure, PressureLine, QosClass, QosSpec, Reading, Requirement, Snapshot,
    Timestamp, Topology,
};
use gleaner_qrm_plugins::{KnobPolicy, PlacePolicy, PodCgroups, ReserveRule, Supply, demands, knobs, place};
use gleaner_tests::bench::{Series, info, timed, within};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

const GIB: u64 = 1 << 30;
const TICKS: u32 = 1000;
const WARM_UP: u32 = 50;

/// The parts of a tick, in their order.
const PARTS: [&str; 5] = ["estimate", "demands", "place", "knobs", "evict"];

fn main() -> Result<(), Box<dyn Error>> {
    let few = run(50)?;
    let many = run(500)?;
    within("tick, 500 pods, median", many.median() / 1000.0, 5.0, "ms");
    within("tick, 500 pods, p99", many.quantile(0.99) / 1000.0, 5.0, "ms");
    // Ten times the pods must cost ten times at most.
    within("tick, growth from 50 to 500 pods", many.median() / few.median(), 10.0, "times");
    Ok(())
}

/// Everything that one tick leaves to the next.
struct Node {
    topology: Topology,
    place: PlacePolicy,
    knobs: KnobPolicy,
    assignment: Assignment,
    estimator: gleaner_estimator::State,
    eviction: gleaner_eviction::State,
}

fn run(pods: u32) -> Result<Series, Box<dyn Error>> {
    let mut node = Node {
        topology: Topology::regular(2, 4, 16, 2, Bytes::new(128 * GIB))?,
        place: PlacePolicy { reserve: ReserveRule::Count(4), ..PlacePolicy::default() },
        knobs: KnobPolicy { pod_root: Some("/kubepods".parse()?), ..KnobPolicy::default() },
        assignment: Assignment::default(),
        estimator: gleaner_estimator::State::default(),
        eviction: gleaner_eviction::State::default(),
    };
    let mut taken = Vec::new();
    for tick in 0..WARM_UP + TICKS {
        let (snapshot, cgroups) = situation(pods, tick)?;
        let parts = node.tick(&snapshot, &cgroups);
        if tick >= WARM_UP {
            taken.push(parts);
        }
    }
    let name = format!("tick, {pods} pods, 256 cpus, 8 nodes");
    info(&name, &format!("{} placed in {} pools", node.assignment.members.len(), node.assignment.pools.len()));
    for (part, label) in PARTS.iter().enumerate() {
        let series = Series::new(taken.iter().filter_map(|parts| parts.get(part).copied()).collect());
        info(&format!("{name}, {label}"), &series.spread("us"));
    }
    let whole = Series::new(taken.iter().map(|parts| parts.iter().sum()).collect());
    info(&name, &whole.spread("us"));
    Ok(whole)
}

impl Node {
    /// As the agent's loop does it, without the kernel. Returns the microseconds of each part.
    fn tick(&mut self, snapshot: &Snapshot, cgroups: &BTreeMap<PodUid, PodCgroups>) -> [f64; PARTS.len()] {
        let policy = gleaner_estimator::Policy::default();
        let advice = BTreeMap::new();
        let input = Input { snapshot, topology: &self.topology, assignment: &self.assignment, advice: &advice };
        let state = std::mem::take(&mut self.estimator);
        let ((estimate, state), estimating) = timed(|| estimate(&input, &policy, state));
        self.estimator = state;
        let sizes = estimate.pools.iter().map(|(name, pool)| (name.clone(), pool.cpus)).collect();
        let (demands, demanding) = timed(|| demands(&snapshot.pods, &sizes));
        let (placement, placing) = timed(|| place(&self.topology, &self.assignment, &snapshot.pods, &demands, &self.place));
        self.assignment = placement.assignment;
        let supply = Supply { cpu: estimate.supply.cpu, memory: estimate.supply.memory, ..Supply::default() };
        let (_plan, planning) =
            timed(|| knobs(&self.topology, &snapshot.pods, cgroups, &self.assignment, &supply, &BTreeMap::new(), &self.knobs));
        let policy = gleaner_eviction::Policy::default();
        let ((_round, state), evicting) =
            timed(|| decide(snapshot, estimate.known_supply(), &policy, &self.eviction, &BTreeSet::new(), false));
        self.eviction = state;
        [estimating, demanding, placing, planning, evicting]
    }
}

/// Pods and readings at a tick. Their use follows a slow wave; each tick one pod is replaced by its like, so that a place is freed and
/// another is wanted.
fn situation(count: u32, tick: u32) -> Result<(Snapshot, BTreeMap<PodUid, PodCgroups>), Box<dyn Error>> {
    let at = Timestamp::since_boot(Duration::from_secs(1000 + u64::from(tick)));
    let (mut pods, mut readings, mut cgroups) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for number in 0..count {
        let age = (tick + count - number) / count;
        let pod = pod(number, age, count)?;
        let uid = pod.uid.clone();
        let path: gleaner_model::CgroupPath = format!("/kubepods/burstable/pod{uid}").parse()?;
        let containers = pod.containers.iter().map(|c| path.join(c.name.as_str()).map(|inner| (c.name.clone(), inner)));
        let containers = containers.collect::<Result<BTreeMap<_, _>, _>>()?;
        let wave = 50 + (number * 7 + tick) % 100;
        let used = pod.containers.iter().map(|c| (c.name.clone(), Box::new(used(wave, pod.cpu_request(), at))));
        readings.insert(uid.clone(), PodReadings { containers: used.collect() });
        cgroups.insert(uid.clone(), PodCgroups { pod: path, containers });
        pods.insert(uid, pod);
    }
    let node = NodeReadings {
        cpu_usage: Reading::present(MilliCpu::new(90_000), at),
        memory_total: Reading::present(Bytes::new(1024 * GIB), at),
        memory_free: Reading::present(Bytes::new(500 * GIB), at),
        memory_available: Reading::present(Bytes::new(600 * GIB), at),
        memory_low_watermark: Reading::present(Bytes::new(GIB), at),
        cpu_pressure: Reading::present(waiting(5), at),
        memory_pressure: Reading::present(waiting(0).pressure, at),
        io_pressure: Reading::present(waiting(0).pressure, at),
        cpu_usage_by_cpu: Reading::default(),
        ..NodeReadings::default()
    };
    Ok((Snapshot { at, wall: None, pods, readings, node }, cgroups))
}

/// Of fifty pods: two dedicated (one bound to a NUMA node), one of the system, sixteen reclaimed, the rest shared in three pools. Those
/// that are not reclaimed ask for seven tenths of the node, however many they are.
fn pod(number: u32, age: u32, count: u32) -> Result<Pod, Box<dyn Error>> {
    let (class, each) = match number % 50 {
        0 | 25 => (QosClass::Dedicated, 1600 * 500 / count),
        1 => (QosClass::System, 100),
        n if n % 3 == 2 => (QosClass::Reclaimed, 400 * 500 / count),
        _ => (QosClass::Shared, 450 * 500 / count),
    };
    let mut qos = QosSpec::of(class);
    match class {
        QosClass::Dedicated if number.is_multiple_of(50) => qos.memory.numa_binding = NumaBinding::Bound,
        QosClass::Shared if number.is_multiple_of(5) => qos.cpu.pool = Some("web".parse()?),
        QosClass::Shared if number.is_multiple_of(7) => qos.cpu.pool = Some("search".parse()?),
        _ => {}
    }
    let reclaimed = class == QosClass::Reclaimed;
    let (cpu, memory) = (Some(MilliCpu::new(u64::from(each))), Some(Bytes::new(GIB / 2)));
    let container = |name: &str, kind| -> Result<Container, gleaner_model::ValueError> {
        let main = kind == ContainerKind::Main;
        Ok(Container {
            name: name.parse()?,
            kind,
            cpu: Requirement { request: cpu.filter(|_| main && !reclaimed), limit: None },
            memory: Requirement { request: memory.filter(|_| main && !reclaimed), limit: memory.filter(|_| main && !reclaimed) },
            reclaimed_cpu: cpu.filter(|_| main && reclaimed),
            reclaimed_memory: memory.filter(|_| main && reclaimed),
            hugepages: BTreeMap::new(),
            extended: BTreeMap::new(),
        })
    };
    let containers = vec![container("main", ContainerKind::Main)?, container("sidecar", ContainerKind::Sidecar)?];
    Ok(Pod {
        workload: None,
        uid: format!("pod-{number}-{age}").parse()?,
        name: PodName { namespace: "bench".to_owned(), name: format!("pod-{number}") },
        qos,
        kube_qos: KubeQos::of(&containers),
        priority: 0,
        grace: Duration::from_secs(30),
        containers,
    })
}

/// Readings of a container that uses this share (in hundredths) of a third of the request.
fn used(wave: u32, request: MilliCpu, at: Timestamp) -> ContainerReadings {
    let held = Bytes::new(GIB / 8);
    let memory = MemoryReadings { usage: held, working_set: held, anon: held, file: Bytes::ZERO, inactive_file: Bytes::ZERO };
    ContainerReadings {
        cpu_usage: Reading::present(request.scaled(u64::from(wave), 300), at),
        throttled: Reading::present(Permille::new(0), at),
        cpu_pressure: Reading::present(waiting(wave), at),
        memory: Reading::present(memory, at),
        memory_pressure: Reading::present(waiting(0).pressure, at),
        io_pressure: Reading::present(waiting(0).pressure, at),
        cpus: Reading::present(CpuSet::new(), at),
    }
}

fn waiting(share: u32) -> CpuPressure {
    let line = PressureLine { avg10: Permille::new(share), ..PressureLine::default() };
    CpuPressure { pressure: Pressure { some: line, full: Some(line) }, waiting: Permille::new(share) }
}
