//! Machines with several memory nodes.

use gleaner_host::cgroup::Controller;
use gleaner_model::{CpuSet, NumaId, NumaSet};
use gleaner_tests::{Node, Pod, poll_until, skip};
use std::fs;

fn memory_nodes() -> NumaSet {
    let text = fs::read_to_string("/sys/devices/system/node/has_memory").unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

fn cpus_of_node(node: NumaId) -> CpuSet {
    let text = fs::read_to_string(format!("/sys/devices/system/node/node{node}/cpulist")).unwrap();
    text.trim().parse().unwrap()
}

/// Pages of anonymous memory of a cgroup on each node, as `memory.numa_stat` of v2 (bytes) or v1 (pages) tells.
fn anonymous(text: &str) -> Vec<(NumaId, u64)> {
    let line = text.lines().find(|line| line.starts_with("anon ") || line.starts_with("anon=")).unwrap_or_default();
    let words = line.split_whitespace().filter_map(|word| word.strip_prefix('N')?.split_once('='));
    words.map(|(node, amount)| (NumaId::new(node.parse().unwrap()), amount.parse().unwrap())).collect()
}

#[test]
fn a_bound_pod_has_cpus_and_memory_of_one_node() {
    let test = "a_bound_pod_has_cpus_and_memory_of_one_node";
    let nodes = memory_nodes();
    if nodes.count() < 2 {
        return skip(test, &format!("needs 2 NUMA nodes with memory, this machine has {}", nodes.count()));
    }
    let Some(mut node) = Node::new(test) else { return };
    node.configure_more("placement: {overlapShare: false}\n");
    let bound = r#"{"numa_binding": "true"}"#;
    let hold = "workload memory --start 24Mi --step 0 --every 1000 --max 24Mi";
    node.add(&Pod::dedicated("db", 2).annotation("katalyst.kubewharf.io/memory_enhancement", bound).runs(hold));
    node.add(&Pod::shared("web").request("cpu", "200m"));
    node.add(&Pod::reclaimed("index", 20));
    node.add(&Pod::reclaimed("transcode", 20));
    node.start();
    let files = node.running(&["db", "web", "index", "transcode"]);
    poll_until("the memory is held", || node.container_log("db").contains("held=25165824").then_some(()));
    let kernel = node.kernel();
    let [db, web, index, transcode] = [0, 1, 2, 3].map(|n| kernel.cpus(files[n].container()));
    let told = format!("db {db}, web {web}, index {index}, transcode {transcode}");
    let home = nodes.iter().find(|n| db.difference(&cpus_of_node(*n)).is_empty());
    let home = home.unwrap_or_else(|| panic!("CPUs of db are on several nodes: {told}"));
    assert_eq!(kernel.mems(files[0].container()).to_string(), home.to_string(), "{told}");
    let stat = kernel.text(Controller::Memory, files[0].container(), "memory.numa_stat").unwrap();
    let pages = anonymous(&stat);
    let (own, other): (Vec<_>, Vec<_>) = pages.into_iter().partition(|(n, _)| *n == home);
    let sum = |of: &[(NumaId, u64)]| of.iter().map(|(_, amount)| amount).sum::<u64>();
    assert!(sum(&own) > 0 && sum(&other) == 0, "db is on node {home}:\n{stat}");
    assert_eq!(index, transcode, "one pool for all reclaimed pods: {told}");
    let all = [&db, &web, &index];
    let sizes: u32 = all.iter().map(|set| set.count()).sum();
    assert_eq!(all.into_iter().fold(CpuSet::new(), |union, set| union.union(set)).count(), sizes, "sets overlap: {told}");
}
