//! Writing: new objects, and changed ones.

use super::check::checked;
use super::failure::Failure;
use super::patch::patched;
use super::resource::{NODES, PODS, Resource};
use super::state::{Answer, Call, State};
use super::store::Key;
use k8s_openapi::jiff;
use serde_json::{Value, json};
use std::sync::Arc;

/// The time of day, as metadata has it.
pub(super) fn now() -> Value {
    json!(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Brings what an object says of itself in line with where it was sent.
fn place(call: &Call, object: &mut Value) -> Result<(), Failure> {
    let resource = &call.target.resource;
    let expected = [("kind", resource.kind.to_owned()), ("apiVersion", resource.api_version())];
    for (field, expected) in expected {
        match object[field].as_str() {
            Some(said) if said != expected => return Err(Failure::bad(format!("{field} is {said:?}, expected was {expected:?}"))),
            None if resource.is_custom() => return Err(Failure::bad(format!("Object '{field}' is missing"))),
            _ => object[field] = json!(expected),
        }
    }
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let namespace = call.target.namespace.as_deref();
    match (object["metadata"]["namespace"].as_str().filter(|said| !said.is_empty()), namespace) {
        (Some(said), wanted) if wanted.is_some_and(|wanted| wanted != said) => {
            Err(Failure::bad("the namespace of the provided object does not match the namespace sent on the request"))
        }
        (Some(_), None) => Err(Failure::bad("namespace is not allowed for an object of the cluster")),
        (None, Some(wanted)) => {
            object["metadata"]["namespace"] = json!(wanted);
            Ok(())
        }
        _ => Ok(()),
    }
}

pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let mut object = call.json()?;
    if call.target.name.is_some() || (call.target.resource.namespaced && call.target.namespace.is_none()) {
        return Err(Failure::method());
    }
    place(call, &mut object)?;
    let meta = &mut object["metadata"];
    if meta["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
        return Err(Failure::bad("resourceVersion should not be set on objects to be created"));
    }
    if meta["name"].as_str().is_none_or(str::is_empty) {
        let Some(prefix) = meta["generateName"].as_str().filter(|prefix| !prefix.is_empty()) else {
            return Err(Failure::invalid(&call.target.resource, "", "metadata.name", "name or generateName is required"));
        };
        let uid = state.store.uid();
        meta["name"] = json!(format!("{prefix}{}", &uid[uid.len() - 5..]));
    }
    let name = meta["name"].as_str().unwrap_or_default().to_owned();
    let key = Key { name: name.clone(), ..call.key() };
    if call.target.resource.status_subresource
        && let Some(fields) = object.as_object_mut()
    {
        // Not so of nodes: the kubelet registers with its status.
        fields.retain(|field, _| field != "status" || call.target.resource == NODES);
    }
    let object = fresh(state, &key.resource, object);
    let (object, lost) = checked(&key.resource, state.schema(&key.resource).as_deref(), None, object)?;
    dropped(state, call, &lost);
    if state.store.get(&key).is_some() {
        return Err(Failure::exists(&key.resource, &name));
    }
    if call.query.dry_run()? {
        return Ok((201, object));
    }
    Ok((201, Value::clone(&state.store.put(key, object))))
}

/// What the server gives to a new object.
pub(super) fn fresh(state: &mut State, resource: &Resource, mut object: Value) -> Value {
    let meta = &mut object["metadata"];
    meta["uid"] = json!(state.store.uid());
    meta["creationTimestamp"] = now();
    if resource.is_custom() {
        meta["generation"] = json!(1);
    }
    if let Some(fields) = meta.as_object_mut() {
        fields
            .retain(|field, _| !["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink"].contains(&field.as_str()));
    }
    object
}

fn dropped(state: &mut State, call: &Call, lost: &[String]) {
    if !lost.is_empty() {
        state.violations.push(format!("{} {}: unknown fields, which are not kept: {}", call.verb, call.target.rule(), lost.join(", ")));
    }
}

pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let mut object = call.json()?;
    let old = state.find(&call.key())?;
    place(call, &mut object)?;
    let said = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if said.is_empty() && !call.target.resource.replaced_blindly() {
        let key = call.key();
        return Err(Failure::invalid(&key.resource, &key.name, "metadata.resourceVersion", "must be specified for an update"));
    }
    settle(state, call, &old, object)
}

pub(super) fn patch(state: &mut State, call: &Call) -> Answer {
    let key = call.key();
    let old = state.find(&key)?;
    let mut object = patched(&key.resource, &key.name, &old, &call.content, &call.body)?;
    place(call, &mut object)?;
    settle(state, call, &old, object)
}

/// Keeps what the writer may change of an object.
fn settle(state: &mut State, call: &Call, old: &Arc<Value>, mut new: Value) -> Answer {
    let key = call.key();
    let (was, meta) = (&old["metadata"], &mut new["metadata"]);
    let said = |meta: &Value, field: &str| meta[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if said(meta, "name").is_some_and(|name| name != key.name) {
        return Err(Failure::bad("the name of the object does not match the name on the URL"));
    }
    if said(meta, "uid").is_some_and(|uid| was["uid"] != uid) {
        return Err(Failure::conflict(&key.resource, &key.name, "Precondition failed: UID in precondition is another one"));
    }
    if said(meta, "resourceVersion").is_some_and(|version| was["resourceVersion"] != version) {
        return Err(Failure::stale(&key.resource, &key.name));
    }
    let owned = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    for field in owned {
        keep(meta, was, field);
    }
    keep(meta, &Value::Null, "managedFields");
    scope(&key.resource, call.target.subresource.is_some(), old, &mut new);
    let (mut new, lost) = checked(&key.resource, state.schema(&key.resource).as_deref(), Some(old), new)?;
    dropped(state, call, &lost);
    renumber(&key.resource, Some(old), &mut new);
    if new == **old || call.query.dry_run()? {
        return Ok((200, new));
    }
    let ends = !new["metadata"]["deletionTimestamp"].is_null() && no_finalizers(&new) && !no_finalizers(old);
    let kept = state.store.put(key.clone(), new);
    if ends && key.resource != PODS {
        state.store.remove(&key);
    }
    Ok((200, Value::clone(&kept)))
}

pub(super) fn no_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
}

/// Gives a field the value that it has elsewhere, if it has one there.
fn keep(into: &mut Value, from: &Value, field: &str) {
    let Some(fields) = into.as_object_mut() else { return };
    match from.get(field) {
        Some(value) => drop(fields.insert(field.to_owned(), value.clone())),
        None => drop(fields.remove(field)),
    }
}

/// Takes back what this path cannot change: the status through the object, all but the status through `/status`.
fn scope(resource: &Resource, status: bool, old: &Value, new: &mut Value) {
    match (status, resource.status_subresource, resource.is_custom()) {
        (true, _, true) => {
            let status = new.get("status").cloned();
            *new = old.clone();
            keep(new, &status.map_or(json!({}), |status| json!({"status": status})), "status");
        }
        (true, _, false) => keep(new, old, "spec"),
        (false, true, _) => keep(new, old, "status"),
        (false, false, _) => {}
    }
}

/// Gives an object the next generation when it is to be another way than before.
pub(super) fn renumber(resource: &Resource, old: Option<&Arc<Value>>, new: &mut Value) {
    let Some(old) = old.filter(|old| resource.is_custom() && intent(resource, old) != intent(resource, new)) else { return };
    let generation = old["metadata"]["generation"].as_u64().unwrap_or(1);
    new["metadata"]["generation"] = json!(generation + 1);
}

/// What of an object says how it is to be.
fn intent(resource: &Resource, object: &Value) -> Value {
    let mut intent = object.clone();
    if let Some(fields) = intent.as_object_mut() {
        fields.retain(|field, _| field != "metadata" && !(field == "status" && resource.status_subresource));
    }
    intent
}
