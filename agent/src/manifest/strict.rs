//! Finds fields that a Pod does not have: a slip such as `comand` must not be passed over silently. The API server's strict validation does the same.

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

/// A line for each field of the manifest that is not in the object read from it.
pub(super) fn unknown_fields(text: &str, pod: &Pod) -> Vec<String> {
    let (Ok(written), Ok(known)) = (serde_saphyr::from_str::<Value>(text), serde_json::to_value(pod)) else { return Vec::new() };
    let mut unknown = Vec::new();
    compare(&written, &known, "", &mut unknown);
    unknown
}

fn compare(written: &Value, known: &Value, place: &str, unknown: &mut Vec<String>) {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            for (key, value) in written {
                let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                match known.get(key) {
                    Some(known) => compare(value, known, &place, unknown),
                    // What says nothing is left out when the object is written.
                    None if is_empty(value) => {}
                    None => unknown.push(format!("unknown field {place}")),
                }
            }
        }
        (Value::Array(written), Value::Array(known)) => {
            for (index, (value, known)) in written.iter().zip(known).enumerate() {
                compare(value, known, &format!("{place}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
