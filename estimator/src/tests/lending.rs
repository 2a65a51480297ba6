use super::*;

const NOW: u64 = 1000;

#[test]
fn what_the_others_leave_or_what_is_free_is_lent() {
    let shared = |milli| (pod("a", QosClass::Shared, 4000), Some(measured(milli, GIB, at(NOW))));
    let mut short = shared(2000);
    short.1.as_mut().unwrap().cpu_pressure = waiting(500, at(NOW));
    let reclaimed = (pod("r", QosClass::Reclaimed, 0), Some(measured(3000, GIB, at(NOW))));
    let none = Assignment::default();
    let table: [(&str, Vec<_>, u64, &Assignment, u64, ReclaimRule); 9] = [
        ("an empty node lends all but the reserve", vec![], 0, &none, 7000, ReclaimRule::Demand),
        ("demand is usage with margin", vec![shared(2000)], 2000, &none, 8000 - 1000 - 2200, ReclaimRule::Demand),
        ("waiting tasks add to the load", vec![short], 2000, &none, 8000 - 1000 - 2500, ReclaimRule::Demand),
        ("usage outside pods is not free", vec![shared(2000)], 5000, &none, 8000 - 1000 - 5000, ReclaimRule::Free),
        ("what reclaimed pods use is free", vec![shared(2000), reclaimed.clone()], 5000, &none, 4800, ReclaimRule::Demand),
        (
            "a dedicated pod without CPUs takes its request in whole CPUs",
            vec![(pod("d", QosClass::Dedicated, 2500), Some(measured(0, GIB, at(NOW))))],
            0,
            &none,
            4000,
            ReclaimRule::Demand,
        ),
        (
            "a dedicated pod takes the CPUs that it holds",
            vec![(pod("d", QosClass::Dedicated, 2500), Some(measured(0, GIB, at(NOW))))],
            0,
            &dedicated_on("d", 0..4),
            3000,
            ReclaimRule::Demand,
        ),
        (
            "CPUs that went offline are not held",
            vec![(pod("d", QosClass::Dedicated, 2500), Some(measured(0, GIB, at(NOW))))],
            0,
            &dedicated_on("d", 6..12),
            5000,
            ReclaimRule::Demand,
        ),
        ("more is used than there is", vec![shared(9000)], 9000, &none, 0, ReclaimRule::Demand),
    ];
    for (name, pods, node, assignment, expected, rule) in table {
        let estimate = run(&snapshot(NOW, node, &pods), assignment);
        assert_eq!((estimate.cpu, cpu_rule(&estimate).0), (MilliCpu::new(expected), rule), "{name}: {}", estimate.cpu_reason);
    }
}

#[test]
fn unknown_usage_of_reclaimed_pods_counts_as_none() {
    let reclaimed = (pod("r", QosClass::Reclaimed, 0), None);
    let estimate = run(&snapshot(NOW, 3000, &[reclaimed]), &Assignment::default());
    assert_eq!((estimate.cpu, cpu_rule(&estimate).0), (MilliCpu::new(4000), ReclaimRule::Free));
}

#[test]
fn what_is_unknown_lends_nothing_and_says_which_pod_and_why() {
    let with = |reading: Reading<MilliCpu>| ContainerReadings { cpu_usage: reading, ..measured(0, GIB, at(NOW)) };
    let table = [
        ("stale", Some(with(Reading::present(MilliCpu::ZERO, at(NOW - 11)))), "pod test/a container main: the reading is 11000 ms old"),
        ("unreadable", Some(with(Reading::Absent(Absence::Unreadable("EIO".to_owned())))), "pod test/a container main: EIO"),
        ("not offered", Some(with(Reading::Absent(Absence::NotOffered))), "container main: the kernel does not offer it"),
        ("not yet, but long known", Some(with(Reading::Absent(Absence::NotYet))), "container main: not sampled yet"),
        ("never sampled", None, "pod test/a: not sampled yet"),
    ];
    for class in [QosClass::Shared, QosClass::System, QosClass::Dedicated] {
        for (name, readings, text) in &table {
            let estimate = run(&snapshot(NOW, 0, &[(pod("a", class, 1000), readings.clone())]), &dedicated_on("a", 0..1));
            let (rule, missing) = cpu_rule(&estimate);
            assert_eq!((estimate.cpu, rule), (MilliCpu::ZERO, ReclaimRule::Unknown), "{name} {class}");
            assert!(missing.as_ref().is_some_and(|m| m.contains(text)), "{name} {class}: {missing:?}");
        }
    }
}

#[test]
fn a_missing_reading_of_the_node_lends_nothing() {
    let mut s = snapshot(NOW, 0, &[]);
    s.node.cpu_usage = Reading::present(MilliCpu::ZERO, at(NOW - 11));
    s.node.memory_available = Reading::Absent(Absence::NotOffered);
    let estimate = run(&s, &Assignment::default());
    assert_eq!(cpu_rule(&estimate), (ReclaimRule::Unknown, Some("node CPU usage: the reading is 11000 ms old".to_owned())));
    let missing = Some("node available memory: the kernel does not offer it".to_owned());
    assert_eq!(memory_rule(&estimate), (ReclaimRule::Unknown, missing));
    assert_eq!((estimate.cpu, estimate.memory), (MilliCpu::ZERO, Bytes::ZERO));
}

#[test]
fn a_node_that_is_told_to_lend_nothing_lends_nothing_and_says_so() {
    let (s, none) = (snapshot(NOW, 0, &[]), Assignment::default());
    let off = Policy { lend: false, ..policy() };
    let estimate = estimate(&s, &machine(), &none, &off, &settled(&s, &none)).0;
    assert_eq!((cpu_rule(&estimate), memory_rule(&estimate)), ((ReclaimRule::Off, None), (ReclaimRule::Off, None)));
    assert_eq!((estimate.known_cpu(), estimate.known_memory()), (Some(MilliCpu::ZERO), Some(Bytes::ZERO)), "which is known");
}

#[test]
fn many_gaps_are_said_in_one_short_line() {
    let pods: Vec<_> = (0..9).map(|i| (pod(&format!("p{i}"), QosClass::Shared, 0), None)).collect();
    let (_, missing) = cpu_rule(&run(&snapshot(NOW, 0, &pods), &Assignment::default()));
    let missing = missing.unwrap();
    assert!(missing.starts_with("pod test/p0: not sampled yet; ") && missing.ends_with("; and 6 more"), "{missing}");
}

#[test]
fn what_ended_needs_nothing() {
    let gone = ContainerReadings {
        cpu_usage: Reading::Absent(Absence::Vanished),
        memory: Reading::Absent(Absence::Vanished),
        ..ContainerReadings::default()
    };
    let mut s = snapshot(NOW, 0, &[(pod("vanished", QosClass::Shared, 4000), Some(gone))]);
    let no_cgroup = pod("none", QosClass::Shared, 4000);
    s.readings.insert(no_cgroup.uid.clone(), PodReadings::default());
    s.pods.insert(no_cgroup.uid.clone(), no_cgroup);
    let estimate = run(&s, &Assignment::default());
    assert_eq!((estimate.cpu, cpu_rule(&estimate).0), (MilliCpu::new(7000), ReclaimRule::Demand));
}

#[test]
fn a_new_pod_counts_with_its_request_for_a_while() {
    let not_yet = Some(ContainerReadings::default());
    let table = [("no reading", None), ("no rate yet", not_yet)];
    for (name, readings) in table {
        let empty = snapshot(NOW, 0, &[]);
        let mut state = settled(&empty, &Assignment::default());
        for (second, expected) in [(1, 4000), (11, 4000), (12, 0)] {
            let now = snapshot(NOW + second, 0, &[(pod("a", QosClass::Shared, 3000), readings.clone())]);
            let (estimate, next) = estimate(&now, &machine(), &Assignment::default(), &policy(), &state);
            assert_eq!(estimate.cpu, MilliCpu::new(expected), "{name} after {second} s: {}", estimate.cpu_reason);
            state = next;
        }
    }
}

#[test]
fn a_new_pod_counts_with_at_least_its_request_until_all_its_containers_are_measured() {
    let mut three = pod("a", QosClass::Shared, 1000);
    let named = |name: &str, kind, milli| Container {
        name: name.parse().unwrap(),
        kind,
        cpu: Requirement { request: Some(MilliCpu::new(milli)), limit: None },
        ..three.containers[0].clone()
    };
    let others = [named("init", ContainerKind::Init, 3000), named("side", ContainerKind::Sidecar, 500)];
    three.containers.extend(others);
    let first = estimate(&snapshot(NOW, 0, &[]), &machine(), &Assignment::default(), &policy(), &State::default()).1;
    let state = State { given: settled(&snapshot(NOW, 0, &[]), &Assignment::default()).given, ..first };
    let table = [
        ("the init container is the largest request", vec!["main"], 7000 - 3000),
        ("an init container that is not there is not awaited", vec!["main", "side"], 7000 - 220),
    ];
    for (name, measured_ones, expected) in table {
        let mut s = snapshot(NOW + 1, 0, &[(three.clone(), None)]);
        let readings = measured_ones.iter().map(|c| (c.parse().unwrap(), Box::new(measured(100, GIB, at(NOW + 1))))).collect();
        s.readings.insert(uid("a"), PodReadings { containers: readings });
        let (estimate, _) = estimate(&s, &machine(), &Assignment::default(), &policy(), &state);
        assert_eq!(estimate.cpu, MilliCpu::new(expected), "{name}: {}", estimate.cpu_reason);
    }
}

#[test]
fn a_container_that_starts_again_counts_with_its_request_for_a_while() {
    let run_at = |state: &State, second: u64, readings: ContainerReadings| {
        let s = snapshot(NOW + second, 0, &[(pod("a", QosClass::Shared, 3000), Some(readings))]);
        estimate(&s, &machine(), &Assignment::default(), &policy(), state)
    };
    let calm = measured(0, GIB, at(NOW));
    let state = settled(&snapshot(NOW, 0, &[(pod("a", QosClass::Shared, 3000), Some(calm.clone()))]), &Assignment::default());
    let (first, state) = run_at(&state, 1, calm);
    let (second, state) = run_at(&state, 2, ContainerReadings::default());
    let (third, _) = run_at(&state, 13, ContainerReadings::default());
    let given = [first, second, third].map(|e| e.cpu.get());
    assert_eq!(given, [7000, 4000, 0]);
}

#[test]
fn figures_fall_at_once_and_rise_slowly_from_nothing() {
    let slow = Policy { rise_per_second: Permille::new(20), ..policy() };
    let mut state = State::default();
    let mut given = Vec::new();
    for (second, node) in [(0, 0), (1, 0), (2, 0), (4, 0), (5, 6900), (6, 0), (106, 0)] {
        let (estimate, next) = estimate(&snapshot(NOW + second, node, &[]), &machine(), &Assignment::default(), &slow, &state);
        given.push((estimate.cpu.get(), cpu_rule(&estimate).0));
        state = next;
    }
    use ReclaimRule::{Free, SlowRise};
    let expected = [(0, SlowRise), (160, SlowRise), (320, SlowRise), (640, SlowRise), (100, Free), (260, SlowRise), (1860, SlowRise)];
    assert_eq!(given, expected, "the last step is credited for 10 s only");
}

#[test]
fn memory_lends_what_is_left_and_free() {
    let shared = |gib: u64| (pod("a", QosClass::Shared, 0), Some(measured(0, gib * GIB, at(NOW))));
    let mut batch = measured(0, 5 * GIB, at(NOW));
    // Two of them are page cache, which MemAvailable has in it already.
    batch.memory = Reading::present(MemoryReadings { file: Bytes::new(2 * GIB), ..memory(5 * GIB) }, at(NOW));
    let reclaimed = (pod("r", QosClass::Reclaimed, 0), Some(batch));
    let free = 12 * GIB - GIB / 16 - GIB;
    let table = [
        ("free is less than left", vec![shared(0)], free, ReclaimRule::Free),
        ("left is less than free", vec![shared(10)], 16 * GIB - GIB - 11 * GIB, ReclaimRule::Demand),
        ("what reclaimed pods hold is free, page cache once", vec![reclaimed.clone()], free + 3 * GIB, ReclaimRule::Free),
        ("more is held than there is", vec![shared(20), reclaimed], 0, ReclaimRule::Demand),
    ];
    for (name, pods, expected, rule) in table {
        let estimate = run(&snapshot(NOW, 0, &pods), &Assignment::default());
        assert_eq!((estimate.memory, memory_rule(&estimate).0), (Bytes::new(expected), rule), "{name}: {}", estimate.memory_reason);
    }
}

#[test]
fn an_estimate_round_trips_as_json() {
    let s = snapshot(NOW, 2000, &[(in_pool(pod("a", QosClass::Shared, 1000), "web"), Some(measured(500, GIB, at(NOW))))]);
    let (estimate, state) = estimate(&s, &machine(), &Assignment::default(), &policy(), &State::default());
    let text = serde_json::to_string(&(&estimate, &state)).unwrap();
    assert_eq!(serde_json::from_str::<(Estimate, State)>(&text).unwrap(), (estimate, state), "{text}");
}
