//! The agent dies, or its files do: what was promised holds.

use crate::{Behind, PATIENCE, cpus_of, dedicated, online, reclaimed, shared};
use gleaner_host::cgroup::Controller;
use gleaner_model::{CpuId, CpuSet};
use gleaner_tests::kubelet::{Kubelet, Options, QrmPod};
use gleaner_tests::{Node, poll_until};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs;

fn pods() -> Vec<QrmPod> {
    let mut pods = vec![shared("web", 300)];
    if online().count() > 1 {
        pods.push(dedicated("db", 1));
    }
    if online().count() > 2 {
        pods.push(reclaimed("index", 50));
    }
    pods
}

fn told(behind: &Behind) -> BTreeMap<String, CpuSet> {
    behind.kubelet.reconcile();
    pods().iter().map(|pod| (pod.name.clone(), behind.cpus(pod))).collect()
}

fn restart(behind: &mut Behind) {
    let before = behind.kubelet.events().len();
    behind.node.kill();
    behind.node.start();
    behind.kubelet.wait_for("both plugins are back", PATIENCE, |events| {
        let again = events[before..].iter().filter(|event| format!("{event:?}").starts_with("Registered")).count();
        (again >= 2).then_some(())
    });
}

#[test]
fn promises_outlive_an_agent_that_is_killed() {
    let Some(mut behind) = Behind::new("promises_outlive_an_agent_that_is_killed") else { return };
    for pod in pods() {
        behind.admit(&pod);
    }
    let before = told(&behind);
    for _ in 0..3 {
        restart(&mut behind);
        assert_eq!(told(&behind), before);
        assert!(behind.kubelet.reconcile().is_empty(), "nothing is to be changed");
    }
}

#[test]
fn damaged_records_cost_what_they_were_about_and_nothing_else() {
    let Some(mut behind) = Behind::new("damaged_records_cost_what_they_were_about_and_nothing_else") else { return };
    for pod in pods() {
        behind.admit(&pod);
    }
    let before = told(&behind);
    let file = behind.node.path("state/qrm/pods/uid-web/main.json");
    fs::write(&file, "{\"version\": 1, ").unwrap();
    restart(&mut behind);
    assert!(file.with_file_name("main.json.damaged-1").exists(), "it is set aside");
    assert!(behind.node.log().contains("main.json.damaged-1"), "and that is told:\n{}", behind.node.log());
    // The kubelet finds nothing for the container and asks anew, as it did at first.
    behind.admit(&shared("web", 300));
    assert_eq!(told(&behind), before);
}

#[test]
fn a_promise_that_the_disk_does_not_take_is_not_given() {
    let Some(mut behind) = Behind::new("a_promise_that_the_disk_does_not_take_is_not_given") else { return };
    let web = shared("web", 100);
    behind.admit(&web);
    // A file where the folder should be: root may write anywhere, but not below a file.
    let folder = behind.node.path("state/qrm/pods/uid-late");
    fs::write(&folder, "in the way").unwrap();
    let late = shared("late", 100);
    let rejection = behind.kubelet.admit(&late).unwrap_err();
    assert!(rejection.message.contains("uid-late"), "{rejection}");
    behind.node.until("it is told", |state| state["health"]["promises"]["problem"].as_str().map(|_| ()));
    behind.admit(&web);
    fs::remove_file(&folder).unwrap();
    behind.admit(&late);
    behind.node.until("it passed", |state| state["health"]["promises"]["problem"].is_null().then_some(()));
}

#[test]
fn a_pod_whose_end_nobody_told_is_forgotten_when_it_has_no_cgroup() {
    let test = "a_pod_whose_end_nobody_told_is_forgotten_when_it_has_no_cgroup";
    let Some(mut node) = Node::behind_kubelet(test) else { return };
    let yaml = fs::read_to_string(node.path("gleaner.yaml")).unwrap();
    node.configure(&yaml.replace("qrm: {", "qrm: {residualAfter: 2s, "));
    node.start();
    let kubelet = Kubelet::start(&node.path("plugins"), Options::default());
    kubelet.wait_for_plugins(&["cpu", "memory"], PATIENCE);
    let mut behind = Behind { kubelet, node };
    let (stays, goes) = (shared("stays", 10), shared("goes", 10));
    let kept = behind.node.make_container(&stays.uid, "c1");
    let lost = behind.node.make_container(&goes.uid, "c2");
    for pod in [&stays, &goes] {
        behind.admit(pod);
    }
    behind.node.ticks(3);
    behind.node.remove_pod_cgroups(&lost);
    poll_until("it is forgotten", || (!behind.node.path("state/qrm/pods/uid-goes").exists()).then_some(()));
    assert!(behind.node.path("state/qrm/pods/uid-stays").exists());
    assert_eq!(cpus_of(&behind.admit(&stays)), online());
    drop(kept);
}

#[test]
fn a_dedicated_pod_that_the_kernel_has_elsewhere_is_told_of_and_brought_back() {
    let test = "a_dedicated_pod_that_the_kernel_has_elsewhere_is_told_of_and_brought_back";
    if online().count() < 2 {
        return gleaner_tests::skip(test, "needs 2 CPUs");
    }
    let Some(mut behind) = Behind::new(test) else { return };
    let db = dedicated("db", 1);
    let container = behind.node.make_container(&db.uid, "c1");
    let own = cpus_of(&behind.admit(&db));
    let kernel = behind.node.kernel();
    poll_until("the pod has its CPUs", || (kernel.cpus(&container) == own).then_some(()));
    behind.node.kill();
    let other = online().difference(&own);
    behind.node.write(Controller::Cpuset, &container, "cpuset.cpus", &other.to_string()).unwrap();
    behind.node.start();
    behind.node.until("it is told", |state| {
        let decisions = state["decisions"].as_array()?;
        let told = |d: &serde_json::Value| d["reason"]["what"].as_str().is_some_and(|what| what.contains("was promised CPUs"));
        decisions.iter().any(told).then_some(())
    });
    poll_until("and it is brought back", || (kernel.cpus(&container) == own).then_some(()));
}

#[test]
fn a_dedicated_pod_that_was_moved_is_where_it_was_after_a_kill() {
    let test = "a_dedicated_pod_that_was_moved_is_where_it_was_after_a_kill";
    let all: Vec<CpuId> = online().iter().collect();
    let [first, ..] = all[..] else { return };
    if all.len() < 2 {
        return gleaner_tests::skip(test, "needs 2 CPUs");
    }
    let Some(mut behind) = Behind::new(test) else { return };
    let db = dedicated("db", 1);
    let before = cpus_of(&behind.admit(&db));
    assert!(before.contains(first), "{before}");
    let yaml = fs::read_to_string(behind.node.path("gleaner.yaml")).unwrap();
    behind.node.configure(&format!("{yaml}placement: {{reserve: {{cpus: \"{first}\"}}}}\n"));
    behind.node.signal(Signal::SIGHUP);
    let moved = poll_until("the pod has left the reserved CPU", || {
        behind.kubelet.reconcile();
        Some(behind.cpus(&db)).filter(|now| !now.contains(first))
    });
    behind.node.configure(&yaml);
    behind.node.signal(Signal::SIGHUP);
    behind.node.ticks(2);
    restart(&mut behind);
    behind.kubelet.reconcile();
    assert_eq!(behind.cpus(&db), moved);
}

#[test]
fn a_pod_that_a_configuration_leaves_without_cpus_is_told_of() {
    let test = "a_pod_that_a_configuration_leaves_without_cpus_is_told_of";
    let all = online();
    if all.count() != 2 {
        return gleaner_tests::skip(test, "is about a machine of 2 CPUs");
    }
    let Some(mut behind) = Behind::new(test) else { return };
    behind.admit(&shared("web", 100));
    let own = cpus_of(&behind.admit(&dedicated("db", 1)));
    let yaml = fs::read_to_string(behind.node.path("gleaner.yaml")).unwrap();
    behind.node.configure(&format!("{yaml}placement: {{reserve: {{cpus: \"{own}\"}}}}\n"));
    behind.node.signal(Signal::SIGHUP);
    let problem = behind.node.until("it is told", |state| state["health"]["placement"]["problem"].as_str().map(str::to_owned));
    assert!(problem.contains("default/db"), "{problem}");
    behind.node.configure(&yaml);
    behind.node.signal(Signal::SIGHUP);
    behind.node.until("it is well again", |state| state["health"]["placement"]["problem"].is_null().then_some(()));
}
