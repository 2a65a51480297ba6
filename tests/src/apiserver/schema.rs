//! What a definition says of its objects: unknown fields are dropped, wrong ones refused.
//!
//! Known are types, `required`, `enum`, bounds, `nullable` and Kubernetes' own marks. Patterns are not read, but that amounts are amounts.

use super::quantity::canonical;
use serde_json::{Map, Value, json};

/// Removes what the schema does not know. `lost` gets the paths.
pub(super) fn prune(schema: &Value, object: &mut Value, path: &str, lost: &mut Vec<String>) {
    match object {
        Value::Object(fields) => {
            let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true || schema["additionalProperties"] == true;
            let others = schema.get("additionalProperties").filter(|others| others.is_object());
            let own = |key: &str| path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&key);
            fields.retain(|key, value| {
                let path = at(path, key);
                match schema["properties"].get(key).or(others) {
                    _ if own(key) => {}
                    Some(schema) => prune(schema, value, &path, lost),
                    None if keeps => {}
                    None => {
                        lost.push(path);
                        return false;
                    }
                }
                true
            });
        }
        Value::Array(items) => {
            items.iter_mut().enumerate().for_each(|(n, item)| prune(&schema["items"], item, &format!("{path}[{n}]"), lost))
        }
        _ => {}
    }
}

fn at(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Whether an object is as the schema wants it.
///
/// # Errors
/// The path of a field, and what is wrong with it.
pub(super) fn validate(schema: &Value, object: &Value, path: &str) -> Result<(), (String, String)> {
    let wrong = |why: String| Err((path.to_owned(), why));
    if object.is_null() && schema["nullable"] == true {
        return Ok(());
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    let fits = match kind {
        "object" => object.is_object(),
        "array" => object.is_array(),
        "string" => object.is_string(),
        "boolean" => object.is_boolean(),
        "number" => object.is_number(),
        "integer" => object.is_i64() || object.is_u64(),
        _ if schema["x-kubernetes-int-or-string"] == true => object.as_str().map_or(object.is_i64(), |text| canonical(text).is_some()),
        _ => true,
    };
    if !fits {
        return wrong(format!("{object} must be of type {}", if kind.is_empty() { "quantity" } else { kind }));
    }
    if let Some(known) = schema["enum"].as_array().filter(|known| !known.contains(object)) {
        return wrong(format!("{object} is unsupported; supported: {}", json!(known)));
    }
    bounds(schema, object).or_else(wrong)?;
    match object {
        Value::Object(fields) => of_fields(schema, fields, path),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(n, item)| validate(&schema["items"], item, &format!("{path}[{n}]"))),
        _ => Ok(()),
    }
}

fn of_fields(schema: &Value, fields: &Map<String, Value>, path: &str) -> Result<(), (String, String)> {
    if let Some(missing) =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).find(|key| !fields.contains_key(*key))
    {
        return Err((at(path, missing), "required".to_owned()));
    }
    let others = &schema["additionalProperties"];
    fields.iter().try_for_each(|(key, value)| match schema["properties"].get(key) {
        Some(schema) => validate(schema, value, &at(path, key)),
        None => validate(others, value, &at(path, key)),
    })
}

fn bounds(schema: &Value, object: &Value) -> Result<(), String> {
    let bound = |name: &str| schema[name].as_f64();
    let below = |size: Option<f64>, name: &str| size.zip(bound(name)).is_some_and(|(size, bound)| size < bound);
    let above = |size: Option<f64>, name: &str| size.zip(bound(name)).is_some_and(|(size, bound)| size > bound);
    let count = |count: Option<usize>| count.and_then(|count| u32::try_from(count).ok()).map(f64::from);
    let text = count(object.as_str().map(|text| text.chars().count()));
    let items = count(object.as_array().map(Vec::len));
    let low = below(object.as_f64(), "minimum") || below(text, "minLength") || below(items, "minItems");
    let high = above(object.as_f64(), "maximum") || above(text, "maxLength") || above(items, "maxItems");
    if low || high { Err(format!("{object} is out of bounds")) } else { Ok(()) }
}
