//! Which objects a list or a watch is about.

use super::failure::Failure;
use super::resource::{EVENTS, EVENTS_V1, NODES, PODS, Resource};
use serde_json::Value;

/// All of it must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Label>,
    /// Pointer into the object, whether it is to be equal, value.
    fields: Vec<(String, bool, String)>,
}

#[derive(Debug, Clone)]
enum Label {
    Exists(String, bool),
    In(String, bool, Vec<String>),
}

impl Label {
    fn holds(&self, object: &Value) -> bool {
        let value = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str).map(str::to_owned);
        match self {
            Self::Exists(key, wanted) => value(key).is_some() == *wanted,
            // What has no such label is not in the set either.
            Self::In(key, wanted, set) => value(key).is_some_and(|value| set.contains(&value)) == *wanted,
        }
    }
}

impl Selector {
    pub(super) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Failure> {
        let fields = fields.split(',').filter(|term| !term.is_empty()).map(|term| field(resource, term)).collect::<Result<_, _>>()?;
        let labels = terms(labels).into_iter().map(|term| label(&term)).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let field = |(pointer, equal, wanted): &(String, bool, String)| {
            let value =
                object.pointer(pointer).map_or(String::new(), |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            (value == *wanted) == *equal
        };
        self.labels.iter().all(|label| label.holds(object)) && self.fields.iter().all(field)
    }

    /// Whether it lets all pass.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

fn field(resource: &Resource, term: &str) -> Result<(String, bool, String), Failure> {
    let (path, equal, value) = match (term.split_once("!="), term.split_once("=="), term.split_once('=')) {
        (Some((path, value)), ..) => (path, false, value),
        (_, Some((path, value)), _) | (_, _, Some((path, value))) => (path, true, value),
        _ => return Err(Failure::bad(format!("invalid field selector {term:?}"))),
    };
    let of_kind: &[&str] = match *resource {
        PODS => &["spec.nodeName", "status.phase", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.podIP"],
        NODES => &["spec.unschedulable"],
        EVENTS => &["involvedObject.kind", "involvedObject.name", "involvedObject.namespace", "involvedObject.uid", "reason", "type"],
        EVENTS_V1 => &["regarding.kind", "regarding.name", "regarding.namespace", "regarding.uid", "reason", "type"],
        _ => &[],
    };
    let known = path == "metadata.name" || (path == "metadata.namespace" && resource.namespaced) || of_kind.contains(&path);
    if !known {
        return Err(Failure::bad(format!("field label not supported: {path}")));
    }
    Ok((format!("/{}", path.replace('.', "/")), equal, value.to_owned()))
}

/// Terms between commas that are in no set.
fn terms(text: &str) -> Vec<String> {
    let (mut terms, mut depth) = (vec![String::new()], 0);
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            terms.push(String::new());
        } else if let Some(last) = terms.last_mut() {
            last.push(c);
        }
    }
    terms.retain(|term| !term.trim().is_empty());
    terms
}

fn label(term: &str) -> Result<Label, Failure> {
    let term = term.trim();
    let key = |text: &str| {
        let key = text.trim();
        let good = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if good {
            Ok(key.to_owned())
        } else {
            Err(Failure::bad(format!("unable to parse requirement: invalid label key {key:?} in {term:?}")))
        }
    };
    if let Some((name, set)) = term.split_once('(') {
        let name = name.trim();
        let set = set.strip_suffix(')').ok_or_else(|| Failure::bad(format!("unable to parse requirement: {term:?} has no end")))?;
        let set = set.split(',').map(|value| value.trim().to_owned()).collect();
        return match (name.strip_suffix(" notin"), name.strip_suffix(" in")) {
            (Some(name), _) => Ok(Label::In(key(name)?, false, set)),
            (_, Some(name)) => Ok(Label::In(key(name)?, true, set)),
            _ => Err(Failure::bad(format!("unable to parse requirement: no operator in {term:?}"))),
        };
    }
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((name, value)) = term.split_once("!=") {
        return Ok(Label::In(key(name)?, false, one(value)));
    }
    if let Some((name, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(Label::In(key(name)?, true, one(value)));
    }
    match term.strip_prefix('!') {
        Some(name) => Ok(Label::Exists(key(name)?, false)),
        None => Ok(Label::Exists(key(term)?, true)),
    }
}
