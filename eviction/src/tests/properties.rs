use super::*;
use proptest::prelude::*;

/// A tick of a random node: the pods stay, the readings change.
#[derive(Debug, Clone)]
struct Tick {
    after_ms: u64,
    available: Option<u64>,
    avg10: Option<u32>,
    held: Vec<Option<u64>>,
    supply: Option<u64>,
    fired: bool,
}

fn amount(usual: u64) -> impl Strategy<Value = u64> {
    prop_oneof![12 => 0..usual, 1 => any::<u64>()]
}

fn tick() -> impl Strategy<Value = Tick> {
    let often = |s| prop::option::weighted(0.95, s);
    let available = often(prop_oneof![amount(300 * MIB), amount(8 * GIB)].boxed());
    let avg10 = prop::option::weighted(0.95, 0u32..500);
    let held = prop::collection::vec(often(amount(GIB).boxed()), 8);
    (0u64..60_000, available, avg10, held, often(amount(9000).boxed()), any::<bool>())
        .prop_map(|(after_ms, available, avg10, held, supply, fired)| Tick { after_ms, available, avg10, held, supply, fired })
}

fn pods() -> impl Strategy<Value = Vec<Pod>> {
    let one = (prop::sample::select(QosClass::ALL.to_vec()), -2i32..3, amount(8000), prop::option::of(0u32..8000));
    prop::collection::vec(one, 0..8).prop_map(|all| {
        let make = |(i, (class, priority, promised, tolerance))| {
            let mut pod = pod(&format!("p{i}"), class, priority, promised);
            pod.qos.cpu.suppression_tolerance = tolerance;
            pod
        };
        let thousandths = |(class, priority, promised, own): (_, _, _, Option<u32>)| (class, priority, promised, own.map(Permille::new));
        all.into_iter().map(thousandths).enumerate().map(make).collect()
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let wait = || prop_oneof![Just(Span::from_secs(0)), (1u64..40).prop_map(Span::from_secs)];
    (0u32..4, 0u32..4, wait(), wait(), wait(), wait()).prop_map(|(cpu_budget, memory_budget, suppressed, pressed, low, cool_down)| Policy {
        cpu_budget,
        memory_budget,
        suppression_after: suppressed,
        memory_pressure_after: pressed,
        memory_low_after: low,
        cool_down,
        ..Policy::default()
    })
}

fn build(pods: &[Pod], tick: &Tick, now: Timestamp) -> Snapshot {
    fn present<T>(value: Option<T>, now: Timestamp) -> Reading<T> {
        value.map_or(Reading::Absent(Absence::NotYet), |value| Reading::present(value, now))
    }
    let with: Vec<(Pod, u64)> = pods.iter().cloned().zip(tick.held.iter().map(|held| held.unwrap_or(0))).collect();
    let mut s = snapshot(0, &with);
    s.at = now;
    for ((pod, held), known) in with.iter().zip(&tick.held) {
        if known.is_some() {
            s.readings.insert(pod.uid.clone(), holding(*held, now));
        } else {
            s.readings.remove(&pod.uid);
        }
    }
    s.node.memory_total = Reading::present(Bytes::new(16 * GIB), now);
    s.node.memory_low_watermark = Reading::present(Bytes::new(100 * MIB), now);
    s.node.memory_available = present(tick.available.map(Bytes::new), now);
    s.node.memory_pressure = present(tick.avg10.map(pressure), now);
    s
}

proptest! {
    #[test]
    fn victims_are_few_reclaimed_and_have_a_cause(
        pods in pods(), policy in policies(), ticks in prop::collection::vec(tick(), 1..30), leaves in any::<bool>()
    ) {
        let (mut state, mut leaving) = (State::default(), BTreeSet::new());
        let mut now = at(NOW);
        let mut last_eviction: Option<Timestamp> = None;
        for tick in ticks {
            now = now.after(Duration::from_millis(tick.after_ms));
            let s = build(&pods, &tick, now);
            let supply = tick.supply.map(MilliCpu::new);
            let (round, next) = decide(&s, supply, &policy, &state, &leaving, tick.fired);
            let again = decide(&s, supply, &policy, &state, &leaving, tick.fired);
            prop_assert_eq!(&(round.clone(), next.clone()), &again, "not deterministic");

            let unique: BTreeSet<&PodUid> = round.victims.iter().map(|v| &v.pod).collect();
            prop_assert_eq!(unique.len(), round.victims.len(), "a pod is a victim twice");
            if let (Some(last), false) = (last_eviction, round.victims.is_empty()) {
                prop_assert!(now.since(last) >= policy.cool_down.get(), "evicted again after {:?}", now.since(last));
            }
            for victim in &round.victims {
                prop_assert_eq!(s.pods[&victim.pod].class(), QosClass::Reclaimed);
                prop_assert!(!leaving.contains(&victim.pod), "{:?} is leaving", victim.pod);
                let (budget, cause) = match &victim.reason {
                    Reason::EvictSuppressed { promised, supply, tolerated, lasted, .. } => {
                        let beyond = u128::from(promised.get()) * 1000 > u128::from(supply.get()) * u128::from(tolerated.get());
                        (policy.cpu_budget, beyond && *lasted >= policy.suppression_after.get())
                    }
                    Reason::EvictMemoryLow { available, .. } => {
                        let lasted = next.low_for.is_some_and(|lasted| lasted >= policy.memory_low_after.get());
                        (policy.memory_budget, lasted || *available < Bytes::new(100 * MIB))
                    }
                    Reason::EvictMemoryPressure { avg10, tolerated, .. } => {
                        let lasted = next.pressure_for.is_some_and(|lasted| lasted >= policy.memory_pressure_after.get());
                        (policy.memory_budget.min(1), (avg10 >= tolerated && lasted) || (tick.fired && avg10.get() >= 50))
                    }
                    other => return Err(TestCaseError::fail(format!("{other}"))),
                };
                prop_assert!(cause, "no cause: {}", victim.reason);
                prop_assert!(round.victims.len() <= budget as usize, "{} victims of {budget}", round.victims.len());
            }
            if !round.victims.is_empty() {
                last_eviction = Some(now);
                if leaves {
                    leaving.extend(round.victims.iter().map(|v| v.pod.clone()));
                }
            }
            state = next;
        }
    }

    #[test]
    fn a_state_round_trips_as_json(pods in pods(), policy in policies(), tick in tick()) {
        let s = build(&pods, &tick, at(NOW));
        let (round, state) = decide(&s, tick.supply.map(MilliCpu::new), &policy, &State::default(), &BTreeSet::new(), tick.fired);
        let text = serde_json::to_string(&(&round, &state)).unwrap();
        prop_assert_eq!(serde_json::from_str::<(Round, State)>(&text).unwrap(), (round, state), "{}", text);
    }
}
