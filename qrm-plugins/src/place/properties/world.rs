//! Random machines, pods and histories, small enough to be read when one of them breaks a rule.

use crate::fixtures::{pod, uid, with_pool};
use crate::{PlacePolicy, ReclaimMode, ReserveRule};
use gleaner_model::{
    Bytes, CpuId, CpuSet, Id, NodeInfo, NumaBinding, NumaId, NumaPlacement, NumaSet, Pod, PodUid, PoolName, QosClass, RawCpu, Topology,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A machine of regular shape of which some CPUs are offline and some nodes have no memory.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    shape: (u32, u32, u32, u32),
    offline: Option<u64>,
    no_memory: u8,
    caches: u32,
}

impl Machine {
    pub(super) fn topology(&self) -> Topology {
        let (packages, nodes, cores, threads) = self.shape;
        let regular = Topology::regular(packages, nodes, cores, threads, Bytes::new(1 << 30)).unwrap();
        // The first CPU is always online.
        let online = |cpu: CpuId| cpu.index() == 0 || self.offline.is_none_or(|offline| offline >> cpu.index() & 1 == 0);
        let all = regular.cpus();
        let raw = all.iter().filter(|cpu| online(*cpu)).map(|cpu| {
            let info = *regular.cpu(cpu).unwrap();
            let core = u64::from(info.core.index());
            RawCpu { cpu, core, package: u64::from(info.package.index()), l3: Some(core / u64::from(self.caches)), numa: info.numa }
        });
        let nodes = regular.nodes().map(|(id, node)| {
            let bytes = if id != NumaId::new(0) && self.no_memory >> (id.index() % 2) & 1 == 1 { 0 } else { 1 << 30 };
            NodeInfo { id, memory: Bytes::new(bytes), distances: node.distances.clone(), hugepages: std::collections::BTreeMap::new() }
        });
        Topology::build(raw.collect(), nodes.collect()).unwrap()
    }
}

pub(super) fn machines() -> impl Strategy<Value = Machine> {
    let shape = (1u32..=2, 1u32..=2, 1u32..=4, 1u32..=2);
    // Of four CPUs of an irregular machine about three are online.
    let offline = proptest::option::of((any::<u64>(), any::<u64>()).prop_map(|(a, b)| a & b));
    (shape, offline, 0u8..4, 1u32..=2).prop_map(|(shape, offline, no_memory, caches)| Machine { shape, offline, no_memory, caches })
}

/// What a pod asks for; it may change in the course of a history.
#[derive(Clone)]
pub(super) struct Asks {
    class: QosClass,
    milli: u64,
    binding: NumaBinding,
    placement: NumaPlacement,
    flags: u8,
    pool: usize,
}

impl std::fmt::Debug for Asks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}m {:?} {:?} flags {} pool {}", self.class, self.milli, self.binding, self.placement, self.flags, self.pool)
    }
}

impl Asks {
    pub(super) fn pod(&self, name: usize) -> Pod {
        let mut pod = pod(&format!("p{name}"), self.class, self.milli);
        pod.qos.memory.numa_binding = self.binding;
        let cpu = &mut pod.qos.cpu;
        cpu.placement = self.placement.clone();
        cpu.full_pcpus_pairing = self.flags & 1 == 1;
        cpu.numa_share = self.flags & 6 != 6;
        cpu.align_by_socket = self.flags & 24 == 24;
        cpu.distribute_evenly_across_numa = self.flags & 10 == 10;
        match ["", "web", "db", "reclaim"][self.pool] {
            "" => pod,
            name => with_pool(pod, name),
        }
    }
}

fn bindings() -> impl Strategy<Value = NumaBinding> {
    prop_oneof![3 => Just(NumaBinding::Unbound), 3 => Just(NumaBinding::Bound), 1 => Just(NumaBinding::Exclusive)]
}

pub(super) fn asks() -> impl Strategy<Value = Asks> {
    let class = prop_oneof![3 => Just(QosClass::Dedicated), 3 => Just(QosClass::Shared), 2 => Just(QosClass::Reclaimed), 1 => Just(QosClass::System)];
    let placement = prop_oneof![
        6 => Just(NumaPlacement::Any),
        1 => (1u32..3).prop_map(NumaPlacement::Number),
        1 => (0u32..4).prop_map(|id| NumaPlacement::Ids([NumaId::new(id)].into_iter().collect()))
    ];
    let fields = (class, 0u64..5000, bindings(), placement, prop_oneof![Just(0u8), 0u8..32], 0usize..4);
    fields.prop_map(|(class, milli, binding, placement, flags, pool)| Asks { class, milli, binding, placement, flags, pool })
}

/// What happens between two solutions.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A pod comes; hints may have chosen a node.
    Comes(usize, Option<u32>),
    /// A pod goes.
    Goes(usize),
    /// A pod asks for another amount.
    Resizes(usize, u64),
    /// A pod asks for another binding.
    Rebinds(usize, NumaBinding),
    /// A pod asks for something else altogether.
    Changes(usize, Asks),
    /// The estimator finds other sizes.
    Sizes([u8; 12]),
}

pub(super) const PODS: usize = 9;

pub(super) fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..PODS, proptest::option::of(0u32..4)).prop_map(|(pod, node)| Event::Comes(pod, node)),
        2 => (0..PODS).prop_map(Event::Goes),
        2 => (0..PODS, 0u64..6000).prop_map(|(pod, milli)| Event::Resizes(pod, milli)),
        1 => (0..PODS, bindings()).prop_map(|(pod, binding)| Event::Rebinds(pod, binding)),
        1 => (0..PODS, asks()).prop_map(|(pod, asks)| Event::Changes(pod, asks)),
        1 => any::<[u8; 12]>().prop_map(Event::Sizes),
    ];
    proptest::collection::vec(event, 1..14)
}

/// The pods and sizes in the course of a history.
#[derive(Debug, Clone)]
pub(super) struct World {
    asks: Vec<Asks>,
    present: [bool; PODS],
    pub(super) sizes: BTreeMap<PoolName, u32>,
}

impl World {
    pub(super) fn new(asks: Vec<Asks>) -> Self {
        Self { asks, present: [false; PODS], sizes: BTreeMap::new() }
    }

    /// Lets something happen. Nodes chosen by hints go to `nodes`.
    pub(super) fn apply(&mut self, event: &Event, nodes: &mut BTreeMap<PodUid, NumaSet>) {
        match event {
            Event::Comes(at, node) => {
                if let (false, Some(node)) = (self.present[*at], node) {
                    nodes.insert(uid(&format!("p{at}")), NumaSet::of(NumaId::new(*node)));
                }
                self.present[*at] = true;
            }
            Event::Goes(at) => self.present[*at] = false,
            Event::Resizes(at, milli) => self.asks[*at].milli = *milli,
            Event::Rebinds(at, binding) => self.asks[*at].binding = *binding,
            Event::Changes(at, asks) => self.asks[*at] = asks.clone(),
            Event::Sizes(sizes) => {
                let plain = ["share", "web", "db", "share-NUMA0", "web-NUMA1", "reclaim-NUMA0", "reclaim-NUMA1"];
                let isolated = ["isolation-p0", "isolation-p1", "isolation-p2", "isolation-p3-NUMA0", "isolation-p4-NUMA1"];
                let names = plain.into_iter().chain(isolated).zip(sizes);
                self.sizes =
                    names.filter(|(_, size)| *size % 4 > 0).map(|(name, size)| (name.parse().unwrap(), u32::from(size % 9))).collect();
            }
        }
    }

    pub(super) fn remove(&mut self, pod: &PodUid) {
        for at in 0..PODS {
            self.present[at] &= *pod != uid(&format!("p{at}"));
        }
    }

    pub(super) fn pods(&self) -> BTreeMap<PodUid, Pod> {
        let present = (0..PODS).filter(|at| self.present[*at]);
        present.map(|at| self.asks[at].pod(at)).map(|pod| (pod.uid.clone(), pod)).collect()
    }
}

pub(super) fn policies() -> impl Strategy<Value = PlacePolicy> {
    let some = || (0u64..256).prop_map(|bits| (0..8).filter(|b| bits >> b & 3 == 3).map(CpuId::new).collect::<CpuSet>());
    let reserve = prop_oneof![
        2 => (0u32..3).prop_map(ReserveRule::Count),
        2 => some().prop_map(ReserveRule::Cpus),
        1 => (0u32..3).prop_map(ReserveRule::Spread),
        1 => (0u32..4, 0u32..3).prop_map(|(node, count)| ReserveRule::ByNode(BTreeMap::from([(NumaId::new(node), count)]))),
    ];
    let interrupt = prop_oneof![2 => Just(CpuSet::new()), 1 => some()];
    let mode = prop_oneof![2 => Just(ReclaimMode::Cpuset), 1 => Just(ReclaimMode::Overlap), 1 => Just(ReclaimMode::Quota)];
    (reserve, interrupt, mode, any::<bool>(), 1u32..3).prop_map(|(reserve, interrupt, mode, overlap_dedicated, min_share_cpus)| {
        PlacePolicy { reserve, interrupt, mode, overlap_dedicated, min_share_cpus, ..PlacePolicy::default() }
    })
}
