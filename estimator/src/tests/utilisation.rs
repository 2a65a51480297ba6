//! Promises of more than there is, while little of them is used.

use super::*;
use crate::headroom::Utilisation;

const NOW: u64 = 1000;

/// A target of 60 %, a ceiling of 120 %, raised by all of it in a minute.
fn raising() -> Policy {
    let utilisation = Utilisation {
        target: Some(Permille::new(600)),
        memory_target: Some(Permille::new(600)),
        ceiling: Permille::new(1200),
        rise_per_minute: Permille::new(1000),
    };
    let mut policy = policy();
    policy.headroom.utilisation = utilisation;
    policy
}

/// The pods at a moment, with their readings.
type Pods = Box<dyn Fn(Timestamp) -> Vec<(Pod, Option<ContainerReadings>)>>;

/// A reclaimed pod that was promised this much CPU.
fn promised(milli: u64) -> Pod {
    let mut pod = pod("r", QosClass::Reclaimed, 0);
    pod.containers[0].reclaimed_cpu = Some(MilliCpu::new(milli));
    pod.containers[0].reclaimed_memory = Some(Bytes::new(GIB));
    pod
}

/// The estimate after many ticks of the same: others use 4 CPUs of 8, so that 3 less their margin are left.
fn after(policy: &Policy, seconds: u64, pods: &dyn Fn(Timestamp) -> Vec<(Pod, Option<ContainerReadings>)>) -> Estimate {
    let mut state = settled(&snapshot(NOW, 0, &[]), &Assignment::default());
    let mut last = None;
    for second in 0..=seconds {
        let (now, pods) = (at(NOW + second), pods(at(NOW + second)));
        let used: u64 = pods.iter().filter_map(|(_, readings)| Some(readings.as_ref()?.cpu_usage.fresh(now, Duration::ZERO)?.get())).sum();
        let s = snapshot(NOW + second, 3000 + used, &pods);
        let (estimate, next) = estimate(&s, &machine(), &Assignment::default(), policy, &state);
        (state, last) = (next, Some(estimate));
    }
    last.unwrap()
}

#[test]
fn the_promise_is_raised_while_little_is_used_of_what_was_promised() {
    let supply = 4000;
    let one = |promise: u64, used: u64| move |now| vec![(promised(promise), Some(measured(used, 0, now)))];
    let table: [(&str, Pods, u64); 9] = [
        ("nothing is promised, nothing is known of use", Box::new(|_| vec![]), supply),
        ("nothing is used of it", Box::new(one(2000, 0)), 4800),
        ("a little is used", Box::new(one(2000, 200)), 4800),
        ("more: as far as it goes", Box::new(one(2000, 1090)), supply * 12000 / 10900),
        ("as much as the target", Box::new(one(2000, 1200)), supply),
        ("more than the target", Box::new(one(2000, 1900)), supply),
        ("half of the promise, but all that there is", Box::new(one(8000, 4000)), supply),
        ("its use is not known", Box::new(|_| vec![(promised(2000), None)]), supply),
        ("its use is stale", Box::new(|_| vec![(promised(2000), Some(measured(0, 0, at(1))))]), supply),
    ];
    for (name, pods, expected) in table {
        let estimate = after(&raising(), 30, &pods);
        assert_eq!(estimate.supply.cpu, MilliCpu::new(supply), "{name}: {}", estimate.cpu_reason);
        assert!(estimate.cpu.get().abs_diff(expected) <= 1, "{name}: {} is not {expected}: {}", estimate.cpu, estimate.cpu_reason);
        let raised = cpu_rule(&estimate).0 == ReclaimRule::Raised;
        assert_eq!(raised, expected > supply, "{name}: {}", estimate.cpu_reason);
    }
}

#[test]
fn it_is_off_unless_it_is_switched_on() {
    let idle = |now| vec![(promised(2000), Some(measured(0, 0, now)))];
    let estimate = after(&policy(), 60, &idle);
    assert_eq!((estimate.cpu, estimate.memory), (estimate.supply.cpu, estimate.supply.memory));
}

#[test]
fn it_rises_slowly_and_falls_at_once() {
    let policy = raising();
    let mut state = settled(&snapshot(NOW, 0, &[]), &Assignment::default());
    let mut seen = Vec::new();
    for (second, used) in [(0, 0), (1, 0), (2, 0), (8, 0), (9, 1900), (10, 0)] {
        let pods = [(promised(2000), Some(measured(used, 0, at(NOW + second))))];
        let s = snapshot(NOW + second, 3000 + used, &pods);
        let (estimate, next) = estimate(&s, &machine(), &Assignment::default(), &policy, &state);
        seen.push(estimate.cpu.get());
        state = next;
    }
    // A sixtieth in a second.
    assert_eq!(seen, [4000, 4066, 4133, 4533, 4000, 4066]);
}

#[test]
fn more_than_capacity_less_reserve_is_never_promised() {
    let policy = Policy { cpu_reserve: MilliCpu::from_cpus(1), ..raising() };
    let pods = [(promised(2000), Some(measured(0, 0, at(NOW))))];
    let mut s = snapshot(NOW, 0, &pods);
    s.node.memory_available = Reading::present(Bytes::new(16 * GIB), at(NOW));
    let state = settled(&s, &Assignment::default());
    let given = Given { raised: crate::headroom::Raised { cpu: 200_000, memory: 200_000 }, ..state.given.clone().unwrap() };
    let estimate = estimate(&s, &machine(), &Assignment::default(), &policy, &State { given: Some(given), ..state }).0;
    assert_eq!(estimate.cpu, MilliCpu::new(7000), "{}", estimate.cpu_reason);
    assert_eq!(estimate.memory, Bytes::new(15 * GIB), "{}", estimate.memory_reason);
}
