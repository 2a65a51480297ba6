//! One `AdminQoSConfiguration` as the API server tells of it: for which nodes it is, and what it says. What others may have written is read with
//! care: every problem is named with its place, and none ends the watch.

use super::selector::Selector;
use k8s_openapi::jiff::Timestamp;
use kube::core::{Duration, DynamicObject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;

/// A `spec` above this size is no configuration.
const LARGEST: usize = 64 << 10;

/// Keys of `spec` that say for which nodes an object is and how it gets there; the last one is for Katalyst's controllers alone.
const TERMS: [&str; 6] = ["nodeLabelSelector", "priority", "ephemeralSelector", "paused", "updateStrategy", "revisionHistoryLimit"];

/// Which object it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its uid.
    pub(crate) uid: String,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConfigObject {
    /// Which it is.
    pub(crate) source: Source,
    /// For which nodes it is, or why nobody can tell, a line each.
    pub(super) terms: Result<Terms, Vec<String>>,
    /// The rest of its `spec`, or why that is of no use.
    pub(super) content: Result<Map<String, Value>, String>,
    /// Hash of the content.
    pub(super) hash: String,
}

/// For which nodes an object is, and how a change of it reaches them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Terms {
    pub(super) nodes: Nodes,
    pub(super) paused: bool,
    pub(super) canary: Canary,
}

/// Nodes that an object is for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Nodes {
    /// These, until then.
    Named { names: BTreeSet<String>, until: Timestamp },
    /// Those with such labels; the higher priority counts.
    Labelled { selector: Selector, text: String, priority: i64 },
    /// All.
    All,
}

/// How many nodes take a change over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Canary {
    /// All.
    All,
    /// This percentage of them.
    Percent(u32),
    /// This number of them, which no node can know to be among.
    Count(u64),
}

impl ConfigObject {
    /// Reads an object of the API server.
    pub(crate) fn read(object: DynamicObject) -> Self {
        let created = object.metadata.creation_timestamp.map(|time| time.0);
        let source = Source {
            namespace: object.metadata.namespace.unwrap_or_default(),
            name: object.metadata.name.unwrap_or_default(),
            uid: object.metadata.uid.unwrap_or_default(),
        };
        let mut spec = match object.data {
            Value::Object(mut data) => match data.remove("spec") {
                Some(Value::Object(spec)) => spec,
                _ => Map::new(),
            },
            _ => Map::new(),
        };
        let terms = terms(&spec, created);
        spec.retain(|key, _| !TERMS.contains(&key.as_str()));
        // A map of sorted keys, so that equal content has equal text.
        let text = serde_json::to_string(&spec).unwrap_or_default();
        let hash = hex(&Sha256::digest(&text), 8);
        let size = text.len();
        let content = if size <= LARGEST { Ok(spec) } else { Err(format!("spec: has {size} bytes, at most {LARGEST} are read")) };
        Self { source, terms, content, hash }
    }
}

/// The first bytes of a digest as text.
pub(super) fn hex(digest: &[u8], bytes: usize) -> String {
    digest.iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

fn terms(spec: &Map<String, Value>, created: Option<Timestamp>) -> Result<Terms, Vec<String>> {
    let mut problems = Vec::new();
    let nodes = nodes(spec, created, &mut problems);
    let paused = match present(spec, "paused") {
        None => false,
        Some(Value::Bool(paused)) => *paused,
        Some(other) => {
            problems.push(format!("spec.paused: {other} is not true or false"));
            false
        }
    };
    let canary = canary(spec).unwrap_or_else(|problem| {
        problems.push(problem);
        Canary::All
    });
    match nodes {
        Some(nodes) if problems.is_empty() => Ok(Terms { nodes, paused, canary }),
        _ => Err(problems),
    }
}

/// Rules as of Katalyst's controllers: labels or names, not both; names for a time, a time for names.
fn nodes(spec: &Map<String, Value>, created: Option<Timestamp>, problems: &mut Vec<String>) -> Option<Nodes> {
    let selector = text(spec, "nodeLabelSelector", "spec.nodeLabelSelector", problems).filter(|text| !text.trim().is_empty());
    let priority = match present(spec, "priority") {
        None => 0,
        Some(value) => value.as_i64().unwrap_or_else(|| {
            problems.push(format!("spec.priority: {value} is not a whole number"));
            0
        }),
    };
    let (names, until) = ephemeral(spec, created, problems);
    if selector.is_some() && !names.is_empty() {
        problems.push("spec.nodeLabelSelector: is set beside spec.ephemeralSelector.nodeNames; only one of them may be".to_owned());
    }
    if let Some(text) = selector {
        return match Selector::parse(&text) {
            Ok(selector) => Some(Nodes::Labelled { selector, text, priority }),
            Err(problem) => {
                problems.push(format!("spec.nodeLabelSelector: {problem}"));
                None
            }
        };
    }
    match (names.is_empty(), until) {
        (true, None) => Some(Nodes::All),
        (false, Some(until)) => Some(Nodes::Named { names, until }),
        // Said already.
        _ => None,
    }
}

fn ephemeral(spec: &Map<String, Value>, created: Option<Timestamp>, problems: &mut Vec<String>) -> (BTreeSet<String>, Option<Timestamp>) {
    const PLACE: &str = "spec.ephemeralSelector";
    let selector = match present(spec, "ephemeralSelector") {
        None => return (BTreeSet::new(), None),
        Some(Value::Object(selector)) => selector,
        Some(_) => {
            problems.push(format!("{PLACE}: is not an object"));
            return (BTreeSet::new(), None);
        }
    };
    let names: Option<BTreeSet<String>> = match present(selector, "nodeNames") {
        None => Some(BTreeSet::new()),
        Some(value) => value.as_array().and_then(|all| all.iter().map(|name| name.as_str().map(str::to_owned)).collect()),
    };
    let Some(names) = names else {
        problems.push(format!("{PLACE}.nodeNames: is not a list of names"));
        return (BTreeSet::new(), None);
    };
    let place = format!("{PLACE}.lastDuration");
    let duration = text(selector, "lastDuration", &place, problems);
    match (names.is_empty(), duration) {
        (true, None) => {}
        (true, Some(_)) => problems.push(format!("{place}: is set without nodeNames")),
        (false, None) => problems.push(format!("{place}: is missing; nodes are named for a while only")),
        (false, Some(duration)) => match until(&duration, created) {
            Ok(until) => return (names, Some(until)),
            Err(problem) => problems.push(format!("{place}: {problem}")),
        },
    }
    // An object whose time cannot be told must not count for all nodes instead.
    (names, None)
}

fn until(duration: &str, created: Option<Timestamp>) -> Result<Timestamp, String> {
    let lasts = duration_of(duration)?;
    let created = created.ok_or("counts from metadata.creationTimestamp, which is missing")?;
    // Further than the calendar goes is for ever.
    Ok(created.checked_add(lasts).unwrap_or(Timestamp::MAX))
}

/// A span of time as Go writes it, such as `1h30m` or `2.5s`.
pub(super) fn duration_of(text: &str) -> Result<std::time::Duration, String> {
    let duration: Duration = text.parse().map_err(|error| format!("{text:?} is not a span of time such as 5m or 24h: {error}"))?;
    if duration.is_negative() { Err(format!("{text:?} is below zero")) } else { Ok(duration.into()) }
}

fn canary(spec: &Map<String, Value>) -> Result<Canary, String> {
    const PLACE: &str = "spec.updateStrategy";
    let Some(strategy) = present(spec, "updateStrategy") else { return Ok(Canary::All) };
    let strategy = strategy.as_object().ok_or_else(|| format!("{PLACE}: is not an object"))?;
    match present(strategy, "type") {
        None => {}
        Some(Value::String(name)) if name.is_empty() || name == "RollingUpdate" => {}
        Some(other) => return Err(format!("{PLACE}.type: {other} is not RollingUpdate")),
    }
    let Some(rolling) = present(strategy, "rollingUpdate") else { return Ok(Canary::All) };
    let rolling = rolling.as_object().ok_or_else(|| format!("{PLACE}.rollingUpdate: is not an object"))?;
    let problem =
        |value: &Value| format!("{PLACE}.rollingUpdate.canary: {value} is neither a percentage such as 20% nor a number of nodes");
    match present(rolling, "canary") {
        None => Ok(Canary::All),
        Some(value @ Value::Number(number)) => number.as_u64().map(Canary::Count).ok_or_else(|| problem(value)),
        Some(value) => {
            let percent = value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse().ok());
            percent.filter(|percent| *percent <= 100).map(Canary::Percent).ok_or_else(|| problem(value))
        }
    }
}

fn text(object: &Map<String, Value>, key: &str, place: &str, problems: &mut Vec<String>) -> Option<String> {
    match present(object, key)? {
        Value::String(text) => Some(text.clone()),
        other => {
            problems.push(format!("{place}: {other} is not a text"));
            None
        }
    }
}

/// `null` is as good as absent, as everywhere in Kubernetes.
fn present<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}
