use super::*;
use proptest::prelude::*;

const NOW: u64 = 1000;

fn absence() -> impl Strategy<Value = Absence> {
    prop_oneof![Just(Absence::NotYet), Just(Absence::NotOffered), Just(Absence::Vanished), Just(Absence::Unreadable("EIO".to_owned()))]
}

pub(super) fn reading<T: std::fmt::Debug + Clone>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Reading<T>> {
    prop_oneof![
        40 => (value, prop_oneof![30 => Just(NOW), 1 => NOW - 15..NOW]).prop_map(|(value, second)| Reading::present(value, at(second))),
        1 => absence().prop_map(Reading::Absent),
    ]
}

fn amount(usual: u64) -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0..usual, 1 => any::<u64>()]
}

fn memory_readings() -> impl Strategy<Value = MemoryReadings> {
    [amount(8 * GIB), amount(8 * GIB), amount(8 * GIB), amount(8 * GIB), amount(8 * GIB)].prop_map(|values| {
        let [usage, working_set, anon, file, inactive_file] = values.map(Bytes::new);
        MemoryReadings { usage, working_set, anon, file, inactive_file }
    })
}

fn container() -> impl Strategy<Value = ContainerReadings> {
    let pressure = reading((0u32..1200).prop_map(|share| waiting(share, at(NOW)).value().copied().unwrap()));
    (reading(amount(4000).prop_map(MilliCpu::new)), pressure, reading(memory_readings()))
        .prop_map(|(cpu_usage, cpu_pressure, memory)| ContainerReadings { cpu_usage, cpu_pressure, memory, ..ContainerReadings::default() })
}

fn pods() -> impl Strategy<Value = Vec<(Pod, Option<ContainerReadings>)>> {
    let class = prop::sample::select(QosClass::ALL.to_vec());
    let name = prop::option::of(prop::sample::select(vec!["web", "share", "reclaim", "dedicated-p0", "w"]));
    let one = (class, amount(6000), name, prop::option::weighted(0.9, container()));
    prop::collection::vec(one, 0..8).prop_map(|all| {
        let make = |(i, (class, milli, name, readings))| {
            let plain = pod(&format!("p{i}"), class, milli);
            (if let Some(name) = name { in_pool(plain, name) } else { plain }, readings)
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

pub(super) fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let node = (reading(amount(9000).prop_map(MilliCpu::new)), reading(amount(64 * GIB)), reading(amount(64 * GIB)), reading(amount(GIB)));
    (pods(), node, (NOW - 1)..(NOW + 8)).prop_map(|(pods, (cpu, total, available, watermark), second)| {
        let mut s = snapshot(second, 0, &pods);
        s.node.cpu_usage = cpu;
        s.node.memory_total = total.map(Bytes::new);
        s.node.memory_available = available.map(Bytes::new);
        s.node.memory_low_watermark = watermark.map(Bytes::new);
        s
    })
}

pub(super) fn any_assignment() -> impl Strategy<Value = Assignment> {
    (prop::option::of((0u32..4, 0u32..12)), 0u32..12).prop_map(|(dedicated, share)| {
        let mut assignment = dedicated.map_or_else(Assignment::default, |(pod, cpus)| dedicated_on(&format!("p{pod}"), 0..cpus));
        let cpus = (0..share).map(CpuId::from_index).collect();
        assignment.pools.insert(PoolName::share(), Pool { cpus, ..Pool::default() });
        assignment
    })
}

/// A state that another snapshot left, with figures that bound nothing or a little.
pub(super) fn any_state() -> impl Strategy<Value = State> {
    (any_snapshot(), any_assignment(), amount(8000), amount(16 * GIB)).prop_map(|(s, assignment, cpu, memory)| {
        let (_, mut state) = estimate(&s, &machine(), &assignment, &policy(), &State::default());
        state.given = Some(Given { at: at(NOW - 5), cpu: MilliCpu::new(cpu), memory: Bytes::new(memory), ..Given::default() });
        state
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    (0u32..2000, amount(4000), amount(4 * GIB), 1u32..=1000).prop_map(|(margin, cpu, memory, rise)| Policy {
        usage_margin: Permille::new(margin),
        memory_margin: Permille::new(margin),
        cpu_reserve: MilliCpu::new(cpu),
        memory_reserve: Bytes::new(memory),
        rise_per_second: Permille::new(rise),
        ..Policy::default()
    })
}

/// The size that a pool would have if all fitted.
fn wanted(pool: &PoolDemand) -> u32 {
    match pool.reason {
        Reason::PoolSize { rule: SizeRule::Throttled { wanted }, .. } => wanted,
        _ => pool.cpus,
    }
}

proptest! {
    #[test]
    fn no_more_is_given_than_every_bound_allows(
        s in any_snapshot(), assignment in any_assignment(), policy in any_policy(), state in any_state()
    ) {
        let (estimate, next) = estimate(&s, &machine(), &assignment, &policy, &state);
        let Reason::ReclaimableCpu { given, rule, capacity, reserve, dedicated, demand, free, missing, supply } = &estimate.cpu_reason else {
            return Err(TestCaseError::fail("another reason"));
        };
        prop_assert_eq!((*given, *supply), (estimate.cpu, estimate.supply.cpu));
        prop_assert!(given == supply || given.is_zero(), "{}", estimate.cpu_reason);
        let given = supply;
        prop_assert!(*given <= capacity.minus(*reserve).minus(*dedicated).minus(*demand), "{}", estimate.cpu_reason);
        prop_assert!(given <= free, "{}", estimate.cpu_reason);
        prop_assert_eq!(missing.is_some(), *rule == ReclaimRule::Unknown);
        prop_assert!(missing.is_none() || given.is_zero(), "{}", estimate.cpu_reason);
        let last = state.given.as_ref().unwrap();
        let seconds = s.at.since(last.at).as_secs();
        let step = u64::from(policy.rise_per_second.get()) * 8 * seconds;
        prop_assert!(given.get() <= last.cpu.get().saturating_add(step), "{} after {} s", estimate.cpu_reason, seconds);

        let Reason::ReclaimableMemory { given, rule, capacity, reserve, demand, free, missing, supply } = &estimate.memory_reason else {
            return Err(TestCaseError::fail("another reason"));
        };
        prop_assert_eq!((*given, *supply), (estimate.memory, estimate.supply.memory));
        prop_assert!(given == supply || given.is_zero(), "{}", estimate.memory_reason);
        let given = supply;
        prop_assert!(*given <= capacity.minus(*reserve).minus(*demand) && given <= free, "{}", estimate.memory_reason);
        prop_assert_eq!(missing.is_some(), *rule == ReclaimRule::Unknown);
        prop_assert!(missing.is_none() || given.is_zero(), "{}", estimate.memory_reason);
        let (cpu, memory) = (estimate.supply.cpu, estimate.supply.memory);
        prop_assert_eq!(next.given, Some(Given { at: s.at.max(last.at), cpu, memory, by_node: Some(BTreeMap::new()), ..Given::default() }));
    }

    #[test]
    fn the_same_input_gives_the_same_output(s in any_snapshot(), assignment in any_assignment(), state in any_state()) {
        let one = estimate(&s, &machine(), &assignment, &policy(), &state);
        let two = estimate(&s.clone(), &machine(), &assignment.clone(), &policy(), &state.clone());
        prop_assert_eq!(one, two);
    }

    #[test]
    fn more_demand_never_gives_more(
        s in any_snapshot(), assignment in any_assignment(), state in any_state(), which in any::<prop::sample::Index>(), more in 1u64..5000
    ) {
        let mut busier = s.clone();
        let lenders: Vec<PodUid> = s.pods.values().filter(|p| p.class() != QosClass::Reclaimed).map(|p| p.uid.clone()).collect();
        prop_assume!(!lenders.is_empty());
        let uid = which.get(&lenders);
        let pod = busier.pods.get_mut(uid).unwrap();
        let request = pod.containers[0].cpu.request.unwrap();
        pod.containers[0].cpu.request = Some(request.plus(MilliCpu::new(more)));
        for readings in busier.readings.get_mut(uid).into_iter().flat_map(|r| r.containers.values_mut()) {
            readings.cpu_usage = readings.cpu_usage.clone().map(|usage| usage.plus(MilliCpu::new(more)));
            let larger = |m: MemoryReadings| MemoryReadings { working_set: m.working_set.plus(Bytes::new(more << 20)), ..m };
            readings.memory = readings.memory.clone().map(larger);
        }
        let (calm, _) = estimate(&s, &machine(), &assignment, &policy(), &state);
        let (busy, _) = estimate(&busier, &machine(), &assignment, &policy(), &state);
        prop_assert!(busy.cpu <= calm.cpu, "{}\n{}", calm.cpu_reason, busy.cpu_reason);
        prop_assert!(busy.memory <= calm.memory, "{}\n{}", calm.memory_reason, busy.memory_reason);
        for (name, pool) in &calm.pools {
            prop_assert!(wanted(&busy.pools[name]) >= wanted(pool), "{name}: {}\n{}", pool.reason, busy.pools[name].reason);
        }
    }

    #[test]
    fn every_pool_with_pods_has_a_cpu_and_none_is_larger_than_the_machine(
        s in any_snapshot(), assignment in any_assignment(), state in any_state()
    ) {
        let (estimate, _) = estimate(&s, &machine(), &assignment, &policy(), &state);
        for (name, pool) in &estimate.pools {
            prop_assert!(pool.cpus <= 8 && (pool.cpus >= 1 || *name == PoolName::share()), "{name}: {}", pool.reason);
            prop_assert!(pool.demand.is_none_or(|d| d.ceil_cpus().min(8) <= wanted(pool)), "{name}: {}", pool.reason);
            prop_assert!(!name.is_dedicated() && *name != PoolName::reclaim());
        }
        let sum: u32 = estimate.pools.values().map(|pool| pool.cpus).sum();
        let dedicated = assignment.pools.iter().filter(|(name, _)| name.is_dedicated()).map(|(_, pool)| pool.cpus.count()).sum::<u32>();
        let pools = u32::try_from(estimate.pools.len()).unwrap();
        prop_assert!(sum <= 8u32.saturating_sub(dedicated).max(pools), "{sum} CPUs beside {dedicated} of dedicated pods: {:?}", estimate.pools);
    }
}
