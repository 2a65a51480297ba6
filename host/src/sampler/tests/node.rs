use super::{Fake, absence, psi};
use crate::cgroup::Layout;
use crate::clock;
use crate::process::scratch::until;
use crate::sampler::SamplerCore;
use gleaner_model::{Absence, Bytes, CpuId, MilliCpu, NodeReadings, NumaId, Reading, SwapReadings, Timestamp};
use std::path::Path;
use std::time::Duration;

fn at(second: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(second))
}

#[test]
fn the_node_is_sampled_from_proc() {
    let mut fake = Fake::v2();
    let hz = procfs::ticks_per_second();
    let stat =
        |a: u64, b: u64| format!("cpu  {} 0 0 9 9 0 0 0 0 0\ncpu0 {a} 0 0 9 9 0 0 0 0 0\ncpu3 {b} 0 0 9 9 0 0 0 0 0\nintr 1\n", a + b);
    fake.put("proc/stat", &stat(100, 200));
    fake.put("proc/meminfo", "MemTotal:       1000 kB\nMemFree:  100 kB\n");
    fake.put("proc/zoneinfo", "Node 0, zone DMA\n  pages free 1\n        low      3\n");
    fake.put("proc/pressure/memory", &psi(1));
    let first = fake.take().node;
    assert_eq!(absence(&first.cpu_usage), &Absence::NotYet);
    assert_eq!(first.memory_total.value(), Some(&Bytes::new(1_024_000)));
    assert_eq!(absence(&first.memory_available), &Absence::NotOffered);
    assert_eq!(first.memory_low_watermark.value(), Some(&Bytes::new(3 * procfs::page_size())));
    assert!(first.memory_pressure.value().is_some());
    assert_eq!(absence(&first.cpu_pressure), &Absence::NotOffered);
    fake.put("proc/stat", &stat(100 + hz / 2, 200 + hz));
    let second = fake.take().node;
    assert_eq!(second.cpu_usage.value(), Some(&MilliCpu::new(1500)));
    let by_cpu: Vec<_> = second.cpu_usage_by_cpu.value().unwrap().iter().map(|(c, p)| (*c, p.get())).collect();
    assert_eq!(by_cpu, [(CpuId::new(0), 500), (CpuId::new(3), 1000)]);
}

const TWO_NODES: &str = "Node 0, zone      DMA
  pages free     3840
        low      13
Node 0, zone   Normal
  pages free     770000
        low      9875
Node 1, zone   Normal
        low      100
";

fn node_meminfo(node: u32, total: u64, free: u64, inactive: u64) -> String {
    format!(
        "Node {node} MemTotal:       {total} kB\nNode {node} MemFree:        {free} kB\nNode {node} Inactive:       7 kB\n\
         Node {node} Inactive(anon): 8 kB\nNode {node} Inactive(file): {inactive} kB\nNode {node} HugePages_Total:     0\n"
    )
}

#[test]
fn each_numa_node_is_read_every_other_second_and_its_watermark_always() {
    let mut fake = Fake::v2();
    fake.put("proc/zoneinfo", TWO_NODES);
    fake.put("sys/devices/system/node/node0/meminfo", &node_meminfo(0, 1000, 400, 30));
    let page = procfs::page_size();
    let first = fake.take().node;
    assert_eq!(first.memory_low_watermark.value(), Some(&Bytes::new(9988 * page)));
    let node = &first.numa[&NumaId::new(0)];
    let kib = |count: u64, second| Reading::present(Bytes::new(count * 1024), at(second));
    assert_eq!((&node.memory_total, &node.memory_free, &node.inactive_file), (&kib(1000, 101), &kib(400, 101), &kib(30, 101)));
    assert_eq!(node.memory_low_watermark.value(), Some(&Bytes::new(9888 * page)));
    let bare = &first.numa[&NumaId::new(1)];
    assert_eq!(absence(&bare.memory_free), &Absence::NotOffered, "there is no file of node 1");
    assert_eq!(bare.memory_low_watermark.value(), Some(&Bytes::new(100 * page)));

    fake.put("sys/devices/system/node/node0/meminfo", &node_meminfo(0, 1000, 200, 30));
    fake.put("sys/devices/system/node/node1/meminfo", "Node 1 MemTotal: 5 kB\nNode 1 MemFree: none\n");
    let second = fake.take().node;
    let node = &second.numa[&NumaId::new(0)];
    assert_eq!(node.memory_free, kib(400, 101), "the reading bears the time at which it was made");
    assert_eq!(node.memory_low_watermark, Reading::present(Bytes::new(9888 * page), at(102)));
    let third = fake.take().node;
    assert_eq!(third.numa[&NumaId::new(0)].memory_free, kib(200, 103));
    let Absence::Unreadable(cause) = absence(&third.numa[&NumaId::new(1)].memory_total) else { panic!("{third:?}") };
    assert!(cause.contains("node1/meminfo") && cause.contains("`MemFree:`"), "{cause}");
}

#[test]
fn a_numa_node_that_is_gone_is_no_longer_there_and_one_whose_watermark_is_garbled_is() {
    let mut fake = Fake::v2();
    fake.put("proc/zoneinfo", TWO_NODES);
    fake.put("sys/devices/system/node/node0/meminfo", &node_meminfo(0, 1000, 400, 30));
    assert_eq!(fake.take().node.numa.len(), 2);
    fake.put("proc/zoneinfo", "Node 0, zone Normal\n  low many\n");
    let garbled = fake.take().node;
    let node = &garbled.numa[&NumaId::new(0)];
    assert!(matches!(absence(&node.memory_low_watermark), Absence::Unreadable(_)), "{node:?}");
    assert!(node.memory_free.value().is_some(), "{node:?}");
    assert!(!garbled.numa.contains_key(&NumaId::new(1)), "nothing of it was read: {garbled:?}");
    fake.put("proc/zoneinfo", "Node 3, zone Normal\n  low 1\n");
    let moved = fake.take().node;
    assert_eq!(moved.numa.keys().copied().collect::<Vec<_>>(), [NumaId::new(3)]);
}

const SWAPS: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/zram0                              partition\t4096\t\t1024\t\t100
/swap\\040file                            file\t\t8192\t\t0\t\t-2
";

fn swap_of(fake: &mut Fake) -> Reading<SwapReadings> {
    // It is read every other second.
    let _ = fake.take();
    fake.take().node.swap
}

#[test]
fn swap_is_split_into_zram_and_the_rest() {
    let mut fake = Fake::v2();
    assert_eq!(absence(&fake.take().node.swap), &Absence::NotOffered);
    fake.put("proc/meminfo", "MemTotal: 9 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
    assert_eq!(swap_of(&mut fake).value(), Some(&SwapReadings::default()), "no swap, no other file is needed");
    fake.put("proc/meminfo", "MemTotal: 9 kB\nSwapTotal: 12288 kB\nSwapFree: 11264 kB\n");
    assert_eq!(absence(&swap_of(&mut fake)), &Absence::NotOffered, "there is swap, but nothing says what it is on");
    fake.put("proc/swaps", SWAPS);
    assert_eq!(absence(&swap_of(&mut fake)), &Absence::NotOffered, "what zram takes from memory is not known");
    fake.put("sys/block/zram0/mm_stat", " 1048576   262144   327680        0   327680       12        0        0        0\n");
    let (total, free) = (Bytes::new(12_288 << 10), Bytes::new(11_264 << 10));
    let expected = SwapReadings { total, free, zram: Bytes::new(4 << 20), zram_used: Bytes::new(327_680) };
    assert_eq!(swap_of(&mut fake).value(), Some(&expected));
}

/// One line for each CPU, and what stands between them.
fn schedstat(delays: &[(u32, u64)]) -> String {
    let line = |(cpu, delay): &(u32, u64)| format!("cpu{cpu} 0 0 77 7 40 20 123456789 {delay} 65\ndomain0 MC 3 1 2 3\n");
    let lines: String = delays.iter().map(line).collect();
    format!("version 17\ntimestamp 4294937296\n{lines}")
}

#[test]
fn waiting_for_each_cpu_is_over_the_time_since_it_was_read_last() {
    const SECOND: u64 = 1_000_000_000;
    let mut fake = Fake::v2();
    let waits = |node: &NodeReadings| -> Vec<(u32, u32)> {
        let by_cpu = node.sched_wait_by_cpu.value().unwrap_or_else(|| panic!("{:?}", node.sched_wait_by_cpu));
        by_cpu.iter().map(|(cpu, wait)| (cpu.to_string().parse().unwrap(), wait.get())).collect()
    };
    let after_five = |fake: &mut Fake| (0..5).map(|_| fake.take().node).last().unwrap();
    fake.put("proc/schedstat", &schedstat(&[(0, SECOND), (1, 5), (2, 900)]));
    assert_eq!(absence(&fake.take().node.sched_wait_by_cpu), &Absence::NotYet);
    // CPU 1 went offline, CPU 3 came, tasks waited for CPU 0 two at a time, and the counter of CPU 2 went backwards.
    fake.put("proc/schedstat", &schedstat(&[(0, 11 * SECOND), (2, 899), (3, 7)]));
    let second = after_five(&mut fake);
    assert_eq!(waits(&second), [(0, 2000)]);
    fake.put("proc/schedstat", &schedstat(&[(0, 11 * SECOND), (2, 899 + SECOND), (3, 7)]));
    assert_eq!(waits(&fake.take().node), [(0, 2000)], "in between, the last reading stands");
    let third = (0..4).map(|_| fake.take().node).last().unwrap();
    assert_eq!((waits(&third), &third.sched_wait_by_cpu), (vec![(0, 0), (2, 200), (3, 0)], &third.sched_wait_by_cpu));
    fake.put("proc/schedstat", &schedstat(&[(0, 1), (2, 1), (3, 1)]));
    assert_eq!(absence(&after_five(&mut fake).sched_wait_by_cpu), &Absence::NotYet, "all counters went backwards");
    fake.put("proc/schedstat", "version 99\ncpu0 1 2 3 4 5 6 7 8 9\n");
    let Absence::Unreadable(cause) = absence(&after_five(&mut fake).sched_wait_by_cpu).clone() else { panic!() };
    assert!(cause.contains("/proc/schedstat") && cause.contains("version 99"), "{cause}");
}

#[test]
fn this_machines_memory_nodes_swap_and_waits_are_read() {
    let mut core = SamplerCore::new(Layout::with_v2_root("/no/such/mount"));
    let node = core.take(clock::now()).node;
    let low: Bytes = node.numa.values().filter_map(|numa| numa.memory_low_watermark.value().copied()).sum();
    assert_eq!(Some(&low), node.memory_low_watermark.value(), "{node:?}");
    assert!(node.swap.value().is_some_and(|swap| swap.free <= swap.total && swap.zram <= swap.total), "{:?}", node.swap);
    if Path::new("/sys/devices/system/node/node0/meminfo").exists() {
        let total: Bytes = node.numa.values().filter_map(|numa| numa.memory_total.value().copied()).sum();
        assert!(!total.is_zero(), "{node:?}");
        for (id, numa) in &node.numa {
            assert!(numa.memory_free.value() <= numa.memory_total.value() && numa.inactive_file.value().is_some(), "node {id}: {numa:?}");
        }
    }
    if !Path::new("/proc/schedstat").exists() {
        assert_eq!(absence(&node.sched_wait_by_cpu), &Absence::NotOffered);
        eprintln!("SKIP this_machines_memory_nodes_swap_and_waits_are_read, scheduler wait: the kernel has no /proc/schedstat");
        return;
    }
    until("waits of every CPU known", || core.take(clock::now()).node.sched_wait_by_cpu.value().is_some_and(|waits| !waits.is_empty()));
}
