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
fn the_low_watermarks_of_all_zones_are_summed() {
    assert_eq!(low_watermark_pages(ZONEINFO).unwrap(), 48 + 9875);
    assert!(low_watermark_pages("Node 0, zone Movable\n").is_err());
    assert!(low_watermark_pages("  low x\n").unwrap_err().contains("low x"));
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
    fn a_number_written_is_read_wherever_its_line_stands(value: u64, before in "[a-z]{1,8} [0-9]{1,9}\n", after in "[a-z]{1,8} x\n") {
        prop_assert_eq!(keyed_all(&format!("{before}Wanted {value}\n{after}"), ["Wanted"]).unwrap(), [value]);
    }
}
