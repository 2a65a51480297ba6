#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::error::Error as _;

use k8s_openapi::api::core::v1::ResourceRequirements;

use super::{Declared, container_amounts, reclaimed_cpu};
use crate::quantity::{MilliValue, WholeValue};

fn resources(json: serde_json::Value) -> ResourceRequirements {
    serde_json::from_value(json).expect("resources of a container")
}

#[test]
fn all_amounts_are_read_in_their_units() {
    let amounts = container_amounts(&resources(serde_json::json!({
        "requests": {
            "cpu": "1500m",
            "memory": "1Gi",
            "resource.katalyst.kubewharf.io/reclaimed_millicpu": "2k",
            "resource.katalyst.kubewharf.io/reclaimed_memory": "4Gi",
            "nvidia.com/gpu": "not read at all",
        },
        "limits": {
            "cpu": 2,
            "resource.katalyst.kubewharf.io/reclaimed_millicpu": 500,
        },
    })));
    let amounts = amounts.unwrap();
    assert_eq!(amounts.cpu, Declared { request: Some(MilliValue::new(1500)), limit: Some(MilliValue::new(2000)) });
    assert_eq!(amounts.memory, Declared { request: Some(WholeValue::new(1 << 30)), limit: None });
    assert_eq!(amounts.reclaimed_cpu, Declared { request: Some(MilliValue::new(2000)), limit: Some(MilliValue::new(500)) });
    assert_eq!(amounts.reclaimed_memory, Declared { request: Some(WholeValue::new(4 << 30)), limit: None });
}

#[test]
fn an_absent_amount_is_not_zero() {
    let amounts = container_amounts(&resources(serde_json::json!({"requests": {"cpu": "0"}}))).unwrap();
    assert_eq!(amounts.cpu.request, Some(MilliValue::new(0)));
    assert!(!amounts.cpu.is_absent());
    assert!(amounts.memory.is_absent());
    assert!(container_amounts(&ResourceRequirements::default()).unwrap().cpu.is_absent());
}

#[test]
fn a_lone_limit_is_the_request_too() {
    let cpu = reclaimed_cpu(&resources(serde_json::json!({
        "limits": {"resource.katalyst.kubewharf.io/reclaimed_millicpu": "3k"},
    })));
    assert_eq!(cpu.unwrap().effective_request(), Some(MilliValue::new(3000)));
}

#[test]
fn a_bad_amount_is_named_with_its_place_and_cause() {
    let error = container_amounts(&resources(serde_json::json!({"limits": {"memory": "1gi"}}))).unwrap_err();
    assert_eq!(error.to_string(), r#"cannot read resources.limits[memory] = "1gi""#);
    let cause = error.source().expect("a cause").to_string();
    assert!(cause.starts_with("unknown suffix"), "{cause}");
}
