#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::*;

/// As Katalyst's agent writes it, with a kind of zone and a policy unknown here.
fn katalyst_object() -> Value {
    json!({
        "apiVersion": "node.katalyst.kubewharf.io/v1alpha1",
        "kind": "CustomNodeResource",
        "metadata": {"name": "node-1"},
        "spec": {
            "nodeResourceProperties": [
                {"propertyName": "numa", "propertyValues": ["a", "b"]},
                {"propertyName": "nic", "propertyQuantity": "25G"},
            ],
            "taints": [
                {"key": "pressure", "value": "x", "effect": "NoSchedule", "qosLevel": "reclaimed_cores"},
            ],
        },
        "status": {
            "resources": {
                "allocatable": {"resource.katalyst.kubewharf.io/reclaimed_millicpu": "2k"},
                "capacity": {"resource.katalyst.kubewharf.io/reclaimed_millicpu": "4k"},
                "resourcePackages": [{"packageName": "x2", "allocatable": {"cpu": "8"}}],
                "resourcePools": [{"poolName": "p", "minAllocatable": {"cpu": "1"}, "maxAllocatable": {"cpu": "2"}}],
            },
            "topologyZone": [{
                "type": "Socket",
                "name": "0",
                "resources": {},
                "children": [{
                    "type": "Numa",
                    "name": "0",
                    "resources": {"capacity": {"cpu": "16"}},
                    "attributes": [{"name": "k", "value": "v"}],
                    "allocations": [{"consumer": "ns/pod/uid", "requests": {"cpu": "1500m"}}],
                    "siblings": [{"type": "Numa", "name": "1", "attributes": [{"name": "distance", "value": "21"}]}],
                    "children": [{"type": "Toaster", "name": "t", "resources": {}}],
                }],
            }],
            "topologyPolicy": "SingleNUMANodePodLevel",
            "conditions": [{
                "type": "AgentReady",
                "status": "True",
                "lastHeartbeatTime": "2024-01-02T03:04:05Z",
                "reason": "Fine",
                "message": "fine",
            }],
            "nodeMetricStatus": {
                "updateTime": "2024-01-02T03:04:05Z",
                "nodeMetric": {"genericUsage": {"cpu": "3"}},
                "groupMetric": [{
                    "QoSLevel": "shared_cores",
                    "numaUsage": [{"numaId": 0, "usage": {"cpu": "1", "memory": "1Gi"}}],
                    "podList": ["ns/pod"],
                }],
            },
        },
    })
}

#[test]
fn an_object_is_written_back_as_it_was_read() {
    let read: CustomNodeResource = serde_json::from_value(katalyst_object()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), katalyst_object());
}

#[test]
fn texts_unknown_here_are_kept() {
    let read: CustomNodeResource = serde_json::from_value(katalyst_object()).unwrap();
    let zone = &read.status.unwrap().topology_zone[0].children[0].children[0];
    assert_eq!(zone.type_, ZoneType::Other("Toaster".to_owned()));
    assert_eq!(ZoneType::from("Numa".to_owned()), ZoneType::Numa);
}

#[test]
fn the_least_status_has_what_readers_need() {
    let written = serde_json::to_value(CustomNodeResourceStatus::default()).unwrap();
    assert_eq!(written, json!({"resources": {}, "topologyPolicy": "None"}));
}

#[test]
fn a_heartbeat_that_go_left_empty_is_absent() {
    let condition = json!({"type": "AgentReady", "status": "Unknown", "lastHeartbeatTime": null});
    let read: CnrCondition = serde_json::from_value(condition).unwrap();
    assert_eq!(read.last_heartbeat_time, None);
}

#[test]
fn the_definition_has_katalysts_names() {
    let crd = serde_json::to_value(CustomNodeResource::crd()).unwrap();
    assert_eq!(crd["metadata"]["name"], "customnoderesources.node.katalyst.kubewharf.io");
    assert_eq!(crd["spec"]["scope"], "Cluster");
    assert_eq!(crd["spec"]["names"]["shortNames"], json!(["kcnr"]));
    assert_eq!(crd["spec"]["names"]["kind"], "CustomNodeResource");
    let version = &crd["spec"]["versions"][0];
    assert_eq!(version["name"], "v1alpha1");
    assert_eq!(version["subresources"]["status"], json!({}));
}

/// The API server refuses a definition in which a property has no type and does not say why, or that refers elsewhere.
fn untyped(schema: &Value, path: &str, found: &mut Vec<String>) {
    let known = schema.get("type").is_some()
        || schema["x-kubernetes-int-or-string"] == true
        || schema["x-kubernetes-preserve-unknown-fields"] == true;
    if !known || schema.get("$ref").is_some() || schema.get("anyOf").is_some() {
        found.push(path.to_owned());
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        untyped(property, &format!("{path}.{name}"), found);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            untyped(&schema[inner], &format!("{path}.{inner}"), found);
        }
    }
}

#[test]
fn amounts_are_checked_by_the_api_server() {
    let crd = serde_json::to_value(CustomNodeResource::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let amounts = &schema["properties"]["status"]["properties"]["resources"]["properties"]["allocatable"];
    let amount = &amounts["additionalProperties"];
    assert_eq!(amount["x-kubernetes-int-or-string"], true, "{amounts}");
    assert!(amount["pattern"].is_string(), "{amounts}");
}

#[test]
fn the_schema_is_structural() {
    let crd = serde_json::to_value(CustomNodeResource::crd()).unwrap();
    let mut found = Vec::new();
    untyped(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", &mut found);
    assert!(found.is_empty(), "properties without a type: {found:?}");
}
