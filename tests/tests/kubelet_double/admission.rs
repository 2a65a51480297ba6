//! Pods through plugins.

use crate::fake::{Call, Fake, Journal, Plan, given};
use crate::{Twist, folder, limit, options, pair};
use gleaner_crds::resourceplugin::{
    ContainerType, ResourceAllocationResponse, ResourceHintsResponse, ResourcePluginOptions, ResourceRequest, TopologyHint,
};
use gleaner_model::{Bytes, MilliCpu};
use gleaner_tests::kubelet::{Kubelet, Options, QrmContainer, QrmPod, Rejection, Stage, TopologyPolicy};
use std::collections::BTreeMap;
use tonic::Code;

fn gib() -> Bytes {
    Bytes::new(1 << 30)
}

fn two_nodes() -> Options {
    Options { nodes: "0-1".parse().unwrap(), ..options() }
}

fn hint(nodes: &[u64], preferred: bool) -> TopologyHint {
    TopologyHint { nodes: nodes.to_vec(), preferred }
}

fn web() -> QrmPod {
    QrmPod::new("web").container(QrmContainer::main("web").cpu(MilliCpu::new(1500)).memory(gib()))
}

/// One line for each call that is about a container.
fn lines(journal: &Journal) -> Vec<String> {
    let line = |(resource, call): &(String, Call)| {
        let (what, asked) = match call {
            Call::Hints(asked) => ("hints", asked),
            Call::Allocate(asked) => ("allocate", asked),
            _ => return None,
        };
        Some(format!("{what} {resource} {} {}", asked.container_name, asked.container_index))
    };
    journal.lock().unwrap().iter().filter_map(line).collect()
}

#[test]
fn init_containers_come_first_and_every_hint_before_any_allocation() {
    let ((_dir, path), journal) = (folder(), Journal::default());
    let _cpu = Fake::with_journal(&path.join("cpu.sock"), Plan::cpu(), journal.clone());
    let _memory = Fake::with_journal(&path.join("memory.sock"), Plan::memory(), journal.clone());
    let kubelet = Kubelet::start(&path, options());
    kubelet.wait_for_plugins(&["cpu", "memory"], limit());
    let side = QrmContainer::sidecar("side").cpu(MilliCpu::new(100));
    let setup = QrmContainer::init("setup").cpu(MilliCpu::new(100)).requests("example.com/unknown", 1.0);
    let admitted = kubelet.admit(&web().container(side).container(setup)).unwrap();
    let wanted = [
        "hints cpu setup 0",
        "allocate cpu setup 0",
        "hints cpu web 0",
        "hints memory web 0",
        "allocate cpu web 0",
        "allocate memory web 0",
        "hints cpu side 1",
        "allocate cpu side 1",
    ];
    assert_eq!(lines(&journal), wanted);
    let names: Vec<_> = admitted.containers.iter().map(|each| (each.name.as_str(), each.kind)).collect();
    assert_eq!(names, [("setup", ContainerType::Init), ("web", ContainerType::Main), ("side", ContainerType::Sidecar)]);
}

#[test]
fn a_request_says_all_that_there_is_to_say() {
    let (_dir, kubelet, cpu, memory) = pair(two_nodes());
    cpu.plan().hints = vec![hint(&[0], false), hint(&[1], true)];
    cpu.plan().allocation.envs.insert("E".to_owned(), "1".to_owned());
    memory.plan().allocation.annotations.insert("a".to_owned(), "2".to_owned());
    let pod = QrmPod { role: "role".to_owned(), pod_type: "type".to_owned(), runtime_class: "kata".to_owned(), ..web() };
    let pod = pod.label("l", "3").annotation("n", "4");
    let admitted = kubelet.admit(&pod).unwrap();

    let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let wanted = |resource: &str, amount: f64, hint| ResourceRequest {
        pod_uid: "uid-web".to_owned(),
        pod_namespace: "default".to_owned(),
        pod_name: "web".to_owned(),
        container_name: "web".to_owned(),
        container_type: 1,
        container_index: 0,
        pod_role: "role".to_owned(),
        pod_type: "type".to_owned(),
        resource_name: resource.to_owned(),
        hint,
        resource_requests: BTreeMap::from([(resource.to_owned(), amount)]),
        labels: one("l", "3"),
        annotations: one("n", "4"),
        native_qos_class: "Burstable".to_owned(),
        runtime_class: "kata".to_owned(),
    };
    let chosen = Some(hint(&[1], true));
    assert_eq!(cpu.calls()[3..], [Call::Hints(wanted("cpu", 1.5, None)), Call::Allocate(wanted("cpu", 1.5, chosen.clone()))]);
    let bytes = 1_073_741_824.0;
    assert_eq!(memory.calls()[3..], [Call::Hints(wanted("memory", bytes, None)), Call::Allocate(wanted("memory", bytes, chosen))]);

    let web = &admitted.containers[0];
    let oci: Vec<_> = web.oci.iter().map(|(property, value)| format!("{property}={value}")).collect();
    assert_eq!(oci, ["CpusetCpus=0-1", "CpusetMems=0"]);
    assert_eq!((&web.envs, &web.annotations, &web.hint), (&one("E", "1"), &one("a", "2"), &hint(&[1], true)));
    assert_eq!(kubelet.admitted("uid-web"), Some(admitted));
}

#[test]
fn reclaimed_resources_go_to_the_ordinary_plugins_under_their_own_names() {
    let (_dir, kubelet, cpu, memory) = pair(options());
    let main = QrmContainer::main("m").reclaimed_cpu(MilliCpu::new(2000)).reclaimed_memory(gib());
    kubelet.admit(&QrmPod::new("batch").container(main)).unwrap();
    let of = |plugin: &Fake| match plugin.calls().pop() {
        Some(Call::Allocate(asked)) => (asked.resource_name, asked.resource_requests),
        other => panic!("{other:?}, no Allocate"),
    };
    let wanted = |resource: &str, key: &str, amount| (resource.to_owned(), BTreeMap::from([(key.to_owned(), amount)]));
    assert_eq!(of(&cpu), wanted("cpu", "resource.katalyst.kubewharf.io/reclaimed_millicpu", 2000.0));
    assert_eq!(of(&memory), wanted("memory", "resource.katalyst.kubewharf.io/reclaimed_memory", 1_073_741_824.0));
}

/// The hint that the CPU plugin got for a pod.
fn told(cpu: &Fake) -> TopologyHint {
    match cpu.calls().pop() {
        Some(Call::Allocate(asked)) => asked.hint.unwrap(),
        other => panic!("{other:?}, no Allocate"),
    }
}

#[test]
fn no_preference_is_every_node_and_not_a_refusal() {
    for policy in [TopologyPolicy::BestEffort, TopologyPolicy::SingleNode] {
        let (_dir, kubelet, cpu, _memory) = pair(Options { policy, ..two_nodes() });
        kubelet.admit(&web()).unwrap();
        assert_eq!(told(&cpu), hint(&[0, 1], true), "{policy:?}");
    }
}

#[test]
fn a_plugin_without_alignment_and_a_node_without_policy_are_asked_for_no_hints() {
    let (_dir, kubelet, cpu, _memory) = pair(Options { policy: TopologyPolicy::None, ..two_nodes() });
    cpu.plan().hints = vec![hint(&[1], true)];
    kubelet.admit(&web()).unwrap();
    assert_eq!((told(&cpu), kubelet.latencies().get("GetTopologyHints")), (hint(&[], false), None));

    let ((_dir, path), mut plan) = (folder(), Plan::cpu());
    plan.options = ResourcePluginOptions::default();
    let cpu = Fake::start(&path.join("cpu.sock"), plan);
    let kubelet = Kubelet::start(&path, two_nodes());
    kubelet.wait_for_plugins(&["cpu"], limit());
    kubelet.admit(&web()).unwrap();
    assert_eq!((told(&cpu), kubelet.latencies().get("GetTopologyHints")), (hint(&[0, 1], true), None));
}

fn rejection(resource: &str, stage: Stage, code: Code, message: &str) -> Rejection {
    Rejection { container: "web".to_owned(), resource: resource.to_owned(), stage, code, message: message.to_owned() }
}

/// That it is this one, with a message that holds the words.
fn assert_rejected(found: Rejection, wanted: &Rejection) {
    assert!(found.message.contains(&wanted.message), "{found}, not {wanted}");
    assert_eq!(Rejection { message: wanted.message.clone(), ..found }, *wanted);
}

#[test]
fn a_plugin_that_refuses_stops_the_admission() {
    let (_dir, kubelet, cpu, memory) = pair(options());
    memory.plan().failing.insert("GetTopologyHints", (Code::ResourceExhausted, "no memory: 1 GiB asked, 0 left"));
    let found = kubelet.admit(&web()).unwrap_err();
    assert_rejected(found, &rejection("memory", Stage::Hints, Code::ResourceExhausted, "no memory: 1 GiB asked, 0 left"));
    assert!(!cpu.calls().iter().any(|call| matches!(call, Call::Allocate(_))), "allocated after a refusal: {:?}", cpu.calls());

    memory.plan().failing = BTreeMap::from([("Allocate", (Code::Unknown, "changed my mind"))]);
    let found = kubelet.admit(&web()).unwrap_err();
    assert_rejected(found, &rejection("memory", Stage::Allocate, Code::Unknown, "changed my mind"));
    assert_eq!(kubelet.admitted("uid-web"), None);
    assert!(matches!(cpu.calls().last(), Some(Call::Allocate(_))), "a refused pod is not removed at once");

    kubelet.admit_or_remove(&web()).unwrap_err();
    assert_eq!(cpu.calls().last(), Some(&Call::Remove("uid-web".to_owned())));
}

#[test]
fn a_policy_refuses_what_is_not_one_preferred_node() {
    let (_dir, kubelet, cpu, memory) = pair(Options { policy: TopologyPolicy::SingleNode, ..two_nodes() });
    cpu.plan().hints = vec![hint(&[0], true)];
    memory.plan().hints = vec![hint(&[1], true)];
    assert_rejected(kubelet.admit(&web()).unwrap_err(), &rejection("", Stage::Merge, Code::FailedPrecondition, "SingleNode"));
}

#[test]
fn hints_that_answer_something_else_are_refused() {
    let wrong: [Twist<ResourceHintsResponse>; 6] = [
        (|a| a.pod_uid.clear(), "pod_uid is \"\", asked was \"uid-web\""),
        (|a| a.container_type = 2, "container_type 2"),
        (|a| a.container_index = 7, "container_index 7"),
        (|a| a.resource_hints = BTreeMap::from([("memory".to_owned(), Default::default())]), "hints for \"memory\""),
        (|a| a.resource_hints.values_mut().for_each(|list| list.hints[0].nodes = vec![2]), "a hint at nodes [2]"),
        (|a| a.resource_hints.values_mut().for_each(|list| list.hints[0].nodes.clear()), "a hint at nodes []"),
    ];
    let (_dir, kubelet, cpu, _memory) = pair(two_nodes());
    cpu.plan().hints = vec![hint(&[0], true)];
    for (twist, message) in wrong {
        cpu.plan().twist_hints = twist;
        assert_rejected(kubelet.admit(&web()).unwrap_err(), &rejection("cpu", Stage::Answer, Code::Internal, message));
    }
}

fn cpus(answer: &mut ResourceAllocationResponse, text: &str, quantity: f64) {
    let all = answer.allocation_result.as_mut().unwrap();
    all.resource_allocation.insert("cpu".to_owned(), given("CpusetCpus", text, quantity));
}

#[test]
fn allocations_that_the_kubelet_cannot_use_are_refused() {
    let wrong: [Twist<ResourceAllocationResponse>; 8] = [
        (|a| a.pod_name = "other".to_owned(), "pod_name is \"other\""),
        (|a| a.resource_name = "memory".to_owned(), "resource_name is \"memory\""),
        (|a| a.allocation_result = None, "nothing of \"cpu\""),
        (|a| cpus(a, "0-1", 3.0), "2 CPUs, and allocated_quantity is 3"),
        (|a| cpus(a, "0-", 2.0), "CpusetCpus of cpu is \"0-\""),
        (|a| cpus(a, "", 0.0), "no CPU"),
        (|a| a.allocation_result.as_mut().unwrap().resource_allocation.values_mut().for_each(|i| i.oci_property_name.push('x')), "not set"),
        (|a| *a.allocation_result.as_mut().unwrap().resource_allocation.get_mut("cpu").unwrap() = given("CpusetMems", "", 1.0), "no node"),
    ];
    let (_dir, kubelet, cpu, _memory) = pair(options());
    for (twist, message) in wrong {
        cpu.plan().twist_allocation = twist;
        assert_rejected(kubelet.admit(&web()).unwrap_err(), &rejection("cpu", Stage::Answer, Code::Internal, message));
    }
}

#[test]
fn an_init_container_may_get_nothing() {
    let (_dir, kubelet, cpu, _memory) = pair(options());
    cpu.plan().twist_allocation = |answer| {
        if answer.container_type == i32::from(ContainerType::Init) {
            answer.allocation_result = None;
        }
    };
    let admitted = kubelet.admit(&web().container(QrmContainer::init("setup").cpu(MilliCpu::new(100)))).unwrap();
    assert_eq!(admitted.containers[0].oci, BTreeMap::new());
    assert_eq!(admitted.containers[1].oci.len(), 2, "{admitted:?}");
}
