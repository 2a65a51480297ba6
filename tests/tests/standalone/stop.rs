//! A clean stop leaves nothing behind.

use gleaner_host::cgroup::Version;
use gleaner_model::CgroupPath;
use gleaner_tests::{Node, Pod, is_alive};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;

fn stops_cleanly(test: &str, signal: Signal) {
    let Some(mut node) = Node::new(test) else { return };
    let before = knobs_of_root(&node);
    node.add(&Pod::dedicated("db", 1));
    node.add(&Pod::shared("web").request("cpu", "100m"));
    node.add(&Pod::reclaimed("batch", 20));
    node.start();
    let files = node.running(&["db", "web", "batch"]);
    let pids: Vec<i32> = files.iter().flat_map(|files| node.kernel().pids(&files.pod)).collect();
    assert!(pids.len() >= 3, "{pids:?}");
    let ended = node.stop(signal);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.log);
    assert!(ended.stdout.contains("every kernel file is as it was"), "{:?}", ended.stdout);
    let left: Vec<i32> = pids.into_iter().filter(|pid| is_alive(*pid)).collect();
    assert!(left.is_empty(), "processes {left:?} outlived the agent");
    assert!(!node.kernel().exists(&node.kubepods()), "{} outlived the agent", node.kubepods());
    assert!(!node.path("run/socket").exists(), "the socket outlived the agent");
    assert_eq!(knobs_of_root(&node), before, "what the agent found above its pods is as it was");
}

/// Files of the node's root that an agent could have touched.
fn knobs_of_root(node: &Node) -> BTreeMap<String, String> {
    let files = ["cgroup.subtree_control", "cpuset.cpus", "cpuset.mems", "cpu.shares", "cpu.weight", "cpu.max", "memory.low", "memory.max"];
    let dirs = node.layout().hierarchies().into_iter().map(|mount| mount.join(node.root().relative()));
    let paths = dirs.flat_map(|dir| files.map(|file| dir.join(file)));
    paths.filter_map(|path| Some((path.display().to_string(), std::fs::read_to_string(&path).ok()?))).collect()
}

#[test]
fn an_interrupt_ends_the_pods_and_puts_everything_back() {
    stops_cleanly("an_interrupt_ends_the_pods_and_puts_everything_back", Signal::SIGINT);
}

#[test]
fn a_termination_ends_the_pods_and_puts_everything_back() {
    stops_cleanly("a_termination_ends_the_pods_and_puts_everything_back", Signal::SIGTERM);
}

#[test]
fn a_second_interrupt_takes_the_grace_away() {
    let Some(mut node) = Node::new("a_second_interrupt_takes_the_grace_away") else { return };
    node.add(&Pod::shared("stubborn").runs("workload ignore-term").grace(3600));
    node.start();
    let files = node.running(&["stubborn"]);
    gleaner_tests::poll_until("it ignores SIGTERM", || node.container_log("stubborn").contains("ready").then_some(()));
    node.signal(Signal::SIGINT);
    node.until("the pod is ending", |state| (state["stopping"] == true).then_some(()));
    assert!(!node.kernel().pids(&files[0].pod).is_empty(), "it has an hour to end");
    let ended = node.stop(Signal::SIGINT);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.log);
    assert!(!node.kernel().exists(&node.kubepods()));
}

#[test]
fn with_keep_pods_a_stop_leaves_them_running() {
    let Some(mut node) = Node::new("with_keep_pods_a_stop_leaves_them_running") else { return };
    node.add(&Pod::dedicated("db", 1));
    node.start_with(&["--keep-pods"]);
    let files = node.running(&["db"]);
    let (kernel, db) = (node.kernel(), files[0].clone());
    let before = (kernel.pids(&db.pod), kernel.cpus(db.container()));
    assert_eq!(node.stop(Signal::SIGTERM).code, Some(0));
    assert_eq!((kernel.pids(&db.pod), kernel.cpus(db.container())), before);
    node.start();
    node.running(&["db"]);
    assert_eq!((kernel.pids(&db.pod), kernel.cpus(db.container())), before, "the next agent goes on with it");
}

#[test]
fn the_restored_tree_is_asked_of_every_hierarchy() {
    // Guards the helper that the tests above trust: the root of a node must be seen as existing.
    let Some(node) = Node::new("the_restored_tree_is_asked_of_every_hierarchy") else { return };
    assert!(node.kernel().exists(node.root()));
    assert!(!node.kernel().exists(&CgroupPath::root().join("gleaner-test-none").unwrap()));
    let v2 = node.layout().version(gleaner_host::cgroup::Controller::Cpu) == Some(Version::V2);
    assert_eq!(node.kernel().is_v2(gleaner_host::cgroup::Controller::Cpu), v2);
}

#[test]
fn after_a_clean_stop_there_is_nothing_to_restore_and_the_next_start_explains_its_pods_anew() {
    let test = "after_a_clean_stop_there_is_nothing_to_restore_and_the_next_start_explains_its_pods_anew";
    let Some(mut node) = Node::new(test) else { return };
    node.add(&Pod::dedicated("db", 1));
    node.start();
    node.running(&["db"]);
    assert_eq!(node.stop(Signal::SIGINT).code, Some(0));
    for flags in [vec![], vec!["--stop-pods"]] {
        let output = node.run("restore", &flags);
        assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    node.start();
    node.running(&["db"]);
    let text = String::from_utf8_lossy(&node.run("explain", &["db"]).stdout).into_owned();
    assert!(text.contains("new), memory nodes"), "why it has its CPUs is not told\n{text}");
}
