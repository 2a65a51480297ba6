use super::*;

const NOW: u64 = 1000;

/// Name, whole CPUs, measured demand, requests.
type Size = (&'static str, u32, Option<u64>, u64);
type Row = (&'static str, Vec<(Pod, Option<ContainerReadings>)>, Vec<Size>);

fn sizes(estimate: &Estimate) -> Vec<(&str, u32, Option<u64>, u64)> {
    estimate.pools.iter().map(|(name, p)| (name.as_str(), p.cpus, p.demand.map(MilliCpu::get), p.requested.get())).collect()
}

fn used(milli: u64) -> Option<ContainerReadings> {
    Some(measured(milli, GIB, at(NOW)))
}

#[test]
fn each_pool_covers_the_demand_of_its_pods() {
    let shared = |name: &str, milli| pod(name, QosClass::Shared, milli);
    let system = |name: &str| pod(name, QosClass::System, 100);
    let table: [Row; 7] = [
        ("no pods", vec![], vec![("share", 0, Some(0), 0)]),
        ("an idle pool keeps one CPU", vec![(shared("a", 500), used(0))], vec![("share", 1, Some(0), 500)]),
        (
            "pods of a pool add up",
            vec![
                (shared("a", 500), used(1000)),
                (in_pool(shared("b", 1000), "web"), used(2000)),
                (in_pool(shared("c", 1), "web"), used(10)),
            ],
            vec![("share", 2, Some(1100), 500), ("web", 3, Some(2211), 1001)],
        ),
        ("reclaimed and dedicated pods have none", vec![(pod("r", QosClass::Reclaimed, 0), used(900))], vec![("share", 0, Some(0), 0)]),
        (
            "a system pod counts where it joins, else nowhere",
            vec![(in_pool(system("s"), "sh"), used(100)), (system("t"), used(3000)), (in_pool(system("u"), "other"), used(3000))],
            vec![("share", 1, Some(110), 100)],
        ),
        ("a pool is at most the machine", vec![(shared("a", 500), used(99_000))], vec![("share", 8, Some(108_900), 500)]),
        (
            "names that are taken lead to the default pool",
            vec![(in_pool(shared("a", 500), "reclaim"), used(0)), (in_pool(shared("b", 500), "dedicated-x"), used(0))],
            vec![("share", 1, Some(0), 1000)],
        ),
    ];
    for (name, pods, expected) in table {
        let estimate = run(&snapshot(NOW, 0, &pods), &Assignment::default());
        assert_eq!(sizes(&estimate), expected, "{name}");
    }
}

#[test]
fn a_pool_of_unknown_demand_keeps_its_size() {
    let unread = |milli| (pod("a", QosClass::Shared, milli), None);
    let assigned = |cpus: u32| Assignment {
        pools: BTreeMap::from([(PoolName::share(), Pool { cpus: (0..cpus).map(CpuId::from_index).collect(), ..Pool::default() })]),
        ..Assignment::default()
    };
    let busy = (pod("b", QosClass::Shared, 0), used(5000));
    let table = [
        ("its requests when it has no size yet", vec![unread(2500)], assigned(0), 3),
        ("one when nothing is requested", vec![unread(0)], assigned(0), 1),
        ("the size of the assignment", vec![unread(2500)], assigned(2), 2),
        ("more when what is known needs more", vec![unread(2500), busy], assigned(2), 6),
    ];
    for (name, pods, assignment, expected) in table {
        let pools = run(&snapshot(NOW, 0, &pods), &assignment).pools;
        let share = &pools[&PoolName::share()];
        assert_eq!((share.cpus, share.demand), (expected, None), "{name}: {}", share.reason);
    }
}

/// The size of `share` over time, for usages of its one pod; `None` is a reading that fails.
fn over_time(usages: &[(u64, Option<u64>)]) -> Vec<u32> {
    let mut state = State::default();
    let mut sizes = Vec::new();
    for (second, usage) in usages {
        let now = at(NOW + second);
        let mut readings = measured(usage.unwrap_or(0), GIB, now);
        if usage.is_none() {
            readings.cpu_usage = Reading::Absent(Absence::Unreadable("EIO".to_owned()));
        }
        let s = snapshot(NOW + second, 0, &[(pod("a", QosClass::Shared, 1000), Some(readings))]);
        let (estimate, next) = estimate(&s, &machine(), &Assignment::default(), &policy(), &state);
        sizes.push(estimate.pools[&PoolName::share()].cpus);
        state = next;
    }
    sizes
}

#[test]
fn a_pool_grows_at_once_and_shrinks_late() {
    assert_eq!(
        over_time(&[(0, Some(1500)), (1, Some(4500)), (2, Some(900)), (20, Some(2700)), (31, Some(900)), (32, Some(900))]),
        [2, 5, 5, 5, 5, 3]
    );
}

#[test]
fn time_in_which_the_demand_was_unknown_does_not_count_for_shrinking() {
    assert_eq!(
        over_time(&[(0, Some(4500)), (1, Some(900)), (20, None), (31, Some(900)), (60, Some(900)), (61, Some(900))]),
        [5, 5, 5, 5, 5, 1]
    );
}

#[test]
fn a_pool_without_pods_is_dropped_at_once() {
    let with = snapshot(NOW, 0, &[(in_pool(pod("a", QosClass::Shared, 500), "web"), used(3000))]);
    let (_, state) = estimate(&with, &machine(), &Assignment::default(), &policy(), &State::default());
    let (after, state) = estimate(&snapshot(NOW + 1, 0, &[]), &machine(), &Assignment::default(), &policy(), &state);
    assert_eq!(sizes(&after), [("share", 0, Some(0), 0)]);
    assert!(!state.pools.sizes.contains_key(&pool("web")) && state.seen.is_empty(), "{state:?}");
}

#[test]
fn leftover_cpus_that_an_empty_pool_was_given_are_no_size_to_keep() {
    let (_, state) = estimate(&snapshot(NOW, 0, &[]), &machine(), &Assignment::default(), &policy(), &State::default());
    let all = Pool { cpus: machine().cpus(), ..Pool::default() };
    let leftover = Assignment { pools: BTreeMap::from([(PoolName::share(), all)]), members: BTreeMap::new(), ..Assignment::default() };
    let first_pod = snapshot(NOW + 1, 0, &[(pod("a", QosClass::Shared, 800), used(300))]);
    let (after, _) = estimate(&first_pod, &machine(), &leftover, &policy(), &state);
    assert_eq!(after.pools[&PoolName::share()].cpus, 1, "{}", after.pools[&PoolName::share()].reason);
}

#[test]
fn a_bound_pod_counts_in_the_pool_of_its_node_and_no_other() {
    let bound = |name: &str| {
        let mut pod = in_pool(pod(name, QosClass::Shared, 2000), "web");
        pod.qos.memory.numa_binding = NumaBinding::Bound;
        pod
    };
    let pods = [(bound("a"), used(3000)), (in_pool(pod("b", QosClass::Shared, 500), "web"), used(300)), (bound("c"), used(900))];
    let on_node = Assignment { members: BTreeMap::from([(uid("a"), pool("web-NUMA1"))]), ..Assignment::default() };
    let (estimate, _) = estimate(&snapshot(NOW, 0, &pods), &machine(), &on_node, &policy(), &State::default());
    let requested: Vec<(&str, u64)> = estimate.pools.iter().map(|(name, pool)| (name.as_str(), pool.requested.get())).collect();
    assert_eq!(requested, [("share", 0), ("web", 2500), ("web-NUMA1", 2000)], "c has no node yet");
}

/// The line of `share` for one pod that requests 500m and uses this much, with this supplied from elsewhere.
fn line(usage: Option<ContainerReadings>, supplied: Option<u64>) -> String {
    let snapshot = snapshot(NOW, 0, &[(pod("a", QosClass::Shared, 500), usage)]);
    let advice = supplied.map(|milli| Advice {
        at: at(NOW),
        valid_for: Duration::from_secs(60),
        requirement: Some(MilliCpu::new(milli)),
        indicators: Vec::new(),
    });
    let advice: BTreeMap<Region, Advice> = advice.into_iter().map(|advice| (Region::Pool(PoolName::share()), advice)).collect();
    let assignment = Assignment::default();
    let input = Input { snapshot: &snapshot, topology: &machine(), assignment: &assignment, advice: &advice };
    let (estimate, _) = super::super::estimate(&input, &policy(), settled(&snapshot, &assignment));
    estimate.pools[&PoolName::share()].reason.to_string()
}

#[test]
fn the_size_of_a_pool_says_what_ruled_it() {
    let table = [
        (used(1000), None, "needs 2 CPUs: demand 1100m (use now), requested 500m"),
        (used(1000), Some(3000), "needs 3 CPUs: demand 3 (external estimator), requested 500m"),
        (None, Some(3000), "needs 1 CPU: demand not known yet, requested 500m"),
    ];
    for (usage, supplied, expected) in table {
        assert_eq!(line(usage.clone(), supplied), expected, "{usage:?} {supplied:?}");
    }
}
