//! What an object must be like to be kept.

use super::event;
use super::failure::Failure;
use super::quantity;
use super::resource::{EVENTS, EVENTS_V1, LEASES, NODES, PODS, Resource};
use super::schema::{prune, validate};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use k8s_openapi::api::events::v1 as events;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

/// An object as it is kept, and fields that were sent and are not.
pub(super) fn checked(
    resource: &Resource,
    schema: Option<&Value>,
    old: Option<&Value>,
    mut new: Value,
) -> Result<(Value, Vec<String>), Failure> {
    let name = new["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    quantity::normalise(resource, &mut new).map_err(|(field, text)| {
        Failure::bad(format!("{} in version {:?} cannot be handled: {field}: {text:?} is no quantity", resource.kind, resource.version))
    })?;
    let sent = new.clone();
    let typed = match *resource {
        NODES => typed::<Node>(new),
        PODS => typed::<Pod>(new),
        EVENTS => typed::<Event>(new),
        EVENTS_V1 => typed::<events::Event>(new),
        LEASES => typed::<Lease>(new),
        _ => Ok(new),
    };
    let mut kept =
        typed.map_err(|e| Failure::bad(format!("{} in version {:?} cannot be handled: {e}", resource.kind, resource.version)))?;
    let mut lost = Vec::new();
    missing(&sent, &kept, "", &mut lost);
    let invalid = |(field, why): (String, String)| Failure::invalid(resource, &name, &field, &why);
    if let Some(schema) = schema {
        prune(schema, &mut kept, "", &mut lost);
        validate(schema, &kept, "").map_err(invalid)?;
    }
    metadata(resource, &kept).map_err(invalid)?;
    match *resource {
        NODES => node(&kept).map_err(invalid)?,
        EVENTS => event::core(&kept).map_err(invalid)?,
        EVENTS_V1 => event::new(old, &kept).map_err(invalid)?,
        _ => {}
    }
    Ok((kept, lost))
}

/// Through the type and back: what the type does not know is lost, as it is in a server.
fn typed<T: DeserializeOwned + Serialize>(object: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(object)?)
}

fn missing(sent: &Value, kept: &Value, path: &str, lost: &mut Vec<String>) {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => {
            for (key, value) in sent.iter().filter(|(_, value)| !value.is_null()) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match kept.get(key) {
                    Some(kept) => missing(value, kept, &path, lost),
                    None => lost.push(path),
                }
            }
        }
        (Value::Array(sent), Value::Array(kept)) => {
            sent.iter().zip(kept).enumerate().for_each(|(at, (sent, kept))| missing(sent, kept, &format!("{path}[{at}]"), lost));
        }
        _ => {}
    }
}

type Wrong = Result<(), (String, String)>;

fn wrong(field: impl Into<String>, why: impl Into<String>) -> Wrong {
    Err((field.into(), why.into()))
}

fn metadata(resource: &Resource, object: &Value) -> Wrong {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if !is_subdomain(name) {
        return wrong("metadata.name", format!("{name:?} is no lowercase RFC 1123 subdomain"));
    }
    let texts = |list: &str| match &object["metadata"][list] {
        Value::Null => Ok(Vec::new()),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| value.as_str().map(|value| (key.clone(), value.to_owned())).ok_or(key.clone()))
            .collect::<Result<_, _>>()
            .map_err(|key| (format!("metadata.{list}[{key}]"), "no text".to_owned())),
        other => Err((format!("metadata.{list}"), format!("{other} is no map"))),
    };
    for (key, value) in texts("labels")? {
        if !is_qualified(&key) || !(value.is_empty() || is_name(&value, 63)) {
            return wrong(format!("metadata.labels[{key}]"), format!("{value:?} is no label"));
        }
    }
    let annotations = texts("annotations")?;
    if let Some((key, _)) = annotations.iter().find(|(key, _)| !is_qualified(&key.to_lowercase())) {
        return wrong("metadata.annotations", format!("{key:?} is no qualified name"));
    }
    if annotations.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > 256 * 1024 {
        return wrong("metadata.annotations", "may not be more than 262144 bytes");
    }
    if resource.namespaced && object["metadata"]["namespace"].as_str().is_none_or(str::is_empty) {
        return wrong("metadata.namespace", "required");
    }
    Ok(())
}

fn node(object: &Value) -> Wrong {
    for list in ["capacity", "allocatable"] {
        for (name, amount) in object["status"][list].as_object().into_iter().flatten() {
            let extended = name.contains('/') && !name.split('/').next().is_some_and(|domain| domain.ends_with("kubernetes.io"));
            if extended && !amount.as_str().is_some_and(quantity::is_whole) {
                return wrong(format!("status.{list}[{name}]"), format!("{amount}: must be an integer"));
            }
            if !is_qualified(name) {
                return wrong(format!("status.{list}[{name}]"), "no qualified name");
            }
        }
    }
    let mut seen = BTreeSet::new();
    for (at, taint) in object["spec"]["taints"].as_array().into_iter().flatten().enumerate() {
        let (key, effect) = (taint["key"].as_str().unwrap_or_default(), taint["effect"].as_str().unwrap_or_default());
        if !is_qualified(key) || !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
            return wrong(format!("spec.taints[{at}]"), format!("{taint} is no taint"));
        }
        if !seen.insert((key, effect)) {
            return wrong(format!("spec.taints[{at}]"), "taints must be unique by key and effect pair");
        }
    }
    Ok(())
}

/// Names of objects.
pub(super) fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

/// `domain/name`, or a name alone.
pub(super) fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_name(name, 63),
        None => is_name(text, 63),
    }
}

fn is_name(text: &str, longest: usize) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= longest
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}
