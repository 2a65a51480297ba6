//! What must hold for every policy, over many ticks of whatever a node can show.

use super::*;
use crate::history::HistorySettings;
use gleaner_model::{RequirementRule, WallTime, WorkloadName};
use proptest::prelude::*;

/// What one container shows at one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// The pod is not there.
    Gone,
    /// It is there, but was not sampled.
    Unread,
    /// The reading is older than it may be.
    Stale,
    /// A rate of a counter that went backwards.
    Backwards,
    /// The reading says so many milli-CPU.
    Uses(u64),
}

#[derive(Debug, Clone)]
struct Tick {
    /// Milliseconds since the last tick; a clock that went backwards shows as none.
    gap: u64,
    /// By how many seconds the calendar's clock was set; `None`: there is no calendar.
    stepped: Option<i64>,
    /// What the node uses beyond its pods.
    beside: Option<u64>,
    shown: Vec<Shown>,
    /// Share of the interval in which tasks waited.
    waiting: u32,
}

#[derive(Debug, Clone)]
struct Script {
    cpus: u32,
    pods: Vec<Pod>,
    ticks: Vec<Tick>,
}

const STEP: Permille = Permille::new(20);
const RESERVE: MilliCpu = MilliCpu::new(500);

fn shown() -> impl Strategy<Value = Shown> {
    prop_oneof![
        2 => Just(Shown::Gone),
        1 => Just(Shown::Unread),
        1 => Just(Shown::Stale),
        1 => Just(Shown::Backwards),
        4 => Just(Shown::Uses(0)),
        60 => (0u64..3000).prop_map(Shown::Uses),
        1 => any::<u64>().prop_map(Shown::Uses),
    ]
}

/// Most of what is shown is good, else there would be nothing but unknown.
fn tick(pods: usize) -> impl Strategy<Value = Tick> {
    let gap = prop_oneof![12 => Just(1000u64), 6 => Just(60_000), 1 => Just(0), 1 => Just(5000), 1 => Just(3_600_000), 1 => 0u64..200_000];
    let stepped = prop_oneof![12 => Just(Some(0)), 2 => Just(None), 1 => (-100_000i64..100_000).prop_map(Some)];
    let beside = prop_oneof![20 => (0u64..800).prop_map(Some), 1 => Just(None), 1 => any::<u64>().prop_map(Some)];
    let calm = prop::collection::vec((0u64..2500).prop_map(Shown::Uses), pods);
    let any = prop::collection::vec(shown(), pods);
    (gap, stepped, beside, prop_oneof![2 => calm, 1 => any], 0u32..1100).prop_map(|(gap, stepped, beside, shown, waiting)| Tick {
        gap,
        stepped,
        beside,
        shown,
        waiting,
    })
}

/// Class, request, pool and workload.
type Drawn = (QosClass, u64, Option<&'static str>, Option<&'static str>);

fn pods() -> impl Strategy<Value = Vec<Pod>> {
    let class = prop::sample::select(vec![QosClass::Shared, QosClass::Shared, QosClass::System, QosClass::Reclaimed, QosClass::Dedicated]);
    let name = prop::option::of(prop::sample::select(vec!["web", "share", "w"]));
    let workload = prop::option::of(prop::sample::select(vec!["a", "b"]));
    prop::collection::vec((class, 0u64..3000, name, workload), 1..6).prop_map(|all| {
        let make = |(i, one): (usize, Drawn)| {
            let (class, milli, name, workload) = one;
            let mut pod = pod(&format!("p{i}"), class, milli);
            pod.workload = workload.map(|name| WorkloadName::new("test", "Deployment", name).unwrap());
            name.map_or(pod.clone(), |name| in_pool(pod, name))
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

fn script() -> impl Strategy<Value = Script> {
    (prop_oneof![Just(8u32), Just(1), Just(40)], pods()).prop_flat_map(|(cpus, pods)| {
        prop::collection::vec(tick(pods.len()), 1..40).prop_map(move |ticks| Script { cpus, pods: pods.clone(), ticks })
    })
}

/// One container that is there and gone each second, beside a steady one.
fn flapping() -> Script {
    let pods = vec![pod("p0", QosClass::Shared, 1000), pod("p1", QosClass::Shared, 1000)];
    let tick = |second: u64| Tick {
        gap: 1000,
        stepped: Some(0),
        beside: Some(100),
        shown: vec![Shown::Uses(700), if second.is_multiple_of(2) { Shown::Uses(900) } else { Shown::Gone }],
        waiting: 0,
    };
    Script { cpus: 8, pods, ticks: (0..120).map(tick).collect() }
}

fn readings_of(shown: Shown, waiting_share: u32, now: Timestamp) -> Option<ContainerReadings> {
    let second = now.elapsed().as_secs();
    let usage = match shown {
        Shown::Gone | Shown::Unread => return None,
        Shown::Stale => Reading::present(MilliCpu::new(300), at(second.saturating_sub(30))),
        Shown::Backwards => Reading::Absent(Absence::Unreadable("the counter went backwards".to_owned())),
        Shown::Uses(milli) => Reading::present(MilliCpu::new(milli), now),
    };
    Some(ContainerReadings { cpu_usage: usage, cpu_pressure: waiting(waiting_share, now), ..measured(0, GIB / 2, now) })
}

/// The snapshots that a script makes.
fn play(script: &Script) -> Vec<Snapshot> {
    let (mut passed, mut calendar) = (1_000_000_u64, 1_704_067_200_i64);
    let mut snapshots = Vec::new();
    for tick in &script.ticks {
        passed += tick.gap;
        calendar += tick.stepped.unwrap_or(0) + i64::try_from(tick.gap / 1000).unwrap();
        let now = Timestamp::since_boot(Duration::from_millis(passed));
        let pods: Vec<_> = script.pods.iter().zip(&tick.shown).filter(|(_, shown)| **shown != Shown::Gone).collect();
        let pods: Vec<_> = pods.into_iter().map(|(pod, shown)| (pod.clone(), readings_of(*shown, tick.waiting, now))).collect();
        let used = tick.shown.iter().map(|shown| if let Shown::Uses(milli) = shown { *milli } else { 0 }).fold(0, u64::saturating_add);
        let mut s = snapshot(0, 0, &pods);
        s.at = now;
        s.wall = tick.stepped.map(|_| WallTime::from_unix(u64::try_from(calendar).unwrap()));
        let reading = tick.beside.map(|beside| Reading::present(MilliCpu::new(used.saturating_add(beside)), now));
        s.node.cpu_usage = reading.unwrap_or(Reading::Absent(Absence::NotOffered));
        s.node.memory_total = Reading::present(Bytes::new(16 * GIB), now);
        s.node.memory_available = Reading::present(Bytes::new(12 * GIB), now);
        s.node.memory_low_watermark = Reading::present(Bytes::new(GIB / 16), now);
        snapshots.push(s);
    }
    snapshots
}

fn node(cpus: u32) -> Topology {
    Topology::regular(1, if cpus == 40 { 2 } else { 1 }, if cpus == 40 { 20 } else { cpus }, 1, Bytes::new(16 * GIB)).unwrap()
}

fn by(name: PolicyName) -> Policy {
    Policy { cpu_reserve: RESERVE, rise_per_second: STEP, policy: name, ..Policy::default() }
}

/// What is remembered when a script begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    /// Workloads, but not the regions that they are in now.
    Workloads,
    All,
}

fn known() -> impl Strategy<Value = Known> {
    prop::sample::select(vec![Known::Nothing, Known::Workloads, Known::All])
}

/// What two workdays of the same pods leave, so that every policy knows enough to speak.
fn aged(script: &Script, known: Known) -> State {
    let policy = coarse(PolicyName::default());
    if known == Known::Nothing {
        return State::default();
    }
    let mut histories = Histories::default();
    let basis = MilliCpu::from_cpus(2);
    let regions = [Region::System, Region::Pool(PoolName::share()), Region::Pool(pool("web")), Region::Pool(pool("w"))];
    let workloads: Vec<WorkloadName> = script.pods.iter().filter_map(|pod| pod.workload.clone()).collect();
    for minute in 0..2 * 1440_u64 {
        let now = Timestamp::since_boot(Duration::from_secs(minute * 60));
        let wall = Some(WallTime::from_unix(1_703_721_600 + minute * 60));
        let used = 400 + minute % 700;
        for region in regions.iter().filter(|_| known == Known::All) {
            histories.observe_region(region, (now, wall), MilliCpu::new(used), basis, &policy.history);
        }
        let seen = Minute { at: now, wall, peak: 400, mean: 300 };
        for workload in &workloads {
            histories.observe_workload(&(workload.clone(), "main".parse().unwrap()), &seen, &policy.history);
        }
    }
    let checkpoint = histories.save(at(172_800), None);
    State::resume(MilliCpu::from_cpus(2), Bytes::new(GIB), at(999)).remembering(Histories::restore(checkpoint, at(999), None))
}

/// The settings of histories with which the above is quick.
fn coarse(name: PolicyName) -> Policy {
    Policy { history: HistorySettings { seconds: 30, minutes: 120, ..HistorySettings::default() }, ..by(name) }
}

fn roundtrip(state: &State) -> State {
    serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap()
}

/// Of a shared or system pod that is not gone, is there no reading that can be used?
fn has_stale(script: &Script, tick: &Tick) -> bool {
    let lends = |(pod, shown): (&Pod, &Shown)| pod.class() != QosClass::Reclaimed && matches!(shown, Shown::Stale | Shown::Backwards);
    script.pods.iter().zip(&tick.shown).any(lends)
}

/// All bounds of one tick.
fn check(script: &Script, tick: &Tick, found: &Estimate, last: Option<&Given>, topology: &Topology) -> Result<(), TestCaseError> {
    let capacity = MilliCpu::from_cpus(script.cpus);
    let room = capacity.minus(RESERVE);
    prop_assert!(found.cpu <= room && found.supply.cpu <= room, "{}", found.cpu_reason);
    let nodes: MilliCpu = found.by_node.values().map(|share| share.cpu).sum();
    prop_assert!(nodes <= found.cpu, "{:?} on nodes: {}", found.by_node, found.cpu_reason);
    let seconds = last.map_or(0, |last| found.at.since(last.at).as_millis().min(10_000));
    let step = u128::from(STEP.get()) * u128::from(capacity.get()) * seconds / 1_000_000;
    let most = u128::from(last.map_or(0, |last| last.cpu.get())) + step;
    prop_assert!(u128::from(found.cpu.get()) <= most, "more than {most} after {seconds} ms: {}", found.cpu_reason);
    if has_stale(script, tick) || tick.beside.is_none() {
        let (rule, missing) = cpu_rule(found);
        prop_assert!(found.cpu.is_zero() && rule == ReclaimRule::Unknown && missing.is_some(), "{}", found.cpu_reason);
    }
    for (region, figures) in &found.regions {
        prop_assert!(figures.capacity <= capacity, "{region}: {figures:?}");
    }
    let cpus = topology.cpus().count();
    prop_assert!(found.pools.values().all(|pool| pool.cpus <= cpus), "{:?}", found.pools);
    Ok(())
}

/// More use of one that lends. By Katalyst's formula a container that uses nothing at all counts with its request, one that uses a thousandth
/// of a CPU does not: that is kept as it is, so that one is not made busier from nothing.
fn busier(s: &Snapshot, which: prop::sample::Index, more: u64) -> Option<Snapshot> {
    let mut busier = s.clone();
    let uses = |pod: &&Pod| {
        let containers = s.readings.get(&pod.uid).into_iter().flat_map(|pod| pod.containers.values());
        pod.class() != QosClass::Reclaimed && containers.into_iter().all(|c| c.cpu_usage.value().is_some_and(|usage| !usage.is_zero()))
    };
    let lenders: Vec<PodUid> = s.pods.values().filter(uses).map(|pod| pod.uid.clone()).collect();
    if lenders.is_empty() {
        return None;
    }
    let more = MilliCpu::new(more);
    for readings in busier.readings.get_mut(which.get(&lenders)).into_iter().flat_map(|pod| pod.containers.values_mut()) {
        readings.cpu_usage = readings.cpu_usage.clone().map(|usage| usage.plus(more));
    }
    // The node's own reading stays, else what is free would fall and hide what the policy says.
    Some(busier)
}

fn sequence(script: &Script, name: PolicyName, begin: &State) -> Result<(), TestCaseError> {
    let (topology, assignment, policy) = (node(script.cpus), Assignment::default(), coarse(name));
    let mut state = begin.clone();
    for (tick, s) in script.ticks.iter().zip(play(script)) {
        let last = state.given.clone();
        let (found, next) = estimate(&s, &topology, &assignment, &policy, &state);
        check(script, tick, &found, last.as_ref(), &topology)?;
        prop_assert_eq!(&estimate(&s, &topology, &assignment, &policy, &state).0, &found, "twice the same by {}", name);
        state = next;
    }
    Ok(())
}

/// Both ways to go on after a restart of the agent, at this tick, beside one that was never stopped.
fn restarted(script: &Script, name: PolicyName, stop: usize) -> Result<(), TestCaseError> {
    let (topology, assignment, policy) = (node(script.cpus), Assignment::default(), coarse(name));
    let mut states = [State::default(), State::default(), State::default()];
    for (index, s) in play(script).iter().enumerate() {
        let found = states.each_ref().map(|state| estimate(s, &topology, &assignment, &policy, state));
        let [whole, stored, remembered] = &found;
        prop_assert_eq!(&whole.0, &stored.0, "by {} at tick {} after a stop at {}", name, index, stop);
        prop_assert_eq!(&whole.0, &remembered.0, "by {} at tick {} after a stop at {}", name, index, stop);
        states = found.map(|(_, state)| state);
        if index == stop {
            states[1] = roundtrip(&states[1]);
            let checkpoint = serde_json::to_string(&states[2].histories().save(s.at, s.wall)).unwrap();
            states[2] = states[2].clone().remembering(Histories::restore(serde_json::from_str(&checkpoint).unwrap(), s.at, s.wall));
        }
    }
    Ok(())
}

#[test]
fn one_container_that_comes_and_goes_each_second_breaks_no_bound() {
    for name in PolicyName::ALL {
        sequence(&flapping(), name, &State::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn every_policy_rules_once_it_knows_enough() {
    let mut script = flapping();
    script.pods.iter_mut().for_each(|pod| pod.workload = Some(WorkloadName::new("test", "Deployment", "a").unwrap()));
    let expected = [
        RequirementRule::Canonical,
        RequirementRule::UsageMargin,
        RequirementRule::NSigma,
        RequirementRule::Percentile,
        RequirementRule::Seasonal,
        RequirementRule::Feedback,
    ];
    let begin = aged(&script, Known::All);
    for (name, expected) in PolicyName::ALL.into_iter().zip(expected) {
        let policy = coarse(name);
        let mut state = begin.clone();
        let mut last = None;
        for s in play(&script) {
            let (found, next) = estimate(&s, &node(8), &Assignment::default(), &policy, &state);
            (last, state) = (found.regions[&Region::Pool(PoolName::share())].requirement, next);
        }
        assert_eq!(last.map(|last| last.rule), Some(expected), "by {name}: {last:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_policy_breaks_a_bound_whatever_the_node_shows(script in script(), known in known()) {
        let begin = aged(&script, known);
        for name in PolicyName::ALL {
            sequence(&script, name, &begin)?;
        }
    }

    #[test]
    fn by_no_policy_does_more_use_of_the_others_raise_the_promise(
        script in script(), known in known(), which in any::<prop::sample::Index>(), more in prop_oneof![1u64..4000, Just(1), any::<u64>()]
    ) {
        let (topology, assignment) = (node(script.cpus), Assignment::default());
        let begin = aged(&script, known);
        for name in PolicyName::ALL {
            let policy = coarse(name);
            let mut state = begin.clone();
            // What was lent before bounds nothing, so that what is lent now shows.
            for s in play(&script) {
                if let Some(given) = &mut state.given {
                    (given.cpu, given.by_node) = (MilliCpu::from_cpus(script.cpus), None);
                }
                let (calm, next) = estimate(&s, &topology, &assignment, &policy, &state);
                if let Some(busy) = busier(&s, which, more) {
                    let (busy, _) = estimate(&busy, &topology, &assignment, &policy, &state);
                    prop_assert!(busy.cpu <= calm.cpu, "by {}, {} more:\n{}\n{:?}\n{}\n{:?}", name, more, calm.cpu_reason, calm.regions, busy.cpu_reason, busy.regions);
                }
                state = next;
            }
        }
    }

    #[test]
    fn a_restart_at_any_point_changes_no_later_estimate(script in script(), stop in any::<prop::sample::Index>()) {
        let stop = stop.index(script.ticks.len());
        for name in PolicyName::ALL {
            restarted(&script, name, stop)?;
        }
    }
}
