//! Processes that are not, or not any more, where their pod's CPUs are bounded.

use gleaner_host::cgroup::Controller;
use gleaner_tests::{Node, Pod, is_alive, poll_until};
use nix::sys::signal::Signal;
use std::io::Write;

/// Pods that are started while their end is asked for: some processes have not joined their cgroup then.
#[test]
fn a_stop_at_any_moment_of_the_start_ends_every_process() {
    let Some(mut node) = Node::new("a_stop_at_any_moment_of_the_start_ends_every_process") else { return };
    for n in 0..4 {
        node.add(&Pod::shared(&format!("p{n}")).grace(1));
    }
    node.add(&Pod::dedicated("db", 1).grace(1));
    for delay in (20..140).step_by(10) {
        node.spawn(&[]);
        let pid = node.agent_pid();
        let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(u8::try_from(delay).unwrap()));
        node.signal(Signal::SIGTERM);
        poll_until(&format!("the agent that was stopped after {delay} ms ends"), || (!is_alive(pid)).then_some(()));
        node.kill();
        assert!(node.run("restore", &["--stop-pods"]).status.success());
        let kubepods = node.kubepods();
        assert!(node.kernel().pids(&kubepods).is_empty(), "processes are left after {delay} ms");
    }
}

#[test]
fn a_container_that_leaves_its_cpus_is_ended_and_starts_again_inside() {
    let Some(mut node) = Node::new("a_container_that_leaves_its_cpus_is_ended_and_starts_again_inside") else { return };
    node.add(&Pod::dedicated("db", 1));
    node.add(&Pod::shared("web"));
    node.start();
    let files = node.running(&["db", "web"]);
    let pid = *node.kernel().pids(&files[1].pod).first().unwrap();
    // As root in a pod, or anybody else with the rights, can do.
    let Some(outside) = node.layout().dir(Controller::Cpuset, node.root()) else { return };
    let procs = std::fs::OpenOptions::new().write(true).open(outside.join("cgroup.procs"));
    if procs.and_then(|mut file| file.write_all(pid.to_string().as_bytes())).is_err() {
        eprintln!(
            "SKIP a_container_that_leaves_its_cpus_is_ended_and_starts_again_inside: the kernel keeps processes out of inner cgroups"
        );
        return;
    }
    poll_until("the escaped process is ended", || (!is_alive(pid)).then_some(()));
    let again = poll_until("the container runs again", || node.kernel().pids(&files[1].pod).first().copied().filter(|p| *p != pid));
    poll_until("on its own CPUs", || {
        let cpus = gleaner_tests::allowed_cpus(again)?;
        (cpus == node.kernel().cpus(files[1].container())).then_some(())
    });
}
