//! Which object counts for a node.
//!
//! The order: the one that the node's `CustomNodeConfig` names; else one that names the node, while its time lasts; else, of those whose labels fit,
//! the one with the highest priority; else one for all nodes. Of several that are equal the first by namespace and name counts.

use super::object::{Canary, ConfigObject, Nodes, Source, hex};
use gleaner_crds::config::{ADMIN_QOS_CONFIGURATIONS, CustomNodeConfigStatus, GROUP, TargetConfig};
use k8s_openapi::jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What counts for a node now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selection<'a> {
    /// Which object.
    pub(crate) verdict: Verdict<'a>,
    /// Objects of which nobody can say for which nodes they are, a line for each problem.
    pub(crate) unusable: Vec<String>,
    /// When the answer may become another without any object changing.
    pub(crate) until: Option<Timestamp>,
}

/// Which object counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict<'a> {
    /// This one.
    Chosen(Choice<'a>),
    /// The node is told to use one that is not there.
    Absent(Source),
    /// None.
    None,
}

/// An object that counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice<'a> {
    /// The object.
    pub(crate) object: &'a ConfigObject,
    /// Why it counts, and which others would.
    pub(crate) why: String,
    /// The hash by which a `CustomNodeConfig` names it.
    pub(crate) named: Option<String>,
    /// Why the node is not to take it over for now.
    pub(crate) hold: Option<String>,
}

/// The object that a node's `CustomNodeConfig` names, if any.
pub(crate) fn target(status: Option<&CustomNodeConfigStatus>) -> Option<&TargetConfig> {
    let ours = |target: &&TargetConfig| target.config_type.group == GROUP && target.config_type.resource == ADMIN_QOS_CONFIGURATIONS;
    status?.katalyst_custom_config_list.iter().find(ours)
}

/// Which of the objects counts for the node, whatever their order.
pub(crate) fn select<'a>(
    node: &str,
    labels: &BTreeMap<String, String>,
    objects: impl IntoIterator<Item = &'a ConfigObject>,
    config: Option<&CustomNodeConfigStatus>,
    now: Timestamp,
) -> Selection<'a> {
    let mut objects: Vec<&ConfigObject> = objects.into_iter().collect();
    objects.sort_by(|a, b| a.source.cmp(&b.source).then_with(|| a.hash.cmp(&b.hash)));
    let unusable = objects.iter().flat_map(|object| {
        let problems = object.terms.as_ref().err().into_iter().flatten();
        problems.map(|problem| format!("{}: {problem}", object.source))
    });
    let unusable = unusable.collect();
    let until = objects.iter().filter_map(|object| match &object.terms.as_ref().ok()?.nodes {
        Nodes::Named { names, until } if names.contains(node) && *until > now => Some(*until),
        _ => None,
    });
    let until = until.min();
    let verdict = match target(config) {
        Some(target) => named(target, &objects),
        None => best(node, labels, &objects, now),
    };
    Selection { verdict, unusable, until }
}

fn named<'a>(target: &TargetConfig, objects: &[&'a ConfigObject]) -> Verdict<'a> {
    let found = objects.iter().find(|o| o.source.namespace == target.config_namespace && o.source.name == target.config_name);
    let Some(object) = found else {
        let (namespace, name) = (target.config_namespace.clone(), target.config_name.clone());
        return Verdict::Absent(Source { namespace, name, uid: String::new() });
    };
    let named = Some(target.hash.clone()).filter(|hash| !hash.is_empty());
    // When a paused or rolled out object reaches a node is the controllers' decision here: they change the hash.
    Verdict::Chosen(Choice { object, why: "the node's CustomNodeConfig names it".to_owned(), named, hold: None })
}

/// How well an object fits: names before labels before all nodes, then the higher priority.
type Rank = Reverse<(u8, i64)>;

fn best<'a>(node: &str, labels: &BTreeMap<String, String>, objects: &[&'a ConfigObject], now: Timestamp) -> Verdict<'a> {
    let ranked = objects.iter().filter_map(|object| Some((rank(node, labels, object, now)?, *object)));
    let mut ranked: Vec<((Rank, String), &ConfigObject)> = ranked.collect();
    // Stable: of equals the first by name stays the first.
    ranked.sort_by_key(|((rank, _), _)| *rank);
    let Some((((rank, why), object), others)) = ranked.split_first().map(|((first, object), others)| ((first, *object), others)) else {
        return Verdict::None;
    };
    let equals = others.iter().filter(|((other, _), _)| other == rank).map(|(_, object)| object.source.to_string());
    let equals: Vec<String> = equals.collect();
    let why = match equals.len() {
        0 => why.clone(),
        _ => format!("{why}; it is the first by name of those that fit as well: {}", super::shortened(&equals, 3)),
    };
    Verdict::Chosen(Choice { object, why, named: None, hold: hold(node, object) })
}

fn rank(node: &str, labels: &BTreeMap<String, String>, object: &ConfigObject, now: Timestamp) -> Option<(Rank, String)> {
    match &object.terms.as_ref().ok()?.nodes {
        Nodes::Named { names, until } => {
            let fits = names.contains(node) && now < *until;
            fits.then(|| (Reverse((2, 0)), format!("it names the node, until {until}")))
        }
        Nodes::Labelled { selector, text, priority } => {
            let fits = selector.matches(labels);
            fits.then(|| (Reverse((1, *priority)), format!("the node's labels fit {text:?}, priority {priority}")))
        }
        Nodes::All => Some((Reverse((0, 0)), "it is for all nodes".to_owned())),
    }
}

fn hold(node: &str, object: &ConfigObject) -> Option<String> {
    let terms = object.terms.as_ref().ok()?;
    if terms.paused {
        return Some("it is paused".to_owned());
    }
    match terms.canary {
        Canary::All => None,
        Canary::Percent(percent) if hundredth(node, object) < percent => None,
        Canary::Percent(percent) => Some(format!("this node is not among the first {percent}%")),
        Canary::Count(count) => Some(format!("a canary of {count} nodes needs a controller that counts them; a percentage does not")),
    }
}

/// Where the node stands among all nodes, 0 to 99: always the same for one object, another for another.
fn hundredth(node: &str, object: &ConfigObject) -> u32 {
    let digest = Sha256::new().chain_update(&object.source.uid).chain_update([0]).chain_update(node).finalize();
    u32::from_str_radix(&hex(&digest, 4), 16).unwrap_or_default() % 100
}
