//! What is told of pods and containers, and when.

use crate::client::{Call, Plan, Plugin, Reply};
use crate::{VERSIONS, main, running, web, with_plugin};
use gleaner_crds::nri::{
    Container, ContainerEvent, ContainerState, CreateContainerRequest, Event, PodEvent, PodSandbox, StateChangeEvent, StopContainerRequest,
};
use gleaner_tests::runtime::{Amounts, Options, Version};
use prost::Message;

/// An event by its own name, whichever way it was told, and what it was about.
fn event(call: &Call) -> (String, PodSandbox, Option<Container>) {
    let payload = call.payload.as_slice();
    let method = call.method.clone();
    match method.as_str() {
        "StateChange" => {
            let told = StateChangeEvent::decode(payload).unwrap();
            let name: String = told.event().as_str_name().split('_').map(capital).collect();
            (name, told.pod.unwrap(), told.container)
        }
        "RunPodSandbox" | "StopPodSandbox" | "RemovePodSandbox" => (method, PodEvent::decode(payload).unwrap().pod.unwrap(), None),
        // All of them have the pod and the container in the same places.
        _ => {
            let told = ContainerEvent::decode(payload).unwrap();
            (method, told.pod.unwrap(), told.container)
        }
    }
}

fn capital(word: &str) -> String {
    word[..1].to_owned() + &word[1..].to_lowercase()
}

/// What was told after the handshake.
fn events(plugin: &Plugin) -> Vec<(String, PodSandbox, Option<Container>)> {
    plugin.calls().iter().filter(|call| !["Configure", "Synchronize"].contains(&call.method.as_str())).map(event).collect()
}

fn names(plugin: &Plugin) -> Vec<String> {
    events(plugin).into_iter().map(|(name, ..)| name).collect()
}

#[test]
fn a_whole_life_is_told_in_order() {
    for version in VERSIONS {
        let (_dir, runtime, plugin) = with_plugin(Options::of(version), Plan::new());
        let (pod, id) = running(&runtime);
        runtime.update_container(&id, &Amounts::default().cpus("1")).unwrap();
        runtime.remove_pod(&pod).unwrap();
        let told: Vec<_> = events(&plugin)
            .into_iter()
            .map(|(name, pod, container)| {
                let container = container.map(|container| (container.state(), container.pid != 0));
                (name, pod.pid != 0, container)
            })
            .collect();
        use ContainerState::{ContainerCreated, ContainerRunning, ContainerStopped, ContainerUnknown};
        let of = |name: &str, state, pid| (name.to_owned(), true, Some((state, pid)));
        let expected = [
            ("RunPodSandbox".to_owned(), true, None),
            of("CreateContainer", ContainerUnknown, false),
            of("PostCreateContainer", ContainerCreated, false),
            of("StartContainer", ContainerCreated, true),
            of("PostStartContainer", ContainerRunning, true),
            of("UpdateContainer", ContainerRunning, true),
            of("PostUpdateContainer", ContainerRunning, true),
            of("StopContainer", ContainerRunning, true),
            ("StopPodSandbox".to_owned(), false, None),
            ("RemoveContainer".to_owned(), false, Some((ContainerStopped, false))),
            ("RemovePodSandbox".to_owned(), false, None),
        ];
        assert_eq!(told, expected, "{version:?}");
        let own: Vec<String> = plugin.methods().into_iter().filter(|method| *method != "StateChange").collect();
        let shared = ["Configure", "Synchronize", "CreateContainer", "UpdateContainer", "StopContainer"];
        assert_eq!(own == shared, version < Version::V0_12, "{version:?}: {own:?}");
        runtime.assert_clean();
    }
}

#[test]
fn a_container_that_ends_by_itself_stops_once_and_without_a_caller() {
    let (_dir, runtime, plugin) = with_plugin(Options::default(), Plan::new());
    let (_, id) = running(&runtime);
    runtime.exit_container(&id).unwrap();
    runtime.remove_container(&id).unwrap();
    assert_eq!(names(&plugin)[5..], ["StopContainer", "RemoveContainer"]);
    let from_cri: Vec<bool> = plugin.calls().iter().rev().take(2).map(|call| call.from_cri).collect();
    assert_eq!(from_cri, [true, false], "removed by a caller, stopped by nobody");
}

#[test]
fn a_container_that_never_started_stops_when_it_is_removed() {
    let (_dir, runtime, plugin) = with_plugin(Options::default(), Plan::new());
    let pod = runtime.run_pod(&web()).unwrap();
    let id = runtime.create_container(&pod, &main()).unwrap().id;
    runtime.stop_container(&id).unwrap();
    runtime.remove_container(&id).unwrap();
    assert_eq!(names(&plugin), ["RunPodSandbox", "CreateContainer", "PostCreateContainer", "StopContainer", "RemoveContainer"]);
}

#[test]
fn a_refused_pod_is_stopped_and_removed() {
    for version in VERSIONS {
        let refuse = |call: &Call| match event_name(call).as_deref() {
            Some("RunPodSandbox") => Reply::No(2, "no".to_owned()),
            _ => Reply::Ok(Vec::new()),
        };
        let (_dir, runtime, plugin) = with_plugin(Options::of(version), Plan::answers(refuse));
        assert_eq!(runtime.run_pod(&web()), Err("NRI RunPodSandbox failed: rpc error: code = Unknown desc = no".to_owned()));
        assert_eq!(names(&plugin), ["RunPodSandbox", "StopPodSandbox", "RemovePodSandbox"]);
        runtime.assert_clean();
    }
}

fn event_name(call: &Call) -> Option<String> {
    (!["Configure", "Synchronize"].contains(&call.method.as_str())).then(|| event(call).0)
}

#[test]
fn a_refused_start_ends_the_container() {
    let refuse = |call: &Call| match event_name(call).as_deref() {
        Some("StartContainer") => Reply::No(2, "no".to_owned()),
        _ => Reply::Ok(Vec::new()),
    };
    let (_dir, runtime, plugin) = with_plugin(Options::default(), Plan::answers(refuse));
    let pod = runtime.run_pod(&web()).unwrap();
    let failed = runtime.run_container(&pod, &main()).unwrap_err();
    assert_eq!(failed, "NRI container start failed: rpc error: code = Unknown desc = no");
    assert_eq!(names(&plugin)[3..], ["StartContainer", "StopContainer"]);
}

#[test]
fn code_12_from_state_change_fails_a_pod_and_from_an_events_own_call_it_does_not() {
    let refuse = |call: &Call| match (call.method.as_str(), event_name(call).is_some()) {
        ("StateChange", _) => Reply::No(12, "method StateChange".to_owned()),
        _ => Reply::Ok(Vec::new()),
    };
    let (_dir, runtime, _plugin) = with_plugin(Options::of(Version::V0_8), Plan::answers(refuse));
    let failed = runtime.run_pod(&web()).unwrap_err();
    assert_eq!(failed, "NRI RunPodSandbox failed: rpc error: code = Unimplemented desc = method StateChange");
    assert!(runtime.violations()[0].contains("is not implemented, which fails a pod"), "{:?}", runtime.violations());

    let knows = ["Configure", "Synchronize", "StateChange", "CreateContainer", "StopContainer"];
    let old = move |call: &Call| {
        if knows.contains(&call.method.as_str()) { Reply::Ok(Vec::new()) } else { Reply::No(12, format!("method {}", call.method)) }
    };
    let (_dir, runtime, plugin) = with_plugin(Options::of(Version::V0_12), Plan::answers(old));
    running(&runtime);
    let told = plugin.methods().into_iter().filter(|method| method == "StateChange").count();
    assert_eq!(told, 4, "every event that it does not know by name");
    runtime.assert_clean();
}

#[test]
fn a_pod_is_told_with_what_the_runtime_adds_and_without_it_when_it_is_gone() {
    for version in VERSIONS {
        let (_dir, runtime, plugin) = with_plugin(Options::of(version), Plan::new());
        let spec = web().annotation("a", "b").label("app", "web").resources(Amounts::cpu(500, 0));
        let pod = runtime.run_pod(&spec).unwrap();
        runtime.remove_pod(&pod).unwrap();
        let [run, stop, remove] = events(&plugin).try_into().unwrap();
        let (run, stop, remove) = (run.1, stop.1, remove.1);
        assert_eq!((run.uid.as_str(), run.namespace.as_str(), run.annotations["a"].as_str()), ("11111111-aaaa", "default", "b"));
        assert_eq!((run.labels["app"].as_str(), run.labels["io.cri-containerd.kind"].as_str()), ("web", "sandbox"));
        assert_eq!(run.annotations["io.kubernetes.cri.sandbox-uid"], "11111111-aaaa");
        assert_eq!(run.annotations["io.kubernetes.cri.sandbox-cpu-shares"], "512");
        let linux = run.linux.clone().unwrap();
        assert_eq!(linux.cgroup_parent, "/kubepods/burstable/pod11111111-aaaa");
        assert_eq!(linux.cgroups_path, format!("/kubepods/burstable/pod11111111-aaaa/{pod}"));
        let resources = linux.pod_resources.unwrap();
        let (cpu, memory) = (resources.cpu.unwrap(), resources.memory.unwrap());
        assert_eq!((cpu.shares.unwrap().value, cpu.quota.unwrap().value, memory.limit.unwrap().value), (512, 0, 0), "zero is not given");
        let is_short = |pod: &PodSandbox| !pod.annotations.contains_key("io.kubernetes.cri.sandbox-uid");
        assert_eq!((is_short(&stop), is_short(&remove)), (version == Version::V0_6, true), "{version:?}");
        for gone in [stop, remove] {
            assert_eq!(gone.linux.unwrap().cgroup_parent, "/kubepods/burstable/pod11111111-aaaa");
        }
    }
}

#[test]
fn a_container_is_told_with_its_path_and_without_its_pods_annotations() {
    let (_dir, runtime, plugin) = with_plugin(Options::default(), Plan::new());
    let slice = "kubepods-burstable-pod11111111_aaaa.slice";
    for (spec, path) in [(web(), "/kubepods/burstable/pod11111111-aaaa/"), (web().systemd(), &format!("{slice}:cri-containerd:"))] {
        let pod = runtime.run_pod(&spec.annotation("a", "b")).unwrap();
        let created = runtime.create_container(&pod, &main()).unwrap();
        let call = plugin.calls().into_iter().rfind(|call| call.method == "CreateContainer").unwrap();
        let told = CreateContainerRequest::decode(call.payload.as_slice()).unwrap().container.unwrap();
        assert_eq!(told.linux.clone().unwrap().cgroups_path, format!("{path}{}", created.id));
        assert!(!told.annotations.contains_key("a"), "{told:?}");
        assert_eq!(told.annotations["io.kubernetes.cri.container-name"], "main");
        let cpu = told.linux.unwrap().resources.unwrap().cpu.unwrap();
        assert_eq!((cpu.shares.unwrap().value, cpu.quota), (1024, None), "what is not given is not in a specification");
    }
    let scope = runtime.container(&last_id(&plugin)).unwrap().cgroup;
    let slices = format!("/kubepods.slice/kubepods-burstable.slice/{slice}/cri-containerd-");
    assert!(scope.as_str().starts_with(&slices) && scope.as_str().ends_with(".scope"), "{scope}");
}

fn last_id(plugin: &Plugin) -> String {
    events(plugin).pop().unwrap().2.unwrap().id
}

#[test]
fn the_numbers_of_events_are_those_of_the_mask() {
    let (_dir, runtime, plugin) = with_plugin(Options::default(), Plan::new().events(1 << (Event::StopContainer as i32 - 1)));
    let (pod, id) = running(&runtime);
    runtime.remove_pod(&pod).unwrap();
    let call = plugin.calls().pop().unwrap();
    assert_eq!(StopContainerRequest::decode(call.payload.as_slice()).unwrap().container.unwrap().id, id);
    assert_eq!(plugin.calls().len(), 3, "the handshake and this");
}
