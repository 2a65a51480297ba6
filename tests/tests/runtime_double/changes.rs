//! Adjustments and updates: what they become, what they fail.

use crate::client::{Plan, Plugin, Reply};
use crate::{VERSIONS, limit, main, running, runtime, wait_closed, web, with_plugin};
use gleaner_crds::nri::{
    ContainerAdjustment, ContainerUpdate, CreateContainerResponse, KeyValue, LinuxContainerAdjustment, LinuxContainerUpdate, LinuxCpu,
    LinuxMemory, LinuxResources, OptionalInt64, UpdateContainerRequest, UpdateContainerResponse, UpdateContainersRequest,
};
use gleaner_tests::runtime::{Amounts, ContainerSpec, Entry, Options, Version};
use prost::Message;
use std::sync::mpsc::channel;

fn cpus(cpus: &str) -> LinuxResources {
    LinuxResources { cpu: Some(LinuxCpu { cpus: cpus.to_owned(), ..Default::default() }), ..Default::default() }
}

fn unified(file: &str, text: &str) -> LinuxResources {
    LinuxResources { unified: [(file.to_owned(), text.to_owned())].into(), ..Default::default() }
}

fn adjust(resources: LinuxResources) -> CreateContainerResponse {
    let linux = Some(LinuxContainerAdjustment { resources: Some(resources) });
    CreateContainerResponse { adjust: Some(ContainerAdjustment { linux, ..Default::default() }), update: vec![] }
}

fn adjusts(resources: LinuxResources) -> Plan {
    let answer = adjust(resources);
    Plan::on("CreateContainer", move |_| Reply::of(&answer))
}

fn update(container: &str, resources: LinuxResources) -> ContainerUpdate {
    let linux = Some(LinuxContainerUpdate { resources: Some(resources) });
    ContainerUpdate { container_id: container.to_owned(), linux, ignore_failure: false }
}

/// Answers an update of any container with these resources for it.
fn overrides(resources: LinuxResources) -> Plan {
    Plan::on("UpdateContainer", move |payload| {
        let id = UpdateContainerRequest::decode(payload).unwrap().container.unwrap().id;
        Reply::of(&UpdateContainerResponse { update: vec![update(&id, resources.clone())] })
    })
}

#[test]
fn an_adjustment_becomes_part_of_the_specification() {
    for version in VERSIONS {
        let memory = LinuxMemory { limit: Some(OptionalInt64 { value: 1 << 20 }), ..Default::default() };
        let mut answer = adjust(LinuxResources { memory: Some(memory), ..cpus("2-3") });
        let adjustment = answer.adjust.as_mut().unwrap();
        adjustment.annotations = [("own", "new"), ("-gone", "")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        adjustment.env.push(KeyValue { key: "A".to_owned(), value: "1".to_owned() });
        let (_dir, runtime, _plugin) = with_plugin(Options::of(version), Plan::on("CreateContainer", move |_| Reply::of(&answer)));
        let pod = runtime.run_pod(&web()).unwrap();
        let annotations = [("gone".to_owned(), "x".to_owned())].into();
        let created = runtime.create_container(&pod, &ContainerSpec { annotations, ..main() }).unwrap();
        assert_eq!(created.resources, Amounts::cpu(1000, 0).memory(1 << 20).cpus("2-3"), "{version:?}");
        assert!(created.annotations["own"] == "new" && !created.annotations.contains_key("gone"));
        assert_eq!((created.env["A"].as_str(), created.by), ("1", vec!["10-fake".to_owned()]));
        runtime.start_container(&created.id).unwrap();
        runtime.assert_clean();
    }
}

#[test]
fn values_that_the_machine_has_not_pass_creation_and_fail_the_start() {
    let quota = LinuxCpu { quota: Some(OptionalInt64 { value: 500 }), ..Default::default() };
    let cases = [
        (cpus("0-99"), "failed to write \"0-99\": write /sys/fs/cgroup/cpuset.cpus: numerical result out of range"),
        (LinuxResources { cpu: Some(quota), ..Default::default() }, "cpu.max: invalid argument"),
        (unified("foo.bar", "1"), "unified resource \"foo.bar\" can't be set: controller \"foo\" not available"),
        (unified("", "1"), "must be in the form"),
    ];
    for (resources, words) in cases {
        let (_dir, runtime, plugin) = with_plugin(Options::default(), adjusts(resources));
        let pod = runtime.run_pod(&web()).unwrap();
        let created = runtime.create_container(&pod, &main()).unwrap();
        let failed = runtime.start_container(&created.id).unwrap_err();
        assert!(failed.contains(words), "{failed}");
        assert_eq!(runtime.start_container(&created.id), Err(failed), "the container stays and fails again");
        runtime.remove_container(&created.id).unwrap();
        let methods = plugin.methods();
        let expected = ["CreateContainer", "StateChange", "StopContainer", "StateChange"];
        assert_eq!(methods[methods.len() - 4..], expected, "neither StartContainer nor PostStartContainer");
        assert_eq!(runtime.violations().len(), 1, "{:?}", runtime.violations());
    }
}

#[test]
fn what_has_no_effect_is_a_fault() {
    let one = Some(OptionalInt64 { value: 1 << 30 });
    let memory = LinuxMemory { reservation: one, swap: one, ..Default::default() };
    let plan = adjusts(LinuxResources { memory: Some(memory), ..unified("memory.high", "") });
    let (_dir, runtime, _plugin) = with_plugin(Options::default(), plan);
    let pod = runtime.run_pod(&web()).unwrap();
    assert_eq!(runtime.create_container(&pod, &main()).unwrap().resources, Amounts::cpu(1000, 0));
    let violations = runtime.violations();
    assert!(violations[0].contains("memory.reservation") && violations[1].contains("memory.swap"), "{violations:?}");
}

#[test]
fn two_plugins_that_set_the_same_field_fail_the_creation() {
    let (_dir, runtime) = runtime(Options::default());
    let (first, _second) = (Plugin::join(&runtime, adjusts(cpus("1")).index("05")), Plugin::join(&runtime, adjusts(cpus("1"))));
    let pod = runtime.run_pod(&web()).unwrap();
    let failed = runtime.create_container(&pod, &main()).unwrap_err();
    let words = "plugins \"05-fake\" and \"10-fake\" both tried to set CPU pinning";
    assert_eq!(failed, format!("failed to get NRI adjustment for container: {words}"));
    runtime.wait_for_violation(words, limit());
    let methods = first.methods();
    assert_eq!(methods[methods.len() - 3..], ["CreateContainer", "StopContainer", "StateChange"], "both for what was never created");
}

#[test]
fn plugins_are_asked_in_the_order_of_their_indices_and_see_what_was_adjusted_before() {
    let (_dir, runtime) = runtime(Options::default());
    let late = Plugin::join(&runtime, adjusts(unified("memory.high", "1M")).index("90"));
    let _early = Plugin::join(&runtime, adjusts(cpus("1")).index("10"));
    let pod = runtime.run_pod(&web()).unwrap();
    let created = runtime.create_container(&pod, &main()).unwrap();
    assert_eq!(created.by, ["10-fake", "90-fake"]);
    assert_eq!(created.resources, Amounts::cpu(1000, 0).cpus("1").unified("memory.high", "1M"));
    let call = late.calls().into_iter().find(|call| call.method == "CreateContainer").unwrap();
    let seen = gleaner_crds::nri::CreateContainerRequest::decode(call.payload.as_slice()).unwrap().container.unwrap();
    assert_eq!(seen.linux.unwrap().resources.unwrap().cpu.unwrap().cpus, "1");
}

#[test]
fn an_answer_that_is_late_costs_the_connection_and_not_the_container() {
    for version in VERSIONS {
        let (_dir, runtime, plugin) = with_plugin(Options::of(version).limits(5000, 200), Plan::on("CreateContainer", |_| Reply::Never));
        let pod = runtime.run_pod(&web()).unwrap();
        let created = runtime.create_container(&pod, &main()).unwrap();
        assert_eq!((created.by, created.resources), (vec![], Amounts::cpu(1000, 0)));
        wait_closed(&runtime, "failed to handle CreateContainer request: context deadline exceeded");
        gleaner_tests::poll_until("the plugin is cut off", || plugin.is_ended().then_some(()));
        runtime.wait_for_violation("no answer to CreateContainer", limit());
        assert!(runtime.plugins().is_empty());
    }
}

#[test]
fn a_refusal_reaches_the_caller_in_the_plugins_words() {
    for version in VERSIONS {
        let plan = Plan::answers(|call| match call.method.as_str() {
            "CreateContainer" => Reply::No(2, "no room".to_owned()),
            _ => Reply::Ok(Vec::new()),
        });
        let (_dir, runtime, plugin) = with_plugin(Options::of(version), plan);
        let pod = runtime.run_pod(&web()).unwrap();
        let failed = runtime.create_container(&pod, &main()).unwrap_err();
        assert_eq!(failed, "failed to get NRI adjustment for container: rpc error: code = Unknown desc = no room");
        let stop = plugin.calls().into_iter().rev().find(|call| call.method == "StopContainer").unwrap();
        let told = gleaner_crds::nri::StopContainerRequest::decode(stop.payload.as_slice()).unwrap().container.unwrap();
        assert!(runtime.container(&told.id).is_none() && told.pid == 0, "of an id that was never created");
        assert_eq!(runtime.plugins(), ["10-fake"], "the connection stays");
        runtime.assert_clean();
    }
}

#[test]
fn an_update_is_overridden_in_the_answer_and_what_0_6_loses_is_lost() {
    for version in VERSIONS {
        let (_dir, runtime, plugin) = with_plugin(Options::of(version), overrides(cpus("4")));
        let (_, id) = running(&runtime);
        let wants = Amounts { shares: 512, ..Amounts::default() }.cpus("0-7").unified("memory.high", "64M");
        let applied = runtime.update_container(&id, &wants).unwrap();
        let expected = Amounts { shares: 512, ..Amounts::cpu(1000, 0) }.cpus("4");
        let lost = version == Version::V0_6;
        assert_eq!(applied, if lost { expected } else { expected.unified("memory.high", "64M") }, "{version:?}");
        let call = plugin.calls().into_iter().find(|call| call.method == "UpdateContainer").unwrap();
        let asked = UpdateContainerRequest::decode(call.payload.as_slice()).unwrap().linux_resources.unwrap();
        assert_eq!(asked.unified.is_empty(), lost, "{version:?}: whether the plugin sees it");
        let (cpu, memory) = (asked.cpu.unwrap(), asked.memory.unwrap());
        assert_eq!((cpu.quota.unwrap().value, memory.limit.unwrap().value), (0, 0), "not given, but there");
        runtime.assert_clean();
    }
}

#[test]
fn an_update_without_an_answer_for_it_passes_as_it_is() {
    for version in VERSIONS {
        let (_dir, runtime, _plugin) = with_plugin(Options::of(version), Plan::new());
        let (_, id) = running(&runtime);
        let applied = runtime.update_container(&id, &Amounts::default().unified("memory.high", "64M")).unwrap();
        assert_eq!(applied, Amounts::cpu(1000, 0).unified("memory.high", "64M"));
        assert_eq!(runtime.container(&id).unwrap().resources, applied);
    }
}

#[test]
fn a_refused_update_changes_nothing() {
    let (_dir, runtime, _plugin) = with_plugin(Options::default(), Plan::on("UpdateContainer", |_| Reply::No(2, "no".to_owned())));
    let (_, id) = running(&runtime);
    let failed = runtime.update_container(&id, &Amounts::default().cpus("1")).unwrap_err();
    assert_eq!(failed, "NRI container update failed: rpc error: code = Unknown desc = no");
    assert_eq!(runtime.container(&id).unwrap().resources, Amounts::cpu(1000, 0));
}

#[test]
fn a_container_that_is_idle_itself_can_never_be_updated() {
    let (_dir, runtime, _plugin) = with_plugin(Options::default(), adjusts(unified("cpu.idle", "1")));
    let (_, id) = running(&runtime);
    let failed = runtime.update_container(&id, &Amounts::default().cpus("1")).unwrap_err();
    assert!(failed.contains("cpu.weight: invalid argument"), "{failed}");
    runtime.wait_for_violation("cpu.idle of the container", limit());
}

#[test]
fn other_containers_are_updated_before_a_new_one_is_created_and_failures_are_only_logged() {
    let (_dir, runtime) = runtime(Options::default());
    let (pod, id) = running(&runtime);
    let update = vec![update("nobody", cpus("1")), update(&id, cpus("3"))];
    let answer = CreateContainerResponse { adjust: None, update };
    let _plugin = Plugin::join(&runtime, Plan::on("CreateContainer", move |_| Reply::of(&answer)));
    runtime.create_container(&pod, &main()).unwrap();
    assert_eq!(runtime.container(&id).unwrap().resources.cpus, "3");
    runtime.assert_clean();
}

#[test]
fn an_unsolicited_update_waits_for_what_the_runtime_does() {
    let (inside, wait) = channel();
    let (go, goes) = channel::<()>();
    let plan = Plan::on("CreateContainer", move |_| {
        inside.send(()).unwrap();
        let _ = goes.recv_timeout(limit());
        Reply::Ok(Vec::new())
    });
    let (_dir, runtime, plugin) = with_plugin(Options::of(Version::V0_12), plan);
    let pod = runtime.run_pod(&web()).unwrap();
    std::thread::scope(|scope| {
        let created = scope.spawn(|| runtime.create_container(&pod, &main()).unwrap());
        wait.recv_timeout(limit()).unwrap();
        let asked = UpdateContainersRequest { update: vec![update(&"0".repeat(64), cpus("1"))] };
        plugin.ask(3, "nri.pkg.api.v1alpha1.Runtime", "UpdateContainers", &asked.encode_to_vec());
        runtime.wait_for("the call arrived", limit(), |log| {
            let arrived = |entry: &Entry| matches!(entry, Entry::Received { method, .. } if method == "UpdateContainers");
            log.iter().any(arrived).then_some(())
        });
        assert!(plugin.is_unanswered(), "a handler that waits for this waits for itself");
        go.send(()).unwrap();
        assert_eq!(created.join().unwrap().by, ["10-fake"]);
    });
    assert_eq!(plugin.answer(3), Ok(Vec::new()), "success, although there is no such container");
}

#[test]
fn unsolicited_updates_that_fail_are_told_in_one_word_and_the_rest_is_made() {
    let (_dir, runtime, mut plugin) = with_plugin(Options::of(Version::V0_12), Plan::new());
    let (pod, good) = running(&runtime);
    let bad = runtime.run_container(&pod, &main()).unwrap().id;
    let mut call = |ignore_failure| {
        let wrong = ContainerUpdate { ignore_failure, ..update(&bad, cpus("99")) };
        let asked = UpdateContainersRequest { update: vec![wrong, update(&good[..12], cpus("5"))] };
        plugin.call("UpdateContainers", &asked.encode_to_vec())
    };
    assert_eq!(call(false), Err((2, "NRI update of some containers failed".to_owned())));
    assert_eq!(runtime.container(&good).unwrap().resources.cpus, "5", "the start of an id is enough");
    assert_eq!(call(true), Ok(Vec::new()));
    assert_eq!(runtime.container(&bad).unwrap().resources.cpus, "");
}
