#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr, reason = "tests")]

use super::*;
use crate::cgroup::Controller;
use crate::process::scratch::{Scratch, put};
use gleaner_model::CpuSet;
use proptest::prelude::*;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

const BOTH: &str =
    "some avg10=30.77 avg60=36.17 avg300=16.42 total=92708528\nfull avg10=0.00 avg60=0.04 avg300=0.05 total=18446744073709551615\n";

#[test]
fn a_pressure_file_is_read_with_its_averages_in_thousandths() {
    let pressure = parse(BOTH).unwrap();
    let expected = PressureLine { avg10: Permille::new(308), avg60: Permille::new(362), avg300: Permille::new(164), total_us: 92_708_528 };
    assert_eq!(pressure.some, expected);
    let full = pressure.full.unwrap();
    assert_eq!((full.avg60, full.avg300, full.total_us), (Permille::new(0), Permille::new(1), u64::MAX));
}

#[test]
fn a_missing_full_line_is_absent_and_not_zero() {
    let (some, _) = BOTH.split_once('\n').unwrap();
    assert_eq!(parse(some).unwrap().full, None);
}

#[test]
fn a_broken_pressure_file_is_refused_with_its_cause() {
    for (text, cause) in [
        ("", "no line `some`"),
        ("full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", "no line `some`"),
        ("some", "has no `avg10`"),
        ("some avg10=0.00 avg60=0.00 avg300=0.00", "has no `total`"),
        ("some avg10=0 avg60=0.00 avg300=0.00 total=0", "`avg10=0`"),
        ("some avg10=0.00 avg60=x.00 avg300=0.00 total=0", "`avg60=x.00`"),
        ("some avg10=0.00 avg60=0.00 avg300=0.00 total=-1", "`total=-1`"),
        ("some avg10", "no name=value"),
        ("some avg10=99999999999.00 avg60=0.00 avg300=0.00 total=1", "no number"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(cause), "{text:?} gave {error:?}, not {cause:?}");
    }
}

proptest! {
    #[test]
    fn no_pressure_text_makes_the_reader_panic(text in "((some|full|so|ä)( (avg10|avg60|avg300|total|x)=[0-9.ä=]{0,12}){0,5}\n?){0,3}") {
        let _ = parse(&text);
    }

    #[test]
    fn what_the_kernel_prints_is_read(a in 0u32..=10_000, total: u64) {
        let text = format!("some avg10={}.{:02} avg60=0.00 avg300=0.00 total={total}\n", a / 100, a % 100);
        let some = parse(&text).unwrap().some;
        prop_assert_eq!((some.avg10, some.total_us), (Permille::new((a + 5) / 10), total));
    }
}

fn trigger(name: &str, file: &Path) -> Trigger {
    // Windows of two seconds are taken from every process, shorter ones need CAP_SYS_RESOURCE.
    let (stall, window) = (Duration::from_millis(140), Duration::from_secs(2));
    Trigger { name: name.to_owned(), file: file.to_owned(), full: false, stall, window }
}

#[test]
fn the_kernel_takes_a_trigger_and_a_bad_one_does_not_spoil_it() {
    let file = Path::new("/proc/pressure/memory");
    if let Err(error) = std::fs::OpenOptions::new().read(true).write(true).open(file) {
        eprintln!("SKIP the_kernel_takes_a_trigger_and_a_bad_one_does_not_spoil_it: {}: {error}", file.display());
        return;
    }
    let nowhere = trigger("nowhere", Path::new("/proc/pressure/none"));
    // The kernel refuses a stall that is longer than its window.
    let senseless = Trigger { stall: Duration::from_secs(5), name: "senseless".to_owned(), ..trigger("", file) };
    let (send, _events) = channel();
    let (watcher, refused) = Watcher::start(vec![nowhere, trigger("memory", file), senseless], move |event| {
        let _ = send.send(event);
    })
    .unwrap();
    let names: Vec<_> = refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["nowhere", "senseless"], "{refused:?}");
    assert!(refused[0].1.is_gone(), "{}", refused[0].1);
    let error = refused[1].1.to_string();
    assert!(error.starts_with("set a trigger on /proc/pressure/memory: 5s within 2s is refused"), "{error}");
    drop(watcher);
}

#[test]
fn the_watcher_wakes_when_tasks_of_a_cgroup_wait() {
    const TEST: &str = "the_watcher_wakes_when_tasks_of_a_cgroup_wait";
    let Some(mut scratch) = Scratch::make(TEST) else { return };
    let (path, layout) = (scratch.path.clone(), scratch.layout.clone());
    let pressure = layout.unified_dir(&path).map(|dir| dir.join("cpu.pressure")).filter(|file| file.exists());
    let cpuset = layout.dir(Controller::Cpuset, &path).map(|dir| dir.join("cpuset.cpus")).filter(|file| file.exists());
    let (Some(pressure), Some(cpuset)) = (pressure, cpuset) else {
        eprintln!("SKIP {TEST}: no pressure file or no cpuset in a cgroup");
        return;
    };
    // A cgroup of v2 begins with an empty set, which means all that its parent has.
    let effective = cpuset.with_file_name(if cpuset.with_file_name("cpuset.cpus.effective").exists() {
        "cpuset.cpus.effective"
    } else {
        "cpuset.cpus"
    });
    let cpus: CpuSet = std::fs::read_to_string(effective).unwrap().parse().unwrap();
    put(&cpuset, &cpus.first().unwrap().to_string());
    let (send, events) = channel();
    let (watcher, refused) = Watcher::start(vec![trigger("cpu", &pressure)], move |event| {
        let _ = send.send(event);
    })
    .unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    // Two loops on one CPU: one of them always waits.
    scratch.run(&path, "while :; do :; done");
    scratch.run(&path, "while :; do :; done");
    let event = events.recv_timeout(Duration::from_secs(120)).expect("no event while a task always waits");
    assert_eq!(event.name, "cpu");
    drop(watcher);
}

#[test]
fn a_dropped_watcher_ends_its_thread_and_lets_go_of_what_it_delivers_to() {
    let (send, events) = channel::<PsiEvent>();
    let (watcher, refused) = Watcher::start(Vec::new(), move |event| {
        let _ = send.send(event);
    })
    .unwrap();
    assert!(refused.is_empty());
    drop(watcher);
    assert!(events.recv().is_err(), "the thread still holds its end of the channel");
}

#[test]
fn a_trigger_is_written_as_the_kernel_reads_it() {
    let mut wanted = trigger("x", Path::new("/x"));
    assert_eq!(wanted.text(), "some 140000 2000000\0");
    wanted.full = true;
    assert_eq!(wanted.text(), "full 140000 2000000\0");
}
