//! Agents that must not start.

use gleaner_tests::{Node, Pod, program, skip};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_second_agent_is_refused_and_the_first_is_not_disturbed() {
    let Some(mut node) = Node::new("a_second_agent_is_refused_and_the_first_is_not_disturbed") else { return };
    node.add(&Pod::shared("web"));
    node.start();
    let files = node.running(&["web"]);
    let pids = node.kernel().pids(&files[0].pod);
    let first = format!("is held by another gleaner (process {}): stop it first", node.agent_pid());
    let other_state = node.path("other-state");
    let tree = format!("{} is held by another gleaner", node.root().name());
    // Later flags of the same name are refused by the command line, so the second agent of another state folder is started by hand.
    let same = node.second_agent(&[]);
    assert!(same.status.code() == Some(1) && told(&same).contains(&first), "{:?}: {}", same.status, told(&same));
    let mut command = Command::new(program("gleaner"));
    command.args(["agent", "--standalone", "--cgroup-root", node.root().as_str()]).arg("--manifests").arg(node.path("manifests"));
    let other = command.arg("--state-dir").arg(&other_state).arg("--socket").arg(node.path("other/socket")).output().unwrap();
    assert!(other.status.code() == Some(1) && told(&other).contains(&tree), "{:?}: {}", other.status, told(&other));
    node.ticks(2);
    assert_eq!(node.kernel().pids(&files[0].pod), pids, "the pod of the first was disturbed");
    assert!(node.path("run/socket").exists(), "the first lost its socket");
}

#[test]
fn without_root_the_agent_says_so_and_ends_with_77() {
    let test = "without_root_the_agent_says_so_and_ends_with_77";
    if !nix::unistd::geteuid().is_root() {
        return skip(test, "needs root to become somebody else");
    }
    for (arguments, what) in [(["agent", "--standalone"], "agent"), (["restore", "--stop-pods"], "restore")] {
        match Command::new(program("gleaner")).args(arguments).args(["--state-dir", "/nowhere"]).uid(65534).gid(65534).output() {
            Ok(output) => {
                assert_eq!(output.status.code(), Some(77), "{what}: {}", told(&output));
                let (text, named) = (told(&output), format!("`{what}` must run as root"));
                assert!(text.contains(&named), "{named:?} is not in {text:?}");
            }
            Err(error) => return skip(test, &format!("nobody may not run the binary: {error}")),
        }
    }
}

#[test]
fn a_wrong_configuration_ends_with_64_and_every_error() {
    let Some(node) = Node::new("a_wrong_configuration_ends_with_64_and_every_error") else { return };
    node.configure(
        "samplingPeriod: 5ms\nnonsense: 1\nestimator: {usageMargin: lots}\nplacement: {overlapShare: 7}\neviction: {typo: 1}\nlisten: 0.0.0.0:80\n",
    );
    let output = node.second_agent(&[]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    for part in ["nonsense", "estimator.usageMargin", "placement.overlapShare", "eviction", "typo"] {
        assert!(text.contains(part), "{part} is not told:\n{text}");
    }
    node.configure("samplingPeriod: 5ms\nlisten: 0.0.0.0:80\nestimator: {risePerSecond: 0%}\n");
    let output = node.second_agent(&[]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    for part in ["samplingPeriod", "listen", "estimator.risePerSecond"] {
        assert!(text.contains(part), "{part} is not told:\n{text}");
    }
    assert!(!node.kernel().exists(&node.kubepods()), "nothing was made");
}

#[test]
fn a_configuration_that_this_machine_cannot_follow_ends_with_64() {
    let Some(node) = Node::new("a_configuration_that_this_machine_cannot_follow_ends_with_64") else { return };
    node.configure("placement: {reserve: {count: 100000}}\n");
    let output = node.second_agent(&[]);
    assert_eq!(output.status.code(), Some(64), "{}", told(&output));
    assert!(told(&output).contains("placement.reserve: 100000 CPUs are reserved"), "{}", told(&output));
}

#[test]
fn pods_that_a_kubelet_made_are_refused() {
    let Some(node) = Node::new("pods_that_a_kubelet_made_are_refused") else { return };
    let pod = node.kubepods().join("podf00d").unwrap();
    for mount in node.layout().hierarchies() {
        std::fs::create_dir_all(mount.join(pod.relative())).unwrap();
    }
    let output = node.second_agent(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("holds pods that this agent did not start"), "{}", told(&output));
    assert!(node.kernel().exists(&pod), "the foreign pod is untouched");
}
