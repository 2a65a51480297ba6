#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::disallowed_methods, reason = "tests")]

use super::*;
use crate::process::scratch::{Scratch, until};
use std::fs;
use std::path::Path;

const MIB: u64 = 1 << 20;

fn path(text: &str) -> CgroupPath {
    text.parse().unwrap()
}

fn v2(files: &[&str]) -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("kubepods/a")).unwrap();
    for file in files {
        fs::write(dir.path().join("kubepods/a").join(file), "").unwrap();
    }
    let layout = Layout::with_v2_root(dir.path());
    (dir, layout)
}

#[test]
fn on_v2_the_amount_is_written_in_bytes() {
    let (dir, layout) = v2(&["memory.reclaim"]);
    let file = dir.path().join("kubepods/a/memory.reclaim");
    assert_eq!(reclaim(&layout, &path("/kubepods/a"), Bytes::ZERO).unwrap(), Reclaimed::Done);
    assert_eq!(fs::read_to_string(&file).unwrap(), "", "nothing is asked for");
    assert_eq!(reclaim(&layout, &path("/kubepods/a"), Bytes::new(3 * MIB)).unwrap(), Reclaimed::Done);
    assert_eq!(fs::read_to_string(&file).unwrap(), "3145728");
    assert_eq!(means(&layout, &path("/kubepods/a")), Some(Means::Amount));
}

#[test]
fn a_kernel_without_the_file_does_not_offer_it_and_a_cgroup_that_is_gone_is_an_error() {
    let (_dir, layout) = v2(&[]);
    assert_eq!(reclaim(&layout, &path("/kubepods/a"), Bytes::new(MIB)).unwrap(), Reclaimed::NotOffered);
    assert!(reclaim(&layout, &path("/kubepods/gone"), Bytes::new(MIB)).unwrap_err().is_gone());
    let cpu_only = Layout::with_v1_dirs([(Controller::Cpu, "/nowhere".into())], None);
    assert_eq!(reclaim(&cpu_only, &path("/kubepods/a"), Bytes::new(MIB)).unwrap(), Reclaimed::NotOffered);
}

#[test]
fn what_a_cgroup_holds_is_read_and_what_is_no_number_is_an_error() {
    let (dir, layout) = v2(&[]);
    let file = dir.path().join("kubepods/a/memory.current");
    let read = || usage(&layout, &path("/kubepods/a"));
    assert!(read().unwrap_err().is_gone());
    fs::write(&file, "4096\n").unwrap();
    assert_eq!(read().unwrap(), Some(Bytes::new(4096)));
    fs::write(&file, "max\n").unwrap();
    assert!(read().unwrap_err().to_string().contains("`max` is no number"));
    let cpu_only = Layout::with_v1_dirs([(Controller::Cpu, "/nowhere".into())], None);
    assert_eq!(usage(&cpu_only, &path("/kubepods/a")).unwrap(), None);
}

#[test]
fn the_root_is_never_asked() {
    let (_dir, layout) = v2(&["memory.reclaim"]);
    assert!(matches!(reclaim(&layout, &CgroupPath::root(), Bytes::new(MIB)), Err(HostError::OutsideTree(_))));
}

#[test]
fn the_kernels_refusal_is_kept_and_too_little_is_no_refusal() {
    // A file whose every write fails, with an error of the kernel's own.
    let (dir, layout) = v2(&[]);
    fs::create_dir(dir.path().join("kubepods/a/memory.reclaim")).unwrap();
    let error = reclaim(&layout, &path("/kubepods/a"), Bytes::new(MIB)).unwrap_err().to_string();
    assert!(error.starts_with("write ") && error.contains("kubepods/a/memory.reclaim") && error.contains("os error"), "{error}");
    let partly = |errno: Errno| is_partly(&io::Error::from_raw_os_error(errno as i32));
    assert!(partly(Errno::EAGAIN) && partly(Errno::EINTR) && !partly(Errno::EINVAL) && !partly(Errno::EACCES));
}

/// Files in memory are no page cache: without swap the kernel cannot give them up.
fn on_disk(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let holds = |line: &&str| line.split(' ').nth(1).is_some_and(|at| path.starts_with(at));
    let longest = mounts.lines().filter(holds).max_by_key(|line| line.split(' ').nth(1).map(str::len));
    longest.and_then(|line| line.split(' ').nth(2)).is_some_and(|kind| !matches!(kind, "tmpfs" | "ramfs"))
}

#[test]
fn page_cache_of_a_cgroup_is_given_back() {
    let test = "page_cache_of_a_cgroup_is_given_back";
    let Some(mut scratch) = Scratch::make(test) else { return };
    let files = tempfile::tempdir().unwrap();
    let cgroup = scratch.path.clone();
    let usage = match scratch.layout.version(Controller::Memory) {
        Some(Version::V1) => "memory.usage_in_bytes",
        Some(Version::V2) => "memory.current",
        None => return eprintln!("SKIP {test}: no memory controller"),
    };
    if means(&scratch.layout, &cgroup).is_none() {
        return eprintln!("SKIP {test}: the kernel offers no way to ask");
    }
    if !on_disk(files.path()) {
        return eprintln!("SKIP {test}: {} is no disk", files.path().display());
    }
    let usage = scratch.layout.dir(Controller::Memory, &cgroup).unwrap().join(usage);
    let used = || fs::read_to_string(&usage).unwrap().trim().parse::<u64>().unwrap();
    let (cache, done) = (files.path().join("cache"), files.path().join("done"));
    let script = format!("dd if=/dev/zero of={} bs=1M count=16 conv=fsync && : > {}", cache.display(), done.display());
    scratch.run(&cgroup, &script);
    until("written", || done.exists());
    let before = used();
    assert!(before >= 16 * MIB, "{before} bytes charged for 16 MiB of page cache");
    let outcome = reclaim(&scratch.layout, &cgroup, Bytes::new(8 * MIB)).unwrap();
    let after = used();
    eprintln!("{test}: {before} -> {after} bytes, {outcome:?}");
    assert_eq!(outcome, Reclaimed::Done);
    assert!(after <= before - 8 * MIB, "{before} -> {after} bytes");
}
