//! Field numbers, wire types and paths, held against kubewharf's protocol; none of it comes from the generated code.

mod container;
mod inventory;
mod paths;
mod pod;

use super::*;
use crate::wire::{Field, one, read_fields};

pub(super) fn hint() -> TopologyHint {
    TopologyHint { nodes: vec![1, 3], preferred: true }
}

pub(super) fn hints() -> ListOfTopologyHints {
    ListOfTopologyHints { hints: vec![hint()] }
}

pub(super) fn allocation() -> ResourceAllocation {
    let info = ResourceAllocationInfo { oci_property_name: "CpusetCpus".to_owned(), ..Default::default() };
    ResourceAllocation { resource_allocation: one("cpu", info) }
}

/// Compares the raw fields of a message with those expected.
pub(super) fn assert_wire(message: &impl prost::Message, expected: &[Field]) {
    let found = read_fields(&message.encode_to_vec());
    assert_eq!(found, expected, "left: fields found, right: fields of the protocol");
}
