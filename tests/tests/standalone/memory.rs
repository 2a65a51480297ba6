//! Memory runs short. Only in the virtual machine: the whole node suffers.

use gleaner_host::cgroup::Controller;
use gleaner_tests::{Node, Pod, skip};

#[test]
fn a_reclaimed_hog_is_evicted_before_the_kernel_kills_a_shared_pod() {
    let test = "a_reclaimed_hog_is_evicted_before_the_kernel_kills_a_shared_pod";
    if std::env::var_os("GLEANER_TEST_VM").is_none() {
        return skip(test, "uses up the memory of the whole machine, so it runs in the virtual machine only");
    }
    let Some(mut node) = Node::new(test) else { return };
    node.configure_more(
        "placement: {overlapShare: true}\neviction: {memoryAvailableWatermarkFactor: 1000%, memoryLowAfter: 1s, coolDown: 1s}\n\
         standalone: {evictedBackOff: 1h}\n",
    );
    let held = "workload memory --start 32Mi --step 0 --every 1000 --max 32Mi";
    node.add(&Pod::shared("web").runs(held).request("memory", "48Mi"));
    let hog = "workload memory --start 64Mi --step 32Mi --every 200 --max 16Gi";
    node.start();
    let web = node.running(&["web"]).remove(0);
    let pids = node.kernel().pids(&web.pod);
    let lent = node.until("memory is lent", |state| {
        let cpu = state["estimate"]["cpu"].as_str()?;
        (cpu != "0").then(|| state["estimate"]["memory"].as_str().map(str::to_owned))?
    });
    // Without a promise of memory there is no bound of its own: it can take the whole node.
    node.add(&Pod::shared("hog").class("reclaimed_cores").runs(hog).request("resource.katalyst.kubewharf.io/reclaimed_millicpu", "500"));
    let evicted = node.phase("hog", "evicted");
    let why = evicted["why"].as_str().unwrap_or_default();
    assert!(why.contains("memory"), "evicted for another reason: {why}; {lent} was lent");
    assert_eq!(node.kernel().pids(&web.pod), pids, "the shared pod runs on");
    let events = node.kernel().text(Controller::Memory, &web.pod, "memory.events").unwrap_or_default();
    assert!(!events.lines().any(|line| line.starts_with("oom_kill ") && line != "oom_kill 0"), "{events}");
}
