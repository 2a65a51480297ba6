//! What an object of the cluster means for the agent's own configuration. All of it is taken over, or nothing.

use super::Chosen;
use super::mapping::{SWITCHES, Setting, VALUES};
use crate::config::Config;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Where Gleaner's own sections stand.
const OWN: &str = "spec.config.gleaner";
const CONFIG: &str = "spec.config";

/// A configuration with an object laid over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The result.
    pub(crate) config: Config,
    /// Places in the object that were taken over, sorted.
    pub(crate) applied: Vec<String>,
    /// Places in the object that mean nothing here, sorted.
    pub(crate) ignored: Vec<String>,
    /// The place in the object that set a key of ours.
    origin: BTreeMap<String, String>,
}

impl Merged {
    /// A problem that begins with a key of ours, told with the place in the object instead.
    pub(super) fn placed(&self, problem: &str) -> String {
        let place = problem.split_once(": ").and_then(|(key, rest)| Some(format!("{}: {rest}", self.origin.get(key)?)));
        place.unwrap_or_else(|| format!("{CONFIG}: {problem}"))
    }

    fn put(&mut self, settings: &[Setting], values: &BTreeMap<String, Value>, problems: &mut Vec<String>) {
        for setting in settings {
            let Some(value) = values.get(setting.path) else { continue };
            let place = format!("{CONFIG}.{}", setting.path);
            match (setting.put)(&mut self.config, value) {
                Ok(true) => {
                    self.origin.insert(setting.key.to_owned(), place.clone());
                    self.applied.push(place);
                }
                Ok(false) => self.ignored.push(place),
                Err(problem) => problems.push(format!("{place}: {problem}")),
            }
        }
    }

    fn lay(&mut self, own: Map<String, Value>, problems: &mut Vec<String>) {
        let mut found = Vec::new();
        for key in self.config.lay(own, &mut found) {
            let place = format!("{OWN}.{key}");
            self.applied.push(place.clone());
            self.origin.insert(key, place);
        }
        problems.extend(found.into_iter().map(|problem| format!("{OWN}.{problem}")));
    }
}

/// Lays an object over the configuration of the file.
///
/// # Errors
/// Everything that is wrong with the object, a line each with its place; never empty. What only the machine can tell to be wrong is not found here.
pub(crate) fn merge(base: &Config, chosen: &Chosen) -> Result<Merged, Vec<String>> {
    let mut found = Found::default();
    for (key, value) in &chosen.content {
        found.look(&joined("spec", key), value);
    }
    let Found { values, own, ignored, mut problems } = found;
    let mut merged = Merged { config: base.clone(), applied: Vec::new(), ignored, origin: BTreeMap::new() };
    merged.put(&VALUES, &values, &mut problems);
    merged.lay(own, &mut problems);
    merged.put(&SWITCHES, &values, &mut problems);
    if problems.is_empty() {
        merged.config.check(&mut problems);
        problems = problems.iter().map(|problem| merged.placed(problem)).collect();
    }
    merged.applied.sort();
    merged.ignored.sort();
    if problems.is_empty() { Ok(merged) } else { Err(problems) }
}

/// What is in an object.
#[derive(Default)]
struct Found {
    /// Values of known settings, by their place below `spec.config`.
    values: BTreeMap<String, Value>,
    /// Gleaner's own sections.
    own: Map<String, Value>,
    ignored: Vec<String>,
    problems: Vec<String>,
}

impl Found {
    fn look(&mut self, path: &str, value: &Value) {
        let below = path.strip_prefix(CONFIG).map(|rest| rest.trim_start_matches('.'));
        let known = || VALUES.iter().chain(&SWITCHES).map(|setting| setting.path);
        let leads = path == CONFIG || below.is_some_and(|below| known().any(|k| k.strip_prefix(below).is_some_and(|r| r.starts_with('.'))));
        match (below, value) {
            // As good as absent, as everywhere in Kubernetes.
            (_, Value::Null) => {}
            (Some(below), _) if known().any(|known| known == below) => {
                self.values.insert(below.to_owned(), value.clone());
            }
            (Some("gleaner"), Value::Object(own)) => self.own.clone_from(own),
            (Some("gleaner"), _) => self.problems.push(format!("{path}: is not an object")),
            (_, Value::Object(object)) => {
                for (key, inner) in object {
                    self.look(&joined(path, key), inner);
                }
            }
            _ if leads => self.problems.push(format!("{path}: is not an object")),
            _ => self.ignored.push(path.to_owned()),
        }
    }
}

/// A place in JSON, as JSONPath writes it without the leading `$`.
fn joined(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if plain { format!("{path}.{key}") } else { format!("{path}[{key:?}]") }
}
