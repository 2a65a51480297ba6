//! Messages about whole pods.

use super::super::*;
use super::{allocation, assert_wire, hint, hints};
use crate::wire::{Field, entry, inner, inner_entry, one, raw_entry, text};

/// Fields 1 to 6 of all messages about a pod, and the rest.
fn with_head(rest: impl IntoIterator<Item = Field>) -> Vec<Field> {
    let head = [text(1, "uid"), text(2, "namespace"), text(3, "name"), text(4, "role"), text(5, "type"), text(6, "cpu")];
    head.into_iter().chain(rest).collect()
}

fn request() -> PodResourceRequest {
    PodResourceRequest {
        pod_uid: "uid".to_owned(),
        pod_namespace: "namespace".to_owned(),
        pod_name: "name".to_owned(),
        pod_role: "role".to_owned(),
        pod_type: "type".to_owned(),
        resource_name: "cpu".to_owned(),
        hint: Some(hint()),
        resource_requests: one("cpu", 1.0),
        labels: one("l", "1".to_owned()),
        annotations: one("a", "2".to_owned()),
    }
}

#[test]
fn a_request_for_a_pod() {
    // 1.0 as a double in field 2 of the entry.
    let one_core = [0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
    let rest = [inner(7, &hint()), raw_entry(8, "cpu", &one_core), entry(9, "l", "1"), entry(10, "a", "2")];
    assert_wire(&request(), &with_head(rest));
}

#[test]
fn hints_for_a_pod() {
    let from = request();
    let response = PodResourceHintsResponse {
        pod_uid: from.pod_uid,
        pod_namespace: from.pod_namespace,
        pod_name: from.pod_name,
        pod_role: from.pod_role,
        pod_type: from.pod_type,
        resource_name: from.resource_name,
        resource_hints: one("cpu", hints()),
        labels: from.labels,
        annotations: from.annotations,
    };
    assert_wire(&response, &with_head([inner_entry(7, "cpu", &hints()), entry(8, "l", "1"), entry(9, "a", "2")]));
}

#[test]
fn an_allocation_for_a_pod() {
    let from = request();
    let response = PodResourceAllocationResponse {
        pod_uid: from.pod_uid,
        pod_namespace: from.pod_namespace,
        pod_name: from.pod_name,
        pod_role: from.pod_role,
        pod_type: from.pod_type,
        resource_name: from.resource_name,
        allocation_result: Some(allocation()),
        labels: from.labels,
        annotations: from.annotations,
    };
    assert_wire(&response, &with_head([inner(7, &allocation()), entry(8, "l", "1"), entry(9, "a", "2")]));
}

#[test]
fn a_removal() {
    assert_wire(&RemovePodRequest { pod_uid: "uid".to_owned() }, &[text(1, "uid")]);
}
