//! Slips of the person who edits manifests, across a restart of the agent.

use gleaner_tests::{Node, Pod, PodFiles};
use std::fs;

/// A node whose agent runs a shared and a reclaimed pod, and the processes of both.
fn running(test: &str) -> Option<(Node, Vec<PodFiles>, Vec<Vec<i32>>)> {
    let mut node = Node::new(test)?;
    node.configure(
        "samplingPeriod: 500ms\nestimator: {risePerSecond: 100%, cpuReserve: 0, memoryReserve: 64Mi, \
         composite: {windows: [], warmUp: 0s}, headroom: {fragments: {cpu: 0, memory: 0}}}\nplacement: {overlapShare: true}\n",
    );
    node.add(&Pod::shared("web"));
    node.add(&Pod::reclaimed("batch", 40));
    node.start();
    let files = node.running(&["web", "batch"]);
    node.ticks(2);
    let pids = pids(&node, &files);
    Some((node, files, pids))
}

fn pids(node: &Node, files: &[PodFiles]) -> Vec<Vec<i32>> {
    files.iter().map(|files| node.kernel().pids(&files.pod)).collect()
}

#[test]
fn a_manifest_that_became_wrong_ends_no_pod_even_when_the_agent_starts_again() {
    let test = "a_manifest_that_became_wrong_ends_no_pod_even_when_the_agent_starts_again";
    let Some((mut node, files, before)) = running(test) else { return };
    node.manifest("web.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {contaners: []}\n");
    node.until("the slip is told", |state| state["refused"].get("web.yaml").cloned());
    node.ticks(2);
    assert_eq!(pids(&node, &files), before, "while the agent runs");
    node.kill();
    node.start();
    node.ticks(3);
    assert_eq!(pids(&node, &files), before, "after a restart");
}

#[test]
fn a_folder_that_cannot_be_read_at_the_start_ends_no_pod() {
    let Some((mut node, files, before)) = running("a_folder_that_cannot_be_read_at_the_start_ends_no_pod") else { return };
    node.kill();
    let (folder, away) = (node.path("manifests"), node.path("away"));
    fs::rename(&folder, &away).unwrap();
    node.start();
    node.until("the missing folder is told", |state| state["health"]["manifests"]["problem"].as_str().map(str::to_owned));
    node.ticks(2);
    assert_eq!(pids(&node, &files), before);
    fs::rename(&away, &folder).unwrap();
    node.until("the folder is read again", |state| state["health"]["manifests"]["problem"].is_null().then_some(()));
    node.ticks(2);
    assert_eq!(pids(&node, &files), before);
}

#[test]
fn a_restart_lends_on_and_not_nothing() {
    let Some((mut node, files, before)) = running("a_restart_lends_on_and_not_nothing") else { return };
    // Another load on this machine may take the CPUs; then less is free, which is no fault of the restart.
    let unknown = |node: &Node| node.log().matches("unknown lends nothing").count();
    let told = unknown(&node);
    for _ in 0..3 {
        node.kill();
        node.start();
        node.ticks(3);
        let why = node.until("the figure is there", |state| state["estimate"]["cpu_reason"]["rule"].as_str().map(str::to_owned));
        assert_ne!(why, "unknown");
    }
    assert_eq!(unknown(&node), told, "right after a restart nothing was lent\n{}", node.log());
    assert_eq!(pids(&node, &files), before);
}
