#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod memory_rules;
mod properties;
mod suppressed;

use super::*;
use gleaner_model::{
    Absence, Bytes, Container, ContainerKind, ContainerReadings, KubeQos, MemoryReadings, NodeReadings, Permille, PodReadings, Pressure,
    PressureLine, QosSpec, Requirement, Span,
};
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const NOW: u64 = 1000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(seconds))
}

fn uid(name: &str) -> PodUid {
    name.parse().unwrap()
}

/// A pod that was promised this much CPU.
fn pod(name: &str, class: QosClass, priority: i32, promised: u64) -> Pod {
    let container = Container {
        name: "main".parse().unwrap(),
        kind: ContainerKind::Main,
        cpu: Requirement::default(),
        memory: Requirement::default(),
        reclaimed_cpu: Some(MilliCpu::new(promised)),
        reclaimed_memory: None,
        hugepages: BTreeMap::new(),
        extended: BTreeMap::new(),
    };
    Pod {
        workload: None,
        uid: uid(name),
        name: PodName { namespace: "test".to_owned(), name: name.to_owned() },
        qos: QosSpec::of(class),
        kube_qos: KubeQos::BestEffort,
        priority,
        grace: Duration::from_secs(30),
        containers: vec![container],
    }
}

fn batch(name: &str, priority: i32, promised: u64) -> Pod {
    pod(name, QosClass::Reclaimed, priority, promised)
}

fn holding(working_set: u64, when: Timestamp) -> PodReadings {
    let bytes = Bytes::new(working_set);
    let memory = MemoryReadings { usage: bytes, working_set: bytes, anon: bytes, file: Bytes::ZERO, inactive_file: Bytes::ZERO };
    let readings = ContainerReadings { memory: Reading::present(memory, when), ..ContainerReadings::default() };
    PodReadings { containers: BTreeMap::from([("main".parse().unwrap(), Box::new(readings))]) }
}

fn pressure(avg10: u32) -> Pressure {
    Pressure { some: PressureLine { avg10: Permille::new(avg10), ..PressureLine::default() }, full: None }
}

/// A calm node of 16 GiB with a low watermark of 100 MiB, and pods with the memory that they hold.
fn snapshot(seconds: u64, pods: &[(Pod, u64)]) -> Snapshot {
    let now = at(seconds);
    Snapshot {
        wall: None,
        at: now,
        pods: pods.iter().map(|(pod, _)| (pod.uid.clone(), pod.clone())).collect(),
        readings: pods.iter().map(|(pod, held)| (pod.uid.clone(), holding(*held, now))).collect(),
        node: NodeReadings {
            memory_total: Reading::present(Bytes::new(16 * GIB), now),
            memory_available: Reading::present(Bytes::new(8 * GIB), now),
            memory_low_watermark: Reading::present(Bytes::new(100 * MIB), now),
            memory_pressure: Reading::present(pressure(0), now),
            ..NodeReadings::default()
        },
    }
}

/// A run of ticks over one state.
struct Node {
    policy: Policy,
    state: State,
    leaving: BTreeSet<PodUid>,
    supply: Option<MilliCpu>,
    fired: bool,
}

impl Node {
    fn new(supply: u64) -> Self {
        Self {
            policy: Policy::default(),
            state: State::default(),
            leaving: BTreeSet::new(),
            supply: Some(MilliCpu::new(supply)),
            fired: false,
        }
    }

    fn tick(&mut self, snapshot: &Snapshot) -> Round {
        let (round, next) = decide(snapshot, self.supply, &self.policy, &self.state, &self.leaving, self.fired);
        self.state = next;
        round
    }

    /// Ticks each second from one moment until before another, and returns the victims by name with the second.
    fn seconds(&mut self, seconds: std::ops::Range<u64>, make: impl Fn(u64) -> Snapshot) -> Vec<(u64, Vec<String>)> {
        let ticks = seconds.map(|second| (second, names(&self.tick(&make(second)))));
        ticks.filter(|(_, victims)| !victims.is_empty()).collect()
    }
}

fn names(round: &Round) -> Vec<String> {
    round.victims.iter().map(|victim| victim.name.name.clone()).collect()
}

fn set(names: &[&str]) -> BTreeSet<PodUid> {
    names.iter().map(|name| uid(name)).collect()
}
