//! `oom_score_adj` and `cpuset.memory_migrate` against the running kernel.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, clippy::disallowed_methods, reason = "tests")]

use super::*;
use crate::cgroup::{Controller, Version};
use crate::process::pids_below;
use crate::process::scratch::{Scratch, until};
use gleaner_model::{KnobKind, OomScoreAdj};

fn plan(cgroup: &CgroupPath, value: KnobValue) -> Plan {
    let mut plan = Plan::new();
    plan.set(cgroup.clone(), value, Subject::Node, Reason::AsRequested);
    plan
}

fn score(score: i32) -> KnobValue {
    KnobValue::OomScoreAdj(OomScoreAdj::new(score).unwrap())
}

fn scores(scratch: &Scratch) -> Vec<String> {
    let pids = pids_below(&scratch.layout, &scratch.path).unwrap();
    pids.iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).ok()).map(|text| text.trim().to_owned()).collect()
}

fn arbiter(scratch: &Scratch, files: &tempfile::TempDir) -> Arbiter {
    Arbiter::open(scratch.layout.clone(), scratch.path.clone(), &files.path().join("journal")).unwrap().0
}

#[test]
fn every_process_gets_the_score_its_children_inherit_it_and_it_is_put_back() {
    let Some(mut scratch) = Scratch::make("every_process_gets_the_score_its_children_inherit_it_and_it_is_put_back") else { return };
    let (cgroup, files) = (scratch.path.clone(), tempfile::tempdir().unwrap());
    let born = files.path().join("born");
    // A third process is born only when the file is there.
    scratch.run(&cgroup, &format!("sleep 1000 & while ! [ -e {0} ]; do :; done; sleep 1000 & wait", born.display()));
    until("started", || scores(&scratch).len() == 2);
    let before = scores(&scratch)[0].clone();
    let mut arbiter = arbiter(&scratch, &files);
    let outcomes = arbiter.apply(&plan(&cgroup, score(900)));
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    assert!(matches!(&outcomes[0].result, WriteResult::Wrote { to, .. } if *to == score(900)), "{outcomes:?}");
    assert_eq!(scores(&scratch), ["900", "900"]);
    fs::write(&born, "").unwrap();
    until("born", || scores(&scratch).len() == 3);
    assert_eq!(scores(&scratch), ["900", "900", "900"]);
    assert_eq!(arbiter.apply(&plan(&cgroup, score(900))), [], "nothing differs");
    let id = KnobId { cgroup, kind: KnobKind::OomScoreAdj };
    assert_eq!(arbiter.read(&id).unwrap(), Some(score(900)));
    let report = arbiter.restore();
    assert_eq!((report.failed, scores(&scratch)), (vec![], vec![before; 3]));
}

/// Whether this process may lower any score; the number of the capability is 24.
fn may_lower() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() >> 24 & 1 == 1
}

#[test]
fn a_score_that_may_not_be_lowered_fails_and_says_what_is_missing() {
    let test = "a_score_that_may_not_be_lowered_fails_and_says_what_is_missing";
    if may_lower() {
        return eprintln!("SKIP {test}: this process has CAP_SYS_RESOURCE");
    }
    let Some(mut scratch) = Scratch::make(test) else { return };
    let (cgroup, files) = (scratch.path.clone(), tempfile::tempdir().unwrap());
    // One process, whatever the shell makes of its last command.
    scratch.run(&cgroup, "exec sleep 1000");
    let before = scores(&scratch);
    let outcomes = arbiter(&scratch, &files).apply(&plan(&cgroup, score(-999)));
    let said: Vec<String> = outcomes.iter().map(|o| format!("{:?}", o.result)).collect();
    assert!(said.len() == 1 && said[0].contains("/oom_score_adj: may not be lowered to -999"), "{said:?}");
    assert!(said[0].contains("CAP_SYS_RESOURCE"), "{said:?}");
    assert_eq!(scores(&scratch), before);
}

#[test]
fn memory_moves_along_on_a_v1_cpuset_of_another_program_and_the_flag_is_put_back() {
    let test = "memory_moves_along_on_a_v1_cpuset_of_another_program_and_the_flag_is_put_back";
    let Some(scratch) = Scratch::make(test) else { return };
    if scratch.layout.version(Controller::Cpuset) != Some(Version::V1) {
        return eprintln!("SKIP {test}: cpuset is not on cgroup v1");
    }
    let dir = scratch.layout.dir(Controller::Cpuset, &scratch.path).unwrap();
    let text = |file: &str| fs::read_to_string(dir.join(file)).unwrap().trim().to_owned();
    let all = text("cpuset.mems");
    // Without processes it may be emptied, so that a machine of one node has something to change.
    fs::write(dir.join("cpuset.mems"), "\n").unwrap();
    assert_eq!((text("cpuset.mems"), text("cpuset.memory_migrate")), (String::new(), "0".to_owned()));
    let files = tempfile::tempdir().unwrap();
    let mut arbiter = arbiter(&scratch, &files);
    let mems = plan(&scratch.path, KnobValue::Mems(all.parse().unwrap()));
    let wrote: Vec<String> = arbiter.apply(&mems).iter().map(|o| o.knob.kind.to_string()).collect();
    assert_eq!(wrote, ["cpuset.mems", "cpuset.memory_migrate"]);
    assert_eq!((text("cpuset.mems"), text("cpuset.memory_migrate")), (all, "1".to_owned()));
    assert_eq!(arbiter.apply(&mems), [], "what does not change needs no flag");
    let report = arbiter.restore();
    assert_eq!((report.failed, report.restored.len()), (vec![], 2));
    assert_eq!((text("cpuset.mems"), text("cpuset.memory_migrate")), (String::new(), "0".to_owned()));
}
