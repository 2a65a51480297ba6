//! What swap, zram and waiting for memory do to what is lent of it.

use super::*;
use gleaner_model::SwapReadings;

const NOW: u64 = 1000;

fn pressure(avg10: u32, when: Timestamp) -> Reading<Pressure> {
    let some = PressureLine { avg10: Permille::new(avg10), ..PressureLine::default() };
    Reading::present(Pressure { some, full: None }, when)
}

#[test]
fn swap_is_no_memory_to_lend_and_zram_that_is_nearly_full_keeps_memory_back() {
    let free = 12 * GIB - GIB / 16 - GIB;
    let swap = |total, free, zram| SwapReadings {
        total: Bytes::new(total * GIB),
        free: Bytes::new(free * GIB),
        zram: Bytes::new(zram * GIB),
        zram_used: Bytes::new(GIB),
    };
    let table = [
        ("no swap", swap(0, 0, 0), free),
        ("free swap on a disk", swap(8, 8, 0), free),
        ("full swap on a disk", swap(8, 0, 0), free),
        ("free zram", swap(10, 10, 10), free),
        ("zram with just enough room", swap(10, 2, 10), free),
        ("zram with half of the room", swap(10, 1, 10), free - GIB),
        ("full zram", swap(10, 0, 10), free - 2 * GIB),
        ("what is swapped counts as in zram first", swap(30, 20, 10), free - 2 * GIB),
        ("more zram than swap", swap(10, 0, 99), free - 2 * GIB),
        ("more free than there is", swap(10, 99, 10), free),
    ];
    for (name, swap, expected) in table {
        let mut s = snapshot(NOW, 0, &[]);
        s.node.swap = Reading::present(swap, at(NOW));
        let estimate = run(&s, &Assignment::default());
        assert_eq!(estimate.memory, Bytes::new(expected), "{name}: {}", estimate.memory_reason);
    }
}

#[test]
fn swap_that_is_not_there_is_none_and_one_that_cannot_be_read_is_not_known() {
    let swap = SwapReadings::default();
    let table = [
        ("no such reading", Reading::Absent(Absence::NotOffered), None),
        ("not yet", Reading::Absent(Absence::NotYet), None),
        ("unreadable", Reading::Absent(Absence::Unreadable("EIO".to_owned())), Some("node swap: EIO")),
        ("stale", Reading::present(swap, at(NOW - 11)), Some("node swap: the reading is 11000 ms old")),
    ];
    for (name, swap, missing) in table {
        let mut s = snapshot(NOW, 0, &[]);
        s.node.swap = swap;
        let estimate = run(&s, &Assignment::default());
        assert_eq!(memory_rule(&estimate).1.as_deref(), missing, "{name}");
        assert_eq!(estimate.memory.is_zero(), missing.is_some(), "{name}: {}", estimate.memory_reason);
    }
}

#[test]
fn memory_does_not_rise_while_tasks_wait_for_it_and_falls_while_they_wait_long() {
    let slow = Policy { rise_per_second: Permille::new(10), ..policy() };
    let (second, last) = (16 * GIB / 100, 4 * GIB);
    let stale = pressure(0, at(NOW - 11));
    let unread = Reading::Absent(Absence::Unreadable("EIO".to_owned()));
    let calm = || Reading::Absent(Absence::NotOffered);
    let table = [
        ("not told", calm(), calm(), QosClass::Shared, last + second, ReclaimRule::SlowRise),
        ("little", pressure(50, at(NOW)), calm(), QosClass::Shared, last + second, ReclaimRule::SlowRise),
        ("above hold", pressure(51, at(NOW)), calm(), QosClass::Shared, last, ReclaimRule::Pressure),
        ("above fall", pressure(101, at(NOW)), calm(), QosClass::Shared, last - 2 * second, ReclaimRule::Pressure),
        ("a pod waits", pressure(0, at(NOW)), pressure(60, at(NOW)), QosClass::Shared, last, ReclaimRule::Pressure),
        ("a dedicated pod waits", calm(), pressure(200, at(NOW)), QosClass::Dedicated, last - 2 * second, ReclaimRule::Pressure),
        ("a reclaimed pod waits", calm(), pressure(200, at(NOW)), QosClass::Reclaimed, last + second, ReclaimRule::SlowRise),
        ("the node's is stale", stale.clone(), calm(), QosClass::Shared, last, ReclaimRule::Pressure),
        ("the node's cannot be read", unread, calm(), QosClass::Shared, last, ReclaimRule::Pressure),
        ("a pod's is stale", calm(), stale, QosClass::Shared, last + second, ReclaimRule::SlowRise),
    ];
    for (name, of_node, of_pod, class, expected, rule) in table {
        let readings = ContainerReadings { memory_pressure: of_pod, ..measured(0, 0, at(NOW)) };
        let mut s = snapshot(NOW, 0, &[(pod("a", class, 0), Some(readings))]);
        s.node.memory_pressure = of_node;
        let given = Given { at: at(NOW - 1), cpu: MilliCpu::from_cpus(7), memory: Bytes::new(last), ..Given::default() };
        let state = State { given: Some(given), ..settled(&s, &Assignment::default()) };
        let estimate = estimate(&s, &machine(), &Assignment::default(), &slow, &state).0;
        // In shares of a machine whose thousandths are no whole bytes.
        let near = estimate.supply.memory.get().abs_diff(expected) <= 2;
        assert!(
            near && memory_rule(&estimate).0 == rule,
            "{name}: {} is not {expected}: {}",
            estimate.supply.memory.get(),
            estimate.memory_reason
        );
    }
}

#[test]
fn pressure_never_lends_what_the_others_need() {
    let mut s = snapshot(NOW, 0, &[(pod("a", QosClass::Shared, 0), Some(measured(0, 12 * GIB, at(NOW))))]);
    s.node.memory_pressure = pressure(900, at(NOW));
    let estimate = run(&s, &Assignment::default());
    assert_eq!(memory_rule(&estimate).0, ReclaimRule::Demand, "{}", estimate.memory_reason);
}
