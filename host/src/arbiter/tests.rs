//! On a fixture tree: ordinary files in the places of the v2 kernel's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

use super::test_tree::cpus;
use super::*;
use gleaner_model::{Bytes, CpuShares, Limit};
use std::path::PathBuf;

struct Fixture {
    dir: tempfile::TempDir,
    pod: CgroupPath,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { dir: tempfile::tempdir().unwrap(), pod: "/kubepods/podx".parse().unwrap() };
        fs::create_dir_all(fixture.file("")).unwrap();
        let files = [("cpuset.cpus", ""), ("cpu.weight", "39"), ("cpu.idle", "0"), ("cpu.max", "max 100000"), ("memory.high", "max")];
        for (file, text) in files {
            fs::write(fixture.file(file), format!("{text}\n")).unwrap();
        }
        fixture
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("cg/kubepods/podx").join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap().trim().to_owned()
    }

    fn open(&self) -> (Arbiter, Vec<String>) {
        let layout = Layout::with_v2_root(self.dir.path().join("cg"));
        Arbiter::open(layout, "/kubepods".parse().unwrap(), &self.dir.path().join("journal")).unwrap()
    }

    fn plan(&self, values: &[KnobValue]) -> Plan {
        let mut plan = Plan::new();
        for value in values {
            plan.set(self.pod.clone(), value.clone(), Subject::Node, Reason::AsRequested);
        }
        plan
    }
}

#[test]
fn v2_knobs_are_written_where_they_differ_and_put_back() {
    let fixture = Fixture::new();
    let (mut arbiter, _) = fixture.open();
    let high = KnobValue::MemoryHigh(Limit::At(Bytes::new(1 << 20)));
    // 999 and 1000 shares are both weight 39.
    let plan = fixture.plan(&[cpus("0-3"), KnobValue::Shares(CpuShares::new(1000)), high.clone(), KnobValue::MemoryLow(Bytes::new(1))]);
    let outcomes = arbiter.apply(&plan);
    let results: Vec<(String, WriteResult)> = outcomes.into_iter().map(|o| (o.knob.kind.to_string(), o.result)).collect();
    let no_limit = KnobValue::MemoryHigh(Limit::Max);
    let expected = [
        ("cpuset.cpus".to_owned(), WriteResult::Wrote { from: Some(cpus("")), to: cpus("0-3") }),
        ("memory.low".to_owned(), WriteResult::NotOffered),
        ("memory.high".to_owned(), WriteResult::Wrote { from: Some(no_limit), to: high }),
    ];
    assert_eq!(results, expected);
    assert_eq!((fixture.text("cpuset.cpus"), fixture.text("memory.high")), ("0-3".into(), "1048576".into()));
    drop(arbiter);
    let (mut arbiter, _) = fixture.open();
    let report = arbiter.restore();
    assert_eq!((report.restored.len(), report.failed), (2, vec![]));
    assert_eq!((fixture.text("cpuset.cpus"), fixture.text("memory.high")), (String::new(), "max".into()));
}

#[test]
fn the_first_value_is_remembered_once() {
    let fixture = Fixture::new();
    let (mut arbiter, _) = fixture.open();
    for shares in [2000, 3000, 4000] {
        arbiter.apply(&fixture.plan(&[KnobValue::Shares(CpuShares::new(shares))]));
    }
    let journal = fs::read_to_string(fixture.dir.path().join("journal")).unwrap();
    assert_eq!(journal.lines().count(), 2, "{journal}");
    assert!(journal.contains(r#"[["cpu.weight","39"]]"#), "{journal}");
}

#[test]
fn a_link_in_the_place_of_a_kernel_file_is_not_followed() {
    let fixture = Fixture::new();
    let victim = fixture.dir.path().join("victim");
    fs::write(&victim, "39").unwrap();
    fs::remove_file(fixture.file("cpu.weight")).unwrap();
    std::os::unix::fs::symlink(&victim, fixture.file("cpu.weight")).unwrap();
    let (mut arbiter, _) = fixture.open();
    let outcomes = arbiter.apply(&fixture.plan(&[KnobValue::Shares(CpuShares::new(2000))]));
    assert!(matches!(&outcomes[0].result, WriteResult::Failed(cause) if cause.starts_with("write ")), "{outcomes:?}");
    assert_eq!(fs::read_to_string(victim).unwrap(), "39");
}

#[test]
fn a_file_that_cannot_be_understood_fails_alone() {
    let fixture = Fixture::new();
    fs::write(fixture.file("cpu.max"), "what\n").unwrap();
    let (mut arbiter, _) = fixture.open();
    let unlimited = KnobValue::CpuMax(gleaner_model::CpuMax::UNLIMITED);
    let outcomes = arbiter.apply(&fixture.plan(&[unlimited, cpus("1")]));
    let cause = format!("{}: \"what\" is not a quota and a period", fixture.file("cpu.max").display());
    assert_eq!(outcomes.iter().map(|o| o.result.clone()).collect::<Vec<_>>()[1], WriteResult::Failed(cause));
    assert_eq!(fixture.text("cpuset.cpus"), "1");
}

#[test]
fn creating_enables_controllers_from_the_root_down_and_notes_it() {
    let fixture = Fixture::new();
    let root = fixture.dir.path().join("cg");
    for (dir, enabled) in [("", "cpu"), ("kubepods", "cpu cpuset memory"), ("kubepods/podx", "")] {
        fs::write(root.join(dir).join("cgroup.controllers"), "cpuset cpu io memory\n").unwrap();
        fs::write(root.join(dir).join("cgroup.subtree_control"), enabled).unwrap();
    }
    let (mut arbiter, _) = fixture.open();
    arbiter.create(&"/kubepods/podx/c".parse().unwrap(), &[cpus("0")]).unwrap();
    // An ordinary file keeps only the last of the three writes.
    assert_eq!(fixture.text("cgroup.subtree_control"), "+memory");
    assert_eq!(fs::read_to_string(root.join("kubepods/cgroup.subtree_control")).unwrap(), "cpu cpuset memory");
    let journal = fs::read_to_string(fixture.dir.path().join("journal")).unwrap();
    assert!(journal.contains(r#""controllers":["cpuset","memory"]"#) && journal.contains(r#"["cpu","cpuset","memory"]"#), "{journal}");
    assert!(fixture.file("c").is_dir());
    let report = arbiter.restore();
    assert!(!fixture.file("c").exists() && report.restored.len() == 2, "{report:?}");
    assert_eq!(fixture.text("cgroup.subtree_control"), "-memory");
}

#[test]
fn what_lies_outside_the_tree_is_neither_made_nor_removed() {
    let fixture = Fixture::new();
    let (mut arbiter, _) = fixture.open();
    let outside: CgroupPath = "/system.slice/x".parse().unwrap();
    assert!(matches!(arbiter.create(&outside, &[]), Err(HostError::OutsideTree(_))));
    assert!(matches!(arbiter.remove(&outside), Err(HostError::OutsideTree(_))));
}

#[test]
fn a_journal_cannot_name_folders_that_are_no_cgroups_of_the_tree() {
    let fixture = Fixture::new();
    let victim = fixture.dir.path().join("victim");
    fs::create_dir(&victim).unwrap();
    let (mut arbiter, _) = fixture.open();
    arbiter.create(&"/kubepods/podx/c".parse().unwrap(), &[]).unwrap();
    drop(arbiter);
    let path = fixture.dir.path().join("journal");
    let line = format!(r#"{{"created":{{"cgroup":"/kubepods/podx","dirs":[{{"dir":"{}","inode":null}}]}}}}"#, victim.display());
    fs::write(&path, format!("{}{line}\n", fs::read_to_string(&path).unwrap())).unwrap();
    let (mut arbiter, warnings) = fixture.open();
    assert_eq!((arbiter.restore().remaining_cgroups, warnings), (vec![], vec![]));
    assert!(victim.is_dir() && !fixture.file("c").exists());
}

#[test]
fn a_journal_whose_tree_was_put_back_does_not_bind_the_folder() {
    let fixture = Fixture::new();
    let (mut arbiter, _) = fixture.open();
    arbiter.apply(&fixture.plan(&[KnobValue::MemoryHigh(Limit::At(Bytes::new(1 << 20)))]));
    let other = || {
        let layout = Layout::with_v2_root(fixture.dir.path().join("cg"));
        Arbiter::open(layout, "/other".parse().unwrap(), &fixture.dir.path().join("journal"))
    };
    let error = other().unwrap_err().to_string();
    assert!(error.contains("is about the cgroup tree /kubepods, not /other"), "{error}");
    arbiter.restore();
    assert_eq!(other().unwrap().1, Vec::<String>::new());
}

#[test]
fn a_score_is_that_of_every_process_and_an_empty_cgroup_has_none() {
    let fixture = Fixture::new();
    let mut children: Vec<std::process::Child> = (0..2).map(|_| std::process::Command::new("sleep").arg("1000").spawn().unwrap()).collect();
    let held = |child: &std::process::Child| fs::read_to_string(format!("/proc/{}/oom_score_adj", child.id())).unwrap().trim().to_owned();
    let before = held(&children[0]);
    let (mut arbiter, _) = fixture.open();
    let score = KnobValue::OomScoreAdj(gleaner_model::OomScoreAdj::new(987).unwrap());
    let results = |outcomes: Vec<Outcome>| outcomes.into_iter().map(|o| (o.knob.kind.to_string(), o.result)).collect::<Vec<_>>();
    fs::write(fixture.file("cgroup.procs"), "").unwrap();
    assert_eq!(results(arbiter.apply(&fixture.plan(std::slice::from_ref(&score)))), []);
    // A number that no process has any more is passed over.
    let listed = format!("{}\n{}\n4194303\n", children[0].id(), children[1].id());
    fs::write(fixture.file("cgroup.procs"), listed).unwrap();
    let outcomes = results(arbiter.apply(&fixture.plan(std::slice::from_ref(&score))));
    let after: Vec<String> = children.iter().map(held).collect();
    let again = results(arbiter.apply(&fixture.plan(std::slice::from_ref(&score))));
    drop(arbiter);
    let (mut arbiter, _) = fixture.open();
    let report = arbiter.restore();
    let restored: Vec<String> = children.iter().map(held).collect();
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let first = KnobValue::OomScoreAdj(before.parse().unwrap());
    assert_eq!(outcomes, [("oom_score_adj".to_owned(), WriteResult::Wrote { from: Some(first), to: score })]);
    assert_eq!((after, again), (vec!["987".to_owned(); 2], vec![]));
    assert_eq!((restored, report.failed), (vec![before; 2], vec![]));
}
