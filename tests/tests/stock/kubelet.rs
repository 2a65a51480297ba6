//! What the kubelet of the node gives away by itself.

use crate::{Stock, has_cpus, online};
use gleaner_host::cgroup::Controller;
use gleaner_model::CpuSet;
use gleaner_tests::runtime::{Amounts, ContainerSpec, Version};
use gleaner_tests::{NODE, pod_state, poll_until};
use serde_json::json;
use std::fs;

#[test]
fn cpus_that_kubelets_static_policy_gave_away_are_nobody_elses_and_never_written() {
    let test = "cpus_that_kubelets_static_policy_gave_away_are_nobody_elses_and_never_written";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::prepared(test, Version::V0_8, crate::OVERLAP) else { return };
    let last = online().iter().last().unwrap();
    let (own, rest) = (CpuSet::from_iter([last]), online().difference(&CpuSet::from_iter([last])));
    let checkpoint = json!({
        "policyName": "static", "defaultCpuSet": rest.to_string(), "entries": {"uid-own": {"main": own.to_string()}}, "checksum": 1,
    });
    fs::write(stock.node.path("kubelet/cpu_manager_state"), checkpoint.to_string()).unwrap();
    stock.server.add_pod(stock.api_pod("own", "shared_cores", 1000));
    stock.start();
    stock.knows("own");
    let told = stock.event(NODE, "KubeletManagesCPUs");
    assert!(told["type"] == "Normal" && told["note"].as_str().unwrap().contains("static CPU manager"), "{told}");
    // Kubelet asks for the container with the CPUs that it gave it.
    let sandbox = stock.runtime.run_pod(&stock.cri_pod("own", "shared_cores")).unwrap();
    let wants = ContainerSpec::new("main", Amounts::cpu(1000, 1000).cpus(&own.to_string()));
    let container = stock.runtime.run_container(&sandbox, &wants).unwrap();
    assert_eq!(container.resources.cpus, own.to_string(), "what kubelet gave stays");
    for (name, class) in [("web", "shared_cores"), ("batch", "reclaimed_cores"), ("logs", "system_cores")] {
        let running = stock.run(name, class, 100);
        assert!(running.given().is_subset(&rest), "{name} is created on {}, {own} is kubelet's", running.given());
        poll_until("it is not on them", || stock.cpus(&running).is_subset(&rest).then_some(()));
    }
    // Somebody writes another set: it is not the agent's to put it right, not even when it looks at everything.
    stock.node.write(Controller::Cpuset, &container.cgroup, "cpuset.cpus", &online().to_string()).unwrap();
    stock.node.ticks(12);
    assert_eq!(stock.node.kernel().cpus(&container.cgroup), online());
    let became = stock.runtime.update_container(&container.id, &Amounts::default().cpus(&own.to_string())).unwrap();
    assert_eq!(became.cpus, own.to_string(), "nor what kubelet reconciles");
    let state = stock.node.state().unwrap();
    assert_eq!(pod_state(&state, "own").unwrap()["class"], "dedicated_cores", "it has them alone");
    stock.assert_clean();
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_named_and_changes_nothing() {
    let test = "a_checkpoint_that_cannot_be_read_is_named_and_changes_nothing";
    let Some(mut stock) = Stock::prepared(test, Version::V0_8, "") else { return };
    let file = stock.node.path("kubelet/cpu_manager_state");
    fs::write(&file, r#"{"policyName": "static", "defaultCpuSet": "0-x", "checksum": 1}"#).unwrap();
    stock.start();
    let said = stock.problem("kubelet CPU manager", "defaultCpuSet");
    assert!(said.contains(&file.display().to_string()) && said.contains("0-x"), "{said}");
    let web = stock.run("web", "shared_cores", 100);
    stock.comes_to(&web, &online());
    stock.assert_clean();
}

#[test]
fn cpus_that_kubelet_gives_away_just_before_it_asks_the_runtime_stay_with_the_container() {
    let test = "cpus_that_kubelet_gives_away_just_before_it_asks_the_runtime_stay_with_the_container";
    if !has_cpus(test, 2) {
        return;
    }
    let Some(mut stock) = Stock::prepared(test, Version::V0_8, crate::OVERLAP) else { return };
    let last = online().iter().last().unwrap();
    let (own, rest) = (CpuSet::from_iter([last]), online().difference(&CpuSet::from_iter([last])));
    let file = stock.node.path("kubelet/cpu_manager_state");
    let checkpoint = |default: &CpuSet, entries| json!({"policyName": "static", "defaultCpuSet": default.to_string(), "entries": entries, "checksum": 1});
    fs::write(&file, checkpoint(&online(), json!({})).to_string()).unwrap();
    stock.start();
    stock.event(NODE, "KubeletManagesCPUs");
    stock.server.add_pod(stock.api_pod("own", "shared_cores", 1000));
    stock.knows("own");
    let sandbox = stock.runtime.run_pod(&stock.cri_pod("own", "shared_cores")).unwrap();
    fs::write(&file, checkpoint(&rest, json!({"uid-own": {"main": own.to_string()}})).to_string()).unwrap();
    let wants = ContainerSpec::new("main", Amounts::cpu(1000, 1000).cpus(&own.to_string()));
    let container = stock.runtime.run_container(&sandbox, &wants).unwrap();
    assert_eq!(container.resources.cpus, own.to_string(), "nobody knew of them a moment before");
    let became = stock.runtime.update_container(&container.id, &Amounts::default().cpus(&own.to_string())).unwrap();
    assert_eq!(became.cpus, own.to_string());
    stock.assert_clean();
}
