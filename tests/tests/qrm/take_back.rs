//! Pods of the kubelet that hold more memory than they may.

use crate::kernel::Holder;
use crate::{Behind, reclaimed};
use gleaner_host::reclaim;
use gleaner_tests::kubelet::Options;
use gleaner_tests::{poll_until, skip};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A reclaimed pod may hold this share of the 32 MiB that it was promised.
fn allowing(share: u32) -> String {
    format!("placement: {{overlapShare: true}}\nknobs: {{memoryHigh: {share}%, memoryFloor: 4Mi}}\n")
}

#[test]
fn memory_is_taken_back_from_the_cgroup_of_a_kubelets_pod() {
    let test = "memory_is_taken_back_from_the_cgroup_of_a_kubelets_pod";
    let Some(mut behind) = Behind::configured(test, &allowing(100), Options::default()) else { return };
    let index = reclaimed("index", 100);
    behind.admit(&index);
    let container = behind.node.make_container(&index.uid, "c1");
    let pod = container.parent().unwrap();
    if reclaim::means(behind.node.layout(), &pod).is_none() {
        return skip(test, "the kernel cannot be asked for memory");
    }
    let holder = Holder::later(&behind.node, &container);
    let held = || reclaim::usage(behind.node.layout(), &pod).unwrap().unwrap().get();
    poll_until("the memory is held", || (held() >= 24 << 20).then_some(()));
    behind.node.configure_more(&allowing(25));
    behind.node.signal(Signal::SIGHUP);
    let reason = behind.node.until("the pod is asked", |state: &Value| {
        let decisions = state["decisions"].as_array()?;
        decisions.iter().map(|decision| &decision["reason"]).find(|reason| reason["kind"] == "memory_taken_back").cloned()
    });
    assert_eq!(reason["allowed"], "8Mi", "{reason}");
    assert!(!holder.pages().is_empty(), "the process that holds it lives: {reason}");
}
