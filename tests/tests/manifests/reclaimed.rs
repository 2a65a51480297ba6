//! The mutating policy beside the reader of amounts: what a reclaimed pod asks for natively is what it asks for of what is lent.

use crate::files::{documents, root};
use crate::policy::Policy;
use gleaner_crds::reclaimed::{ContainerAmounts, Declared, container_amounts};
use gleaner_crds::{keys::resource, quantity};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const FILE: &str = "mutating-v1beta1/policy.yaml";

thread_local! {
    static POLICY: Policy = Policy::read(FILE);
}

fn pod(class: &str, containers: &[Value], init: &[Value]) -> Value {
    let list = |all: &[Value]| all.iter().map(|resources| json!({"name": "c", "image": "i", "resources": resources})).collect::<Vec<_>>();
    let mut pod = json!({
        "metadata": {"name": "p", "annotations": {"katalyst.kubewharf.io/qos_level": class}},
        "spec": {"containers": list(containers)},
    });
    if !init.is_empty() {
        pod["spec"]["initContainers"] = list(init).into();
    }
    pod
}

/// As much of RFC 6902 as the policy uses; what would be an error there fails the test.
fn patched(mut object: Value) -> Value {
    let patch = POLICY.with(|policy| policy.patch(&object));
    for operation in patch.as_array().unwrap() {
        let (folder, name) = operation["path"].as_str().unwrap().rsplit_once('/').unwrap();
        let parent = object.pointer_mut(folder).and_then(Value::as_object_mut).unwrap_or_else(|| panic!("{operation} has no place"));
        let name = name.replace("~1", "/");
        match operation["op"].as_str().unwrap() {
            "add" => assert_eq!(parent.insert(name, operation["value"].clone()), None, "{operation} writes over something"),
            "remove" => assert!(parent.remove(&name).is_some(), "{operation} removes nothing"),
            other => panic!("{other}"),
        }
    }
    object
}

fn resources(container: &Value) -> k8s_openapi::api::core::v1::ResourceRequirements {
    serde_json::from_value(container["resources"].clone()).unwrap()
}

fn amounts(container: &Value) -> ContainerAmounts {
    container_amounts(&resources(container)).unwrap()
}

fn both<T: Copy>(amount: Option<T>) -> Declared<T> {
    Declared { request: amount, limit: amount }
}

/// What the container must ask for afterwards.
fn lent(before: ContainerAmounts) -> ContainerAmounts {
    let native_cpu = before.cpu.effective_request();
    let native_memory = before.memory.effective_request();
    ContainerAmounts {
        cpu: both(None),
        memory: both(None),
        reclaimed_cpu: if native_cpu.is_some() {
            both(before.reclaimed_cpu.effective_request().or(native_cpu))
        } else {
            before.reclaimed_cpu
        },
        reclaimed_memory: match native_memory {
            Some(_) => both(before.reclaimed_memory.effective_request().or(native_memory)),
            None => before.reclaimed_memory,
        },
    }
}

fn check(before: &Value) {
    let after = patched(before.clone());
    for list in ["containers", "initContainers"] {
        let of = |pod: &Value| pod["spec"][list].as_array().cloned().unwrap_or_default();
        for (before, after) in of(before).iter().zip(of(&after)) {
            assert_eq!(amounts(&after), lent(amounts(before)), "\nbefore {before}\nafter  {after}");
            assert_eq!(rest(before), rest(&after), "nothing else changes");
        }
    }
    assert_eq!(patched(after.clone()), after, "a second time changes nothing");
}

/// The container without what the policy is about, and without lists that are empty then.
fn rest(container: &Value) -> Value {
    let mut container = container.clone();
    for list in ["requests", "limits"] {
        if let Some(amounts) = container["resources"].get_mut(list).and_then(Value::as_object_mut) {
            for name in [resource::CPU, resource::MEMORY, resource::RECLAIMED_MILLICPU, resource::RECLAIMED_MEMORY] {
                amounts.remove(name);
            }
            if amounts.is_empty() {
                container["resources"].as_object_mut().unwrap().remove(list);
            }
        }
    }
    container
}

#[test]
fn native_amounts_become_lent_ones() {
    let pod = pod(
        "reclaimed_cores",
        &[
            json!({"requests": {"cpu": "1500m", "memory": "1Gi", "ephemeral-storage": "1Gi"}, "limits": {"cpu": "2", "nvidia.com/gpu": "1"}}),
        ],
        &[json!({"limits": {"cpu": "0.5"}}), json!({}), json!({"requests": {"memory": "1.5Ki"}})],
    );
    check(&pod);
    let after = patched(pod);
    assert_eq!(
        after["spec"]["containers"][0]["resources"],
        json!({
            "requests": {resource::RECLAIMED_MILLICPU: "1500", resource::RECLAIMED_MEMORY: "1073741824", "ephemeral-storage": "1Gi"},
            "limits": {resource::RECLAIMED_MILLICPU: "1500", resource::RECLAIMED_MEMORY: "1073741824", "nvidia.com/gpu": "1"},
        })
    );
    let half = json!({resource::RECLAIMED_MILLICPU: "500"});
    assert_eq!(after["spec"]["initContainers"][0]["resources"], json!({"requests": half, "limits": half}));
    assert_eq!(after["spec"]["initContainers"][1]["resources"], json!({}));
    assert_eq!(after["spec"]["initContainers"][2]["resources"]["limits"][resource::RECLAIMED_MEMORY], "1536");
}

#[test]
fn lent_amounts_that_are_written_stay() {
    let written = json!({resource::RECLAIMED_MILLICPU: "2k", resource::RECLAIMED_MEMORY: "1Gi"});
    let only_lent = pod("reclaimed_cores", &[json!({"requests": written, "limits": written})], &[]);
    assert_eq!(POLICY.with(|policy| policy.patch(&only_lent)), json!([]));
    let mut both = written.clone();
    both["cpu"] = "1".into();
    let mixed = pod("reclaimed_cores", &[json!({"requests": both})], &[]);
    check(&mixed);
    assert_eq!(patched(mixed)["spec"]["containers"][0]["resources"]["limits"], json!({resource::RECLAIMED_MILLICPU: "2k"}));
}

#[test]
fn only_reclaimed_pods_are_meant() {
    let meant = |object: &Value| POLICY.with(|policy| policy.is_meant(object, None));
    let amount = json!({"requests": {"cpu": "1"}});
    assert!(meant(&pod("reclaimed_cores", std::slice::from_ref(&amount), &[])));
    for class in ["shared_cores", "", "reclaimed_core"] {
        assert!(!meant(&pod(class, std::slice::from_ref(&amount), &[])), "{class}");
    }
    assert!(!meant(&json!({"metadata": {}, "spec": {"containers": []}})));
    assert!(!meant(&pod("reclaimed_cores", &vec![amount; 33], &[])), "more containers than there are places");
}

/// The versions of the API differ in their name alone.
#[test]
fn all_versions_of_the_policy_are_the_same() {
    for name in ["policy.yaml", "binding.yaml"] {
        let of = |version: &str| {
            let mut object = documents(&root().join(format!("manifests/admission/mutating-{version}/{name}"))).remove(0);
            assert_eq!(object["apiVersion"], format!("admissionregistration.k8s.io/{version}"), "{name}");
            object["apiVersion"].take();
            object
        };
        assert_eq!(of("v1alpha1"), of("v1beta1"), "{name}");
        assert_eq!(of("v1"), of("v1beta1"), "{name}");
    }
}

fn some_resources() -> impl Strategy<Value = Value> {
    // As the API server hands them on: of CPU whole thousandths.
    let cpu = "[0-9]{1,2}|[0-9]{1,5}m|[0-9]\\.[0-9]{1,3}|[1-9]k|[1-3]e2|0|100";
    let memory = "[0-9]{1,3}(Ki|Mi|Gi|Ti|M|G|k)?|[0-9]\\.[0-9]{1,2}(Mi|Gi|G)|[0-9]{3}m|1e9";
    let list = (prop::option::of(cpu), prop::option::of(memory), prop::option::of("[1-9][0-9]{0,3}|2k"), prop::option::of("[1-9]Gi"));
    let list = list.prop_map(|(cpu, memory, lent_cpu, lent_memory)| {
        let names = [resource::CPU, resource::MEMORY, resource::RECLAIMED_MILLICPU, resource::RECLAIMED_MEMORY];
        let pairs = names.into_iter().zip([cpu, memory, lent_cpu, lent_memory]);
        Value::Object(pairs.filter_map(|(name, amount)| Some((name.to_owned(), amount?.into()))).collect::<Map<_, _>>())
    });
    (prop::option::of(list.clone()), prop::option::of(list)).prop_map(|(requests, limits)| {
        let lists = [("requests", requests), ("limits", limits)];
        Value::Object(lists.into_iter().filter_map(|(name, list)| Some((name.to_owned(), list?))).collect())
    })
}

/// Requests and limits of what is lent that contradict each other are refused by the API server in any case.
fn is_consistent(resources: &Value) -> bool {
    [resource::RECLAIMED_MILLICPU, resource::RECLAIMED_MEMORY].into_iter().all(|name| {
        let amount = |list: &str| resources[list][name].as_str().map(|text| quantity::value(text).unwrap());
        amount("requests").is_none() || amount("limits").is_none() || amount("requests") == amount("limits")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_pod_asks_for_as_much_as_before(
        containers in prop::collection::vec(some_resources().prop_filter("contradiction", is_consistent), 1..4),
        init in prop::collection::vec(some_resources().prop_filter("contradiction", is_consistent), 0..3),
    ) {
        check(&pod("reclaimed_cores", &containers, &init));
    }
}
