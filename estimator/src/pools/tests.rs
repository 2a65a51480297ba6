#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use gleaner_model::{Bytes, CpuId, CpuSet, NumaId, Permille, Pool};
use proptest::prelude::*;
use std::time::Duration;

fn at(millis: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_millis(millis))
}

/// Two NUMA nodes of 8 CPUs each.
fn machine() -> Topology {
    Topology::regular(1, 2, 8, 1, Bytes::new(1 << 30)).unwrap()
}

fn pool(cpus: &str) -> Pool {
    Pool { cpus: cpus.parse().unwrap(), ..Pool::default() }
}

fn assigned(pools: &[(&str, &str)]) -> Assignment {
    Assignment { pools: pools.iter().map(|(name, cpus)| (name.parse().unwrap(), pool(cpus))).collect(), ..Assignment::default() }
}

fn room(assignment: &Assignment, min: MinReclaimed, pools: &[&str]) -> Room {
    let settings = PoolSettings { min_reclaimed: min, ..PoolSettings::default() };
    let pools: Vec<PoolName> = pools.iter().map(|name| name.parse().unwrap()).collect();
    Room::of(&Snapshot::default(), &machine(), assignment, &settings, true, pools.iter())
}

fn at_least(cpu: u32, per_node: u32, share: u32) -> MinReclaimed {
    MinReclaimed { cpu: MilliCpu::from_cpus(cpu), per_node: MilliCpu::from_cpus(per_node), share: Permille::new(share) }
}

/// All CPUs for pools, those of each node, and those left to reclaimed pods on each.
fn shown(room: &Room) -> (u32, [u32; 2], Vec<(u32, u32)>) {
    let nodes = [0, 1].map(|node| room.on_node(NumaId::new(node)));
    (room.all(), nodes, room.least().iter().map(|(node, cpus)| (node.to_string().parse().unwrap(), *cpus)).collect())
}

#[test]
fn what_is_there_is_what_nobody_keeps_or_was_promised() {
    let all = [("reserve", "0"), ("interrupt", "8"), ("dedicated-d", "1-3"), ("share", "4-7")];
    type Row = (&'static str, Assignment, MinReclaimed, (u32, [u32; 2], Vec<(u32, u32)>));
    let table: [Row; 6] = [
        ("an empty machine", assigned(&[]), at_least(0, 0, 0), (16, [8, 8], vec![])),
        ("reserve, interrupts and dedicated pods", assigned(&all), at_least(0, 0, 0), (11, [4, 7], vec![])),
        ("a minimum for reclaim, spread", assigned(&[]), at_least(5, 0, 0), (11, [5, 6], vec![(0, 3), (1, 2)])),
        ("on each node", assigned(&all), at_least(0, 3, 0), (5, [1, 4], vec![(0, 3), (1, 3)])),
        ("by share, rounded up", assigned(&[]), at_least(2, 1, 200), (12, [6, 6], vec![(0, 2), (1, 2)])),
        ("never what a shared pool needs to run", assigned(&[]), at_least(99, 0, 0), (2, [0, 2], vec![(0, 8), (1, 6)])),
    ];
    for (name, assignment, min, expected) in table {
        assert_eq!(shown(&room(&assignment, min, &["share", "share-NUMA1"])), expected, "{name}");
    }
}

fn wishes(pools: &[(&str, u32, u32)]) -> BTreeMap<PoolName, Wish> {
    pools.iter().map(|(name, need, size)| (name.parse().unwrap(), Wish { need: *need, size: *size })).collect()
}

#[test]
fn sizes_that_do_not_fit_are_cut_first_what_is_only_kept_then_in_proportion() {
    type Row = (&'static str, &'static [(&'static str, u32, u32)], &'static [u32]);
    let table: [Row; 6] = [
        ("all fit", &[("a", 2, 4), ("b", 5, 5)], &[4, 5]),
        ("what is kept for a while goes first", &[("a", 2, 10), ("b", 9, 9)], &[7, 9]),
        ("in proportion to that", &[("a", 6, 12), ("b", 6, 9)], &[9, 7]),
        ("then needs, in proportion", &[("a", 16, 16), ("b", 8, 8), ("c", 1, 1)], &[10, 5, 1]),
        ("the pools of one node fit into it", &[("a-NUMA0", 9, 9), ("b-NUMA0", 3, 3), ("c", 4, 8)], &[6, 2, 8]),
        ("and then all into the machine", &[("a-NUMA0", 12, 12), ("c", 16, 16)], &[5, 11]),
    ];
    for (name, pools, expected) in table {
        let fitted = regulate(&wishes(pools), &room(&assigned(&[]), at_least(0, 0, 0), &[]));
        assert_eq!(fitted.into_values().collect::<Vec<_>>(), expected, "{name}: {pools:?}");
    }
}

#[test]
fn fewer_cpus_than_pools_are_one_for_each() {
    let room = room(&assigned(&[("dedicated-d", "0-14")]), at_least(4, 0, 0), &["a", "b"]);
    assert_eq!(regulate(&wishes(&[("a", 4, 4), ("b", 2, 2)]), &room).into_values().collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn a_pool_moves_by_its_rate_and_no_tick_is_lost() {
    let settings = PoolSettings { ramp_up: Some(MilliCpu::new(500)), ramp_down: MilliCpu::from_cpus(2), ..PoolSettings::default() };
    let step = |before: &Ramp, target, millis| Ramp::towards(Some(before), target, at(millis), &settings, Duration::from_secs(10));
    let mut ramp = Ramp::towards(None, 4, at(0), &settings, Duration::from_secs(10));
    assert_eq!(ramp.cpus(), 4, "a new pool begins where it is to be");
    let mut sizes = Vec::new();
    for (target, millis) in
        [(6, 1000), (6, 2000), (6, 3000), (6, 4000), (6, 5000), (1, 6000), (1, 7000), (1, 8000), (9, 100_000), (9, 50_000)]
    {
        ramp = step(&ramp, target, millis);
        sizes.push(ramp.cpus());
    }
    assert_eq!(sizes, [5, 5, 6, 6, 6, 4, 2, 1, 6, 6], "a long pause counts for 10 s, a clock that runs backwards for nothing");
    let slow = PoolSettings { ramp_up: Some(MilliCpu::new(1)), ..PoolSettings::default() };
    let mut ramp = Ramp::towards(None, 1, at(0), &slow, Duration::from_secs(10));
    for tick in 1..=10 {
        ramp = Ramp::towards(Some(&ramp), 2, at(tick * 100), &slow, Duration::from_secs(10));
    }
    assert_eq!(ramp.cpus(), 2, "ticks of which each alone is too short add up");
}

fn any_room() -> impl Strategy<Value = Room> {
    let set = |bits: u16| -> CpuSet { (0..16).filter(|bit| bits >> bit & 1 == 1).map(CpuId::new).collect() };
    (any::<u16>(), 0u32..20, 0u32..6, 0u32..=1000).prop_map(move |(dedicated, cpu, per_node, share)| {
        let held = Pool { cpus: set(dedicated), ..Pool::default() };
        let assignment = Assignment { pools: BTreeMap::from([("dedicated-d".parse().unwrap(), held)]), ..Assignment::default() };
        room(&assignment, at_least(cpu, per_node, share), &["a", "b-NUMA0", "c-NUMA1"])
    })
}

fn any_wishes() -> impl Strategy<Value = BTreeMap<PoolName, Wish>> {
    let name = prop::sample::subsequence(vec!["a", "b-NUMA0", "c-NUMA1", "d", "e-NUMA0", "f-NUMA7"], 0..=6);
    (name, prop::collection::vec((1u32..30, 0u32..30), 6)).prop_map(|(names, sizes)| {
        let wish = |(need, more): (u32, u32)| Wish { need, size: need + more };
        names.into_iter().map(|name| name.parse().unwrap()).zip(sizes.into_iter().map(wish)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pools_fit_into_what_is_there_and_none_is_empty(room in any_room(), wishes in any_wishes()) {
        let sizes = regulate(&wishes, &room);
        prop_assert_eq!(sizes.len(), wishes.len());
        let sum = |of: &dyn Fn(&PoolName) -> bool| sizes.iter().filter(|(name, _)| of(name)).map(|(_, size)| *size).sum::<u32>();
        let count = |of: &dyn Fn(&PoolName) -> bool| u32::try_from(sizes.keys().filter(|name| of(name)).count()).unwrap();
        prop_assert!(sum(&|_| true) <= room.all().max(count(&|_| true)), "{sizes:?} in {room:?}");
        for node in [0, 1, 7].map(NumaId::new) {
            let here = |name: &PoolName| name.node_bound().is_some_and(|(_, on)| on == node);
            prop_assert!(sum(&here) <= room.on_node(node).max(count(&here)), "{sizes:?} in {room:?}");
        }
        for (name, size) in &sizes {
            prop_assert!((1..=wishes[name].size.max(1)).contains(size), "{name}: {size} of {:?}", wishes[name]);
        }
        let fits = wishes.values().map(|wish| wish.size).sum::<u32>() <= room.all().min(room.on_node(NumaId::new(0))).min(room.on_node(NumaId::new(1)));
        let bound_elsewhere = wishes.keys().any(|name| name.as_str() == "f-NUMA7");
        if fits && !bound_elsewhere {
            prop_assert!(sizes.iter().all(|(name, size)| wishes[name].size == *size), "nothing is short, but {sizes:?} of {wishes:?}");
        }
    }

    #[test]
    fn reclaimed_pods_are_left_no_more_than_is_there(
        dedicated in any::<u16>(), cpu in 0u32..20, per_node in 0u32..10
    ) {
        let cpus: CpuSet = (0..16).filter(|bit| dedicated >> bit & 1 == 1).map(CpuId::new).collect();
        let held = cpus.count();
        let pools = BTreeMap::from([("dedicated-d".parse().unwrap(), Pool { cpus, ..Pool::default() })]);
        let room = room(&Assignment { pools, ..Assignment::default() }, at_least(cpu, per_node, 0), &["share"]);
        prop_assert_eq!(room.all() + room.least().values().sum::<u32>(), 16 - held);
        prop_assert!(room.all() >= 1 || held == 16);
    }

    #[test]
    fn a_pool_never_moves_faster_than_its_rates(
        up in 1u64..4000, down in 1u64..4000, steps in prop::collection::vec((0u32..64, 0u64..3000), 1..40)
    ) {
        let settings = PoolSettings { ramp_up: Some(MilliCpu::new(up)), ramp_down: MilliCpu::new(down), ..PoolSettings::default() };
        let towards = |before: Option<&Ramp>, target, now| Ramp::towards(before, target, now, &settings, Duration::from_secs(10));
        let (mut now, mut ramp) = (0, towards(None, 8, at(0)));
        let mut milli = Vec::from([(0u64, 8u64)]);
        for (target, pause) in steps {
            now += pause;
            ramp = towards(Some(&ramp), target, at(now));
            milli.push((now, u64::from(ramp.cpus())));
        }
        for (earlier, from) in &milli {
            for (later, to) in milli.iter().filter(|(later, _)| later >= earlier) {
                let most = |rate: u64| (rate * (later - earlier)).div_ceil(1_000_000) + 1;
                prop_assert!(*to <= from + most(up) && *from <= to + most(down), "{from} at {earlier} ms, {to} at {later} ms");
            }
        }
    }
}
