//! Messages about one container.

use super::super::*;
use super::{allocation, assert_wire, hint, hints};
use crate::wire::{Field, entry, inner, inner_entry, one, raw_entry, text, truth};

/// Fields 1 to 8 of all messages about a container, and the rest.
fn with_head(rest: impl IntoIterator<Item = Field>) -> Vec<Field> {
    let head = [
        text(1, "uid"),
        text(2, "namespace"),
        text(3, "name"),
        text(4, "container"),
        Field::Number(5, 2),
        Field::Number(6, 7),
        text(7, "role"),
        text(8, "type"),
    ];
    head.into_iter().chain(rest).collect()
}

fn request() -> ResourceRequest {
    ResourceRequest {
        pod_uid: "uid".to_owned(),
        pod_namespace: "namespace".to_owned(),
        pod_name: "name".to_owned(),
        container_name: "container".to_owned(),
        container_type: ContainerType::Sidecar.into(),
        container_index: 7,
        pod_role: "role".to_owned(),
        pod_type: "type".to_owned(),
        resource_name: "cpu".to_owned(),
        hint: Some(hint()),
        resource_requests: one("cpu", 1.0),
        labels: one("l", "1".to_owned()),
        annotations: one("a", "2".to_owned()),
        native_qos_class: "Burstable".to_owned(),
        runtime_class: "kata".to_owned(),
    }
}

#[test]
fn a_request_for_a_container() {
    // 1.0 as a double in field 2 of the entry.
    let one_core = [0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
    let rest = [
        text(9, "cpu"),
        inner(10, &hint()),
        raw_entry(11, "cpu", &one_core),
        entry(12, "l", "1"),
        entry(13, "a", "2"),
        text(14, "Burstable"),
        text(15, "kata"),
    ];
    assert_wire(&request(), &with_head(rest));
}

#[test]
fn hints_for_a_container() {
    let from = request();
    let response = ResourceHintsResponse {
        pod_uid: from.pod_uid,
        pod_namespace: from.pod_namespace,
        pod_name: from.pod_name,
        container_name: from.container_name,
        container_type: from.container_type,
        container_index: from.container_index,
        pod_role: from.pod_role,
        pod_type: from.pod_type,
        resource_name: from.resource_name,
        resource_hints: one("cpu", hints()),
        labels: from.labels,
        annotations: from.annotations,
        native_qos_class: from.native_qos_class,
    };
    let rest = [text(9, "cpu"), inner_entry(10, "cpu", &hints()), entry(11, "l", "1"), entry(12, "a", "2"), text(13, "Burstable")];
    assert_wire(&response, &with_head(rest));
}

#[test]
fn an_allocation_for_a_container() {
    let from = request();
    let response = ResourceAllocationResponse {
        pod_uid: from.pod_uid,
        pod_namespace: from.pod_namespace,
        pod_name: from.pod_name,
        container_name: from.container_name,
        container_type: from.container_type,
        container_index: from.container_index,
        pod_role: from.pod_role,
        pod_type: from.pod_type,
        resource_name: from.resource_name,
        allocation_result: Some(allocation()),
        labels: from.labels,
        annotations: from.annotations,
        native_qos_class: from.native_qos_class,
    };
    let rest = [text(9, "cpu"), inner(10, &allocation()), entry(11, "l", "1"), entry(12, "a", "2"), text(13, "Burstable")];
    assert_wire(&response, &with_head(rest));
}

#[test]
fn hints_for_a_containers_devices() {
    let from = request();
    let response = AssociatedDeviceHintsResponse {
        pod_uid: from.pod_uid,
        pod_namespace: from.pod_namespace,
        pod_name: from.pod_name,
        container_name: from.container_name,
        container_type: from.container_type,
        container_index: from.container_index,
        pod_role: from.pod_role,
        pod_type: from.pod_type,
        device_name: "nvidia.com/gpu".to_owned(),
        device_hints: Some(hints()),
        labels: from.labels,
        annotations: from.annotations,
    };
    let rest = [text(9, "nvidia.com/gpu"), inner(10, &hints()), entry(11, "l", "1"), entry(12, "a", "2")];
    assert_wire(&response, &with_head(rest));
}

#[test]
fn a_request_for_a_containers_devices() {
    let device = DeviceRequest {
        device_name: "gpu".to_owned(),
        hint: Some(hint()),
        available_devices: vec!["0".to_owned()],
        reusable_devices: vec!["1".to_owned()],
        device_request: 4,
    };
    assert_wire(&device, &[text(1, "gpu"), inner(2, &hint()), text(3, "0"), text(4, "1"), Field::Number(5, 4)]);
    let message = AssociatedDeviceRequest {
        resource_request: Some(request()),
        device_request: vec![device.clone()],
        accompany_resource_name: "sriov".to_owned(),
        device_name: "gpu".to_owned(),
    };
    assert_wire(&message, &[inner(1, &request()), inner(2, &device), text(3, "sriov"), text(4, "gpu")]);

    let chosen = AssociatedDeviceAllocation { allocated_devices: vec!["0".to_owned()] };
    assert_wire(&chosen, &[text(1, "0")]);
    let response = AssociatedDeviceAllocationResponse { allocation_result: Some(chosen.clone()) };
    assert_wire(&response, &[inner(1, &chosen)]);
}

#[test]
fn a_hint() {
    // Node ids are packed: one field with both.
    assert_wire(&hint(), &[Field::Bytes(1, vec![1, 3]), truth(2)]);
    assert_wire(&hints(), &[inner(1, &hint())]);
}

#[test]
fn a_call_before_start() {
    let message = PreStartContainerRequest {
        pod_uid: "uid".to_owned(),
        pod_namespace: "namespace".to_owned(),
        pod_name: "name".to_owned(),
        container_name: "container".to_owned(),
    };
    assert_wire(&message, &[text(1, "uid"), text(2, "namespace"), text(3, "name"), text(4, "container")]);
}

#[test]
fn the_numbers_of_the_enumerations() {
    use ContainerType::{Ephemeral, Init, Main, Sidecar};
    let types = [Init, Main, Sidecar, Ephemeral].map(i32::from);
    assert_eq!(types, [0, 1, 2, 3]);
    assert_eq!([TopologyLevel::Numa, TopologyLevel::Socket].map(i32::from), [0, 1]);
}
