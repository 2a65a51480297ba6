//! What holds for every machine and every row of admissions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::fixtures::pod;
use crate::{Demands, Hint, PlacePolicy, Placement, ReserveRule, StaticOptions, TakePolicy, demands, place};
use gleaner_model::{Assignment, Bytes, CpuId, Id, NumaBinding, NumaPlacement, NumaSet, Pod, PoolName, QosClass, RawCpu, Topology};
use proptest::prelude::*;

fn machines() -> impl Strategy<Value = Topology> {
    let shape = (1u32..=2, 1u32..=3, 1u32..=3, 1u32..=2);
    (shape, any::<u64>(), any::<bool>()).prop_map(|((packages, nodes, cores, threads), off, irregular)| {
        let regular = Topology::regular(packages, nodes, cores, threads, Bytes::new(1 << 30)).unwrap();
        let online = |cpu: CpuId| !irregular || cpu.index() == 0 || off >> cpu.index() & 3 != 0;
        let all = regular.cpus();
        let raw = all.iter().filter(|cpu| online(*cpu)).map(|cpu| {
            let info = *regular.cpu(cpu).unwrap();
            RawCpu { cpu, core: u64::from(info.core.index()), package: u64::from(info.package.index()), l3: None, numa: info.numa }
        });
        let nodes = regular.nodes().map(|(id, node)| gleaner_model::NodeInfo {
            id,
            memory: node.memory,
            distances: node.distances.clone(),
            hugepages: std::collections::BTreeMap::new(),
        });
        Topology::build(raw.collect(), nodes.collect()).unwrap()
    })
}

fn some_pod(name: usize) -> impl Strategy<Value = Pod> {
    let class = prop_oneof![4 => Just(QosClass::Dedicated), 3 => Just(QosClass::Shared), 3 => Just(QosClass::Reclaimed)];
    let binding = prop_oneof![2 => Just(NumaBinding::Unbound), 4 => Just(NumaBinding::Bound), 2 => Just(NumaBinding::Exclusive)];
    let placement = prop_oneof![
        4 => Just(NumaPlacement::Any),
        1 => (1u32..4).prop_map(NumaPlacement::Number),
        1 => (1u32..16).prop_map(|bits| NumaPlacement::Ids((0..4).filter(|b| bits >> b & 1 == 1).map(NumaId::new).collect()))
    ];
    (class, 0u64..8, binding, placement, 0u8..64, any::<bool>()).prop_map(move |(class, halves, binding, placement, flags, named)| {
        let exclusive = binding == NumaBinding::Exclusive && class == QosClass::Dedicated;
        let whole_cores = flags & 3 == 3 && !exclusive;
        let mut pod = pod(&format!("p{name}"), class, halves * 500);
        pod.qos.memory.numa_binding = if binding == NumaBinding::Exclusive && !exclusive { NumaBinding::Bound } else { binding };
        let cpu = &mut pod.qos.cpu;
        cpu.placement = placement;
        cpu.full_pcpus_pairing = whole_cores;
        cpu.numa_share = flags & 12 != 12;
        cpu.align_by_socket = flags & 17 == 17;
        cpu.distribute_evenly_across_numa = flags & 34 == 34 && !exclusive;
        cpu.pool = (named && class == QosClass::Shared).then(|| "web".parse().unwrap());
        pod
    })
}

fn policies() -> impl Strategy<Value = PlacePolicy> {
    let reserve = prop_oneof![
        (0u32..3).prop_map(ReserveRule::Count),
        any::<u16>().prop_map(|bits| ReserveRule::Cpus((1..16).filter(|b| bits >> b & 3 == 3).map(CpuId::new).collect()))
    ];
    let interrupt = prop_oneof![2 => Just(0), 1 => any::<u16>()];
    let take = prop_oneof![4 => Just(TakePolicy::default()), 1 => Just(TakePolicy::Static(StaticOptions::default()))];
    (reserve, interrupt, any::<bool>(), any::<bool>(), 1u32..3, take).prop_map(
        |(reserve, interrupt, overlap_share, overlap_dedicated, min_share_cpus, cpu_take)| PlacePolicy {
            reserve,
            interrupt: (0..16).filter(|b| interrupt >> b & 7 == 7).map(CpuId::new).collect(),
            mode: overlap_share.into(),
            overlap_dedicated,
            min_share_cpus,
            cpu_take,
            ..PlacePolicy::default()
        },
    )
}

/// The node while pods are admitted one after the other.
struct State {
    topology: Topology,
    policy: PlacePolicy,
    pods: BTreeMap<PodUid, Pod>,
    assignment: Assignment,
}

impl State {
    fn node(&self) -> Node<'_> {
        Node { topology: &self.topology, pods: &self.pods, assignment: &self.assignment, policy: &self.policy }
    }

    fn ask(&self, pod: &Pod) -> Result<Hints, Refusal> {
        let asked = Asked { pod: &pod.uid, qos: &pod.qos, cpu: crate::demand::requested(pod) };
        cpu_hints(&self.node(), &asked, None)
    }

    /// What placing gives when the pod was told these nodes.
    fn placed_on(&self, pod: &Pod, nodes: Option<&NumaSet>) -> Placement {
        let mut pods = self.pods.clone();
        pods.insert(pod.uid.clone(), pod.clone());
        let mut wanted: Demands = demands(&pods, &BTreeMap::new());
        let mut assignment = self.assignment.clone();
        if let Some(nodes) = nodes {
            if let Some(demand) = wanted.dedicated.get_mut(&pod.uid) {
                demand.placement = NumaPlacement::Ids(nodes.clone());
            }
            assignment.nodes.insert(pod.uid.clone(), nodes.clone());
        }
        place(&self.topology, &assignment, &pods, &wanted, &self.policy)
    }

    fn admit(&mut self, pod: Pod, nodes: Option<&NumaSet>) {
        let placed = self.placed_on(&pod, nodes);
        self.assignment = placed.assignment;
        self.pods.insert(pod.uid.clone(), pod);
    }

    /// Nodes without a bound reclaimed pod, when there are unbound ones that need some.
    fn for_unbound_reclaimed(&self) -> Option<NumaSet> {
        let of = |bound: bool| {
            let pods = self.pods.values().filter(|pod| pod.class() == QosClass::Reclaimed);
            pods.filter(move |pod| (pod.qos.memory.numa_binding != NumaBinding::Unbound) == bound)
        };
        let bound = of(true).filter_map(|pod| self.assignment.nodes.get(&pod.uid)).fold(NumaSet::new(), |all, nodes| all.union(nodes));
        of(false).next().map(|_| self.topology.nodes_of(&self.topology.cpus()).difference(&bound))
    }

    fn check(&self, pod: &Pod, list: &[Hint]) -> Result<(), TestCaseError> {
        let existing = self.topology.nodes_of(&self.topology.cpus());
        prop_assert!(!list.is_empty(), "an empty list is no preference on the wire");
        for hint in list {
            let nodes = hint.nodes.as_ref().unwrap();
            prop_assert!(!nodes.is_empty() && nodes.is_subset(&existing), "{hint} of {existing}");
            let placed = self.placed_on(pod, Some(nodes));
            let lost = |uid: &PodUid| *uid == pod.uid || self.assignment.members.contains_key(uid);
            prop_assert!(!placed.refused.keys().any(lost), "{hint} cannot be taken: {:?}", placed.refused);
            prop_assert_eq!(placed.assignment.nodes.get(&pod.uid), Some(nodes));
            if pod.class() == QosClass::Dedicated {
                let cpus = placed.assignment.cpus_of(&PoolName::dedicated(&pod.uid));
                prop_assert_eq!(&self.topology.nodes_of(&cpus), nodes);
            } else {
                prop_assert_eq!(nodes.len(), 1);
            }
            if let (QosClass::Reclaimed, Some(left)) = (pod.class(), self.for_unbound_reclaimed()) {
                // On a machine of one node all share it.
                let kept = existing.len() == 1 || left.is_disjoint(nodes) || left.len() > nodes.len();
                prop_assert!(kept, "{hint} leaves no node of {left}");
            }
        }
        let size = |hint: &Hint| hint.nodes.as_ref().unwrap().len();
        let least = list.iter().map(size).min();
        prop_assert!(list.iter().filter(|hint| hint.preferred).all(|hint| Some(size(hint)) == least), "{list:?}");
        Ok(())
    }
}

fn story(state: &mut State, pods: Vec<(Pod, prop::sample::Index)>) -> Result<(), TestCaseError> {
    let mut bound: Vec<(Pod, NumaSet)> = Vec::new();
    for (pod, choice) in pods {
        let answer = state.ask(&pod);
        prop_assert_eq!(&state.ask(&pod), &answer, "not the same twice");
        match answer {
            Err(refusal) => {
                prop_assert!(!refusal.cause.is_empty() && !refusal.cause.contains('\n'), "{}", refusal);
                let placed = state.placed_on(&pod, None);
                let unbound_share = pod.class() == QosClass::Shared && pod.qos.memory.numa_binding == NumaBinding::Unbound;
                prop_assert!(unbound_share || placed.refused.contains_key(&pod.uid), "{pod:#?} is placed in spite of {}", refusal);
            }
            Ok(Hints::NoPreference) => {
                let placed = state.placed_on(&pod, None);
                let refused = pod.class() == QosClass::Dedicated && placed.refused.contains_key(&pod.uid);
                prop_assert!(!refused, "no preference, but {:?}", placed.refused);
                state.admit(pod, None);
            }
            Ok(Hints::List(list)) => {
                state.check(&pod, &list)?;
                let nodes = list[choice.index(list.len())].nodes.clone().unwrap();
                state.admit(pod.clone(), Some(&nodes));
                bound.push((pod, nodes));
            }
        }
        for (pod, nodes) in &bound {
            let own = Hints::List(vec![Hint::on(nodes.clone(), true)]);
            prop_assert_eq!(state.ask(pod), Ok(own), "{} asks again", pod.uid);
        }
    }
    for (pod, nodes) in &bound {
        resize(state, pod, nodes)?;
    }
    Ok(())
}

/// A pod that asks for one CPU more or for half.
fn resize(state: &State, pod: &Pod, own: &NumaSet) -> Result<(), TestCaseError> {
    let step = if pod.qos.cpu.full_pcpus_pairing { 2000 } else { 1000 };
    let now = crate::demand::requested(pod).get();
    for milli in [now + step, now / 2 / step * step] {
        let mut other = crate::fixtures::pod(pod.uid.as_str(), pod.class(), milli);
        other.qos = pod.qos.clone();
        let Ok(Hints::List(list)) = state.ask(&other) else { continue };
        let offered = list.iter().any(|hint| hint.nodes.as_ref() == Some(own));
        prop_assert!(!offered || list[0] == Hint::on(own.clone(), true), "{list:?} moves a pod from {own}");
        for hint in list.iter().filter(|_| pod.class() == QosClass::Dedicated) {
            let placed = state.placed_on(&other, hint.nodes.as_ref());
            prop_assert!(!placed.refused.contains_key(&pod.uid), "{hint} cannot be taken: {:?}", placed.refused);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_hinted_exists_can_be_had_and_is_kept(
        topology in machines(), policy in policies(),
        pods in (0..8usize).map(|at| (some_pod(at), any::<prop::sample::Index>())).collect::<Vec<_>>()
    ) {
        let mut state = State { topology, policy, pods: BTreeMap::new(), assignment: Assignment::default() };
        let told = story(&mut state, pods);
        if let Err(TestCaseError::Fail(why)) = told {
            return Err(TestCaseError::fail(format!("{why}\n{:?}\n{:#?}\n{:#?}", state.topology, state.pods, state.assignment)));
        }
    }

    /// A state that is old, damaged or another machine's never leads to nodes that are not there.
    #[test]
    fn any_state_of_the_node_is_answered(
        topology in machines(), mut policy in policies(), pods in (0..6usize).map(some_pod).collect::<Vec<_>>(),
        sets in proptest::collection::vec(any::<u32>(), 6), asked in some_pod(3), cpu in prop_oneof![0u64..9000, any::<u64>()]
    ) {
        let bits = |set: u32| (0..32).filter(move |bit| set >> bit & 1 == 1);
        policy.interrupt = bits(sets[0] & sets[1] & sets[2]).map(CpuId::new).collect();
        let pool = |set: u32| gleaner_model::Pool { cpus: bits(set).map(CpuId::new).collect(), mems: topology.memory_nodes() };
        let assignment = Assignment {
            pools: pods.iter().zip(&sets).map(|(pod, set)| (PoolName::dedicated(&pod.uid), pool(*set))).collect(),
            nodes: pods.iter().zip(&sets).map(|(pod, set)| (pod.uid.clone(), bits(set & 63).map(NumaId::new).collect())).collect(),
            ..Assignment::default()
        };
        let pods: BTreeMap<PodUid, Pod> = pods.into_iter().map(|pod| (pod.uid.clone(), pod)).collect();
        let existing = topology.nodes_of(&topology.cpus());
        let node = Node { topology: &topology, pods: &pods, assignment: &assignment, policy: &policy };
        let asked = Asked { pod: &asked.uid, qos: &asked.qos, cpu: MilliCpu::new(cpu) };
        let answer = cpu_hints(&node, &asked, None);
        prop_assert_eq!(&cpu_hints(&node, &asked, None), &answer);
        if let Ok(Hints::List(list)) = answer {
            let there = |hint: &Hint| hint.nodes.as_ref().is_some_and(|nodes| !nodes.is_empty() && nodes.is_subset(&existing));
            prop_assert!(!list.is_empty() && list.iter().all(there), "{:?} of {}", list, existing);
        }
    }
}
