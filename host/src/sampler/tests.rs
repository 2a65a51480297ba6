#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use super::*;
use crate::cgroup::Controller;
use crate::process::scratch::{Scratch, until};
use gleaner_model::{Absence, Bytes, ContainerReadings, MilliCpu, Permille, Reading};
use std::fs;
use std::io::Write;

mod node;

/// A folder that looks like the kernel's, and a sampler of it whose clock stands still while it samples.
struct Fake {
    root: tempfile::TempDir,
    core: SamplerCore,
    second: u64,
}

impl Fake {
    fn new(layout: impl FnOnce(&Path) -> Layout) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (proc, sys) = (root.path().join("proc"), root.path().join("sys"));
        let core = SamplerCore::with(layout(root.path()), &proc, &sys, || Timestamp::since_boot(Duration::ZERO));
        let mut fake = Self { root, core, second: 100 };
        fake.core.set_targets(vec![target("p", "c", "/pod/c")]);
        fake
    }

    fn v2() -> Self {
        Self::new(|root| Layout::with_v2_root(root.join("v2")))
    }

    fn put(&self, file: &str, text: &str) {
        let file = self.root.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::File::create(file).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn take(&mut self) -> Sample {
        self.second += 1;
        self.core.take(Timestamp::since_boot(Duration::from_secs(self.second)))
    }

    fn container(&mut self) -> ContainerReadings {
        only(&self.take())
    }
}

fn target(pod: &str, container: &str, cgroup: &str) -> Target {
    Target { pod: pod.parse().unwrap(), container: container.parse().unwrap(), cgroup: cgroup.parse().unwrap() }
}

fn only(sample: &Sample) -> ContainerReadings {
    sample.pods.values().next().unwrap().containers.values().next().unwrap().as_ref().clone()
}

fn absence<T: std::fmt::Debug>(reading: &Reading<T>) -> &Absence {
    match reading {
        Reading::Absent(absence) => absence,
        present => panic!("not absent: {present:?}"),
    }
}

fn psi(total: u64) -> String {
    format!("some avg10=1.50 avg60=0.00 avg300=0.00 total={total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
}

fn fill_v2(fake: &Fake, usage: u64, periods: u64, throttled: u64, waited: u64) {
    let stat = format!(
        "usage_usec {usage}\nuser_usec 1\nsystem_usec 1\nnice_usec 0\nnr_periods {periods}\nnr_throttled {throttled}\n\
         throttled_usec 9\nnr_bursts 0\nburst_usec 0\n"
    );
    fake.put("v2/pod/c/cpu.stat", &stat);
    fake.put("v2/pod/c/memory.current", "1048576\n");
    fake.put("v2/pod/c/memory.stat", "anon 600000\nfile 400000\nkernel 5\ninactive_anon 7\ninactive_file 48576\n");
    fake.put("v2/pod/c/cpuset.cpus.effective", "0-3,8\n");
    fake.put("v2/pod/c/cpu.pressure", &psi(waited));
    fake.put("v2/pod/c/memory.pressure", &psi(5));
    fake.put("v2/pod/c/io.pressure", &psi(6));
}

#[test]
fn v2_files_become_readings_and_rates_need_two_samples() {
    let mut fake = Fake::v2();
    fill_v2(&fake, 1_000_000, 10, 5, 1000);
    let first = fake.container();
    assert_eq!(absence(&first.cpu_usage), &Absence::NotYet);
    assert_eq!(absence(&first.throttled), &Absence::NotYet);
    assert_eq!(absence(&first.cpu_pressure), &Absence::NotYet);
    let memory = first.memory.value().unwrap();
    assert_eq!((memory.usage, memory.working_set), (Bytes::new(1_048_576), Bytes::new(1_000_000)));
    assert_eq!((memory.anon, memory.file, memory.inactive_file), (Bytes::new(600_000), Bytes::new(400_000), Bytes::new(48_576)));
    assert_eq!(first.cpus.value().unwrap().to_string(), "0-3,8");
    assert_eq!(first.io_pressure.value().unwrap().some.total_us, 6);

    fill_v2(&fake, 2_500_000, 20, 8, 251_000);
    let second = fake.container();
    let at = Timestamp::since_boot(Duration::from_secs(102));
    assert_eq!(second.cpu_usage, Reading::present(MilliCpu::new(1500), at));
    assert_eq!(second.throttled, Reading::present(Permille::new(300), at));
    let pressure = second.cpu_pressure.value().unwrap();
    assert_eq!((pressure.waiting, pressure.pressure.some.avg10), (Permille::new(250), Permille::new(15)));

    fill_v2(&fake, 2_500_000, 20, 8, 251_000);
    assert_eq!(fake.container().throttled.value(), Some(&Permille::new(0)), "no periods, nothing throttled");
}

#[test]
fn counters_that_went_backwards_begin_anew() {
    let mut fake = Fake::v2();
    fill_v2(&fake, 1_000_000, 10, 5, 1000);
    let _ = fake.take();
    fill_v2(&fake, 999, 0, 0, 0);
    let readings = fake.container();
    assert_eq!(absence(&readings.cpu_usage), &Absence::NotYet);
    assert_eq!(absence(&readings.throttled), &Absence::NotYet);
    assert_eq!(absence(&readings.cpu_pressure), &Absence::NotYet);
    fill_v2(&fake, 1_000_999, 1, 1, 0);
    assert_eq!(fake.container().cpu_usage.value(), Some(&MilliCpu::new(1000)));
}

#[test]
fn what_the_kernel_does_not_offer_is_told_from_what_it_garbles() {
    let mut fake = Fake::v2();
    fake.put("v2/pod/c/cpu.stat", "usage_usec 1\nuser_usec 1\nsystem_usec 0\n");
    fake.put("v2/pod/c/memory.current", "many\n");
    fake.put("v2/pod/c/memory.stat", "anon 1\n");
    let first = fake.container();
    assert_eq!(absence(&first.throttled), &Absence::NotOffered);
    assert_eq!(absence(&first.cpus), &Absence::NotOffered);
    assert_eq!(absence(&first.memory_pressure), &Absence::NotOffered);
    let Absence::Unreadable(cause) = absence(&first.memory) else { panic!("{first:?}") };
    assert!(cause.contains("/pod/c/memory.current") && cause.contains("`many`"), "{cause}");
    fake.put("v2/pod/c/memory.current", "1\n");
    let Absence::Unreadable(cause) = absence(&fake.container().memory).clone() else { panic!() };
    assert!(cause.contains("memory.stat") && cause.contains("`file`"), "{cause}");
    // A controller that is turned on later is found, though not at once.
    fake.put("v2/pod/c/cpuset.cpus.effective", "1\n");
    assert!((0..40).any(|_| fake.container().cpus.value().is_some()));
}

#[test]
fn v1_files_become_readings_and_pure_v1_has_no_pressure() {
    let mut fake = Fake::new(|root| {
        let dirs = [(Controller::Cpu, "cpu"), (Controller::Cpuacct, "acct"), (Controller::Memory, "mem"), (Controller::Cpuset, "set")];
        Layout::with_v1_dirs(dirs.map(|(c, dir)| (c, root.join(dir))), None)
    });
    fake.put("cpu/pod/c/cpu.stat", "nr_periods 10\nnr_throttled 0\nthrottled_time 0\n");
    fake.put("acct/pod/c/cpuacct.usage", "1000000000\n");
    fake.put("mem/pod/c/memory.usage_in_bytes", "5000\n");
    fake.put("mem/pod/c/memory.stat", "cache 1\nrss 1\ninactive_file 1\ntotal_cache 3000\ntotal_rss 2000\ntotal_inactive_file 9000\n");
    fake.put("set/pod/c/cpuset.cpus", "0-1\n");
    let _ = fake.take();
    fake.put("cpu/pod/c/cpu.stat", "nr_periods 20\nnr_throttled 10\nthrottled_time 77\n");
    fake.put("acct/pod/c/cpuacct.usage", "1250000000\n");
    let readings = fake.container();
    assert_eq!(readings.cpu_usage.value(), Some(&MilliCpu::new(250)));
    assert_eq!(readings.throttled.value(), Some(&Permille::new(1000)));
    let memory = readings.memory.value().unwrap();
    assert_eq!((memory.usage, memory.working_set, memory.anon), (Bytes::new(5000), Bytes::ZERO, Bytes::new(2000)));
    assert_eq!(readings.cpus.value().unwrap().to_string(), "0-1", "kernels without an effective set");
    assert_eq!(absence(&readings.cpu_pressure), &Absence::NotOffered);
    assert_eq!(absence(&readings.io_pressure), &Absence::NotOffered);
}

#[test]
fn a_hybrid_container_outside_the_cgroup2_mount_has_no_pressure_but_has_not_vanished() {
    let mut fake = Fake::new(|root| Layout::with_v1_dirs([(Controller::Cpuacct, root.join("acct"))], Some(root.join("unified"))));
    fake.put("acct/pod/c/cpuacct.usage", "1\n");
    fake.put("unified/cgroup.procs", "");
    assert_eq!(absence(&fake.container().memory_pressure), &Absence::NotOffered);
    // Found when it is put there, and lost when that is removed.
    fake.put("unified/pod/c/memory.pressure", &psi(1));
    assert!(fake.container().memory_pressure.value().is_some());
}

#[test]
fn a_target_without_a_folder_has_vanished_until_there_is_one() {
    let mut fake = Fake::v2();
    fake.put("v2/cgroup.procs", "");
    for _ in 0..2 {
        let readings = fake.container();
        assert_eq!(absence(&readings.cpu_usage), &Absence::Vanished);
        assert_eq!(absence(&readings.memory), &Absence::Vanished);
        assert_eq!(absence(&readings.cpu_pressure), &Absence::Vanished);
    }
    fill_v2(&fake, 1, 1, 1, 1);
    let readings = fake.container();
    assert_eq!(absence(&readings.cpu_usage), &Absence::NotYet);
    assert!(readings.memory.value().is_some());
}

#[test]
fn a_busy_process_shows_in_its_cgroup_until_that_vanishes() {
    let Some(mut scratch) = Scratch::make("a_busy_process_shows_in_its_cgroup_until_that_vanishes") else { return };
    let inner = scratch.path.join("inner").unwrap();
    scratch.enable(&scratch.path);
    scratch.create(&inner).unwrap();
    let mut core = SamplerCore::new(scratch.layout.clone());
    core.set_targets(vec![Target { cgroup: inner.clone(), ..target("p", "c", "/") }]);
    let begun = clock::now();
    let idle = only(&core.take(begun));
    assert!(idle.memory.value().is_some() || scratch.layout.version(Controller::Memory).is_none(), "{idle:?}");
    scratch.run(&inner, "while :; do :; done");
    // On a busy machine the loop needs several looks to get its share of one interval.
    until("seen to use 300m", || {
        let sample = core.take(clock::now());
        let usage = only(&sample).cpu_usage.value().copied();
        usage.is_some_and(|used| used > MilliCpu::new(300)) && sample.node.cpu_usage.value().is_some_and(|used| !used.is_zero())
    });
    assert_eq!(crate::process::kill(&scratch.layout, &inner).unwrap(), 0);
    scratch.remove(&inner);
    for _ in 0..2 {
        let readings = only(&core.take(clock::now()));
        assert_eq!(absence(&readings.cpu_usage), &Absence::Vanished, "{readings:?}");
        assert_eq!(absence(&readings.memory), &Absence::Vanished, "{readings:?}");
    }
    scratch.create(&inner).unwrap();
    let again = only(&core.take(clock::now()));
    assert_eq!(absence(&again.cpu_usage), &Absence::NotYet);
    assert!(again.memory.value().is_some(), "{again:?}");
}

#[test]
fn a_target_takes_no_more_memory_than_documented() {
    // Beside the values: 5 folder and 8 file paths, and the target's own, each with a mount point and a file name of at most 64 bytes.
    let values = size_of::<(Target, ContainerFiles)>();
    assert!(values + 14 * 64 <= 3 * 1024, "{values}");
}
