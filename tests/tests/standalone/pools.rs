//! Pods of each class, and what the kernel holds for them.

use crate::cpus;
use gleaner_host::cgroup::Controller;
use gleaner_model::{CgroupPath, CpuSet};
use gleaner_tests::{Node, Pod, PodFiles, allowed_cpus, skip};

/// The CPUs of a container, which its processes must have too.
fn cpus_of(node: &Node, files: &PodFiles) -> CpuSet {
    let kernel = node.kernel();
    let cpus = kernel.cpus(files.container());
    for pid in kernel.pids(files.container()) {
        assert_eq!(allowed_cpus(pid).as_ref(), Some(&cpus), "process {pid} of {}", files.pod);
    }
    cpus
}

fn disjoint(a: &CpuSet, b: &CpuSet) -> bool {
    a.intersection(b).is_empty()
}

#[test]
fn every_class_lands_in_its_pool_and_the_kernel_says_so() {
    let Some(mut node) = Node::new("every_class_lands_in_its_pool_and_the_kernel_says_so") else { return };
    node.add(&Pod::dedicated("db", 1));
    node.add(&Pod::shared("web").request("cpu", "200m"));
    node.add(&Pod::reclaimed("batch", 20));
    node.add(&Pod::system("agent"));
    node.start();
    let files = node.running(&["db", "web", "batch", "agent"]);
    let [db, web, batch, agent] = [0, 1, 2, 3].map(|n| cpus_of(&node, &files[n]));
    let told = format!("db {db}, web {web}, batch {batch}, agent {agent}");
    assert_eq!(db.count(), 1, "{told}");
    assert!(disjoint(&db, &web) && disjoint(&db, &batch) && disjoint(&db, &agent), "{told}");
    assert_eq!(batch, web, "with overlapShare the reclaimed pod runs on the CPUs of shared pods: {told}");
    assert_eq!(db.union(&agent).count(), cpus(), "the system pod has what is not dedicated: {told}");
    let pools = node.until("pools are shown", |state| Some(state["pools"].clone()));
    assert_eq!(pools["share"]["cpus"], web.to_string(), "{pools}");
    assert_eq!(pools["reclaim"]["cpus"], batch.to_string(), "{pools}");
}

#[test]
fn without_overlap_reclaimed_pods_have_cpus_of_their_own() {
    let test = "without_overlap_reclaimed_pods_have_cpus_of_their_own";
    if cpus() < 4 {
        return skip(test, &format!("needs 4 CPUs, this machine has {}", cpus()));
    }
    let Some(mut node) = Node::new(test) else { return };
    node.configure_more("placement: {overlapShare: false}\n");
    node.add(&Pod::dedicated("db", 1));
    node.add(&Pod::shared("web").request("cpu", "200m"));
    node.add(&Pod::reclaimed("batch", 20));
    node.start();
    let files = node.running(&["db", "web", "batch"]);
    let [db, web, batch] = [0, 1, 2].map(|n| cpus_of(&node, &files[n]));
    assert!(disjoint(&db, &web) && disjoint(&db, &batch) && disjoint(&web, &batch), "db {db}, web {web}, batch {batch}");
    assert_eq!(db.count() + web.count() + batch.count(), cpus(), "no CPU is left out: db {db}, web {web}, batch {batch}");
}

#[test]
fn a_reclaimed_pod_waits_while_the_others_have_every_cpu() {
    let Some(mut node) = Node::new("a_reclaimed_pod_waits_while_the_others_have_every_cpu") else { return };
    node.configure_more("placement: {overlapShare: false}\n");
    node.add(&Pod::dedicated("db", cpus() - 1));
    node.add(&Pod::shared("web"));
    node.start();
    node.running(&["db", "web"]);
    node.add(&Pod::reclaimed("batch", 0));
    let told = |why: &str| why.contains("no CPU is left for pool reclaim").then_some(());
    node.until("it is told why it waits", |state| told(gleaner_tests::pod_state(state, "batch")?["why"].as_str()?));
    node.remove("db");
    node.running(&["web", "batch"]);
}

#[test]
fn the_kernel_holds_the_knobs_of_each_class() {
    let Some(mut node) = Node::new("the_kernel_holds_the_knobs_of_each_class") else { return };
    node.add(&Pod::dedicated("db", 1));
    node.add(&Pod::shared("web").request("cpu", "200m").limit("cpu", "500m").request("memory", "32Mi").limit("memory", "48Mi"));
    node.add(&Pod::reclaimed("batch", 20));
    node.start();
    let files = node.running(&["db", "web", "batch"]);
    let (kernel, [db, web, batch]) = (node.kernel(), [&files[0], &files[1], &files[2]]);
    for (files, idle) in [(db, false), (web, false), (batch, true)] {
        match kernel.idle(&files.pod) {
            Some(held) => assert_eq!(held, idle, "cpu.idle of {}", files.pod),
            None => skip("the_kernel_holds_the_knobs_of_each_class", "this kernel has no cpu.idle"),
        }
        assert_ne!(kernel.idle(files.container()), Some(true), "no container is idle by itself: {}", files.pod);
    }
    let quota = |cgroup: &CgroupPath| kernel.quota(cgroup);
    assert_eq!((quota(&db.pod), quota(db.container())), (None, None), "own CPUs need no quota");
    assert_eq!((quota(&web.pod), quota(web.container())), (Some(500), Some(500)));
    assert!(quota(&batch.pod).is_some_and(|q| (10..=20).contains(&q)), "20m promised, {:?} held", quota(&batch.pod));
    // 1024 shares a CPU; on v2 kubelet's 1 + (shares - 2) * 9999 / 262142.
    let expected: [u64; 3] = if kernel.is_v2(Controller::Cpu) { [39, 8, 1] } else { [1024, 204, 2] };
    assert_eq!([db, web, batch].map(|files| kernel.weight(files.container())), expected);
    let memory = [db, web, batch].map(|files| kernel.memory_max(&files.pod).map(|bytes| bytes >> 20));
    assert_eq!(memory, [Some(64), Some(48), Some(64)]);
    if kernel.is_v2(Controller::Memory) {
        let text = |files: &PodFiles, file| kernel.text(Controller::Memory, &files.pod, file).unwrap();
        assert_eq!((text(db, "memory.low"), text(web, "memory.low")), ((64u64 << 20).to_string(), (32u64 << 20).to_string()));
        assert_eq!(text(batch, "memory.low"), "0", "nothing is kept for a reclaimed pod");
        let high: u64 = text(batch, "memory.high").parse().expect("a bound of memory.high");
        assert!((16 << 20..=64 << 20).contains(&high), "memory.high of the reclaimed pod is {high}");
    }
}

#[test]
fn a_dedicated_pod_that_cannot_be_placed_takes_nothing_from_those_that_wait_behind_it() {
    let test = "a_dedicated_pod_that_cannot_be_placed_takes_nothing_from_those_that_wait_behind_it";
    let Some(mut node) = Node::new(test) else { return };
    // As many CPUs as there are would leave none to the shared pods, of which one runs already.
    let all = cpus();
    node.add(&Pod::shared("first"));
    node.start();
    node.running(&["first"]);
    node.add(&Pod::dedicated("all", all));
    node.phase("all", "pending");
    node.add(&Pod::shared("last").request("cpu", "100m"));
    node.running(&["first", "last"]);
    let why = node.phase("all", "pending")["why"].as_str().unwrap().to_owned();
    assert!(!why.contains("not looked at yet"), "{why}");
}
