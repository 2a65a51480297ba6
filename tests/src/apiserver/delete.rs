//! Deleting, at once or after a time in which the object is still there.

use super::evict::Grace;
use super::failure::Failure;
use super::resource::PODS;
use super::state::{Answer, Call, State};
use super::store::Key;
use super::write::{no_finalizers, now};
use serde_json::{Value, json};

/// What a deletion is asked with.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) grace: Option<u64>,
    pub(super) dry_run: bool,
    uid: Option<String>,
    version: Option<String>,
}

impl Options {
    /// As `DeleteOptions`.
    pub(super) fn read(options: &Value) -> Result<Self, Failure> {
        let known = ["kind", "apiVersion", "gracePeriodSeconds", "preconditions", "propagationPolicy", "dryRun", "orphanDependents"];
        if let Some(field) =
            options.as_object().into_iter().flatten().map(|(field, _)| field).find(|field| !known.contains(&field.as_str()))
        {
            return Err(Failure::bad(format!("unknown field {field:?} of DeleteOptions")));
        }
        let text = |field: &str| options["preconditions"][field].as_str().map(str::to_owned);
        let grace = &options["gracePeriodSeconds"];
        if !grace.is_null() && grace.as_u64().is_none() {
            return Err(Failure::bad(format!("gracePeriodSeconds: {grace}: must be greater than or equal to zero")));
        }
        let dry_run = match &options["dryRun"] {
            Value::Null => false,
            all if *all == json!(["All"]) => true,
            other => return Err(Failure::bad(format!("invalid dryRun: {other}"))),
        };
        Ok(Self { grace: grace.as_u64(), dry_run, uid: text("uid"), version: text("resourceVersion") })
    }

    /// Whether this is the object that was meant.
    pub(super) fn meant(&self, key: &Key, object: &Value) -> Result<(), Failure> {
        let meta = &object["metadata"];
        let other = |what: &str, wanted: &str, is: &Value| {
            Failure::conflict(
                &key.resource,
                &key.name,
                &format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {is}"),
            )
        };
        match (&self.uid, &self.version) {
            (Some(uid), _) if meta["uid"] != **uid => Err(other("UID", uid, &meta["uid"])),
            (_, Some(version)) if meta["resourceVersion"] != **version => Err(other("ResourceVersion", version, &meta["resourceVersion"])),
            _ => Ok(()),
        }
    }
}

pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let key = call.key();
    let mut options = if call.body.is_empty() { Options::default() } else { Options::read(&call.json()?)? };
    options.dry_run |= call.query.dry_run()?;
    options.grace = call.query.number("gracePeriodSeconds")?.or(options.grace);
    let object = state.find(&key)?;
    options.meant(&key, &object)?;
    if options.dry_run {
        return Ok((200, Value::clone(&object)));
    }
    Ok((200, end(state, &key, options.grace)))
}

/// Lets an object end; returns what it is then.
pub(super) fn end(state: &mut State, key: &Key, grace: Option<u64>) -> Value {
    let Some(object) = state.store.get(key).map(|object| Value::clone(object)) else { return Value::Null };
    let over = ["Succeeded", "Failed"].iter().any(|phase| object["status"]["phase"] == *phase);
    let runs = key.resource == PODS && !over && object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let grace = grace.or(object["spec"]["terminationGracePeriodSeconds"].as_u64()).unwrap_or(30);
    let stays = !no_finalizers(&object) || (runs && grace > 0);
    if !stays {
        return state.store.remove(key).map_or(object, |object| Value::clone(&object));
    }
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return object;
    }
    let mut ending = object;
    ending["metadata"]["deletionTimestamp"] = now();
    ending["metadata"]["deletionGracePeriodSeconds"] = json!(if runs { grace } else { 0 });
    let uid = ending["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let ending = Value::clone(&state.store.put(key.clone(), ending));
    match state.grace {
        Grace::Held => {}
        Grace::AtOnce => finish(state, key, &uid),
        Grace::After(time) => state.ending.push((time, key.clone(), uid)),
    }
    ending
}

/// The kubelet has ended the pod: it is gone, if it is still this one.
pub(super) fn finish(state: &mut State, key: &Key, uid: &str) {
    if state.store.get(key).is_some_and(|object| object["metadata"]["uid"] == uid && no_finalizers(object)) {
        state.store.remove(key);
    }
}
