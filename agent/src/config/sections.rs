//! Reads a configuration so that every wrong key is reported, not only the first.

use super::Config;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The configuration in a YAML text, made of what is right in it, and every problem with its key.
pub(super) fn parse(text: &str) -> (Config, Vec<String>) {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return (Config::default(), Vec::new());
    }
    let object = match serde_saphyr::from_str::<Value>(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return (Config::default(), vec!["is not a mapping of keys to values".to_owned()]),
        Err(error) => return (Config::default(), vec![first_line(&error.to_string())]),
    };
    let mut problems = Vec::new();
    let mut right = Map::new();
    for (key, value) in object {
        right.extend(right_part(&key, value, &mut problems).map(|value| (key, value)));
    }
    let config = serde_json::from_value(Value::Object(right)).unwrap_or_else(|error| {
        problems.push(error.to_string());
        Config::default()
    });
    (config, problems)
}

/// What is right in the value of one top-level key. Of a section each key is looked at by itself, which works since every key has a default.
fn right_part(key: &str, value: Value, problems: &mut Vec<String>) -> Option<Value> {
    let named = |error: String, place: String| if error.contains("unknown field") { error } else { format!("{place}: {error}") };
    match value {
        Value::Object(mut section) if alone(key, Value::Object(Map::new())).is_ok() => {
            section.retain(|inner, value| {
                let single = Value::Object(Map::from_iter([(inner.clone(), value.clone())]));
                match alone(key, single) {
                    Ok(()) => true,
                    Err(error) => {
                        let text = named(error, format!("{key}.{inner}"));
                        problems.push(if text.starts_with(key) { text } else { format!("{key}: {text}") });
                        false
                    }
                }
            });
            Some(Value::Object(section))
        }
        value => match alone(key, value.clone()) {
            Ok(()) => Some(value),
            Err(error) => {
                problems.push(named(error, key.to_owned()));
                None
            }
        },
    }
}

/// Whether a configuration of only this key is right.
fn alone(key: &str, value: Value) -> Result<(), String> {
    let object = Value::Object(Map::from_iter([(key.to_owned(), value)]));
    serde_json::from_value::<Config>(object).map(|_| ()).map_err(|error| error.to_string())
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    // The rest is advice for those who program with the library.
    line.split(", set DuplicateKeyPolicy").next().unwrap_or_default().to_owned()
}

/// Sections that may change while the agent runs.
const CHANGEABLE: [&str; 8] = ["qos", "estimator", "placement", "topology", "memory", "knobs", "takeBack", "eviction"];

/// Lays keys over the sections that may change while the agent runs. Returns those laid.
pub(super) fn lay(config: &mut Config, sections: Map<String, Value>, problems: &mut Vec<String>) -> Vec<String> {
    let mut laid = Vec::new();
    for (section, value) in sections {
        if !CHANGEABLE.contains(&section.as_str()) {
            problems.push(format!("{section}: is none of the sections that may change while the agent runs: {}", CHANGEABLE.join(", ")));
            continue;
        }
        if !value.is_object() {
            problems.push(format!("{section}: is not a mapping of keys to values"));
            continue;
        }
        let Some(Value::Object(keys)) = right_part(&section, value, problems) else { continue };
        laid.extend(keys.keys().map(|key| format!("{section}.{key}")));
        let result = match section.as_str() {
            "qos" => lay_one(&mut config.qos, keys),
            "estimator" => lay_one(&mut config.estimator, keys),
            "placement" => lay_one(&mut config.placement, keys),
            "topology" => lay_one(&mut config.topology, keys),
            "memory" => lay_one(&mut config.memory, keys),
            "knobs" => lay_one(&mut config.knobs, keys),
            "takeBack" => lay_one(&mut config.take_back, keys),
            _ => lay_one(&mut config.eviction, keys),
        };
        problems.extend(result.err().map(|error| format!("{section}: {error}")));
    }
    laid
}

fn lay_one<T: Serialize + DeserializeOwned>(section: &mut T, keys: Map<String, Value>) -> Result<(), String> {
    let mut whole = serde_json::to_value(&*section).map_err(|error| error.to_string())?;
    if let Value::Object(whole) = &mut whole {
        whole.extend(keys);
    }
    *section = serde_json::from_value(whole).map_err(|error| error.to_string())?;
    Ok(())
}
