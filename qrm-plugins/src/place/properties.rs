//! What holds for every machine, every set of pods and every history.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::demand::demands;
use crate::fixtures::{pod, with_pool};
use gleaner_model::{Bytes, CpuId, Id, NodeInfo, NumaBinding, NumaId, NumaPlacement, QosClass, RawCpu};
use proptest::prelude::*;

/// A machine of regular shape of which some CPUs are offline and some nodes have no memory.
fn machines() -> impl Strategy<Value = Topology> {
    let shape = (1u32..=2, 1u32..=2, 1u32..=4, 1u32..=2, any::<bool>());
    (shape, any::<u64>(), any::<u64>(), 0u8..4, 1u32..=2).prop_map(
        |((packages, nodes, cores, threads, by_core), off_a, off_b, empty, caches)| {
            let regular = Topology::regular(packages, nodes, cores, threads, Bytes::new(1 << 30)).unwrap();
            let all = regular.cpus();
            // Three CPUs of four stay online where the machine is irregular; the first always does.
            let online = |cpu: CpuId| !by_core || cpu.index() == 0 || (off_a | off_b) >> cpu.index() & 1 == 1;
            let raw = all.iter().filter(|cpu| online(*cpu)).map(|cpu| {
                let info = *regular.cpu(cpu).unwrap();
                let core = u64::from(info.core.index());
                RawCpu { cpu, core, package: u64::from(info.package.index()), l3: Some(core / u64::from(caches)), numa: info.numa }
            });
            let nodes = regular.nodes().map(|(id, node)| {
                let bytes = if id != NumaId::new(0) && empty >> (id.index() % 2) & 1 == 1 { 0 } else { 1 << 30 };
                NodeInfo { id, memory: Bytes::new(bytes), distances: node.distances.clone() }
            });
            Topology::build(raw.collect(), nodes.collect()).unwrap()
        },
    )
}

fn some_pod(name: usize) -> impl Strategy<Value = Pod> {
    let class = prop_oneof![3 => Just(QosClass::Dedicated), 2 => Just(QosClass::Shared), 1 => Just(QosClass::Reclaimed), 1 => Just(QosClass::System)];
    let binding = prop_oneof![2 => Just(NumaBinding::Unbound), 2 => Just(NumaBinding::Bound), 1 => Just(NumaBinding::Exclusive)];
    let placement = prop_oneof![
        4 => Just(NumaPlacement::Any),
        1 => (1u32..3).prop_map(NumaPlacement::Number),
        1 => (0u32..4).prop_map(|id| NumaPlacement::Ids([NumaId::new(id)].into_iter().collect()))
    ];
    (class, 0u64..5000, binding, placement, 0u8..32, 0usize..4).prop_map(move |(class, milli, binding, placement, flags, pool)| {
        let mut pod = pod(&format!("p{name}"), class, milli);
        pod.qos.memory.numa_binding = binding;
        let cpu = &mut pod.qos.cpu;
        cpu.placement = placement;
        cpu.full_pcpus_pairing = flags & 1 == 1;
        cpu.numa_share = flags & 6 != 6;
        cpu.align_by_socket = flags & 24 == 24;
        cpu.distribute_evenly_across_numa = flags & 10 == 10;
        match ["", "web", "db", "reclaim"][pool] {
            "" => pod,
            name => with_pool(pod, name),
        }
    })
}

#[derive(Debug, Clone)]
struct Step {
    present: u16,
    sizes: [u32; 3],
}

fn history() -> impl Strategy<Value = (Vec<Pod>, Vec<Step>)> {
    let pods: Vec<_> = (0..10).map(some_pod).collect();
    let step = (any::<u16>(), any::<[u8; 3]>()).prop_map(|(present, sizes)| Step { present, sizes: sizes.map(|s| u32::from(s % 9)) });
    (pods, proptest::collection::vec(step, 1..5))
}

fn policies() -> impl Strategy<Value = PlacePolicy> {
    let reserve = prop_oneof![
        (0u32..3).prop_map(ReserveRule::Count),
        (0u64..256).prop_map(|bits| ReserveRule::Cpus((0..8).filter(|b| bits >> b & 3 == 3).map(CpuId::new).collect()))
    ];
    (reserve, any::<bool>(), 1u32..3).prop_map(|(reserve, overlap_share, min_share_cpus)| PlacePolicy {
        reserve,
        overlap_share,
        min_share_cpus,
    })
}

/// The rules that one placement must keep, as the first that it breaks.
fn check(topology: &Topology, demands: &Demands, policy: &PlacePolicy, placed: &Placement) -> Result<(), String> {
    let pools = &placed.assignment.pools;
    let ensure = |ok: bool, what: String| if ok { Ok(()) } else { Err(what) };
    let reserve = reserved(topology, policy);
    ensure(placed.assignment.cpus_of(&PoolName::reserve()) == reserve, format!("reserve is not {reserve}"))?;
    for (name, pool) in pools {
        ensure(!pool.cpus.is_empty() && pool.cpus.is_subset(&topology.cpus()), format!("{name} on {}", pool.cpus))?;
        ensure(pool.mems.is_subset(&topology.memory_nodes()) && !pool.mems.is_empty(), format!("{name} memory {}", pool.mems))?;
        let system = demands.system.contains_key(name);
        ensure(system || *name == PoolName::reserve() || pool.cpus.is_disjoint(&reserve), format!("{name} is in the reserve"))?;
        for (other, theirs) in pools.iter().filter(|(other, _)| *other != name && name.is_dedicated()) {
            ensure(pool.cpus.is_disjoint(&theirs.cpus), format!("{name} and {other} share CPUs"))?;
        }
    }
    let reclaim = placed.assignment.cpus_of(&PoolName::reclaim());
    for share in demands.share.keys() {
        let cpus = placed.assignment.cpus_of(share);
        ensure(policy.overlap_share || cpus.is_disjoint(&reclaim), format!("{share} and reclaim share CPUs"))?;
        for other in demands.share.keys() {
            let theirs = placed.assignment.cpus_of(other);
            ensure(cpus == theirs || cpus.is_disjoint(&theirs), format!("{share} and {other} overlap partly"))?;
        }
    }
    let everyone = demands.dedicated.keys().chain(demands.members.keys()).chain(demands.refused.keys());
    for uid in everyone {
        let in_pool = placed.assignment.pool_of(uid).is_some();
        ensure(in_pool != placed.refused.contains_key(uid), format!("{uid} is neither placed nor refused, or both"))?;
    }
    for (uid, demand) in &demands.dedicated {
        let Some((_, pool)) = placed.assignment.pool_of(uid) else { continue };
        let (count, exclusive) = (pool.cpus.count(), demand.binding == NumaBinding::Exclusive);
        ensure(if exclusive { count >= demand.cpus } else { count == demand.cpus }, format!("{uid} has {count}, not {}", demand.cpus))?;
        let nodes = topology.nodes_of(&pool.cpus);
        match (&demand.placement, demand.binding) {
            (NumaPlacement::Ids(ids), _) => ensure(nodes == *ids, format!("{uid} on {nodes}, not {ids}"))?,
            (NumaPlacement::Number(n), _) => ensure(u32::try_from(nodes.len()) == Ok(*n), format!("{uid} on {nodes}, not {n} nodes"))?,
            (NumaPlacement::Any, NumaBinding::Bound) => ensure(nodes.len() == 1, format!("{uid} is bound, but on {nodes}"))?,
            (NumaPlacement::Any, _) => {}
        }
        let torn = Layout::new(topology).split_cores(&pool.cpus);
        ensure(!demand.whole_cores || exclusive || torn == 0, format!("{uid} wants whole cores, {torn} are torn"))?;
        let others = pools.iter().filter(|(name, _)| exclusive && name.is_dedicated() && **name != PoolName::dedicated(uid));
        for (name, other) in others {
            ensure(topology.nodes_of(&other.cpus).is_disjoint(&nodes), format!("{name} is on a node that {uid} has alone"))?;
        }
        let alone = exclusive || !demand.numa_share;
        let strangers = pools.iter().filter(|(name, _)| alone && !name.is_dedicated() && **name != PoolName::reserve());
        for (name, other) in strangers.filter(|(name, _)| !demands.system.contains_key(*name)) {
            ensure(topology.nodes_of(&other.cpus).is_disjoint(&nodes), format!("{name} is on a node that {uid} does not share"))?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn every_placement_of_every_history_keeps_the_rules(
        topology in machines(), (pods, steps) in history(), policy in policies()
    ) {
        let mut current = Assignment::default();
        let mut before: BTreeMap<PodUid, Pod> = BTreeMap::new();
        for (at, step) in steps.into_iter().enumerate() {
            let present: BTreeMap<PodUid, Pod> = (0u32..).zip(&pods)
                .filter(|(at, _)| step.present >> at & 1 == 1).map(|(_, pod)| (pod.uid.clone(), pod.clone())).collect();
            let sizes = ["share", "web", "db"].into_iter().zip(step.sizes).map(|(name, size)| (name.parse().unwrap(), size)).collect();
            let wanted = demands(&present, &sizes);
            let placed = place(&topology, &current, &present, &wanted, &policy);
            let told = format!("machine {topology:?}\nfrom {current:#?}\nto {placed:#?}\nwanted {wanted:#?}");
            if let Err(broken) = check(&topology, &wanted, &policy, &placed) {
                return Err(TestCaseError::fail(format!("{broken}\n{told}")));
            }
            let least = wanted.share.len() * usize::try_from(policy.min_share_cpus).unwrap() + usize::from(wanted.reclaim_pods > 0) + 1;
            if at == 0 && (topology.cpus().difference(&reserved(&topology, &policy))).len() >= least {
                let stranded = wanted.members.keys().find(|uid| placed.refused.contains_key(*uid));
                prop_assert_eq!(stranded, None, "dedicated pods left nothing to others\n{}", told);
            }
            for uid in before.keys().filter(|uid| present.contains_key(*uid) && wanted.dedicated.contains_key(*uid)) {
                if let Some((_, had)) = current.pool_of(uid) {
                    let has = placed.assignment.pool_of(uid).map(|(_, pool)| &pool.cpus);
                    prop_assert_eq!(has, Some(&had.cpus), "a running dedicated pod moved\n{}", told);
                }
            }
            let again = place(&topology, &placed.assignment, &present, &wanted, &policy);
            prop_assert_eq!(again.moved, 0, "moved without cause\n{}\nthen {:#?}", told, again);
            prop_assert_eq!(&again.assignment, &placed.assignment, "changed without cause\n{}", told);
            prop_assert!(again.decisions.iter().all(|(_, reason)| matches!(reason, Reason::Refused { .. })), "{:?}", again.decisions);
            prop_assert_eq!(&again.refused, &placed.refused);
            prop_assert_eq!(&place(&topology, &current, &present, &wanted, &policy), &placed);
            current = placed.assignment;
            before = present;
        }
    }

    /// A state that is old, damaged or another machine's is a start like any other.
    #[test]
    fn any_start_leads_to_a_placement_that_keeps_the_rules(
        topology in machines(), (pods, _) in history(), policy in policies(), sets in proptest::collection::vec(any::<u32>(), 14)
    ) {
        let pods: BTreeMap<PodUid, Pod> = pods.into_iter().map(|pod| (pod.uid.clone(), pod)).collect();
        let wanted = demands(&pods, &BTreeMap::new());
        let names = pods.keys().map(PoolName::dedicated).chain(["share", "web", "reclaim", "reserve"].map(|name| name.parse().unwrap()));
        let pools = names.zip(&sets).map(|(name, bits)| {
            let cpus: CpuSet = (0..32).filter(|bit| bits >> bit & 1 == 1).map(CpuId::new).collect();
            (name, Pool { cpus, mems: topology.memory_nodes() })
        });
        let start = Assignment { pools: pools.collect(), members: BTreeMap::new(), ..Assignment::default() };
        // What a running pod has is kept even where it would not be given today, so only the rules between pools are checked.
        let mut plain = wanted.clone();
        for demand in plain.dedicated.values_mut() {
            demand.placement = NumaPlacement::Any;
            demand.binding = NumaBinding::Unbound;
            demand.whole_cores = false;
            demand.numa_share = true;
        }
        let placed = place(&topology, &start, &pods, &plain, &policy);
        if let Err(broken) = check(&topology, &plain, &policy, &placed) {
            return Err(TestCaseError::fail(format!("{broken}\nfrom {start:#?}\nto {placed:#?}")));
        }
        let placed = place(&topology, &start, &pods, &wanted, &policy);
        let again = place(&topology, &placed.assignment, &pods, &wanted, &policy);
        prop_assert_eq!(&again.assignment, &placed.assignment, "from {:#?}", start);
    }
}
