use gleaner_model::{QosClass, annotation};
use serde_json::Value;
use std::collections::BTreeMap;

const ENHANCEMENTS: [&str; 3] = [annotation::CPU_ENHANCEMENT, annotation::MEMORY_ENHANCEMENT, annotation::NETWORK_ENHANCEMENT];

/// The annotations of an answer, in Katalyst's manner: the class that the pod has, and every entry of the enhancements as a key of
/// its own. What else is on the pod is the caller's own and is not told back. An enhancement that is no JSON object has no entries here; whoever decides
/// has refused it before.
#[must_use]
pub fn flattened(annotations: &BTreeMap<String, String>, class: QosClass) -> BTreeMap<String, String> {
    let objects = ENHANCEMENTS.iter().filter_map(|key| serde_json::from_str::<BTreeMap<String, Value>>(annotations.get(*key)?).ok());
    let mut flat: BTreeMap<String, String> = objects.flatten().filter_map(|(key, value)| Some((key, text(&value)?))).collect();
    flat.insert(annotation::QOS_LEVEL.to_owned(), class.to_string());
    flat
}

/// The labels of an answer: the request's, with the class.
pub(super) fn labels(labels: &BTreeMap<String, String>, class: QosClass) -> BTreeMap<String, String> {
    let mut labels = labels.clone();
    labels.insert(annotation::QOS_LEVEL.to_owned(), class.to_string());
    labels
}

/// As the model reads them: texts, numbers and truth values.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
