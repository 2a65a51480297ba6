#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use super::*;
use gleaner_model::{Bytes, ClassSelector, ContainerKind, MilliCpu, NumaBinding};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

const CLASS: &str = "katalyst.kubewharf.io/qos_level";
const MEMORY: &str = "katalyst.kubewharf.io/memory_enhancement";
const CPU: &str = "katalyst.kubewharf.io/cpu_enhancement";

/// A pod with these annotations and resources of its one container.
fn object(annotations: Value, resources: Value) -> Value {
    json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "u-1", "annotations": annotations},
        "spec": {"containers": [{"name": "c", "resources": resources}]},
        "status": {"phase": "Running"},
    })
}

fn read(object: Value, source: Source) -> Result<ApiPod, String> {
    let config = QosConfig {
        selectors: vec![
            ClassSelector { class: QosClass::Reclaimed, key: "team".to_owned(), value: "batch".to_owned() },
            ClassSelector { class: QosClass::System, key: "tier".to_owned(), value: "agent".to_owned() },
        ],
    };
    let object: PodObject = serde_json::from_value(object).map_err(|error| error.to_string())?;
    convert(&object, source, &config)
}

fn api(object: Value) -> ApiPod {
    read(object, Source::Api).unwrap()
}

#[test]
fn a_pod_says_all_that_the_node_needs() {
    let read = api(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "db", "namespace": "prod", "uid": "u-7", "resourceVersion": "5", "creationTimestamp": null,
            "deletionTimestamp": "2024-01-01T00:00:00Z",
            "annotations": {(CLASS): "dedicated_cores", (MEMORY): r#"{"numa_binding": "true"}"#},
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:containers": {}}}}],
        },
        "spec": {
            "nodeName": "node-1", "priority": 1000, "terminationGracePeriodSeconds": 5, "volumes": [{"name": "v"}], "overhead": {"cpu": "1"},
            "initContainers": [
                {"name": "prepare", "resources": {"requests": {"cpu": "3"}}},
                {"name": "mesh", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}},
            ],
            "containers": [
                {"name": "db", "env": [{"name": "A", "value": "b"}], "resources": {"limits": {"cpu": "2", "memory": "1Gi", "hugepages-2Mi": "4Mi"}}},
                {"name": "log", "resources": null},
            ],
            "ephemeralContainers": [{"name": "debug"}],
        },
        "status": {
            "phase": "Running", "qosClass": "Burstable",
            "initContainerStatuses": [{"name": "prepare", "containerID": "containerd://aa"}, {"name": "mesh", "containerID": "containerd://bb"}],
            "containerStatuses": [
                {"name": "db", "containerID": "cri-o://cc", "state": {"running": {}}},
                {"name": "log", "containerID": ""}, {"name": "log", "containerID": "docker://../../x"}, {"name": "log"},
            ],
            "ephemeralContainerStatuses": [{"name": "debug", "containerID": "containerd://dd"}],
        },
    }));
    assert_eq!(read.problems, Vec::<String>::new());
    let pod = &read.pod;
    assert_eq!((pod.uid.as_str(), read.api_uid.as_str(), pod.name.to_string().as_str()), ("u-7", "u-7", "prod/db"));
    assert_eq!((pod.class(), pod.qos.memory.numa_binding), (QosClass::Dedicated, NumaBinding::Bound));
    assert_eq!((pod.kube_qos, pod.priority, pod.grace), (KubeQos::Burstable, 1000, Duration::from_secs(5)));
    let kinds: Vec<_> = pod.containers.iter().map(|c| (c.name.as_str(), c.kind)).collect();
    let expected =
        [("prepare", ContainerKind::Init), ("mesh", ContainerKind::Sidecar), ("db", ContainerKind::Main), ("log", ContainerKind::Sidecar)];
    assert_eq!(kinds, expected, "ephemeral containers are not among those that the pod is made of");
    assert_eq!(pod.cpu_request(), MilliCpu::new(3000), "the init container's is larger than 2100m");
    assert_eq!((pod.memory_request(), pod.hugepages().len()), (Bytes::new(1 << 30), 1));
    assert_eq!((read.phase, read.deleting, read.is_static), (ApiPhase::Running, true, false));
    let ids: Vec<_> = read.container_ids.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    assert_eq!(ids, [("aa", "prepare"), ("bb", "mesh"), ("cc", "db"), ("dd", "debug")]);
}

#[test]
fn what_is_missing_is_as_the_api_server_defaults_it() {
    let pod = api(json!({"metadata": {"name": "p", "uid": "u"}, "spec": {"containers": null}, "status": null}));
    assert_eq!(
        (pod.pod.name.to_string().as_str(), pod.pod.class(), pod.pod.kube_qos),
        ("default/p", QosClass::Shared, KubeQos::BestEffort)
    );
    assert_eq!((pod.phase, pod.deleting, pod.pod.grace, pod.pod.priority), (ApiPhase::Pending, false, Duration::from_secs(30), 0));
    for (object, cause) in [
        (json!({}), "metadata.name is missing"),
        (json!({"metadata": {"name": "p"}}), "metadata.uid is missing"),
        (json!({"metadata": {"name": "p", "uid": "../x"}}), "metadata.uid: \"../x\" is not a pod uid"),
        (json!({"metadata": {"name": "../p", "uid": "x"}}), "is not a legal name"),
        (json!({"metadata": {"name": "p", "uid": "x", "annotations": {(MIRROR): "a/b"}}}), "kubernetes.io/config.hash: \"a/b\" is not"),
        (json!({"metadata": {"name": 5}}), "invalid type"),
    ] {
        let found = read(object.clone(), Source::Api).unwrap_err();
        assert!(found.contains(cause), "{object}: {found}");
    }
}

#[test]
fn each_class_is_told_by_its_annotation_or_a_selector() {
    for (annotations, class) in [
        (json!({(CLASS): "dedicated_cores"}), QosClass::Dedicated),
        (json!({(CLASS): "shared_cores"}), QosClass::Shared),
        (json!({(CLASS): "reclaimed_cores"}), QosClass::Reclaimed),
        (json!({(CLASS): "system_cores"}), QosClass::System),
        (json!({"team": "batch"}), QosClass::Reclaimed),
        (json!({"team": "other"}), QosClass::Shared),
        (json!(null), QosClass::Shared),
    ] {
        let pod = api(object(annotations.clone(), json!({"requests": {"cpu": "1"}})));
        assert_eq!((pod.pod.class(), pod.problems), (class, Vec::new()), "{annotations}");
    }
}

#[test]
fn the_class_in_kubernetes_is_the_api_servers_word_else_follows_from_the_native_amounts() {
    let full = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
    let reclaimed = object(json!({(CLASS): "reclaimed_cores"}), full.clone());
    let pod = api(reclaimed).pod;
    assert_eq!((pod.kube_qos, pod.cpu_request()), (KubeQos::Guaranteed, MilliCpu::ZERO), "kubelet made its cgroup by the native requests");
    for (word, class) in
        [(json!("Burstable"), KubeQos::Burstable), (json!("Golden"), KubeQos::Guaranteed), (json!(null), KubeQos::Guaranteed)]
    {
        let mut object = object(json!({}), full.clone());
        object["status"]["qosClass"] = word.clone();
        assert_eq!(api(object).pod.kube_qos, class, "{word}");
    }
}

#[test]
fn a_reclaimed_pod_is_promised_its_extended_resources_else_its_native_requests() {
    let annotations = || json!({(CLASS): "reclaimed_cores"});
    let extended = json!({
        "limits": {"resource.katalyst.kubewharf.io/reclaimed_millicpu": "2k", "resource.katalyst.kubewharf.io/reclaimed_memory": "1Gi"},
        "requests": {"cpu": "300m", "memory": "64Mi"},
    });
    for (resources, cpu, memory) in [(extended, 2000, 1 << 30), (json!({"requests": {"cpu": "300m", "memory": "64Mi"}}), 300, 64 << 20)] {
        let pod = api(object(annotations(), resources.clone())).pod;
        assert_eq!((pod.reclaimed_cpu(), pod.reclaimed_memory()), (MilliCpu::new(cpu), Bytes::new(memory)), "{resources}");
        assert_eq!((pod.cpu_request(), pod.memory_request()), (MilliCpu::ZERO, Bytes::ZERO), "{resources}: nothing counts twice");
    }
}

#[test]
fn static_pods_are_known_by_the_hash_of_their_configuration() {
    let with = |annotations: Value| object(annotations, json!(null));
    let mirror = || with(json!({(MIRROR): "h1", (HASH): "h1", (SOURCE): "file"}));
    for (object, source, uid, is_static) in [
        (mirror(), Source::Api, "h1", true),
        (with(json!({(MIRROR): "h2"})), Source::Api, "h2", true),
        // Anybody can write these two on a pod of their own.
        (with(json!({(HASH): "h1"})), Source::Api, "u-1", false),
        (with(json!({(SOURCE): "file"})), Source::Api, "u-1", false),
        (with(json!({(SOURCE): "file", (HASH): "u-1"})), Source::Kubelet, "u-1", true),
        (with(json!({(SOURCE): "http"})), Source::Kubelet, "u-1", true),
        (with(json!({(SOURCE): "api"})), Source::Kubelet, "u-1", false),
        (with(json!({})), Source::Kubelet, "u-1", false),
    ] {
        let pod = read(object.clone(), source).unwrap();
        assert_eq!((pod.pod.uid.as_str(), pod.api_uid.as_str(), pod.is_static), (uid, "u-1", is_static), "{source:?} {object}");
    }
}

#[test]
fn the_phase_says_whether_a_pod_is_over() {
    for (phase, expected) in [
        (json!("Pending"), ApiPhase::Pending),
        (json!("Running"), ApiPhase::Running),
        (json!("Unknown"), ApiPhase::Running),
        (json!("Succeeded"), ApiPhase::Ended),
        (json!("Failed"), ApiPhase::Ended),
        (json!("New"), ApiPhase::Pending),
        (json!(null), ApiPhase::Pending),
    ] {
        let mut object = object(json!({}), json!(null));
        object["status"]["phase"] = phase.clone();
        assert_eq!(api(object).phase, expected, "{phase}");
    }
}

#[test]
fn a_wrong_annotation_is_told_and_counts_as_not_written() {
    let cpu = || json!({"requests": {"cpu": "2"}});
    for (annotations, resources, class, problem) in [
        (json!({(CLASS): "gold"}), cpu(), QosClass::Shared, "unknown QoS class \"gold\""),
        (json!({"team": "batch", "tier": "agent"}), cpu(), QosClass::Shared, "two classes are selected"),
        (json!({(CLASS): "gold", "team": "batch"}), cpu(), QosClass::Reclaimed, "unknown QoS class \"gold\""),
        (json!({(CLASS): "dedicated_cores", (MEMORY): "{"}), cpu(), QosClass::Dedicated, "is not a JSON object"),
        (json!({(CLASS): "reclaimed_cores", (CPU): r#"{"cpuset_pool": "x"}"#}), cpu(), QosClass::Reclaimed, "cannot have it"),
        (
            json!({(CLASS): "gold", (MEMORY): r#"{"numa_binding": true, "numa_exclusive": true}"#}),
            cpu(),
            QosClass::Shared,
            "unknown QoS class",
        ),
        (json!({(CLASS): "dedicated_cores"}), json!({"requests": {"memory": "1Gi"}}), QosClass::Shared, "must request CPU"),
        (json!({(CLASS): "dedicated_cores"}), json!({"requests": {"cpu": "0"}}), QosClass::Shared, "must request CPU"),
    ] {
        let pod = api(object(annotations.clone(), resources));
        assert_eq!(pod.pod.class(), class, "{annotations}: {:?}", pod.problems);
        assert_eq!(pod.problems.len(), 1, "{annotations}: what only follows is not said: {:?}", pod.problems);
        assert!(pod.problems[0].contains(problem), "{annotations}: {:?}", pod.problems);
    }
    let wrong = json!({(CLASS): "dedicated_cores", (CPU): r#"{"numa_share": "perhaps"}"#, (MEMORY): r#"{"numa_binding": true}"#});
    let pod = api(object(wrong, cpu())).pod;
    assert_eq!((pod.class(), pod.qos.memory.numa_binding), (QosClass::Dedicated, NumaBinding::Bound), "what is right is kept");
}

#[test]
fn an_absurd_amount_is_told_and_counts_as_not_written() {
    let huge = "9".repeat(40);
    for (resources, problem) in [
        (json!({"requests": {"cpu": "-2", "memory": "1Gi"}}), "container c: cannot read resources.requests[cpu]".to_owned()),
        (json!({"requests": {"cpu": huge, "memory": "1Gi"}}), "container c: cannot read resources.requests[cpu]".to_owned()),
        (json!({"requests": {"cpu": "many", "memory": "1Gi"}}), "\"many\"".to_owned()),
        (json!({"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "1"}}), "resources.requests[cpu] is larger".to_owned()),
        (json!({"requests": {"memory": "1Gi"}, "limits": {"hugepages-2Mi": "3Mi"}}), "is no multiple".to_owned()),
        (json!({"requests": {"memory": "1Gi", "a.b/c": "1"}}), "resources.limits[a.b/c] is missing".to_owned()),
    ] {
        let pod = api(object(json!({}), resources.clone()));
        assert_eq!((pod.pod.cpu_request(), pod.pod.memory_request()), (MilliCpu::ZERO, Bytes::new(1 << 30)), "{resources}");
        assert_eq!(pod.problems.len(), 1, "{resources}: {:?}", pod.problems);
        assert!(pod.problems[0].contains(&problem), "{resources}: {:?}", pod.problems);
    }
    let twice = json!({
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"initContainers": [{"name": "a"}], "containers": [{"name": "a"}, {"name": "/"}, {}]},
    });
    let pod = api(twice);
    assert_eq!((pod.pod.containers.len(), pod.problems.len()), (1, 3), "{:?}", pod.problems);
    let mut grace = object(json!({}), json!({}));
    grace["spec"]["terminationGracePeriodSeconds"] = json!(-1);
    assert_eq!(api(grace).pod.grace, Duration::from_secs(30));
}

/// Any JSON, with names that a pod has.
fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "metadata",
        "spec",
        "status",
        "name",
        "uid",
        "annotations",
        "containers",
        "initContainers",
        "resources",
        "requests",
        "limits",
        "cpu",
        "hugepages-2Mi",
        "a.b/c",
        "phase",
        "containerStatuses",
        "containerID",
        "priority",
        "restartPolicy",
        CLASS,
        MEMORY,
        CPU,
        MIRROR,
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["", "1", "-1", "1e30", "containerd://x", "dedicated_cores", "{\"numa_binding\":true}", "Always", "p"])
            .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_the_reader_panic(value in any_json(), part in any_json(), source in prop::bool::ANY) {
        let source = if source { Source::Api } else { Source::Kubelet };
        let _ = read(value, source);
        for place in ["metadata", "spec", "status"] {
            let mut object = object(json!({(CLASS): "dedicated_cores"}), json!({"requests": {"cpu": "1"}}));
            object[place] = part.clone();
            let _ = read(object, source);
        }
        let mut object = object(json!({}), part);
        object["metadata"]["annotations"] = json!({(MEMORY): "{}"});
        let _ = read(object, source);
    }

    #[test]
    fn no_annotation_takes_a_pod_away(class in ".{0,20}", memory in ".{0,40}", cpu in ".{0,40}", amount in ".{0,20}") {
        let annotations = json!({(CLASS): class, (MEMORY): memory, (CPU): cpu});
        let found = read(object(annotations, json!({"requests": {"cpu": amount}})), Source::Api);
        prop_assert!(found.is_ok(), "{found:?}");
    }
}

#[test]
fn a_pod_belongs_to_the_workload_of_its_controller() {
    let owned = |owners: Value, labels: Value| {
        let mut object = object(json!({}), json!({}));
        object["metadata"]["ownerReferences"] = owners;
        object["metadata"]["labels"] = labels;
        api(object).pod.workload.map(String::from)
    };
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "uid": "x", "controller": true});
    let other = json!({"kind": "Backup", "name": "b", "controller": null});
    let hash = json!({"app": "web", "pod-template-hash": "5d4f"});
    for (owners, labels, expected) in [
        (json!([set]), hash.clone(), "ns/Deployment/web"),
        (json!([other, set]), hash.clone(), "ns/Deployment/web"),
        (json!([set]), json!({"pod-template-hash": null}), "ns/ReplicaSet/web-5d4f"),
        (json!([other]), hash, "ns/Pod/p"),
        (json!(null), json!(null), "ns/Pod/p"),
    ] {
        assert_eq!(owned(owners.clone(), labels.clone()).as_deref(), Some(expected), "{owners} {labels}");
    }
}

#[test]
fn a_static_pod_is_its_own_workload_for_api_server_and_kubelet_alike() {
    let mut mirror = object(json!({(MIRROR): "h", (HASH): "h"}), json!({}));
    mirror["metadata"]["ownerReferences"] = json!([{"kind": "Node", "name": "node-1", "controller": true}]);
    let of_kubelet = object(json!({(SOURCE): "file", (HASH): "h"}), json!({}));
    for (object, source) in [(mirror, Source::Api), (of_kubelet, Source::Kubelet)] {
        assert_eq!(read(object, source).unwrap().pod.workload.map(String::from).as_deref(), Some("ns/Pod/p"), "{source:?}");
    }
}
