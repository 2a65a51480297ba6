//! What a runtime writes into the kernel's files: everything it has, whenever anything changes.

use crate::client::{Plan, Plugin, Reply};
use crate::{limit, runtime, with_plugin};
use gleaner_host::cgroup::Controller;
use gleaner_model::CpuSet;
use gleaner_tests::runtime::{Amounts, ContainerSpec, KernelWriter, Options, PodSpec};
use gleaner_tests::{Node, skip};
use std::process::Command;
use std::sync::mpsc::channel;

/// The first CPU that tasks of the node may run on, and all of them.
fn cpus(node: &Node) -> (String, CpuSet) {
    let all = node.kernel().cpus(node.root());
    let first = all.iter().next().unwrap().to_string();
    (first, all)
}

fn pod(node: &Node) -> PodSpec {
    PodSpec::new("web", "u1").on(node)
}

#[test]
fn a_direct_write_survives_until_an_update_when_the_specification_has_the_file() {
    let test = "a_direct_write_survives_until_an_update_when_the_specification_has_the_file";
    let Some(node) = Node::new(test) else { return };
    let (one, all) = cpus(&node);
    if all.count() < 2 {
        return skip(test, "needs 2 CPUs");
    }
    let (_dir, runtime, _plugin) = with_plugin(Options::default().on(&node), Plan::new());
    let pod = runtime.run_pod(&pod(&node)).unwrap();
    let spec = ContainerSpec::new("main", Amounts::cpu(500, 0).memory(64 << 20).cpus(&all.to_string()));
    let created = runtime.run_container(&pod, &spec).unwrap();
    let kernel = node.kernel();
    let (cpus, memory) = (|| kernel.cpus(&created.cgroup), || kernel.memory_max(&created.cgroup));
    assert_eq!((cpus(), memory()), (all.clone(), Some(64 << 20)));
    node.write(Controller::Cpuset, &created.cgroup, "cpuset.cpus", &one).unwrap();
    assert_eq!(cpus(), one.parse().unwrap());
    // An update of anything writes all of it.
    runtime.update_container(&created.id, &Amounts { shares: 256, ..Amounts::default() }).unwrap();
    assert_eq!(cpus(), all, "the direct write is gone");
    runtime.update_container(&created.id, &Amounts::default().cpus(&one)).unwrap();
    assert_eq!((cpus(), memory()), (one.parse().unwrap(), Some(64 << 20)));
    runtime.remove_container(&created.id).unwrap();
    assert!(!kernel.exists(&created.cgroup), "its cgroup went with it");
    runtime.assert_clean();
}

#[test]
fn a_direct_write_survives_an_update_when_the_specification_lacks_the_file() {
    let Some(node) = Node::new("a_direct_write_survives_an_update_when_the_specification_lacks_the_file") else { return };
    let (one, _) = cpus(&node);
    let (_dir, runtime) = runtime(Options::default().on(&node));
    let pod = runtime.run_pod(&pod(&node)).unwrap();
    let created = runtime.run_container(&pod, &ContainerSpec::new("main", Amounts::cpu(500, 0))).unwrap();
    node.write(Controller::Cpuset, &created.cgroup, "cpuset.cpus", &one).unwrap();
    runtime.update_container(&created.id, &Amounts { shares: 256, ..Amounts::default() }).unwrap();
    assert_eq!(node.kernel().cpus(&created.cgroup), one.parse().unwrap());
}

#[test]
fn paths_of_the_systemd_driver_are_made_below_the_node() {
    let Some(node) = Node::new("paths_of_the_systemd_driver_are_made_below_the_node") else { return };
    let (_dir, runtime) = runtime(Options::default().on(&node));
    let pod = runtime.run_pod(&PodSpec::new("web", "u1").systemd()).unwrap();
    let created = runtime.run_container(&pod, &ContainerSpec::new("main", Amounts::cpu(500, 0))).unwrap();
    let place = KernelWriter::below(&node).place(&created.cgroup);
    assert!(place.is_within(node.root()) && node.kernel().exists(&place), "{place}");
    runtime.remove_pod(&pod).unwrap();
}

#[test]
fn a_container_that_is_stopped_loses_its_processes_before_plugins_are_told() {
    let Some(node) = Node::new("a_container_that_is_stopped_loses_its_processes_before_plugins_are_told") else { return };
    let (_dir, runtime) = runtime(Options::default().on(&node));
    let pod = runtime.run_pod(&pod(&node)).unwrap();
    let created = runtime.run_container(&pod, &ContainerSpec::new("main", Amounts::cpu(500, 0))).unwrap();
    let (kernel, cgroup) = (node.kernel(), created.cgroup.clone());
    let mut process = Command::new("sleep").arg("600").spawn().unwrap();
    for controller in [Controller::Cpuset, Controller::Memory, Controller::Cpu] {
        node.write(controller, &cgroup, "cgroup.procs", &process.id().to_string()).unwrap();
    }
    let (sender, seen) = channel();
    let looks = move |_: &[u8]| {
        sender.send((kernel.exists(&cgroup), kernel.pids(&cgroup))).unwrap();
        Reply::Ok(Vec::new())
    };
    let _plugin = Plugin::join(&runtime, Plan::on("StopContainer", looks));
    runtime.stop_container(&created.id).unwrap();
    assert_eq!(seen.recv_timeout(limit()), Ok((true, vec![])), "the cgroup is there and empty");
    assert!(process.try_wait().unwrap().is_some_and(|status| !status.success()), "it was killed");
    assert!(!node.kernel().exists(&created.cgroup));
}
