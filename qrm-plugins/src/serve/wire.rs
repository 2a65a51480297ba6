//! Between the messages of the protocols and the values that are decided over. Pure.

mod annotations;
mod answer;
mod holdings;
mod request;

pub use annotations::flattened;
pub(super) use answer::{allocatable, allocations, container, given, hints};
pub(super) use holdings::{allocatable_of, memory_by_node, pod};
pub(super) use request::{container_name, pod_uid, request};

use crate::Amount;
use gleaner_crds::keys::resource;
use tonic::Status;

/// A field of a message that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {cause}")]
pub(super) struct Malformed {
    field: String,
    cause: String,
}

impl Malformed {
    fn new(field: impl Into<String>, cause: impl ToString) -> Self {
        Self { field: field.into(), cause: cause.to_string() }
    }
}

impl From<Malformed> for Status {
    fn from(malformed: Malformed) -> Self {
        Self::invalid_argument(malformed.to_string())
    }
}

/// How many of the wire's units are one of ours: lent CPU is counted in thousandths of a core there, everything in whole units here.
fn units(resource: &str) -> f64 {
    if resource == resource::RECLAIMED_MILLICPU { 1000.0 } else { 1.0 }
}

/// An amount in the wire's unit.
fn on_wire(resource: &str, amount: Amount) -> f64 {
    amount.get() * units(resource)
}

#[cfg(test)]
mod tests;
