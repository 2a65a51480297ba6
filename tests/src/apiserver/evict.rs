//! Evictions, and the budgets that hold against them.

use super::delete::{Options, end};
use super::failure::Failure;
use super::selector::Selector;
use super::state::{Answer, Call, State};
use serde_json::{Value, json};
use std::time::Duration;

/// When a pod that was evicted or deleted is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grace {
    /// At once, after watches have seen it ending.
    #[default]
    AtOnce,
    /// After this time, whatever was asked for.
    After(Duration),
    /// When the test says so.
    Held,
}

/// How many pods of a namespace may still be disrupted.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) selector: Selector,
    pub(super) allowed: usize,
}

pub(super) fn evict(state: &mut State, call: &Call) -> Answer {
    let (key, body) = (call.key(), call.json()?);
    for (field, expected) in [("kind", "Eviction"), ("apiVersion", "policy/v1")] {
        if body[field].as_str().is_some_and(|said| said != expected) {
            return Err(Failure::bad(format!("{field} is {}, expected was {expected:?}", body[field])));
        }
    }
    let known = ["kind", "apiVersion", "metadata", "deleteOptions"];
    for (field, value) in body.as_object().into_iter().flatten().filter(|(field, _)| !known.contains(&field.as_str())) {
        // A server passes over what it does not know, and with it over a precondition.
        if !value.is_null() {
            state.violations.push(format!("create pods/eviction: unknown field {field:?}, which is passed over"));
        }
    }
    if body["metadata"]["name"] != key.name {
        return Err(Failure::bad("name in URL does not match name in Eviction object"));
    }
    if body["metadata"]["namespace"].as_str().is_some_and(|namespace| !namespace.is_empty() && namespace != key.namespace) {
        return Err(Failure::bad("namespace in URL does not match namespace in Eviction object"));
    }
    let options = Options::read(&body["deleteOptions"])?;
    let pod = state.find(&key)?;
    options.meant(&key, &pod)?;
    let dry_run = options.dry_run || call.query.dry_run()?;
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    let counts = !["Succeeded", "Failed", "Pending"].contains(&phase) && pod["metadata"]["deletionTimestamp"].is_null();
    if counts {
        charge(state, &key.namespace, &pod, dry_run)?;
    }
    if !dry_run {
        end(state, &key, options.grace);
    }
    Ok((201, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})))
}

/// Takes one disruption from the pod's budget.
fn charge(state: &mut State, namespace: &str, pod: &Value, dry_run: bool) -> Result<(), Failure> {
    let mut own: Vec<_> = state
        .budgets
        .iter_mut()
        .filter(|((of, _), budget)| of == namespace && budget.selector.matches(pod))
        .map(|((_, name), budget)| (name, budget))
        .collect();
    if own.len() > 1 {
        return Err(Failure::made(500));
    }
    let Some((name, budget)) = own.pop() else { return Ok(()) };
    if budget.allowed == 0 {
        return Err(Failure::disruption(name, 1, 1));
    }
    if !dry_run {
        budget.allowed -= 1;
    }
    Ok(())
}
