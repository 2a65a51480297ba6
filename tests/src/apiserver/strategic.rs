//! Strategic merge patches: as merge patches, but some lists are merged item by item, by a key that their type names.

use super::failure::Failure;
use super::resource::{NODES, PODS, Resource};
use serde_json::{Map, Value};

/// How a list is merged. A list that is not among these is replaced as a whole; so are a node's taints and a pod's tolerations.
const LISTS: [(Option<Resource>, &str, &str); 15] = [
    (None, "metadata.ownerReferences", "uid"),
    (None, "metadata.finalizers", ""),
    (Some(NODES), "spec.podCIDRs", ""),
    (Some(NODES), "status.conditions", "type"),
    (Some(NODES), "status.addresses", "type"),
    (Some(PODS), "status.conditions", "type"),
    (Some(PODS), "status.podIPs", "ip"),
    (Some(PODS), "status.hostIPs", "ip"),
    (Some(PODS), "spec.containers", "name"),
    (Some(PODS), "spec.initContainers", "name"),
    (Some(PODS), "spec.ephemeralContainers", "name"),
    (Some(PODS), "spec.volumes", "name"),
    (Some(PODS), "spec.imagePullSecrets", "name"),
    (Some(PODS), "spec.hostAliases", "ip"),
    (Some(PODS), "spec.containers.env", "name"),
];

/// Brings a patch into an object.
pub(super) fn merge(target: &mut Value, patch: &Value, resource: &Resource) -> Result<(), Failure> {
    object(target, patch, resource, "")
}

fn key_of(resource: &Resource, path: &str) -> Option<&'static str> {
    LISTS.iter().find(|(of, list, _)| *list == path && of.is_none_or(|of| of == *resource)).map(|(_, _, key)| *key)
}

fn object(target: &mut Value, patch: &Value, resource: &Resource, path: &str) -> Result<(), Failure> {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match fields.get("$patch").and_then(Value::as_str) {
        None => {}
        Some("replace") => *target = Value::Object(Map::new()),
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some(other) => return Err(Failure::bad(format!("unknown $patch {other:?} at {path:?}"))),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(old) = target else { return Ok(()) };
    for (key, value) in fields.iter().filter(|(key, _)| !key.starts_with('$')) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (value, key_of(resource, &path)) {
            (Value::Null, _) => drop(old.remove(key)),
            (Value::Array(items), Some(by)) => list(old.entry(key.clone()).or_insert(Value::Null), items, by, resource, &path)?,
            (value, _) => object(old.entry(key.clone()).or_insert(Value::Null), value, resource, &path)?,
        }
    }
    fields
        .iter()
        .filter(|(key, _)| key.starts_with('$') && *key != "$patch")
        .try_for_each(|(key, value)| directive(old, key, value, resource, path))
}

/// `$deleteFromPrimitiveList/NAME` and `$setElementOrder/NAME`.
fn directive(old: &mut Map<String, Value>, directive: &str, value: &Value, resource: &Resource, path: &str) -> Result<(), Failure> {
    let unknown = || Failure::bad(format!("unknown directive {directive:?} at {path:?}"));
    let (verb, name) = directive.split_once('/').ok_or_else(unknown)?;
    let named = value.as_array().ok_or_else(unknown)?;
    let Some(Value::Array(items)) = old.get_mut(name) else { return Ok(()) };
    match verb {
        "$deleteFromPrimitiveList" => items.retain(|item| !named.contains(item)),
        "$setElementOrder" => {
            let by = key_of(resource, &if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }).ok_or_else(unknown)?;
            let same = |a: &Value, b: &Value| if by.is_empty() { a == b } else { a[by] == b[by] };
            // What is not named keeps its place behind those that are.
            items.sort_by_key(|item| named.iter().position(|other| same(item, other)).unwrap_or(named.len()));
        }
        _ => return Err(unknown()),
    }
    Ok(())
}

fn list(target: &mut Value, patch: &[Value], by: &str, resource: &Resource, path: &str) -> Result<(), Failure> {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Value::Array(old) = target else { return Ok(()) };
    if patch.iter().any(|item| item["$patch"] == "replace") {
        *old = patch.iter().filter(|item| item.get("$patch").is_none()).cloned().collect();
        return Ok(());
    }
    for item in patch {
        if by.is_empty() {
            if !old.contains(item) {
                old.push(item.clone());
            }
            continue;
        }
        let key = item.get(by).ok_or_else(|| Failure::bad(format!("map: {item} does not contain declared merge key: {by}")))?;
        let at = old.iter().position(|each| each.get(by) == Some(key));
        match (at, item["$patch"] == "delete") {
            (Some(at), true) => drop(old.remove(at)),
            (None, true) => {}
            (Some(at), false) => object(&mut old[at], item, resource, path)?,
            (None, false) => {
                let mut new = Value::Object(Map::new());
                object(&mut new, item, resource, path)?;
                old.push(new);
            }
        }
    }
    Ok(())
}
