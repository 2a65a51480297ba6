//! The life of pods.

use gleaner_tests::{Node, Pod, PodFiles, is_alive, pod_state, poll_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

#[test]
fn a_removed_manifest_ends_its_pod() {
    let Some(mut node) = Node::new("a_removed_manifest_ends_its_pod") else { return };
    node.add(&Pod::shared("stays"));
    node.add(&Pod::shared("goes"));
    node.start();
    let files = node.running(&["stays", "goes"]);
    let (kernel, before) = (node.kernel(), node.kernel().pids(&files[0].pod));
    node.remove("goes");
    node.until("the pod is gone", |state| pod_state(state, "goes").is_none().then_some(()));
    assert!(!kernel.exists(&files[1].pod), "its cgroup is gone");
    assert_eq!(kernel.pids(&files[0].pod), before, "the other pod runs on");
}

#[test]
fn a_changed_manifest_replaces_its_pod() {
    let Some(mut node) = Node::new("a_changed_manifest_replaces_its_pod") else { return };
    node.add(&Pod::shared("web"));
    node.start();
    let old = node.running(&["web"]).remove(0);
    let pids = node.kernel().pids(&old.pod);
    node.add(&Pod::shared("web").runs("workload forks --n 1"));
    node.gone(&old.pod);
    let new = node.running(&["web"]).remove(0);
    assert_ne!(new.pod, old.pod, "another pod has another uid");
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "the old processes are gone");
}

#[test]
fn a_container_that_fails_is_started_again_and_counted() {
    let Some(mut node) = Node::new("a_container_that_fails_is_started_again_and_counted") else { return };
    node.add(&Pod::shared("shaky").runs("workload exit --code 1 --after 50"));
    node.start();
    let restarts = node.until("it was started again", |state| pod_state(state, "shaky")?["restarts"].as_u64().filter(|n| *n >= 1));
    assert!(restarts >= 1);
    let pod = node.phase("shaky", "running");
    assert!(pod.to_string().contains("container shaky exited with status 1"), "{pod}");
}

#[test]
fn the_restart_policy_decides_how_a_pod_ends() {
    let Some(mut node) = Node::new("the_restart_policy_decides_how_a_pod_ends") else { return };
    node.add(&Pod::shared("failed").runs("workload exit --code 3 --after 10").restart("Never"));
    node.add(&Pod::shared("done").runs("workload exit --code 0 --after 10").restart("OnFailure"));
    node.start();
    let failed = node.phase("failed", "failed");
    assert_eq!((failed["why"].as_str(), failed["restarts"].as_u64()), (Some("container failed exited with status 3"), Some(0)));
    assert_eq!(node.phase("done", "succeeded")["restarts"], 0);
    node.gone(&node.kubepods().join("burstable").unwrap().join("none").unwrap());
    let pods = node.state().unwrap()["pods"].clone();
    assert!(pods.as_array().unwrap().iter().all(|pod| pod["pool"].is_null()), "what has ended holds no CPUs: {pods}");
}

/// A pod whose container forked, and its processes.
fn forked(node: &mut Node, pod: &Pod, name: &str) -> (PodFiles, Vec<i32>) {
    node.add(pod);
    let files = node.running(&[name]).remove(0);
    poll_until("the children run", || node.container_log(name).contains("ready").then_some(()));
    let pids = node.kernel().pids(&files.pod);
    assert_eq!(pids.len(), 4, "a parent and three children: {pids:?}");
    (files, pids)
}

#[test]
fn children_of_a_container_are_gone_when_its_pod_ends() {
    let Some(mut node) = Node::new("children_of_a_container_are_gone_when_its_pod_ends") else { return };
    node.start();
    let (files, pids) = forked(&mut node, &Pod::shared("family").runs("workload forks --n 3"), "family");
    node.remove("family");
    node.gone(&files.pod);
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}

#[test]
fn children_that_a_killed_parent_leaves_behind_are_ended_with_it() {
    let Some(mut node) = Node::new("children_that_a_killed_parent_leaves_behind_are_ended_with_it") else { return };
    node.start();
    let (files, pids) = forked(&mut node, &Pod::shared("family").runs("workload forks --n 3").restart("Never"), "family");
    // The first process is the parent of the others.
    let parent = pids.iter().copied().find(|pid| children(*pid) == 3).expect("a parent");
    kill(Pid::from_raw(parent), Signal::SIGKILL).unwrap();
    let failed = node.phase("family", "failed");
    assert_eq!(failed["why"], "container family was killed by signal 9");
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
    assert!(!node.kernel().exists(&files.pod));
}

fn children(pid: i32) -> usize {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default().split_whitespace().count()
}

#[test]
fn a_cgroup_that_vanishes_does_not_disturb_the_other_pods() {
    let Some(mut node) = Node::new("a_cgroup_that_vanishes_does_not_disturb_the_other_pods") else { return };
    node.add(&Pod::dedicated("db", 1));
    node.add(&Pod::shared("victim").restart("Never"));
    node.add(&Pod::reclaimed("batch", 20));
    node.start();
    let files = node.running(&["db", "victim", "batch"]);
    let kernel = node.kernel();
    let held = || [0, 2].map(|n: usize| (kernel.pids(&files[n].pod), kernel.cpus(files[n].container())));
    let before = held();
    for pid in kernel.pids(&files[1].pod) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    // The agent removes them too; whoever is first.
    for cgroup in [files[1].container(), &files[1].pod] {
        let mounts = node.layout().hierarchies();
        let dirs = || mounts.iter().map(|mount| mount.join(cgroup.relative()));
        poll_until("the cgroup can be removed", || {
            dirs().for_each(|dir| drop(fs::remove_dir(dir)));
            dirs().all(|dir| !dir.exists()).then_some(())
        });
    }
    node.phase("victim", "failed");
    node.ticks(3);
    assert_eq!(held(), before, "other pods were disturbed");
    let health = node.until("the parts are shown", |state| Some(state["health"].clone()));
    assert!(health["knobs"]["problem"].is_null(), "what is gone is no failure: {health}");
}

#[test]
fn a_pod_whose_cgroup_vanished_runs_again() {
    let Some(mut node) = Node::new("a_pod_whose_cgroup_vanished_runs_again") else { return };
    node.add(&Pod::shared("web"));
    node.start();
    let files = node.running(&["web"]).remove(0);
    let (kernel, mounts) = (node.kernel(), node.layout().hierarchies());
    let old = kernel.pids(&files.pod);
    // Faster than the agent starts it again; where the agent is faster, the next attempt finds the new process.
    poll_until("the container's cgroup is gone", || {
        for pid in kernel.pids(&files.pod) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        mounts.iter().for_each(|mount| drop(fs::remove_dir(mount.join(files.container().relative()))));
        (!kernel.exists(files.container())).then_some(())
    });
    let again = || Some(kernel.pids(&files.pod)).filter(|pids| !pids.is_empty() && *pids != old);
    poll_until("the container runs again", again);
}
