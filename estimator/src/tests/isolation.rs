use super::*;
use gleaner_model::Span;
use proptest::prelude::*;

/// Isolation after 3 s, and out after 5 s.
pub(super) fn isolating() -> Policy {
    let mut policy = policy();
    let isolation = &mut policy.pools.isolation;
    isolation.enabled = true;
    isolation.enter_after = Span::from_secs(3);
    isolation.leave_after = Span::from_secs(5);
    policy
}

fn limited(name: &str, request: u64, limit: u64) -> Pod {
    let mut pod = pod(name, QosClass::Shared, request);
    pod.containers[0].cpu.limit = Some(MilliCpu::new(limit)).filter(|limit| !limit.is_zero());
    pod
}

/// 40 CPUs on two NUMA nodes.
pub(super) fn large() -> Topology {
    Topology::regular(1, 2, 20, 1, Bytes::new(16 * GIB)).unwrap()
}

/// All pods in pool `share`, which has these CPUs.
pub(super) fn sharing(pods: &[Pod], cpus: u32) -> Assignment {
    let cpus = (0..cpus).map(CpuId::from_index).collect();
    Assignment {
        pools: BTreeMap::from([(PoolName::share(), Pool { cpus, ..Pool::default() })]),
        members: pods.iter().map(|pod| (pod.uid.clone(), PoolName::share())).collect(),
        ..Assignment::default()
    }
}

/// Ticks of one second with what each pod uses; for each the isolated pods with their CPUs.
fn over_time(pods: &[Pod], usages: &[Vec<Option<u64>>], policy: &Policy) -> Vec<Vec<(String, u32)>> {
    let mut state = State::default();
    let mut told = Vec::new();
    for (second, usages) in (1000u64..).zip(usages) {
        let of = |(pod, usage): (&Pod, &Option<u64>)| {
            let mut readings = measured(usage.unwrap_or(0), GIB, at(second));
            if usage.is_none() {
                readings.cpu_usage = Reading::Absent(Absence::Unreadable("EIO".to_owned()));
            }
            (pod.clone(), Some(readings))
        };
        let pods: Vec<_> = pods.iter().zip(usages).map(of).collect();
        let s = snapshot(second, 0, &pods);
        let assignment = sharing(&pods.into_iter().map(|(pod, _)| pod).collect::<Vec<_>>(), 20);
        let (estimate, next) = estimate(&s, &large(), &assignment, policy, &state);
        // A restart in between changes nothing.
        state = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
        assert_eq!(state, next);
        told.push(estimate.isolated.iter().map(|(uid, size)| (uid.as_str().to_owned(), size.cpus)).collect());
    }
    told
}

/// The ticks at which pod `a` is isolated, beside a calm one.
fn isolated_at(pod: Pod, usages: &[Option<u64>], policy: &Policy) -> Vec<usize> {
    let pods = [pod, limited("z", 1000, 0)];
    let usages: Vec<Vec<Option<u64>>> = usages.iter().map(|usage| vec![*usage, Some(100)]).collect();
    let told = over_time(&pods, &usages, policy);
    told.iter().enumerate().filter(|(_, told)| told.iter().any(|(name, _)| name == "a")).map(|(tick, _)| tick).collect()
}

#[test]
fn a_pod_that_floods_is_isolated_after_a_short_while_and_let_out_after_a_long_one() {
    type Row = (&'static str, Pod, Vec<Option<u64>>, Vec<usize>);
    let (high, low) = (Some(9000), Some(900));
    let table: [Row; 8] = [
        ("a flood that lasts", limited("a", 1000, 0), vec![high; 6], vec![3, 4, 5]),
        ("a calm pod", limited("a", 1000, 0), vec![low; 6], vec![]),
        ("one that flaps each second", limited("a", 1000, 0), [high, low].repeat(8), vec![]),
        ("what is not known is no flood", limited("a", 1000, 0), vec![high, high, high, None, high, high, high], vec![]),
        ("within half more than its limit", limited("a", 1000, 4000), vec![Some(5900); 6], vec![]),
        ("above that", limited("a", 1000, 4000), vec![Some(6100); 6], vec![3, 4, 5]),
        ("less than the CPUs that it would have alone", limited("a", 100, 0), vec![Some(990); 6], vec![]),
        (
            "out once it has been calm without a break",
            limited("a", 1000, 0),
            [vec![high; 4], vec![low; 3], vec![high], vec![low; 7]].concat(),
            vec![3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        ),
    ];
    for (name, pod, usages, expected) in table {
        assert_eq!(isolated_at(pod, &usages, &isolating()), expected, "{name}: {usages:?}");
    }
    assert_eq!(isolated_at(limited("a", 1000, 0), &[high; 9], &policy()), Vec::<usize>::new(), "it is off unless it is switched on");
}

#[test]
fn a_pod_that_fills_its_own_pool_stays_there() {
    // Alone it can use no more than its pool has, which is not more than is tolerated.
    let usages = [vec![Some(9000); 4], vec![Some(2100); 9]].concat();
    assert_eq!(isolated_at(limited("a", 2000, 0), &usages, &isolating()), (3..13).collect::<Vec<_>>());
}

#[test]
fn its_pool_is_as_large_as_its_limit_or_as_its_request_where_that_does_not_fit() {
    let size = |request, limit| {
        let pods = [limited("a", request, limit), limited("z", 1000, 0)];
        over_time(&pods, &vec![vec![Some(9500), Some(100)]; 4], &isolating()).pop().unwrap()
    };
    let a = |cpus| vec![("a".to_owned(), cpus)];
    // A fifth of 20 CPUs are 4.
    assert_eq!((size(1500, 3500), size(1500, 5000), size(1500, 0)), (a(4), a(2), a(2)));
    assert_eq!(size(5000, 6000), vec![], "not even its request fits");
}

#[test]
fn few_are_isolated_those_that_flood_longest_first() {
    let pods: Vec<Pod> = ["a", "b", "c", "d"].map(|name| limited(name, 1000, 0)).to_vec();
    let calm = Some(100);
    let high = Some(5000);
    // c begins a second before the others; half of four may be isolated.
    let usages = [vec![vec![calm, calm, high, calm]], vec![vec![high; 4]; 4]].concat();
    let last = over_time(&pods, &usages, &isolating()).pop().unwrap();
    assert_eq!(last, [("a".to_owned(), 1), ("c".to_owned(), 1)]);
    let alone = over_time(&pods[..1], &vec![vec![high]; 6], &isolating()).pop().unwrap();
    assert_eq!(alone, [], "one at least remains in the pool");
}

#[test]
fn nobody_is_isolated_where_the_others_would_not_fit() {
    let pods = [limited("a", 1000, 0), limited("b", 1000, 0), limited("z", 38_000, 0)];
    let usages = |other| vec![vec![Some(9000), Some(100), Some(other)]; 5];
    let ticks = |other| over_time(&pods, &usages(other), &isolating()).iter().filter(|told| !told.is_empty()).count();
    assert_eq!((ticks(10_000), ticks(38_000)), (2, 0));
}

#[test]
fn the_pool_of_an_isolated_pod_has_a_size_and_says_why() {
    let pods = [limited("a", 1000, 2000), limited("b", 1000, 0)];
    let mut bound = pods.clone();
    bound[0].qos.memory.numa_binding = NumaBinding::Bound;
    bound[1].qos.memory.numa_binding = NumaBinding::Bound;
    for (pods, member, own) in [(pods, "share", "isolation-a"), (bound, "share-NUMA1", "isolation-a-NUMA1")] {
        let mut state = State::default();
        let mut assignment = sharing(&pods, 20);
        assignment.members.values_mut().for_each(|name| *name = pool(member));
        assignment.pools.insert(pool(member), assignment.pools[&PoolName::share()].clone());
        let mut last = None;
        for second in 1000..1006 {
            let used = |milli| Some(measured(milli, GIB, at(second)));
            let s = snapshot(second, 0, &[(pods[0].clone(), used(9000)), (pods[1].clone(), used(900))]);
            let (estimate, next) = estimate(&s, &large(), &assignment, &isolating(), &state);
            for (uid, size) in &estimate.isolated {
                assignment.members.insert(uid.clone(), size.own.clone());
            }
            (last, state) = (Some(estimate), next);
        }
        let last = last.unwrap();
        let told = &last.pools[&pool(own)];
        assert_eq!((told.cpus, told.requested), (2, MilliCpu::new(1000)), "{own}");
        let expected = format!("isolated from pool {member} on 2 CPUs: uses and waits for 9, tolerated 3, requested 1, limit 2");
        assert_eq!(told.reason.to_string(), expected);
        assert_eq!(last.pools[&pool(member)].demand, Some(MilliCpu::new(990)), "what it needs is not its pool's any more");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn caps_hold_whatever_the_pods_do(
        asked in prop::collection::vec((0u64..6000, prop::option::of(0u64..9000)), 1..9),
        usages in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.9, prop_oneof![0u64..1000, 0u64..20_000]), 9), 1..30),
    ) {
        let pods: Vec<Pod> =
            asked.iter().enumerate().map(|(i, (request, limit))| limited(&format!("p{i}"), *request, limit.unwrap_or(0))).collect();
        for told in over_time(&pods, &usages, &isolating()) {
            prop_assert!(told.len() * 2 <= pods.len() && told.len() < pods.len(), "{} pods, isolated {told:?}", pods.len());
            prop_assert!(told.iter().map(|(_, cpus)| cpus).sum::<u32>() <= 4, "isolated {told:?}");
            for (name, cpus) in told {
                let pod = pods.iter().find(|pod| pod.uid.as_str() == name).unwrap();
                let least = pod.cpu_request().ceil_cpus().max(1);
                let most = pod.containers[0].cpu.limit.map_or(0, MilliCpu::ceil_cpus).max(least);
                prop_assert!((least..=most).contains(&cpus), "{name} has {cpus}, not {least} to {most}");
            }
        }
    }
}
