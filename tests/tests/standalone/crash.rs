//! An agent that is killed again and again.

use gleaner_host::cgroup::{Controller, Layout};
use gleaner_model::{CgroupPath, CpuSet};
use gleaner_tests::{Kernel, Node, Pod, PodFiles, pause};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// How often the agent is killed; fewer where each start takes long.
fn kills() -> u32 {
    std::env::var("GLEANER_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// Xorshift: any sequence will do, as long as its seed can be given again.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let clock = fs::read_to_string("/proc/uptime").unwrap().bytes().fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
        let seed = std::env::var("GLEANER_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(clock).max(1);
        eprintln!("GLEANER_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What must not change: processes and CPUs of each pod.
fn held(kernel: &Kernel, files: &[PodFiles]) -> Vec<(Vec<i32>, CpuSet)> {
    files.iter().map(|files| (kernel.pids(&files.pod), kernel.cpus(files.container()))).collect()
}

#[test]
fn pods_and_their_cpus_survive_an_agent_that_is_killed_at_random_moments() {
    let Some(mut node) = Node::new("pods_and_their_cpus_survive_an_agent_that_is_killed_at_random_moments") else { return };
    let mut random = Random::new();
    node.add(&Pod::dedicated("db", 1).runs("workload tide --period 3 --low 10 --high 60"));
    node.add(&Pod::shared("web").request("cpu", "100m").runs("workload tide --period 2 --low 10 --high 80"));
    node.add(&Pod::reclaimed("batch", 20).runs("workload tide --period 2 --low 1 --high 20"));
    node.start();
    let files = node.running(&["db", "web", "batch"]);
    node.ticks(2);
    let kernel = node.kernel();
    let before = held(&kernel, &files);
    for round in 0..kills() {
        pause(Duration::from_millis(random.below(1500)));
        node.kill();
        assert_eq!(held(&kernel, &files), before, "round {round}: right after the kill");
        if random.below(3) == 0 {
            // Killed again while it starts.
            node.spawn(&[]);
            pause(Duration::from_millis(random.below(400)));
            node.kill();
        }
        node.start();
        node.ticks(2);
        let now = held(&kernel, &files);
        assert_eq!(now, before, "round {round}: after the restart settled");
        let [db, web, batch] = [0, 1, 2].map(|n| &now[n].1);
        assert!(db.intersection(&web.union(batch)).is_empty(), "round {round}: db {db}, web {web}, batch {batch}");
    }
    node.kill();
    restores(&node, &files);
    ends_pods(&node);
}

/// `gleaner restore` puts back every first value, and what that must come to by the kernel's files alone.
fn restores(node: &Node, files: &[PodFiles]) {
    let kernel = node.kernel();
    let first = first_values(node);
    assert!(first.len() >= 6, "the journal notes little: {first:?}");
    let output = node.run("restore", &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // An empty cpuset cannot come back while there are processes; what it means must, which is looked at below.
    for (path, value) in first.into_iter().filter(|(_, value)| !value.is_empty()) {
        let now = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(now.trim(), value, "{} was found with {value:?}\n{text}", path.display());
    }
    let all = kernel.cpus(node.root());
    for files in files {
        assert_eq!(kernel.cpus(files.container()), all, "CPUs of {}\n{text}", files.pod);
        assert_ne!(kernel.idle(&files.pod), Some(true), "cpu.idle of {}\n{text}", files.pod);
        assert!(!kernel.pids(&files.pod).is_empty(), "restore alone ends no pod");
    }
    let [db, _, batch] = [0, 1, 2].map(|n| kernel.quota(&files[n].pod));
    assert_eq!((db, batch), (Some(1000), None), "db was born with the quota of its limit, batch with none\n{text}");
}

fn ends_pods(node: &Node) {
    let output = node.run("restore", &["--stop-pods"]);
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!node.kernel().exists(&node.kubepods()), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The files in the journal that still exist, with the values they were found with.
fn first_values(node: &Node) -> Vec<(PathBuf, String)> {
    let text = fs::read_to_string(node.path("state/journal.jsonl")).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line.get("first").cloned()).flat_map(|first| files_of(node.layout(), &first)).collect()
}

fn files_of(layout: &Layout, first: &Value) -> Vec<(PathBuf, String)> {
    let cgroup: CgroupPath = first["knob"]["cgroup"].as_str().unwrap_or_else(|| panic!("{first}")).parse().unwrap();
    let files = first["files"].as_array().unwrap_or_else(|| panic!("{first}"));
    let pair = |file: &Value| {
        let (name, value) = (file[0].as_str()?, file[1].as_str()?);
        let controller = match name.split('.').next()? {
            "cpu" => Controller::Cpu,
            "cpuset" => Controller::Cpuset,
            _ => Controller::Memory,
        };
        Some((layout.dir(controller, &cgroup)?.join(name), value.to_owned()))
    };
    files.iter().filter_map(pair).filter(|(path, _)| path.exists()).collect()
}

#[test]
fn restore_refuses_while_an_agent_runs_and_is_content_where_none_ever_ran() {
    let test = "restore_refuses_while_an_agent_runs_and_is_content_where_none_ever_ran";
    let Some(mut node) = Node::new(test) else { return };
    let output = node.run("restore", &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("nothing to restore"), "{text}");
    node.add(&Pod::shared("web"));
    node.start();
    let files = node.running(&["web"]);
    let output = node.run("restore", &["--stop-pods"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("held by another gleaner"), "{text}");
    assert!(!node.kernel().pids(&files[0].pod).is_empty(), "the pod runs on");
}

#[test]
fn a_pod_whose_manifest_went_away_while_no_agent_ran_is_ended_by_the_next() {
    let Some(mut node) = Node::new("a_pod_whose_manifest_went_away_while_no_agent_ran_is_ended_by_the_next") else { return };
    node.add(&Pod::shared("stays"));
    node.add(&Pod::shared("goes"));
    node.start();
    let files = node.running(&["stays", "goes"]);
    let before = node.kernel().pids(&files[0].pod);
    node.kill();
    node.remove("goes");
    node.start();
    node.running(&["stays"]);
    node.gone(&files[1].pod);
    assert_eq!(node.kernel().pids(&files[0].pod), before);
}
