#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::disallowed_methods, clippy::print_stdout, reason = "tests")]

use super::scratch::{Scratch, until};
use super::*;
use crate::cgroup::Controller;
use proptest::prelude::*;
use std::io::Read;
use std::process::{Command, Stdio};

fn path(text: &str) -> CgroupPath {
    text.parse().unwrap()
}

/// A hybrid layout below a folder, with these `cgroup.procs`.
fn tree(root: &Path, files: &[(&str, &str)]) -> Layout {
    for (file, text) in files {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::File::create(file).unwrap().write_all(text.as_bytes()).unwrap();
    }
    Layout::with_v1_dirs([(Controller::Cpu, root.join("cpu")), (Controller::Memory, root.join("memory"))], Some(root.join("unified")))
}

#[test]
fn processes_of_all_hierarchies_belong_to_the_cgroup() {
    let root = tempfile::tempdir().unwrap();
    let files = [("cpu/pod/cgroup.procs", "30\n4\n0\n"), ("cpu/pod/app/cgroup.procs", "7\n0\n"), ("memory/pod/cgroup.procs", "4\n5\n0\n")];
    let layout = tree(root.path(), &files);
    let raw = |pids: Vec<Pid>| pids.into_iter().map(Pid::as_raw).collect::<Vec<_>>();
    assert_eq!(raw(pids(&layout, &path("/pod")).unwrap()), [4, 5, 30]);
    assert_eq!(raw(pids_below(&layout, &path("/pod")).unwrap()), [4, 5, 7, 30]);
    let all = members(&layout, &path("/pod"), true).unwrap();
    assert_eq!((all.foreign, all.count()), (2, 6));
    assert!(pids(&layout, &path("/other")).unwrap_err().is_gone());
    assert!(!populated(&layout, &path("/other")).unwrap());
    assert!(populated(&layout, &path("/pod/app")).unwrap());
}

#[test]
fn a_cgroup_of_foreign_processes_only_is_populated() {
    let root = tempfile::tempdir().unwrap();
    let layout = tree(root.path(), &[("cpu/pod/cgroup.procs", "0\n")]);
    assert!(populated(&layout, &path("/pod")).unwrap());
    assert!(pids(&layout, &path("/pod")).unwrap().is_empty());
}

#[test]
fn nobody_signals_everyone_nor_the_first_process_nor_oneself() {
    let own = Pid::this().as_raw();
    let mut members = Members::default();
    add(&format!("0\n1\n{own}\n77\n"), &mut members).unwrap();
    assert_eq!(members.victims(), BTreeSet::from([77]));
    let layout = Layout::with_v2_root("/no/such/mount");
    assert!(matches!(signal(&layout, &CgroupPath::root(), Signal::SIGTERM), Err(HostError::OutsideTree(_))));
    assert!(matches!(kill(&layout, &CgroupPath::root()), Err(HostError::OutsideTree(_))));
    assert_eq!(kill(&layout, &path("/none")).unwrap(), 0);
}

#[test]
fn a_list_that_is_none_names_its_file() {
    let root = tempfile::tempdir().unwrap();
    for text in ["x\n", "-3\n", "99999999999\n", "\n"] {
        let layout = tree(root.path(), &[("cpu/pod/cgroup.procs", text)]);
        let error = pids(&layout, &path("/pod")).unwrap_err().to_string();
        assert!(error.contains("cpu/pod/cgroup.procs") && error.contains("no process number"), "{text:?}: {error}");
    }
}

#[test]
fn a_process_joins_every_hierarchy_that_has_the_cgroup() {
    let root = tempfile::tempdir().unwrap();
    let layout = tree(root.path(), &[("cpu/pod/cgroup.procs", ""), ("unified/pod/cgroup.procs", "")]);
    join(&layout, &path("/pod")).unwrap();
    for file in ["cpu/pod/cgroup.procs", "unified/pod/cgroup.procs"] {
        assert_eq!(fs::read_to_string(root.path().join(file)).unwrap(), "0", "{file}");
    }
    assert!(!root.path().join("memory/pod").exists());
    assert!(join(&layout, &path("/other")).unwrap_err().is_gone());
}

#[test]
fn forking_processes_in_a_tree_of_cgroups_are_all_killed() {
    let Some(mut scratch) = Scratch::make("forking_processes_in_a_tree_of_cgroups_are_all_killed") else { return };
    let (top, inner) = (scratch.path.clone(), scratch.path.join("inner").unwrap());
    scratch.create(&inner).unwrap();
    let waiting = scratch.run(&top, "trap '' TERM; while :; do sleep 1; done");
    scratch.run(&inner, "while :; do sleep 1000 & sleep 0.01; done");
    until("forked", || pids_below(&scratch.layout, &inner).unwrap().len() > 3);
    assert!(pids(&scratch.layout, &top).unwrap().contains(&Pid::from_raw(waiting)));
    assert!(signal(&scratch.layout, &inner, Signal::SIGCONT).unwrap() > 3);
    assert!(populated(&scratch.layout, &top).unwrap());
    assert_eq!(kill(&scratch.layout, &top).unwrap(), 0);
    assert!(!populated(&scratch.layout, &top).unwrap());
    assert_eq!(signal(&scratch.layout, &top, Signal::SIGCONT).unwrap(), 0);
}

/// Run by the test below in a process of its own: joining moves the whole process.
#[test]
#[ignore = "moves its process into the cgroup that the test below made"]
fn helper_joins_the_cgroup_of_its_environment() {
    let Ok(cgroup) = std::env::var("GLEANER_TEST_JOIN") else { return };
    join(&Layout::detect().unwrap(), &path(&cgroup)).unwrap();
    println!("{}", fs::read_to_string("/proc/self/cgroup").unwrap());
}

#[test]
fn a_process_that_joined_is_in_the_kernels_eyes_in_the_cgroup() {
    let Some(scratch) = Scratch::make("a_process_that_joined_is_in_the_kernels_eyes_in_the_cgroup") else { return };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::tests::helper_joins_the_cgroup_of_its_environment", "--ignored", "--nocapture"])
        .env("GLEANER_TEST_JOIN", scratch.path.as_str())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = String::new();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(child.wait().unwrap().success(), "{shown}");
    let joined = shown.lines().filter(|line| line.ends_with(scratch.path.as_str())).count();
    assert!(joined >= scratch.layout.hierarchies().len(), "{shown}");
}

#[test]
fn processes_without_a_number_here_are_an_error_and_not_missing() {
    let folder = tempfile::tempdir().unwrap();
    let said = |text: &str| {
        fs::write(folder.path().join(PROCS), text).unwrap();
        pids_in(folder.path()).map_err(|error| error.to_string())
    };
    assert_eq!(said("12\n7\n"), Ok(vec![Pid::from_raw(7), Pid::from_raw(12)]));
    assert_eq!(said(""), Ok(vec![]));
    let foreign = said("0\n12\n").unwrap_err();
    assert!(foreign.contains("another pid namespace") && foreign.contains("hostPID"), "{foreign}");
}

proptest! {
    #[test]
    fn no_list_makes_the_reader_panic(text in "([0-9-]{0,12}\n?|ä|\0){0,6}") {
        let _ = add(&text, &mut Members::default());
    }
}
