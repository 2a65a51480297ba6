#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use proptest::prelude::*;
use std::fs;

/// Captured from a machine with two CPUs; the line `intr` is shortened.
const STAT: &str = "cpu  68605 2 12917 266154 907 1 148 87 50 0
cpu0 32706 0 5778 135797 154 0 22 41 20 0
cpu1 35899 2 7139 130357 752 1 125 46 30 0
intr 731936 0 0 0
ctxt 1
";

/// Captured, with lines between left out, and a second zone added.
const ZONEINFO: &str = "Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 70872
  pages free     3840
        boost    0
        min      39
        low      48
        high     57
        protection: (0, 3019, 6475, 6475, 6475)
Node 0, zone    DMA32
  pages free     770000
        min      7900
        low      9875
        high     11850
";

const MEMORY_STAT_V1: &str = "cache 9277440\nrss 12075008\ninactive_file 4096\ntotal_cache 2146979840\ntotal_rss 302452736\n\
    total_rss_huge 236978176\ntotal_inactive_file 1131380736\ntotal_active_file 1006600192\n";

#[test]
fn keys_are_matched_whole_and_in_any_order() {
    let found = keyed_all(MEMORY_STAT_V1, ["total_inactive_file", "total_rss", "total_cache"]).unwrap();
    assert_eq!(found, [1_131_380_736, 302_452_736, 2_146_979_840]);
    assert_eq!(keyed("nr_periods 0\n", ["nr_periods", "usage_usec"]).unwrap(), [Some(0), None]);
    assert_eq!(keyed("MemTotal:       24683532 kB\n", ["MemTotal:"]).unwrap(), [Some(24_683_532)]);
}

#[test]
fn what_is_missing_or_no_number_is_named() {
    assert_eq!(keyed_all("anon 1\n", ["anon", "file"]).unwrap_err(), "no line `file`");
    let error = keyed("anon x\n", ["anon"]).unwrap_err();
    assert!(error.contains("`anon`") && error.contains("`anon x`"), "{error}");
    assert_eq!(single("max\n").unwrap_err(), "`max` is no number");
    assert_eq!(single("18446744073709551615\n").unwrap(), u64::MAX);
}

#[test]
fn busy_is_neither_idle_nor_waiting_and_counts_guests_once() {
    let busy = busy_ticks(STAT).unwrap();
    assert_eq!(busy.total, 68605 + 2 + 12917 + 1 + 148 + 87);
    assert_eq!(busy.each, [(0, 32706 + 5778 + 22 + 41), (1, 35899 + 2 + 7139 + 1 + 125 + 46)]);
    for (text, cause) in
        [("", "no line `cpu`"), ("cpu0 1 2 3 4 5 6 7", "no line `cpu`"), ("cpu 1 2", "cpu 1 2"), ("cpux 1 2 3 4 5 6 7", "cpux")]
    {
        let error = busy_ticks(text).unwrap_err();
        assert!(error.contains(cause), "{text:?}: {error}");
    }
}

#[test]
fn the_low_watermarks_of_a_nodes_zones_are_summed() {
    let two = format!("{ZONEINFO}Node 1, zone   Normal\n  pages free 1\n        low      7\n");
    assert_eq!(low_watermark_pages(&two).unwrap(), BTreeMap::from([(0, 48 + 9875), (1, 7)]));
    for (text, cause) in [
        ("", "no zone"),
        ("Node 0, zone Movable\n", "no zone"),
        ("Node 0, zone DMA\n  low x\n", "low x"),
        ("  low 1\n", "of no node"),
        ("Node x, zone DMA\n  low 1\n", "Node x"),
        ("Node 99999999999, zone DMA\n", "names no node"),
    ] {
        let error = low_watermark_pages(text).unwrap_err();
        assert!(error.contains(cause), "{text:?}: {error}");
    }
}

/// Captured, with most lines left out.
const NODE_MEMINFO: &str = "Node 0 MemTotal:       24684096 kB
Node 0 MemFree:        12726796 kB
Node 0 Inactive:        6830008 kB
Node 0 Inactive(anon):    10352 kB
Node 0 Inactive(file):  6819656 kB
Node 0 HugePages_Total:     0
";

#[test]
fn keys_of_a_numa_node_stand_behind_its_name() {
    let found = node_meminfo(NODE_MEMINFO, ["MemTotal:", "MemFree:", "Inactive(file):", "Shmem:"]).unwrap();
    assert_eq!(found, [Some(24_684_096), Some(12_726_796), Some(6_819_656), None]);
    assert_eq!(node_meminfo("Node 12 MemTotal: 5 kB\nMemFree: 7 kB\n", ["MemTotal:", "MemFree:"]).unwrap(), [Some(5), None]);
    assert!(node_meminfo("Node 0 MemFree: x kB\n", ["MemFree:"]).unwrap_err().contains("MemFree"));
}

/// As the kernel's documentation and `show_schedstat` describe it; domains of version 17 have names, those before only numbers.
const SCHEDSTAT: &str = "version 17
timestamp 4295137296
cpu0 0 0 1234 567 890 123 4567890123 345678901 2345
domain0 SMT 00000003 0 0 0 0 0 0 0 0 0
domain1 MC 0000000f 0 0 0 0 0 0 0 0 0
cpu11 4 0 1 2 3 4 5 18446744073709551615 7
domain0 SMT 00000003 0 0
";

#[test]
fn waiting_is_the_eighth_number_of_each_cpu() {
    let expected = vec![(0, 345_678_901), (11, u64::MAX)];
    for version in 15..=17 {
        assert_eq!(run_delays(&SCHEDSTAT.replace("version 17", &format!("version {version}"))).unwrap(), expected, "version {version}");
    }
    for (text, cause) in [
        ("", "no version"),
        ("cpu0 0 0 1 2 3 4 5 6 7\n", "no version"),
        ("version 14\ncpu0 1 2 3 4 5 6 7 8 9 10 11 12\n", "version 14"),
        ("version 18\n", "version 18"),
        ("version 15\ncpu0 1 2 3 4 5 6 7\n", "cpu0 1 2 3 4 5 6 7"),
        ("version 15\ncpu0 1 2 3 4 5 6 7 x 9\n", "7 x 9"),
        ("version 15\ncpux 1 2 3 4 5 6 7 8 9\n", "cpux"),
        ("version 15\ncpu0 1 2 3 4 5 6 7 0 9\ncpu1 1 2 3 4 5 6 7 0 9\n", "no CPU counts"),
        ("version 15\n", "no CPU counts"),
    ] {
        let error = run_delays(text).unwrap_err();
        assert!(error.contains(cause), "{text:?}: {error}");
    }
}

#[test]
fn only_zram_is_taken_from_the_list_of_swaps() {
    let text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
        /dev/zram0                              partition\t8388604\t\t1024\t\t100\n\
        /dev/vda2                               partition\t2097148\t\t0\t\t-2\n\
        /my/dev/zram7                           file\t\t5\t\t0\t\t-3\n\
        /dev/zram1                              partition\t4\t\t0\t\t100\n";
    let sizes: Vec<_> = zram_swaps(text).unwrap().into_iter().map(|swap| (swap.number, swap.size.get())).collect();
    assert_eq!(sizes, [(0, 8_388_604 * 1024), (1, 4096)]);
    assert_eq!(zram_swaps("").unwrap(), []);
    for line in ["/dev/zram0\n", "/dev/zram0 partition\n", "/dev/zram0 partition much 0 100\n"] {
        assert!(zram_swaps(line).unwrap_err().contains("has no size"), "{line:?}");
    }
}

#[test]
fn what_zram_takes_is_the_third_number() {
    let text = " 4096    1234   12288        0    16384       10        0        0        0\n";
    assert_eq!(zram_memory(text).unwrap(), Bytes::new(12_288));
    for text in ["", "1 2\n", "1 2 x\n"] {
        assert!(zram_memory(text).unwrap_err().contains("no third number"), "{text:?}");
    }
}

/// The procfs crate is the second opinion on the files that it reads, too.
#[test]
fn another_reader_of_the_running_kernels_files_agrees() {
    use procfs::FromBufRead;
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let other = procfs::Meminfo::from_buf_read(text.as_bytes()).unwrap();
    let [total, free, available] = keyed(&text, ["MemTotal:", "MemFree:", "MemAvailable:"]).unwrap().map(|kb| kb.map(|kb| kb * 1024));
    assert_eq!((total, free, available), (Some(other.mem_total), Some(other.mem_free), other.mem_available));

    let text = fs::read_to_string("/proc/stat").unwrap();
    let info = procfs::LocalSystemInfo;
    let other = <procfs::KernelStats as procfs::FromBufReadSI>::from_buf_read(text.as_bytes(), &info).unwrap();
    let busy = |t: &procfs::CpuTime| t.user + t.nice + t.system + t.irq.unwrap_or(0) + t.softirq.unwrap_or(0) + t.steal.unwrap_or(0);
    let ours = busy_ticks(&text).unwrap();
    assert_eq!(ours.total, busy(&other.total));
    assert_eq!(ours.each.iter().map(|(_, t)| *t).collect::<Vec<_>>(), other.cpu_time.iter().map(busy).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in "((cpu|low|anon|  low|ä|0)?[ 0-9a-z-]{0,24}\n?){0,6}") {
        let _ = (keyed(&text, ["anon", "cpu"]), keyed_all(&text, ["low"]), single(&text), busy_ticks(&text), low_watermark_pages(&text));
    }

    #[test]
    fn no_text_of_a_node_makes_a_reader_panic(text in "((version 1[4-8]|cpu[0-9]|Node [0-9]|  low|/dev/zram[0-9]|ä)[ ,:0-9a-z-]{0,40}\n?){0,6}") {
        let _ = (low_watermark_pages(&text), node_meminfo(&text, ["a:"]), run_delays(&text), zram_swaps(&text), zram_memory(&text));
    }

    #[test]
    fn a_number_written_is_read_wherever_its_line_stands(value: u64, before in "[a-z]{1,8} [0-9]{1,9}\n", after in "[a-z]{1,8} x\n") {
        prop_assert_eq!(keyed_all(&format!("{before}Wanted {value}\n{after}"), ["Wanted"]).unwrap(), [value]);
    }
}
