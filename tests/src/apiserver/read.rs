//! Reading: one object, or lists in pages.

use super::failure::Failure;
use super::resource::Resource;
use super::selector::Selector;
use super::state::{Answer, Call, State};
use super::store::Key;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    call.query.number("resourceVersion")?;
    let object = state.find(&call.key())?;
    Ok((200, shown(&object, call.partial)))
}

/// The object, or only its metadata.
pub(super) fn shown(object: &Value, partial: bool) -> Value {
    if partial {
        return json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
    }
    object.clone()
}

pub(super) fn selector(call: &Call) -> Result<Selector, Failure> {
    Selector::parse(&call.target.resource, call.query.text("labelSelector"), call.query.text("fieldSelector"))
}

/// The version that the list is of, and the key after which it begins.
fn start(state: &State, call: &Call) -> Result<(u64, Option<(String, String)>), Failure> {
    let (token, asked, how) = (call.query.text("continue"), call.query.number("resourceVersion")?, call.query.text("resourceVersionMatch"));
    if !token.is_empty() {
        if asked.is_some_and(|asked| asked > 0) || !how.is_empty() {
            return Err(Failure::bad("specifying resource version is not allowed when using continue"));
        }
        let (version, after) = read_token(token).ok_or_else(|| Failure::bad(format!("continue key is not valid: {token:?}")))?;
        if version < state.store.compacted() {
            return Err(Failure::expired("The provided continue parameter is too old to display a consistent list result."));
        }
        return Ok((version, Some(after)));
    }
    let current = state.store.version();
    match (how, asked) {
        ("", None) => Ok((current, None)),
        ("NotOlderThan" | "Exact", None) => Err(Failure::bad("resourceVersionMatch is forbidden unless resourceVersion is provided")),
        ("Exact", Some(0)) => Err(Failure::bad("resourceVersionMatch Exact is forbidden for resourceVersion 0")),
        (_, Some(asked)) if asked > current => Err(Failure::future(asked, current)),
        ("Exact", Some(asked)) if asked < state.store.compacted() => Err(Failure::expired(format!("too old resource version: {asked}"))),
        ("Exact", Some(asked)) => Ok((asked, None)),
        ("" | "NotOlderThan", Some(_)) => Ok((current, None)),
        (other, _) => Err(Failure::bad(format!("invalid resourceVersionMatch: {other:?}"))),
    }
}

/// Opaque to clients.
fn token(version: u64, key: &Key) -> String {
    let hex: String = format!("{}/{}", key.namespace, key.name).bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{version:x}.{hex}")
}

fn read_token(token: &str) -> Option<(u64, (String, String))> {
    let (version, hex) = token.split_once('.')?;
    let byte = |at: usize| hex.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let bytes = (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
    let text = String::from_utf8(bytes).ok()?;
    let (namespace, name) = text.split_once('/')?;
    Some((u64::from_str_radix(version, 16).ok()?, (namespace.to_owned(), name.to_owned())))
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let selector = selector(call)?;
    let (version, after) = start(state, call)?;
    let limit = match call.query.number("limit")? {
        // A list of any age comes from the server's cache, as a whole.
        Some(limit) if limit > 0 && call.query.text("resourceVersion") != "0" => usize::try_from(limit).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    let resource = &call.target.resource;
    let mut found = state.store.at(version, resource, call.target.namespace.as_deref());
    found.retain(|(key, object)| {
        let later = after.as_ref().is_none_or(|after| (&key.namespace, &key.name) > (&after.0, &after.1));
        later && selector.matches(object)
    });
    let mut meta = json!({"resourceVersion": version.to_string()});
    if let Some((last, _)) = found.get(limit.saturating_sub(1)).filter(|_| found.len() > limit) {
        meta["continue"] = json!(token(version, last));
        if selector.is_empty() {
            meta["remainingItemCount"] = json!(found.len() - limit);
        }
    }
    found.truncate(limit);
    Ok((200, page(resource, &found, meta, call.partial)))
}

fn page(resource: &Resource, found: &[(Key, Arc<Value>)], meta: Value, partial: bool) -> Value {
    let item = |object: &Value| {
        let mut item = shown(object, partial);
        // Items of kinds that come with the server do not say what they are.
        if let (false, false, Some(fields)) = (partial, resource.is_custom(), item.as_object_mut()) {
            fields.retain(|key, _| key != "kind" && key != "apiVersion");
        }
        item
    };
    let items: Vec<Value> = found.iter().map(|(_, object)| item(object)).collect();
    let (kind, version) = if partial {
        ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned())
    } else {
        (format!("{}List", resource.kind), resource.api_version())
    };
    json!({"kind": kind, "apiVersion": version, "metadata": meta, "items": items})
}
