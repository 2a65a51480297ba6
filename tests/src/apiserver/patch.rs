//! Patches that say by themselves what becomes of an object: merge patches (RFC 7386) and JSON patches (RFC 6902).

use super::failure::Failure;
use super::resource::Resource;
use super::strategic;
use serde_json::Value;

/// An object after a patch of this type of content.
pub(super) fn patched(resource: &Resource, name: &str, old: &Value, content: &str, body: &[u8]) -> Result<Value, Failure> {
    let read = || serde_json::from_slice::<Value>(body).map_err(|e| Failure::bad(format!("error decoding patch: {e}")));
    let object = || match read()? {
        patch @ Value::Object(_) => Ok(patch),
        other => Err(Failure::bad(format!("error decoding patch: no object: {other}"))),
    };
    let mut new = old.clone();
    match content {
        "application/merge-patch+json" => merge(&mut new, &object()?),
        "application/strategic-merge-patch+json" if resource.is_custom() => {
            let known = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
            return Err(Failure::media(format!(
                "the body of the request was in an unknown format - accepted media types include: {known}"
            )));
        }
        "application/strategic-merge-patch+json" => strategic::merge(&mut new, &object()?, resource)?,
        "application/json-patch+json" => {
            let Value::Array(steps) = read()? else { return Err(Failure::bad("error decoding patch: no list of steps")) };
            for step in &steps {
                apply(&mut new, step).map_err(|why| Failure::invalid(resource, name, "patch", &format!("{why} at {step}")))?;
            }
        }
        "application/apply-patch+yaml" => return Err(Failure::media("this server does not apply on its side")),
        other => return Err(Failure::media(format!("the body of the request was in an unknown format: {other:?}"))),
    }
    Ok(new)
}

/// RFC 7386.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(object) = target else { return };
    for (key, value) in fields {
        match value {
            Value::Null => {
                object.remove(key);
            }
            value => merge(object.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}

/// One step of RFC 6902.
fn apply(object: &mut Value, step: &Value) -> Result<(), String> {
    let text = |key: &str| step[key].as_str().ok_or(format!("no {key}"));
    let value = || step.get("value").cloned().ok_or("no value".to_owned());
    let found = |object: &Value, path: &str| object.pointer(path).cloned().ok_or(format!("nothing at {path}"));
    let path = text("path")?;
    match text("op")? {
        "add" => add(object, path, value()?),
        "remove" => remove(object, path).map(drop),
        "replace" => {
            *object.pointer_mut(path).ok_or(format!("nothing at {path}"))? = value()?;
            Ok(())
        }
        "test" if found(object, path)? == value()? => Ok(()),
        "test" => Err("the test failed".to_owned()),
        "copy" => {
            let copy = found(object, text("from")?)?;
            add(object, path, copy)
        }
        "move" => {
            let moved = remove(object, text("from")?)?;
            add(object, path, moved)
        }
        other => Err(format!("unknown operation {other}")),
    }
}

fn parent<'a>(object: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let (above, last) = path.rsplit_once('/').ok_or(format!("no path: {path:?}"))?;
    let last = last.replace("~1", "/").replace("~0", "~");
    Ok((object.pointer_mut(above).ok_or(format!("nothing at {above:?}"))?, last))
}

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (parent, last) = parent(object, path)?;
    match parent {
        Value::Object(fields) => drop(fields.insert(last, value)),
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            let at = last.parse().ok().filter(|at| *at <= items.len()).ok_or(format!("no place {last} in a list of {}", items.len()))?;
            items.insert(at, value);
        }
        _ => return Err(format!("nothing can be in {path}")),
    }
    Ok(())
}

fn remove(object: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, last) = parent(object, path)?;
    match parent {
        Value::Object(fields) => fields.remove(&last),
        Value::Array(items) => last.parse().ok().filter(|at: &usize| *at < items.len()).map(|at| items.remove(at)),
        _ => None,
    }
    .ok_or(format!("nothing at {path}"))
}
