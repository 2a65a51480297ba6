//! A pod's annotations in one flat map.

use gleaner_model::{QosSpec, annotation};
use serde_json::Value;
use std::collections::BTreeMap;

/// The annotations of an answer: the QoS class, and every key of the enhancements beside it, as other agents of the node read them. What
/// is no JSON object of plain values is left out; the class is that of `spec`.
#[must_use]
pub fn flattened(annotations: &BTreeMap<String, String>, spec: &QosSpec) -> BTreeMap<String, String> {
    let enhancements = [annotation::CPU_ENHANCEMENT, annotation::MEMORY_ENHANCEMENT, annotation::NETWORK_ENHANCEMENT];
    let texts = enhancements.into_iter().filter_map(|key| annotations.get(key));
    let objects = texts.filter_map(|text| serde_json::from_str::<BTreeMap<String, Value>>(text).ok());
    let mut flat: BTreeMap<String, String> = objects.flatten().filter_map(|(key, value)| Some((key, plain(value)?))).collect();
    flat.insert(annotation::QOS_LEVEL.to_owned(), spec.class.to_string());
    flat
}

fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
