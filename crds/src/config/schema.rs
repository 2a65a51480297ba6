//! Parts of the schema that cannot be derived.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Any object.
pub(super) fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// How many nodes are updated first: a number or a percentage. Katalyst's pattern.
pub(super) fn canary(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true, "pattern": r"^(100|[1-9][0-9]?|0)%$"})
}

/// A ratio that may exceed 1.
pub(super) fn ratio(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "number", "minimum": 0})
}
