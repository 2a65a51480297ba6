//! Ticks for tests, made as the engine makes them.

use super::codec::{Evicted, Placed, Tick};
use super::line::{FORMAT, Header, Policies, States};
use crate::config::Mode;
use gleaner_estimator::Input;
use gleaner_model::{
    Absence, Assignment, ContainerReadings, CpuPressure, KubeQos, MilliCpu, NodeInfo, NumaId, Permille, Pod, PodReadings, PodUid, Pressure,
    PressureLine, QosClass, QosSpec, RawCpu, Reading, Snapshot, Timestamp, Topology, WallTime,
};
use gleaner_qrm_plugins::{PlacePolicy, demands, place};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) fn at(second: u64) -> Timestamp {
    Timestamp::since_boot(Duration::new(second, 123_456_789))
}

pub(super) fn topology() -> Topology {
    let numa: NumaId = NumaId::new(0);
    let cpus = (0..4u32).map(|n| RawCpu { cpu: gleaner_model::CpuId::new(n), core: n.into(), package: 0, l3: None, numa });
    let node = NodeInfo { id: numa, memory: gleaner_model::Bytes::new(8 << 30), distances: BTreeMap::new(), hugepages: BTreeMap::new() };
    Topology::build(cpus.collect(), vec![node]).unwrap()
}

pub(super) fn header() -> Header {
    Header {
        record: FORMAT,
        gleaner: env!("CARGO_PKG_VERSION").to_owned(),
        node: "n1".to_owned(),
        boot: "b1".to_owned(),
        begun: at(1),
        wall: Some(WallTime::from_unix(1_700_000_000)),
        mode: Mode::Standalone,
        shadow: false,
        topology: topology(),
    }
}

pub(super) fn pod(name: &str, class: QosClass) -> Pod {
    Pod {
        uid: name.parse().unwrap(),
        name: gleaner_model::PodName { namespace: "default".to_owned(), name: name.to_owned() },
        workload: None,
        qos: QosSpec::of(class),
        kube_qos: KubeQos::BestEffort,
        priority: 0,
        grace: Duration::from_secs(30),
        containers: vec![gleaner_model::Container {
            name: name.parse().unwrap(),
            kind: gleaner_model::ContainerKind::Main,
            cpu: gleaner_model::Requirement { request: Some(MilliCpu::new(500)), limit: None },
            memory: gleaner_model::Requirement::default(),
            reclaimed_cpu: (class == QosClass::Reclaimed).then(|| MilliCpu::new(100)),
            reclaimed_memory: None,
            hugepages: BTreeMap::new(),
            extended: BTreeMap::new(),
        }],
    }
}

/// A snapshot with a shared and a reclaimed pod; the others use this much.
pub(super) fn snapshot(second: u64, milli: u64) -> Snapshot {
    let pods = [pod("web", QosClass::Shared), pod("batch", QosClass::Reclaimed)];
    let now = at(second);
    let readings = |milli| ContainerReadings { cpu_usage: Reading::present(MilliCpu::new(milli), now), ..ContainerReadings::default() };
    let of = |milli| [("web".parse().unwrap(), Box::new(readings(milli)))].into();
    let mut snapshot = Snapshot { at: now, wall: Some(WallTime::from_unix(1_700_000_000 + second)), ..Snapshot::default() };
    snapshot.readings.insert(pods[0].uid.clone(), PodReadings { containers: of(milli) });
    snapshot.readings.insert(pods[1].uid.clone(), PodReadings { containers: of(50) });
    snapshot.pods = pods.into_iter().map(|pod| (pod.uid.clone(), pod)).collect();
    snapshot.node.cpu_usage = Reading::present(MilliCpu::new(milli + 50), now);
    snapshot
}

/// What an engine carries.
pub(super) struct Ticker {
    states: States,
    assignment: Assignment,
    pub(super) policies: Policies,
}

impl Ticker {
    pub(super) fn new() -> Self {
        let states = States { estimator: gleaner_estimator::State::default(), eviction: gleaner_eviction::State::default() };
        let policies = Policies { estimator: gleaner_estimator::Policy::default(), eviction: gleaner_eviction::Policy::default() };
        Self { states, assignment: Assignment::default(), policies }
    }

    /// One tick, in the engine's order: estimate, place, evict.
    pub(super) fn tick(&mut self, snapshot: Snapshot, whole: bool) -> Tick {
        let before = self.states.clone();
        let (topology, assignment, advice) = (topology(), self.assignment.clone(), BTreeMap::new());
        let input = Input { snapshot: &snapshot, topology: &topology, assignment: &assignment, advice: &advice };
        let (estimate, estimator) = gleaner_estimator::estimate(&input, &self.policies.estimator, before.estimator.clone());
        let sizes: BTreeMap<_, _> = estimate.pools.iter().map(|(name, pool)| (name.clone(), pool.cpus)).collect();
        let policy = PlacePolicy::default();
        let result = place(&topology, &assignment, &snapshot.pods, &demands(&snapshot.pods, &sizes), &policy).assignment;
        let placed = Placed { start: assignment.clone(), pods: snapshot.pods.clone(), sizes, policy, result: result.clone() };
        let placements = if result == assignment { Vec::new() } else { vec![placed] };
        let leaving: BTreeSet<PodUid> = BTreeSet::new();
        let (round, eviction) =
            gleaner_eviction::decide(&snapshot, estimate.known_supply(), &self.policies.eviction, &before.eviction, &leaving, false);
        self.states = States { estimator, eviction };
        self.assignment = result;
        Tick {
            states: whole.then_some(before),
            policies: self.policies.clone(),
            advice,
            snapshot,
            assignment,
            estimate,
            placements,
            eviction: Some(Evicted { leaving, fired: false, round }),
            decisions: Vec::new(),
        }
    }
}

fn any_reading<T: std::fmt::Debug + Clone>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Reading<T>> {
    let absence = prop_oneof![Just(Absence::NotYet), Just(Absence::Vanished), Just(Absence::Unreadable("EIO".to_owned()))];
    prop_oneof![3 => (value, 0u64..100).prop_map(|(value, second)| Reading::present(value, at(second))), 1 => absence.prop_map(Reading::Absent)]
}

fn any_pressure() -> impl Strategy<Value = Pressure> {
    let line = |share, total_us| PressureLine { avg10: Permille::new(share), total_us, ..PressureLine::default() };
    (0u32..2000, any::<u64>(), any::<bool>())
        .prop_map(move |(share, total, full)| Pressure { some: line(share, total), full: full.then(|| line(share, total)) })
}

fn any_container() -> impl Strategy<Value = Box<ContainerReadings>> {
    let waiting = any_pressure().prop_map(|pressure| CpuPressure { pressure, waiting: Permille::new(7) });
    (any_reading(any::<u64>().prop_map(MilliCpu::new)), any_reading(waiting), any_reading(any_pressure())).prop_map(
        |(cpu_usage, cpu_pressure, memory_pressure)| {
            Box::new(ContainerReadings { cpu_usage, cpu_pressure, memory_pressure, ..ContainerReadings::default() })
        },
    )
}

/// Snapshots with all that may be missing missing at times.
pub(super) fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    let pods = prop::collection::vec((name(), prop::sample::select(QosClass::ALL.to_vec())), 0..3);
    let of_pod = prop::collection::btree_map(name().prop_map(|name| name.parse().unwrap()), any_container(), 0..3);
    let readings = prop::collection::btree_map(name().prop_map(|name| name.parse().unwrap()), of_pod, 0..3);
    let by_cpu = prop::collection::btree_map((0u32..4).prop_map(gleaner_model::CpuId::new), (0u32..2000).prop_map(Permille::new), 0..4);
    let node = (any_reading(any::<u64>().prop_map(MilliCpu::new)), any_reading(by_cpu), any_reading(any_pressure()));
    (0u64..100, prop::option::of(any::<u64>()), pods, readings, node).prop_map(|(second, wall, pods, readings, (cpu, by_cpu, memory))| {
        let mut snapshot = Snapshot { at: at(second), wall: wall.map(WallTime::from_unix), ..Snapshot::default() };
        snapshot.pods = pods.into_iter().map(|(name, class)| (name.parse().unwrap(), pod(name, class))).collect();
        snapshot.readings = readings.into_iter().map(|(uid, containers)| (uid, PodReadings { containers })).collect();
        (snapshot.node.cpu_usage, snapshot.node.cpu_usage_by_cpu, snapshot.node.memory_pressure) = (cpu, by_cpu.clone(), memory);
        snapshot.node.sched_wait_by_cpu = by_cpu;
        snapshot
    })
}
