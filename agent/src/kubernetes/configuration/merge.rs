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
        placed(problem, &self.origin)
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
    let Found { values, own, mut ignored, mut problems } = found;
    let mut config = base.clone();
    let mut applied = Vec::new();
    // Our key, and the place in the object that set it, for what the checks say.
    let mut origin = BTreeMap::new();
    let mut put_all = |config: &mut Config, settings: &[Setting], problems: &mut Vec<String>, origin: &mut BTreeMap<String, String>| {
        for setting in settings {
            let Some(value) = values.get(setting.path) else { continue };
            let place = format!("{CONFIG}.{}", setting.path);
            match (setting.put)(config, value) {
                Ok(true) => {
                    origin.insert(setting.key.to_owned(), place.clone());
                    applied.push(place);
                }
                Ok(false) => ignored.push(place),
                Err(problem) => problems.push(format!("{place}: {problem}")),
            }
        }
    };
    put_all(&mut config, &VALUES, &mut problems, &mut origin);
    let mut own_problems = Vec::new();
    let own_keys = config.lay(own, &mut own_problems);
    problems.extend(own_problems.into_iter().map(|problem| format!("{OWN}.{problem}")));
    origin.extend(own_keys.iter().map(|key| (key.clone(), format!("{OWN}.{key}"))));
    put_all(&mut config, &SWITCHES, &mut problems, &mut origin);
    applied.extend(own_keys.iter().map(|key| format!("{OWN}.{key}")));
    if problems.is_empty() {
        config.check(&mut problems);
        problems = problems.iter().map(|problem| placed(problem, &origin)).collect();
    }
    applied.sort();
    ignored.sort();
    if problems.is_empty() { Ok(Merged { config, applied, ignored, origin }) } else { Err(problems) }
}

fn placed(problem: &str, origin: &BTreeMap<String, String>) -> String {
    let place = problem.split_once(": ").and_then(|(key, rest)| Some(format!("{}: {rest}", origin.get(key)?)));
    place.unwrap_or_else(|| format!("{CONFIG}: {problem}"))
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
