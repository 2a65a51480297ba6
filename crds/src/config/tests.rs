#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use serde_json::{Value, json};

use super::*;

/// As an administrator of Katalyst writes it, with settings unknown here.
fn katalyst_object() -> Value {
    json!({
        "apiVersion": "config.katalyst.kubewharf.io/v1alpha1",
        "kind": "AdminQoSConfiguration",
        "metadata": {"name": "default", "namespace": "katalyst-system"},
        "spec": {
            "nodeLabelSelector": "pool in (a,b)",
            "priority": 5,
            "paused": true,
            "revisionHistoryLimit": 3,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"canary": "20%"}},
            "config": {
                "reclaimedResourceConfig": {
                    "enableReclaim": true,
                    "reservedResourceForAllocate": {"cpu": "4", "memory": "5Gi"},
                },
                "evictionConfig": {
                    "dryRun": ["*"],
                    "cpuPressureEvictionConfig": {
                        "enableSuppressionEviction": true,
                        "maxSuppressionToleranceRate": 5.5,
                        "minSuppressionToleranceDuration": "5m0s",
                    },
                    "memoryPressureEvictionConfig": {"enableSystemLevelEviction": false},
                },
                "advisorConfig": {"cpuAdvisorConfig": {"allowSharedCoresOverlapReclaimedCores": true}},
                "gleaner": {"estimator": {"usageMargin": "20%"}},
            },
        },
        "status": {
            "targetNodes": 3, "canaryNodes": 2, "updatedTargetNodes": 1, "updatedNodes": 1, "currentHash": "ab",
            "collisionCount": 0, "observedGeneration": 4,
            "conditions": [{
                "type": "Valid", "status": "True", "lastTransitionTime": "2024-01-02T03:04:05Z", "reason": "Fine", "message": "fine",
            }],
        },
    })
}

#[test]
fn what_katalyst_declares_round_trips() {
    let object = katalyst_object();
    let read: AdminQosConfiguration = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), object);
}

#[test]
fn a_node_config_names_objects_and_keeps_what_is_unknown_in_its_spec() {
    let target = json!({
        "configType": {"group": GROUP, "version": VERSION, "resource": ADMIN_QOS_CONFIGURATIONS},
        "configNamespace": "katalyst-system",
        "configName": "default",
        "hash": "5f2a",
    });
    let object = json!({
        "apiVersion": "config.katalyst.kubewharf.io/v1alpha1",
        "kind": "CustomNodeConfig",
        "metadata": {"name": "node-1"},
        "spec": {"later": 1},
        "status": {"katalystCustomConfigList": [target.clone()], "serviceProfileConfigList": [target]},
    });
    let read: CustomNodeConfig = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(read.status.as_ref().unwrap().katalyst_custom_config_list[0].config_name, "default");
    assert_eq!(serde_json::to_value(&read).unwrap(), object);
}

#[test]
fn every_declared_object_keeps_what_is_not_declared() {
    for definition in definitions() {
        let name = definition.metadata.name.clone().unwrap_or_default();
        let schema = definition.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        let schema = serde_json::to_value(schema).unwrap();
        assert_eq!(schema.get("required"), None, "{name} takes objects without spec, as Katalyst's definition does");
        for part in ["spec", "status"] {
            let mut pruning = Vec::new();
            find_pruning(&schema["properties"][part], part, &mut pruning);
            assert_eq!(pruning, Vec::<String>::new(), "these parts of {name} would lose what others wrote");
        }
    }
}

/// Objects with declared fields that do not keep others.
fn find_pruning(schema: &Value, path: &str, found: &mut Vec<String>) {
    let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true || schema.get("additionalProperties").is_some();
    if schema["type"] == "object" && !keeps {
        found.push(path.to_owned());
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        find_pruning(inner, &format!("{path}.{key}"), found);
    }
    if let Some(items) = schema.get("items") {
        find_pruning(items, &format!("{path}[]"), found);
    }
}
