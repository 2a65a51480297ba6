//! Parts of the schema that cannot be derived, or whose derived form would repeat Kubernetes' own manual at every field.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::QosLevel;

/// The grammar of a quantity's text, as `crate::quantity` reads it, with the sign that other writers may use.
const QUANTITY: &str = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";

/// A quantity: a whole number or a text. Without `anyOf`, which the extension implies and kube's rewriter empties.
pub(super) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true, "pattern": QUANTITY})
}

/// Quantities by resource name.
pub(crate) fn resource_list(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "additionalProperties": quantity(generator)})
}

/// The four classes and no other: here an administrator writes, and a misspelt class would hold for no pod.
pub(super) fn qos_level(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": QosLevel::KNOWN})
}

/// Zones inside a zone, unchecked: a definition cannot refer to itself (kubernetes issue 62872).
pub(super) fn zones(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    })
}
