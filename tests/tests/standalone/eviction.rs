//! Pods that must make room.

use gleaner_tests::{Node, Pod, is_alive, pod_state, poll_until};
use nix::sys::signal::Signal;

/// Lends what there is, and evicts two seconds after it lends nothing.
fn lending(reserve: u32) -> String {
    format!(
        "samplingPeriod: 500ms\nestimator: {{risePerSecond: 100%, cpuReserve: {reserve}, memoryReserve: 64Mi, \
         composite: {{windows: [], warmUp: 0s}}, headroom: {{fragments: {{cpu: 0, memory: 0}}}}}}\nplacement: {{overlapShare: true}}\n\
         eviction: {{suppressionAfter: 2s, suppressionTolerance: 150%, coolDown: 1s}}\nstandalone: {{evictedBackOff: 1h}}\n"
    )
}

#[test]
fn a_reclaimed_pod_is_evicted_when_nothing_is_lent_any_more_and_explain_says_why() {
    let test = "a_reclaimed_pod_is_evicted_when_nothing_is_lent_any_more_and_explain_says_why";
    let Some(mut node) = Node::new(test) else { return };
    node.configure(&lending(0));
    node.add(&Pod::shared("web"));
    node.add(&Pod::reclaimed("batch", 20));
    node.add(&Pod::reclaimed("stubborn", 20).runs("workload ignore-term").grace(2));
    node.start();
    let files = node.running(&["web", "batch", "stubborn"]);
    let pids: Vec<Vec<i32>> = files.iter().map(|files| node.kernel().pids(&files.pod)).collect();
    poll_until("it ignores SIGTERM", || node.container_log("stubborn").contains("ready").then_some(()));

    node.configure(&lending(100_000));
    node.signal(Signal::SIGHUP);
    let ending = node.until("the stubborn pod has its grace", |state| {
        pod_state(state, "stubborn").filter(|pod| pod["phase"] == "ending" || pod["phase"] == "evicted").cloned()
    });
    for pod in ["batch", "stubborn"] {
        let why = node.phase(pod, "evicted")["why"].as_str().unwrap_or_default().to_owned();
        assert!(why.contains("20m") || why.contains("40m"), "the numbers are told: {why}, was {ending}");
        let output = node.run("explain", &[pod]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("is reclaimed_cores and Evicted") && text.contains(&why), "{text}");
    }
    let left: Vec<&i32> = pids[1..].iter().flatten().filter(|pid| is_alive(**pid)).collect();
    assert!(left.is_empty(), "processes of evicted pods live: {left:?}");
    assert!(!node.kernel().exists(&files[1].pod) && !node.kernel().exists(&files[2].pod));
    assert_eq!(node.kernel().pids(&files[0].pod), pids[0], "the shared pod runs on");
}

#[test]
fn in_shadow_mode_nobody_is_evicted() {
    let Some(mut node) = Node::new("in_shadow_mode_nobody_is_evicted") else { return };
    node.configure(&lending(0));
    node.add(&Pod::reclaimed("batch", 20));
    node.start_with(&["--shadow"]);
    let files = node.running(&["batch"]);
    let pids = node.kernel().pids(&files[0].pod);
    node.configure(&lending(100_000));
    node.signal(Signal::SIGHUP);
    node.until("it is said who would go", |state| {
        let decisions = pod_state(state, "batch")?["decisions"].as_array()?;
        decisions.iter().any(|d| d["reason"]["kind"] == "evict_suppressed").then_some(())
    });
    node.ticks(3);
    assert_eq!(node.kernel().pids(&files[0].pod), pids);
}
