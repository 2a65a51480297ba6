use super::super::request;
use super::{asked, nodes, texts};
use crate::{Amount, ContainerType, Hint, PodIdentity, Request};
use gleaner_crds::resourceplugin as proto;
use gleaner_model::{KubeQos, PodName};
use prost::Message;
use std::collections::BTreeMap;

const AGGREGATED: &str = "pod.kubernetes.io/pod-aggregated-requests";
const RESIZING: &str = "pod.kubernetes.io/inplace-update-resizing";
const LENT: &str = "resource.katalyst.kubewharf.io/reclaimed_millicpu";

fn with(change: impl FnOnce(&mut proto::ResourceRequest)) -> proto::ResourceRequest {
    let mut wire = asked();
    change(&mut wire);
    wire
}

#[test]
fn every_field_arrives() {
    // Over the wire and back, so that a field that a message loses is noticed.
    let wire = proto::ResourceRequest::decode(&asked().encode_to_vec()[..]).unwrap();
    let expected = Request {
        pod: PodIdentity {
            uid: "uid-1".parse().unwrap(),
            name: PodName { namespace: "space".to_owned(), name: "pod".to_owned() },
            role: "role".to_owned(),
            kind: "type".to_owned(),
            labels: texts(&[("l", "m")]),
            annotations: asked().annotations,
            kube_qos: KubeQos::Guaranteed,
        },
        container: "main".parse().unwrap(),
        kind: ContainerType::Sidecar,
        index: 3,
        resource: "cpu".to_owned(),
        amount: Amount::new(1.5).unwrap(),
        whole_pod: None,
        hint: Some(Hint::on(nodes("0,2"), true)),
        resizing: false,
    };
    assert_eq!(request(&wire).unwrap(), expected);
}

#[test]
fn an_amount_is_in_the_unit_of_its_resources_name() {
    let cases = [
        ("cpu", 1.5, 1.5),
        ("memory", 4096.0, 4096.0),
        (LENT, 2500.0, 2.5),
        ("resource.katalyst.kubewharf.io/reclaimed_memory", 7.0, 7.0),
        ("other.io/thing", 3.0, 3.0),
    ];
    for (name, number, expected) in cases {
        let found = request(&with(|wire| wire.resource_requests = BTreeMap::from([(name.to_owned(), number)]))).unwrap();
        assert_eq!((found.resource.as_str(), found.amount), (name, Amount::new(expected).unwrap()), "{name} {number}");
    }
}

#[test]
fn the_whole_pods_amount_is_that_of_the_same_resource() {
    let list = format!(r#"{{"cpu": "2500m", "memory": "1Ki", "{LENT}": "2k", "hugepages-2Mi": 4}}"#);
    for (name, expected) in [("cpu", Some(2.5)), ("memory", Some(1024.0)), (LENT, Some(2.0)), ("hugepages-2Mi", Some(4.0)), ("x", None)] {
        let found = request(&with(|wire| {
            wire.resource_requests = BTreeMap::from([(name.to_owned(), 1.0)]);
            wire.annotations = texts(&[(AGGREGATED, &list)]);
        }));
        assert_eq!(found.unwrap().whole_pod.map(Amount::get), expected, "{name}");
    }
}

#[test]
fn a_resize_is_told_by_its_annotation() {
    for (text, expected) in [("true", true), ("false", false), ("", false), ("True", false)] {
        let found = request(&with(|wire| wire.annotations = texts(&[(RESIZING, text)])));
        assert_eq!(found.unwrap().resizing, expected, "{text:?}");
    }
}

#[test]
fn a_hint_without_nodes_is_for_any_node() {
    let hint = |hint| request(&with(|wire| wire.hint = hint)).unwrap().hint;
    assert_eq!(hint(None), None);
    assert_eq!(hint(Some(proto::TopologyHint { nodes: vec![], preferred: true })), Some(Hint::any()));
    assert_eq!(hint(Some(proto::TopologyHint { nodes: vec![1, 1], preferred: false })), Some(Hint::on(nodes("1"), false)));
}

#[test]
fn classes_and_kinds_are_read() {
    for (text, expected) in [
        ("", KubeQos::Burstable),
        ("Burstable", KubeQos::Burstable),
        ("BestEffort", KubeQos::BestEffort),
        ("Guaranteed", KubeQos::Guaranteed),
    ] {
        assert_eq!(request(&with(|wire| text.clone_into(&mut wire.native_qos_class))).unwrap().pod.kube_qos, expected, "{text:?}");
    }
    let kinds = [ContainerType::Init, ContainerType::Main, ContainerType::Sidecar, ContainerType::Ephemeral];
    for (number, expected) in (0..).zip(kinds) {
        assert_eq!(request(&with(|wire| wire.container_type = number)).unwrap().kind, expected);
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_the_name_of_its_field() {
    type Change = Box<dyn FnOnce(&mut proto::ResourceRequest)>;
    let amounts = |amounts: &[(&str, f64)]| -> Change {
        let amounts: BTreeMap<String, f64> = amounts.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
        Box::new(move |wire| wire.resource_requests = amounts)
    };
    let list = |text: &'static str| -> Change { Box::new(move |wire| wire.annotations = texts(&[(AGGREGATED, text)])) };
    let cases: [(Change, &str); 19] = [
        (Box::new(|wire| wire.pod_uid.clear()), "pod_uid: "),
        (Box::new(|wire| "../x".clone_into(&mut wire.pod_uid)), "pod_uid: "),
        (Box::new(|wire| "a/b".clone_into(&mut wire.container_name)), "container_name: "),
        (Box::new(|wire| wire.pod_name.clear()), "pod_name: is empty"),
        (Box::new(|wire| wire.pod_namespace.clear()), "pod_namespace: is empty"),
        (Box::new(|wire| wire.container_type = 4), "container_type: 4 is none"),
        (Box::new(|wire| wire.container_type = -1), "container_type: -1 is none"),
        (Box::new(|wire| "Best".clone_into(&mut wire.native_qos_class)), "native_qos_class: \"Best\" is none"),
        (
            Box::new(|wire| wire.hint = Some(proto::TopologyHint { nodes: vec![u64::MAX], preferred: true })),
            "hint.nodes: 18446744073709551615",
        ),
        (Box::new(|wire| wire.hint = Some(proto::TopologyHint { nodes: vec![1 << 20], preferred: true })), "hint.nodes: 1048576"),
        (amounts(&[]), "resource_requests: has 0 entries"),
        (amounts(&[("cpu", 1.0), ("memory", 1.0)]), "resource_requests: has 2 entries"),
        (amounts(&[("cpu", -0.5)]), "resource_requests[cpu]: -0.5 is no amount"),
        (amounts(&[("cpu", f64::NAN)]), "resource_requests[cpu]: NaN is no amount"),
        (amounts(&[(LENT, f64::INFINITY)]), "resource_requests[resource.katalyst.kubewharf.io/reclaimed_millicpu]: inf is no amount"),
        (list("no json"), "annotations[pod.kubernetes.io/pod-aggregated-requests]: "),
        (list(r#"{"cpu": "two"}"#), "annotations[pod.kubernetes.io/pod-aggregated-requests]: cpu: \"two\": "),
        (list(r#"{"cpu": "-2"}"#), "annotations[pod.kubernetes.io/pod-aggregated-requests]: cpu: \"-2\": "),
        (list(r#"{"cpu": null}"#), "annotations[pod.kubernetes.io/pod-aggregated-requests]: cpu: \"null\": "),
    ];
    for (change, expected) in cases {
        let status = tonic::Status::from(request(&with(change)).unwrap_err());
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{expected}");
        assert!(status.message().starts_with(expected), "{:?} does not begin with {expected:?}", status.message());
    }
}
