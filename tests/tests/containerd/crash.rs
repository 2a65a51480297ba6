//! A runtime that is restarted and an agent that is killed, under load.

use crate::{Machine, Running};
use gleaner_model::CpuSet;
use gleaner_tests::poll_until;

/// Each of both, in every full run of the virtual machine.
const TIMES: usize = 10;

fn assert_apart(machine: &Machine, pods: &[&Running], when: &str) {
    let kernel = machine.kernel();
    let mut seen = CpuSet::new();
    for pod in pods {
        let cpus = kernel.cpus(&pod.cgroup);
        assert!(!cpus.is_empty() && seen.is_disjoint(&cpus), "{when}: {} is on {cpus}, others on {seen}", pod.pod.name);
        seen = seen.union(&cpus);
    }
}

#[test]
fn restarts_of_the_runtime_and_kills_of_the_agent_lose_nothing_and_nothing_overlaps() {
    let Some(mut machine) = Machine::new("restarts_of_the_runtime_and_kills_of_the_agent_lose_nothing_and_nothing_overlaps") else {
        return;
    };
    let (a, b) = (machine.run("a", "dedicated_cores", 2), machine.run("b", "dedicated_cores", 1));
    let web = machine.run("web", "shared_cores", 1);
    let kernel = machine.kernel();
    let own = [kernel.cpus(&a.cgroup), kernel.cpus(&b.cgroup)];
    for round in 0..TIMES {
        machine.node.kill();
        // A container that comes while nobody listens has no CPUs of its own before the agent is back.
        let meanwhile = machine.run("meanwhile", "dedicated_cores", 1);
        machine.node.start();
        machine.wait_for_connection();
        // Two writes: one may be seen before the other.
        poll_until("meanwhile has its CPU alone", || {
            let cpus = kernel.cpus(&meanwhile.cgroup);
            (cpus.count() == 1 && cpus.is_disjoint(&kernel.cpus(&web.cgroup))).then_some(())
        });
        assert_eq!([kernel.cpus(&a.cgroup), kernel.cpus(&b.cgroup)], own, "round {round}: those that ran stay where they were");
        assert_apart(&machine, &[&a, &b, &meanwhile, &web], "after the agent was killed");
        machine.remove(&meanwhile);

        machine.containerd.restart();
        machine.cri = machine.containerd.cri();
        machine.wait_for_connection();
        let next = machine.run("next", "dedicated_cores", 1);
        assert_eq!(machine.first_seen("next").count(), 1, "round {round}: the plugin is asked again");
        assert_apart(&machine, &[&a, &b, &next, &web], "after the runtime was restarted");
        machine.remove(&next);
        std::fs::remove_file(machine.node.path("out").join("next")).unwrap();
        let _ = std::fs::remove_file(machine.node.path("out").join("meanwhile"));
    }
    assert_eq!([kernel.cpus(&a.cgroup), kernel.cpus(&b.cgroup)], own);
    for running in [&a, &b, &web] {
        machine.remove(running);
    }
}
