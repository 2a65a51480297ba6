//! What the answers become in the kernel's files.

use crate::{Behind, PATIENCE, dedicated, online, reclaimed, shared};
use gleaner_host::cgroup::Controller;
use gleaner_model::{CgroupPath, CpuSet, NumaId, NumaSet};
use gleaner_tests::kubelet::{Apply, Kubelet, Options, QrmPod, TopologyPolicy};
use gleaner_tests::{Node, poll_until, program, skip};
use std::fs;
use std::process::{Child, Command, Stdio};

#[test]
fn what_a_newcomer_takes_leaves_the_others_before_the_kubelet_reconciles() {
    let test = "what_a_newcomer_takes_leaves_the_others_before_the_kubelet_reconciles";
    if online().count() < 2 {
        return skip(test, "needs 2 CPUs");
    }
    let Some(mut behind) = Behind::new(test) else { return };
    let (web, db) = (shared("web", 100), dedicated("db", 1));
    let container = behind.node.make_container(&web.uid, "c1");
    behind.admit(&web);
    behind.node.ticks(2);
    let kernel = behind.node.kernel();
    assert_eq!(kernel.cpus(&container), online());
    behind.admit(&db);
    let own = behind.cpus(&db);
    poll_until("web has left the CPUs of db", || kernel.cpus(&container).is_disjoint(&own).then_some(()));
    behind.kubelet.remove(&db.uid).unwrap();
    poll_until("and has them again", || (kernel.cpus(&container) == online()).then_some(()));
}

#[test]
fn a_reclaimed_pod_is_idle_and_bounded_by_what_is_lent() {
    let test = "a_reclaimed_pod_is_idle_and_bounded_by_what_is_lent";
    let Some(mut behind) = Behind::configured(test, "placement: {overlapShare: true}\n", Options::default()) else { return };
    let (web, index) = (shared("web", 100), reclaimed("index", 100));
    behind.admit(&web);
    behind.admit(&index);
    let container = behind.node.make_container(&index.uid, "c1");
    let pod = container.parent().unwrap();
    let kernel = behind.node.kernel();
    behind.node.ticks(2);
    if kernel.text(Controller::Cpu, &pod, "cpu.idle").is_none() {
        return skip(test, "the kernel has no cpu.idle");
    }
    poll_until("the pod is idle", || (kernel.text(Controller::Cpu, &pod, "cpu.idle")? == "1").then_some(()));
    assert_eq!(kernel.text(Controller::Cpu, &container, "cpu.idle").as_deref(), Some("0"), "never in the container's own cgroup");
}

fn memory_nodes() -> NumaSet {
    let text = fs::read_to_string("/sys/devices/system/node/has_memory").unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

fn cpus_of_node(node: NumaId) -> CpuSet {
    fs::read_to_string(format!("/sys/devices/system/node/node{node}/cpulist")).unwrap().trim().parse().unwrap()
}

/// A process that holds memory, in a container's cgroup; killed when dropped.
pub(crate) struct Holder(Child);

impl Holder {
    fn start(node: &Node, cgroup: &CgroupPath) -> Self {
        Self::with(node, cgroup, ["--start", "24Mi", "--step", "0", "--every", "1000", "--max", "24Mi"])
    }

    /// One that takes its memory two seconds after its start: what it takes before it joins is charged to others.
    pub(crate) fn later(node: &Node, cgroup: &CgroupPath) -> Self {
        Self::with(node, cgroup, ["--start", "1Mi", "--step", "25Mi", "--every", "2000", "--max", "26Mi"])
    }

    fn with(node: &Node, cgroup: &CgroupPath, options: [&str; 8]) -> Self {
        let child = Command::new(program("workload")).arg("memory").args(options).stdout(Stdio::null()).spawn().unwrap();
        for controller in [Controller::Cpuset, Controller::Memory, Controller::Cpu] {
            node.write(controller, cgroup, "cgroup.procs", &child.id().to_string()).unwrap();
        }
        Self(child)
    }

    /// Pages of anonymous memory on each node, as `numa_maps` tells.
    pub(crate) fn pages(&self) -> Vec<(NumaId, u64)> {
        let text = fs::read_to_string(format!("/proc/{}/numa_maps", self.0.id())).unwrap_or_default();
        let anonymous = text.lines().filter(|line| line.contains("anon="));
        let words = anonymous.flat_map(str::split_whitespace).filter_map(|word| word.strip_prefix('N')?.split_once('='));
        words.filter_map(|(node, pages)| Some((NumaId::new(node.parse().ok()?), pages.parse().ok()?))).collect()
    }

    fn on(&self, node: NumaId) -> u64 {
        self.pages().iter().filter(|(id, _)| *id == node).map(|(_, pages)| pages).sum()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Ended by itself is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A kubelet that writes what it is told into the cgroups of one container a pod.
fn writing_kubelet(node: &Node, containers: Vec<(String, CgroupPath)>) -> Kubelet {
    let layout = node.layout().clone();
    let apply = Apply::with(move |pod: &QrmPod, _: &str, property: &str, value: &str| {
        let file = match property {
            "CpusetCpus" => "cpuset.cpus",
            "CpusetMems" => "cpuset.mems",
            _ => return Ok(()),
        };
        let Some((_, cgroup)) = containers.iter().find(|(uid, _)| *uid == pod.uid) else { return Ok(()) };
        let dir = layout.dir(Controller::Cpuset, cgroup).ok_or("no cpuset")?;
        fs::write(dir.join(file), value).map_err(|e| format!("{}: {e}", dir.join(file).display()))
    });
    let options = Options { policy: TopologyPolicy::BestEffort, nodes: memory_nodes(), apply, ..Options::default() };
    let kubelet = Kubelet::start(&node.path("plugins"), options);
    kubelet.wait_for_plugins(&["cpu", "memory"], PATIENCE);
    kubelet
}

#[test]
fn allocations_arrive_in_cpuset_files_and_pages_follow_a_change_of_nodes() {
    let test = "allocations_arrive_in_cpuset_files_and_pages_follow_a_change_of_nodes";
    let nodes: Vec<NumaId> = memory_nodes().iter().collect();
    let [first, second, ..] = nodes[..] else {
        return skip(test, &format!("needs 2 NUMA nodes with memory, this machine has {}", nodes.len()));
    };
    let Some(mut node) = Node::behind_kubelet(test) else { return };
    node.start();
    let bound = |ids: NumaId| {
        let memory = r#"{"numa_binding": "true"}"#;
        let cpu = format!(r#"{{"katalyst.kubewharf.io/numa_ids": "{ids}"}}"#);
        dedicated("db", 2)
            .annotation("katalyst.kubewharf.io/memory_enhancement", memory)
            .annotation("katalyst.kubewharf.io/cpu_enhancement", &cpu)
    };
    let db = bound(first);
    let container = node.make_container(&db.uid, "c1");
    let kubelet = writing_kubelet(&node, vec![(db.uid.clone(), container.clone())]);
    kubelet.admit(&db).unwrap();
    kubelet.reconcile();
    let kernel = node.kernel();
    assert_eq!(kernel.mems(&container).to_string(), first.to_string());
    assert!(kernel.cpus(&container).is_subset(&cpus_of_node(first)) && kernel.cpus(&container).count() == 2, "{}", kernel.cpus(&container));
    let holder = Holder::start(&node, &container);
    poll_until("the memory is held", || (holder.on(first) > 24 * 256 * 9 / 10).then_some(()));
    assert_eq!(holder.on(second), 0, "{:?}", holder.pages());
    // Its author moves it: the same pod, asked for again, on another node.
    kubelet.remove(&db.uid).unwrap();
    kubelet.admit(&bound(second)).unwrap();
    kubelet.reconcile();
    poll_until("the cpuset is on the other node", || (kernel.mems(&container).to_string() == second.to_string()).then_some(()));
    assert!(kernel.cpus(&container).is_subset(&cpus_of_node(second)), "{}", kernel.cpus(&container));
    poll_until(&format!("its pages follow: {:?}", holder.pages()), || {
        (holder.on(first) == 0 && holder.on(second) > 24 * 256 * 9 / 10).then_some(())
    });
}
