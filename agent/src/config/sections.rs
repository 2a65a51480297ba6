//! Reads a configuration so that every wrong key is reported, not only the first.

use super::Config;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The configuration in a YAML text, as far as it is right, and every problem with its key.
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
    for (key, value) in &object {
        problems.extend(problems_of(key, value));
    }
    let whole = serde_json::from_value(Value::Object(object));
    match whole {
        Ok(config) if problems.is_empty() => (config, problems),
        Ok(_) => (Config::default(), problems),
        Err(error) => {
            if problems.is_empty() {
                problems.push(error.to_string());
            }
            (Config::default(), problems)
        }
    }
}

/// Problems of one top-level key: of each of its own keys when it holds a section, since every key has a default.
fn problems_of(key: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(section) if alone::<Config>(key, Value::Object(Map::new())).is_ok() => section
            .iter()
            .filter_map(|(inner, value)| {
                let single = Value::Object(Map::from_iter([(inner.clone(), value.clone())]));
                alone::<Config>(key, single).err().map(|error| {
                    if error.contains("unknown field") { format!("{key}: {error}") } else { format!("{key}.{inner}: {error}") }
                })
            })
            .collect(),
        _ => alone::<Config>(key, value.clone())
            .err()
            .into_iter()
            .map(|error| if error.contains("unknown field") { error } else { format!("{key}: {error}") })
            .collect(),
    }
}

fn alone<T: DeserializeOwned>(key: &str, value: Value) -> Result<T, String> {
    let object = Value::Object(Map::from_iter([(key.to_owned(), value)]));
    serde_json::from_value(object).map_err(|error| error.to_string())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
