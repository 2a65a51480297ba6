//! Against the running kernel's cgroup v1.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, clippy::disallowed_methods, reason = "tests")]

use super::test_tree::{TestTree, cpus};
use super::*;
use crate::cgroup::Controller;
use gleaner_model::{Bytes, CpuMax, CpuShares, KnobKind, Limit, MilliCpu};

fn plan(values: &[(&CgroupPath, KnobValue)]) -> Plan {
    let mut plan = Plan::new();
    for (cgroup, value) in values {
        plan.set((*cgroup).clone(), value.clone(), Subject::Node, Reason::AsRequested);
    }
    plan
}

fn arbiter(tree: &TestTree) -> Arbiter {
    let (arbiter, warnings) = Arbiter::open(tree.layout.clone(), tree.root.clone(), &tree.journal()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    arbiter
}

fn shown(outcomes: &[Outcome]) -> Vec<String> {
    outcomes
        .iter()
        .map(|o| match &o.result {
            WriteResult::Wrote { from, to } => format!("{} {}: {} -> {to}", o.knob.cgroup.name(), o.knob.kind, from.as_ref().unwrap()),
            other => format!("{} {}: {other:?}", o.knob.cgroup.name(), o.knob.kind),
        })
        .collect()
}

/// Tests that move CPUs need two of them.
fn two_cpus(tree: &TestTree, test: &str) -> bool {
    let enough = tree.text(&CgroupPath::root(), KnobKind::CpusetCpus).starts_with("0-");
    if !enough {
        eprintln!("SKIP {test}: fewer than two CPUs");
    }
    enough
}

#[test]
fn a_cgroup_is_made_everywhere_with_its_birth_values_and_removed_everywhere() {
    let Some(tree) = TestTree::new("a_cgroup_is_made_everywhere_with_its_birth_values_and_removed_everywhere") else { return };
    let pod = tree.path("burstable/pod1");
    let mut arbiter = arbiter(&tree);
    let birth = [
        cpus("0"),
        KnobValue::Shares(CpuShares::new(512)),
        KnobValue::CpuMax(CpuMax::for_limit(MilliCpu::new(500))),
        KnobValue::MemoryMax(Limit::At(Bytes::new(64 << 20))),
        KnobValue::MemoryHigh(Limit::At(Bytes::new(32 << 20))),
    ];
    arbiter.create(&pod, &birth).unwrap();
    for mount in tree.layout.hierarchies() {
        assert!(crate::cgroup::within(&mount, &pod).is_dir(), "{}", mount.display());
    }
    let texts: Vec<String> = [KnobKind::CpusetCpus, KnobKind::CpusetMems, KnobKind::CpuShares, KnobKind::CpuMax, KnobKind::MemoryMax]
        .map(|k| tree.text(&pod, k))
        .into();
    assert_eq!(texts, ["0", &tree.text(&CgroupPath::root(), KnobKind::CpusetMems), "512", "50000 100000", "67108864"]);
    let migrate = tree.layout.dir(Controller::Cpuset, &pod).unwrap().join("cpuset.memory_migrate");
    assert_eq!(fs::read_to_string(migrate).unwrap(), "1\n");
    arbiter.create(&pod, &birth).unwrap();
    assert!(arbiter.remove(&tree.path("burstable")).is_err(), "it has a child");
    arbiter.remove(&pod).unwrap();
    arbiter.remove(&pod).unwrap();
    assert!(tree.layout.hierarchies().iter().all(|mount| !crate::cgroup::within(mount, &pod).exists()));
}

#[test]
fn a_birth_value_that_the_kernel_refuses_leaves_nothing_behind() {
    let Some(tree) = TestTree::new("a_birth_value_that_the_kernel_refuses_leaves_nothing_behind") else { return };
    let mut arbiter = arbiter(&tree);
    let error = arbiter.create(&tree.path("pod1"), &[cpus("1023")]).unwrap_err().to_string();
    assert!(error.contains("cpuset.cpus") && error.contains("os error"), "{error}");
    assert!(tree.layout.hierarchies().iter().all(|mount| !crate::cgroup::within(mount, &tree.root).exists()));
}

#[test]
fn parents_and_children_move_to_other_cpus_and_back() {
    let test = "parents_and_children_move_to_other_cpus_and_back";
    let Some(tree) = TestTree::new(test) else { return };
    if !two_cpus(&tree, test) {
        return;
    }
    let (pod, container) = (tree.path("pod1"), tree.path("pod1/c"));
    let mut arbiter = arbiter(&tree);
    arbiter.create(&pod, &[cpus("0")]).unwrap();
    arbiter.create(&container, &[]).unwrap();
    for (to, expected) in [
        ("0-1", vec!["pod1 cpuset.cpus: 0 -> 0-1", "c cpuset.cpus: 0 -> 0-1"]),
        ("1", vec!["pod1 cpuset.cpus: 0-1 -> 1", "c cpuset.cpus: 0-1 -> 1"]),
        ("0", vec!["pod1 cpuset.cpus: 1 -> 0", "c cpuset.cpus: 1 -> 0"]),
        ("0", vec![]),
    ] {
        assert_eq!(shown(&arbiter.apply(&plan(&[(&pod, cpus(to)), (&container, cpus(to))]))), expected);
    }
    assert_eq!(tree.text(&container, KnobKind::CpusetCpus), "0");
}

#[test]
fn a_refused_value_fails_with_the_kernels_cause_and_does_not_stop_the_others() {
    let Some(tree) = TestTree::new("a_refused_value_fails_with_the_kernels_cause_and_does_not_stop_the_others") else { return };
    let (a, b, gone) = (tree.path("a"), tree.path("b"), tree.path("gone"));
    let mut arbiter = arbiter(&tree);
    arbiter.create(&a, &[]).unwrap();
    arbiter.create(&b, &[]).unwrap();
    let shares = KnobValue::Shares(CpuShares::new(100));
    let outside: CgroupPath = "/gleaner-outside".parse().unwrap();
    let low = KnobValue::MemoryLow(Bytes::new(4096));
    let plan = plan(&[(&a, cpus("1023")), (&b, shares.clone()), (&gone, shares.clone()), (&outside, shares), (&a, low)]);
    let outcomes = arbiter.apply(&plan);
    let failures: Vec<String> = shown(&outcomes);
    assert_eq!(failures[0], "gleaner-outside cpu shares: Failed(\"/gleaner-outside lies outside the cgroup tree of pods\")");
    assert!(failures[1].starts_with("a cpuset.cpus: Failed(\"write ") && failures[1].contains("os error"), "{}", failures[1]);
    assert_eq!(failures[2..], ["a memory.low: NotOffered", "b cpu shares: 1024 -> 100", "gone cpu shares: Gone"]);
}

#[test]
fn first_values_come_back_after_a_crash() {
    let Some(tree) = TestTree::new("first_values_come_back_after_a_crash") else { return };
    let pod = tree.path("pod1");
    // Another program's pod: not made by the arbiter.
    for mount in tree.layout.hierarchies() {
        fs::create_dir_all(crate::cgroup::within(&mount, &pod)).unwrap();
    }
    for (cgroup, kind) in [(&tree.root, "cpus"), (&tree.root, "mems"), (&pod, "cpus"), (&pod, "mems")] {
        let all = fs::read(tree.layout.dir(Controller::Cpuset, &CgroupPath::root()).unwrap().join(format!("cpuset.{kind}"))).unwrap();
        fs::write(tree.layout.dir(Controller::Cpuset, cgroup).unwrap().join(format!("cpuset.{kind}")), all).unwrap();
    }
    let shares = tree.layout.dir(Controller::Cpu, &pod).unwrap().join("cpu.shares");
    fs::write(&shares, "300").unwrap();
    let before: Vec<String> =
        [KnobKind::CpuShares, KnobKind::CpuIdle, KnobKind::CpuMax, KnobKind::MemoryMax].map(|k| tree.text(&pod, k)).into();
    let mut crashed = arbiter(&tree);
    let limit = |cpu| KnobValue::CpuMax(CpuMax::for_limit(MilliCpu::new(cpu)));
    let memory = KnobValue::MemoryMax(Limit::At(Bytes::new((8 << 20) + 1)));
    crashed.apply(&plan(&[(&pod, limit(300)), (&pod, memory.clone()), (&pod, KnobValue::Shares(CpuShares::new(400)))]));
    let outcomes = crashed.apply(&plan(&[(&pod, limit(200)), (&pod, memory), (&pod, KnobValue::Idle(true))]));
    assert_eq!(shown(&outcomes), ["pod1 cpu.idle: 0 -> 1", "pod1 cpu.max: 30000 100000 -> 20000 100000"]);
    crashed.create(&tree.path("pod1/made"), &[]).unwrap();
    drop(crashed);

    let mut reopened = arbiter(&tree);
    let report = reopened.restore();
    let restored: Vec<String> = report.restored.iter().map(|r| format!("{}: {} -> {}", r.what, r.from, r.to)).collect();
    let expected = ["cpu shares: 3 -> 300", "cpu.idle: 1 -> 0", "cpu.max: 20000 100000 -> max 100000", "memory.max: 8Mi -> max"];
    assert_eq!((restored, report.failed, report.gone, report.remaining_cgroups), (expected.map(str::to_owned).into(), vec![], 0, vec![]));
    let after: Vec<String> =
        [KnobKind::CpuShares, KnobKind::CpuIdle, KnobKind::CpuMax, KnobKind::MemoryMax].map(|k| tree.text(&pod, k)).into();
    assert_eq!(after, before);
    assert_eq!(reopened.restore(), RestoreReport::default());
}

#[test]
fn a_weight_is_left_alone_while_idle_and_written_when_idle_ends() {
    let Some(tree) = TestTree::new("a_weight_is_left_alone_while_idle_and_written_when_idle_ends") else { return };
    let pod = tree.path("pod1");
    let mut arbiter = arbiter(&tree);
    arbiter.create(&pod, &[KnobValue::Idle(true), KnobValue::Shares(CpuShares::MIN)]).unwrap();
    let shares = KnobValue::Shares(CpuShares::new(3));
    assert_eq!(shown(&arbiter.apply(&plan(&[(&pod, shares.clone())]))), Vec::<String>::new());
    let outcomes = arbiter.apply(&plan(&[(&pod, shares), (&pod, KnobValue::Idle(false))]));
    assert_eq!(shown(&outcomes), ["pod1 cpu shares: 3 -> 3", "pod1 cpu.idle: 1 -> 0"]);
    assert_eq!(tree.text(&pod, KnobKind::CpuShares), "3");
}

#[test]
fn a_cgroup_made_again_under_its_path_has_first_values_of_its_own() {
    let Some(tree) = TestTree::new("a_cgroup_made_again_under_its_path_has_first_values_of_its_own") else { return };
    let mut arbiter = arbiter(&tree);
    let dir = tree.layout.dir(Controller::Cpu, &tree.root).unwrap();
    fs::create_dir(&dir).unwrap();
    let wish = |n| KnobValue::Shares(CpuShares::new(n));
    arbiter.apply(&plan(&[(&tree.root, wish(200))]));
    fs::remove_dir(&dir).unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("cpu.shares"), "700").unwrap();
    arbiter.apply(&plan(&[(&tree.root, wish(200))]));
    arbiter.restore();
    assert_eq!(tree.text(&tree.root, KnobKind::CpuShares), "700");
}

#[test]
fn without_room_for_the_journal_nothing_is_written() {
    let Some(tree) = TestTree::new("without_room_for_the_journal_nothing_is_written") else { return };
    fs::create_dir(tree.layout.dir(Controller::Cpu, &tree.root).unwrap()).unwrap();
    let (mut arbiter, _) = Arbiter::open(tree.layout.clone(), tree.root.clone(), Path::new("/dev/full")).unwrap();
    let outcomes = arbiter.apply(&plan(&[(&tree.root, KnobValue::Shares(CpuShares::new(200)))]));
    let cause = "Failed(\"journal to /dev/full: No space left on device (os error 28)\")";
    assert_eq!(shown(&outcomes), [format!("{} cpu shares: {cause}", tree.root.name())]);
    assert_eq!(tree.text(&tree.root, KnobKind::CpuShares), "1024");
    assert!(arbiter.create(&tree.path("a"), &[]).is_err());
    assert!(tree.layout.hierarchies().iter().all(|mount| !crate::cgroup::within(mount, &tree.path("a")).exists()));
}

#[test]
fn a_made_cgroup_that_is_in_use_is_left_and_removed_by_a_later_restore() {
    let Some(tree) = TestTree::new("a_made_cgroup_that_is_in_use_is_left_and_removed_by_a_later_restore") else { return };
    let mut arbiter = arbiter(&tree);
    arbiter.create(&tree.path("a"), &[]).unwrap();
    let child = tree.layout.dir(Controller::Cpu, &tree.path("a/child")).unwrap();
    fs::create_dir(&child).unwrap();
    assert_eq!(arbiter.restore().remaining_cgroups, [tree.root.clone(), tree.path("a")]);
    fs::remove_dir(&child).unwrap();
    drop(arbiter);
    let (mut arbiter, _) = Arbiter::open(tree.layout.clone(), tree.root.clone(), &tree.journal()).unwrap();
    assert_eq!(arbiter.restore(), RestoreReport::default());
    assert!(tree.layout.hierarchies().iter().all(|mount| !crate::cgroup::within(mount, &tree.root).exists()));
}
