use super::*;

/// Tick each second with this much available memory and this pressure.
fn run(node: &mut Node, seconds: std::ops::Range<u64>, pods: &[(Pod, u64)], available: u64, avg10: u32) -> Vec<(u64, Vec<String>)> {
    node.seconds(seconds, |second| {
        let mut s = snapshot(second, pods);
        s.node.memory_available = Reading::present(Bytes::new(available), at(second));
        s.node.memory_pressure = Reading::present(pressure(avg10), at(second));
        s
    })
}

fn pods() -> Vec<(Pod, u64)> {
    vec![
        (batch("small", 0, 0), 50 * MIB),
        (batch("large", 0, 0), 4 * GIB),
        (batch("important", 5, 0), 5 * GIB),
        (batch("tiny", -5, 0), 16 * MIB),
        (pod("service", QosClass::Shared, -9, 0), 6 * GIB),
        (pod("agent", QosClass::System, -9, 0), 6 * GIB),
    ]
}

fn victims(second: u64, names: &[&str]) -> Vec<(u64, Vec<String>)> {
    vec![(second, names.iter().map(|name| (*name).to_owned()).collect())]
}

#[test]
fn low_memory_must_last_unless_it_is_below_the_watermark() {
    let table = [
        ("above twice the watermark", 200 * MIB, vec![]),
        ("below it for 10 s", 200 * MIB - 1, victims(NOW + 10, &["large"])),
        ("at the watermark", 100 * MIB, victims(NOW + 10, &["large"])),
        ("below the watermark", 100 * MIB - 1, victims(NOW, &["large"])),
    ];
    for (name, available, expected) in table {
        assert_eq!(run(&mut Node::new(0), NOW..NOW + 11, &pods(), available, 0), expected, "{name}");
    }
    let mut node = Node::new(0);
    assert_eq!(run(&mut node, NOW..NOW + 9, &pods(), 150 * MIB, 0), []);
    assert_eq!(run(&mut node, NOW + 9..NOW + 10, &pods(), GIB, 0), []);
    assert_eq!(run(&mut node, NOW + 10..NOW + 20, &pods(), 150 * MIB, 0), [], "it must last anew");
}

#[test]
fn pods_go_until_what_they_hold_covers_the_shortfall() {
    let of = |pods: &[(Pod, u64)], budget| {
        let mut node = Node { policy: Policy { memory_budget: budget, ..Policy::default() }, ..Node::new(0) };
        run(&mut node, NOW..NOW + 1, pods, 0, 0).into_iter().flat_map(|(_, names)| names).collect::<Vec<_>>()
    };
    let even: Vec<(Pod, u64)> = ["a", "b", "c", "d"].iter().map(|name| (batch(name, 0, 0), 60 * MIB)).collect();
    assert_eq!(of(&even, 9), ["d", "c", "b", "a"], "200 MiB are missing, each holds 60");
    assert_eq!(of(&even, 3), ["d", "c", "b"], "the budget is spent");
    assert_eq!(of(&even, 0), [""; 0], "a budget of zero switches the rule off");
    let ranked = [(batch("late", 1, 0), 9 * GIB), (batch("more", 0, 0), 90 * MIB), (batch("less", 0, 0), 80 * MIB)];
    assert_eq!(of(&ranked, 9), ["more", "less", "late"], "priority, then memory");
    assert_eq!(of(&[(batch("tiny", 0, 0), 17 * MIB)], 9), ["tiny"], "at least a thousandth of the node");
    assert_eq!(of(&[(batch("tiny", 0, 0), 16 * MIB)], 9), [""; 0], "less than a thousandth of the node");
}

#[test]
fn a_pod_that_holds_nothing_is_no_victim_however_low_the_bar() {
    let mut node = Node { policy: Policy { memory_victim_share: Permille::new(0), ..Policy::default() }, ..Node::new(0) };
    assert_eq!(run(&mut node, NOW..NOW + 1, &[(batch("empty", 0, 0), 0)], 0, 0), []);
}

#[test]
fn pressure_must_last_and_takes_one_pod() {
    assert_eq!(run(&mut Node::new(0), NOW..NOW + 16, &pods(), GIB, 150), victims(NOW + 15, &["large"]));
    assert_eq!(run(&mut Node::new(0), NOW..NOW + 60, &pods(), GIB, 149), []);
}

#[test]
fn a_pressure_trigger_acts_at_once_but_not_alone() {
    for (avg10, expected) in [(0, vec![]), (49, vec![]), (50, victims(NOW, &["large"])), (150, victims(NOW, &["large"]))] {
        let mut node = Node { fired: true, ..Node::new(0) };
        assert_eq!(run(&mut node, NOW..NOW + 1, &pods(), GIB, avg10), expected, "avg10 {avg10} thousandths");
    }
}

#[test]
fn missing_readings_never_evict_and_are_said() {
    type Break = fn(&mut Snapshot);
    let table: [(&str, Break, &[&str]); 6] = [
        ("watermark", |s| s.node.memory_low_watermark = Reading::Absent(Absence::NotOffered), &["eviction by free memory"]),
        ("available", |s| s.node.memory_available = Reading::Absent(Absence::NotYet), &["eviction by free memory"]),
        ("old", |s| s.node.memory_available = Reading::present(Bytes::ZERO, at(NOW - 11)), &["eviction by free memory"]),
        ("total", |s| s.node.memory_total = Reading::Absent(Absence::Vanished), &["eviction by memory"]),
        ("no readings of pods", |s| s.readings.clear(), &[]),
        ("old readings of pods", |s| s.readings.values_mut().for_each(|r| *r = holding(GIB, at(NOW - 11))), &[]),
    ];
    for (name, break_it, expected) in table {
        let mut s = snapshot(NOW, &pods());
        s.node.memory_available = Reading::present(Bytes::ZERO, at(NOW));
        break_it(&mut s);
        let round = Node::new(0).tick(&s);
        assert_eq!(names(&round), [""; 0], "{name}");
        let parts: Vec<&str> = round.notes.iter().map(|note| if let Reason::Health { part, .. } = note { part } else { "" }).collect();
        assert_eq!(parts, expected, "{name}: {:?}", round.notes);
    }
    let mut s = snapshot(NOW, &pods());
    s.node.memory_pressure = Reading::Absent(Absence::NotOffered);
    let problem = Some("memory pressure: the kernel does not offer it".to_owned());
    let note = Reason::Health { part: "eviction by memory pressure".to_owned(), problem };
    let mut node = Node { fired: true, ..Node::new(0) };
    assert_eq!(node.tick(&s), Round { victims: Vec::new(), notes: vec![note] });
}

#[test]
fn reasons_have_the_numbers() {
    let mut s = snapshot(NOW, &pods());
    s.node.memory_available = Reading::present(Bytes::new(MIB), at(NOW));
    let (available, threshold, frees) = (Bytes::new(MIB), Bytes::new(200 * MIB), Bytes::new(4 * GIB));
    assert_eq!(Node::new(0).tick(&s).victims[0].reason, Reason::EvictMemoryLow { available, threshold, frees });
    s.node.memory_available = Reading::present(Bytes::new(GIB), at(NOW));
    s.node.memory_pressure = Reading::present(pressure(400), at(NOW));
    let (avg10, tolerated) = (Permille::new(400), Permille::new(150));
    let mut node = Node { fired: true, ..Node::new(0) };
    assert_eq!(node.tick(&s).victims[0].reason, Reason::EvictMemoryPressure { avg10, tolerated, frees });
}
