//! Shadow mode: everything is said, nothing is written.

use gleaner_tests::{Node, Pod};
use std::fs;

#[test]
fn in_shadow_mode_pods_run_and_no_knob_is_written() {
    let Some(mut node) = Node::new("in_shadow_mode_pods_run_and_no_knob_is_written") else { return };
    node.add(&Pod::dedicated("db", 1));
    node.add(&Pod::reclaimed("batch", 20));
    node.start_with(&["--shadow"]);
    let files = node.running(&["db", "batch"]);
    node.ticks(3);
    let state = node.state().unwrap();
    assert_eq!(state["shadow"], true);
    let kernel = node.kernel();
    let all = kernel.cpus(node.root());
    for files in &files {
        assert_eq!(kernel.cpus(files.container()), all, "birth value of cpuset.cpus of {}", files.pod);
        assert_ne!(kernel.idle(&files.pod), Some(true), "birth value of cpu.idle of {}", files.pod);
    }
    assert_eq!((kernel.quota(&files[0].pod), kernel.quota(&files[1].pod)), (Some(1000), None), "birth values of the quotas");
    let journal = fs::read_to_string(node.path("state/journal.jsonl")).unwrap_or_default();
    assert!(!journal.contains("\"first\""), "a first value is noted only before a write:\n{journal}");
    for pod in ["db", "batch"] {
        let pod = gleaner_tests::pod_state(&state, pod).unwrap();
        assert!(pod["knobs"].as_array().is_some_and(|knobs| !knobs.is_empty()), "what would be written is shown: {pod}");
    }
    let page = node.run("status", &[]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("SHADOW"), "{page}");
}
