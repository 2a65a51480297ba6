//! Manifests that cannot run: each gets its message, and the others do not suffer.

use crate::cpus;
use gleaner_tests::{Node, Pod, pod_state};
use serde_json::Value;

/// The node with a good pod that runs, and its processes.
fn good(test: &str) -> Option<(Node, Vec<i32>)> {
    let mut node = Node::new(test)?;
    node.add(&Pod::shared("good"));
    node.start();
    let files = node.running(&["good"]);
    let pids = node.kernel().pids(&files[0].pod);
    Some((node, pids))
}

fn still_good(node: &mut Node, pids: &[i32]) {
    let files = node.running(&["good"]);
    assert_eq!(node.kernel().pids(&files[0].pod), pids, "the good pod was disturbed");
}

fn problems(state: &Value, file: &str) -> Option<String> {
    Some(state["refused"].get(file)?.as_array()?.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "))
}

#[test]
fn a_manifest_that_cannot_run_is_refused_with_its_cause() {
    let Some((mut node, pids)) = good("a_manifest_that_cannot_run_is_refused_with_its_cause") else { return };
    let exclusive = Pod::dedicated("exclusive", 1)
        .annotation("katalyst.kubewharf.io/memory_enhancement", r#"{"numa_binding": "true", "numa_exclusive": "true"}"#)
        .annotation("katalyst.kubewharf.io/cpu_enhancement", r#"{"full_pcpus_pairing": "true"}"#);
    let tolerant = Pod::shared("tolerant").annotation("katalyst.kubewharf.io/cpu_enhancement", r#"{"suppression_tolerance_rate": "1.2"}"#);
    let table: [(&str, String, &str); 9] = [
        ("yaml.yaml", "a: [\n".to_owned(), "is not a Kubernetes object"),
        ("kind.yaml", "apiVersion: apps/v1\nkind: Deployment\n".to_owned(), "is apps/v1/Deployment, but only v1/Pod"),
        ("class.yaml", Pod::shared("gold").class("gold").manifest(), r#"unknown QoS class "gold""#),
        ("exclusive.yaml", exclusive.manifest(), r#"which contradicts numa_exclusive being "true""#),
        ("tolerant.yaml", tolerant.manifest(), "but a shared_cores pod cannot have it"),
        ("silent.yaml", Pod::shared("silent").runs("").manifest(), "container silent: command is missing"),
        ("amount.yaml", Pod::shared("amount").request("cpu", "lots").manifest(), "lots"),
        ("over.yaml", Pod::shared("over").request("cpu", "2").limit("cpu", "1").manifest(), "larger than the limit"),
        ("name.yaml", Pod::shared("../name").manifest(), "is not a legal name"),
    ];
    for (file, text, _) in &table {
        node.manifest(file, text);
    }
    for (file, text, part) in &table {
        let told = node.until(&format!("{file} is refused"), |state| problems(state, file));
        assert!(told.contains(part), "{file}: {told:?} lacks {part:?}, for\n{text}");
        assert!(!told.contains('\n'), "{file}: more than a line: {told:?}");
    }
    still_good(&mut node, &pids);
    node.manifest("class.yaml", &Pod::shared("gold").manifest());
    node.running(&["good", "gold"]);
    node.until("what was mended is refused no longer", |state| problems(state, "class.yaml").is_none().then_some(()));
}

#[test]
fn of_two_pods_with_one_name_the_second_is_refused() {
    let Some((mut node, pids)) = good("of_two_pods_with_one_name_the_second_is_refused") else { return };
    node.manifest("second.yaml", &Pod::shared("good").runs("workload spin").manifest());
    let told = node.until("the second is refused", |state| problems(state, "second.yaml"));
    assert_eq!(told, "a pod named default/good is in good.yaml already; names must be unique");
    still_good(&mut node, &pids);
}

#[test]
fn a_pod_that_does_not_fit_waits_and_is_told_why() {
    let Some((mut node, pids)) = good("a_pod_that_does_not_fit_waits_and_is_told_why") else { return };
    let all = cpus();
    node.add(&Pod::shared("huge").request("cpu", "4000"));
    node.add(&Pod::shared("fat").request("memory", "900Ti"));
    node.add(&Pod::dedicated("greedy", all));
    let table = [
        ("huge", format!("requests 4000 CPU, more than this node's {all}")),
        ("fat", "of memory, more than this node's".to_owned()),
        ("greedy", format!("{all} CPU")),
    ];
    for (pod, part) in table {
        let why = node.until(&format!("{pod} waits"), |state| {
            let pod = pod_state(state, pod).filter(|pod| pod["phase"] == "pending")?;
            pod["why"].as_str().filter(|why| !why.contains("not looked at")).map(str::to_owned)
        });
        assert!(why.contains(&part), "{pod}: {why:?} lacks {part:?}");
    }
    still_good(&mut node, &pids);
}

#[test]
fn a_command_that_does_not_exist_fails_the_pod_and_explain_quotes_the_cause() {
    let test = "a_command_that_does_not_exist_fails_the_pod_and_explain_quotes_the_cause";
    let Some((mut node, pids)) = good(test) else { return };
    node.add(&Pod::shared("lost").runs("no-such-command --now").restart("Never"));
    let pod = node.phase("lost", "failed");
    assert!(pod["why"].as_str().unwrap().contains("container lost exited with status 127"), "{pod}");
    let output = node.run("explain", &["lost"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains(r#"cannot run "no-such-command": No such file"#), "{text}");
    still_good(&mut node, &pids);
}

#[test]
fn explain_of_a_pod_that_is_not_there_says_so() {
    let Some((mut node, pids)) = good("explain_of_a_pod_that_is_not_there_says_so") else { return };
    let output = node.run("explain", &["nobody"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains(r#"there is no pod "nobody" on this node"#), "{text}");
    still_good(&mut node, &pids);
}
