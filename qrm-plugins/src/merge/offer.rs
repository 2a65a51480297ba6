//! What the providers offer, and how it is read.

use super::UNNAMED;
use crate::hint::{Hint, Hints};
use std::collections::BTreeMap;

/// Hints shown of one resource in a refusal.
const SHOWN: usize = 4;

/// What one provider says, by resource. No resource at all: it has no preference. `None`: no preference for this resource. An empty list:
/// the resource fits nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provider(pub BTreeMap<String, Option<Vec<Hint>>>);

impl Provider {
    /// What a solver of this crate answered for a resource.
    #[must_use]
    pub fn of(resource: &str, hints: Hints) -> Self {
        let hints = match hints {
            Hints::NoPreference => None,
            Hints::List(hints) => Some(hints),
        };
        Self(BTreeMap::from([(resource.to_owned(), hints)]))
    }

    /// Whether one of its resources fits nowhere.
    pub(super) fn says_nowhere(&self) -> bool {
        self.0.values().flatten().any(Vec::is_empty)
    }
}

/// One list of hints for each resource, never empty: no preference is one preferred hint for any node, nowhere one that is not preferred.
pub(super) fn all(providers: &[Provider]) -> Vec<(String, Vec<Hint>)> {
    let silent = || (UNNAMED.to_owned(), vec![Hint::any()]);
    let mut offers = Vec::new();
    for provider in providers {
        offers.extend(provider.0.is_empty().then(silent));
        offers.extend(provider.0.iter().map(|(resource, hints)| (resource.clone(), list(hints.as_deref()))));
    }
    if offers.is_empty() {
        offers.push(silent());
    }
    offers
}

fn list(hints: Option<&[Hint]>) -> Vec<Hint> {
    match hints {
        None => vec![Hint::any()],
        Some([]) => vec![Hint { nodes: None, preferred: false }],
        Some(hints) => hints.to_vec(),
    }
}

/// The hints that `single-numa-node` looks at: preferred, and for one node or any.
#[must_use]
pub fn single_node_hints(lists: &[Vec<Hint>]) -> Vec<Vec<Hint>> {
    let fits = |hint: &&Hint| hint.preferred && hint.nodes.as_ref().is_none_or(|nodes| nodes.len() == 1);
    lists.iter().map(|list| list.iter().filter(fits).cloned().collect()).collect()
}

/// What was offered, for people.
pub(super) fn line(providers: &[Provider]) -> String {
    let named =
        providers.iter().flat_map(|provider| &provider.0).map(|(resource, hints)| format!("{resource}: {}", shown(hints.as_deref())));
    let named: Vec<String> = named.collect();
    if named.is_empty() { "no preference".to_owned() } else { named.join("; ") }
}

fn shown(hints: Option<&[Hint]>) -> String {
    let Some(hints) = hints else { return "no preference".to_owned() };
    if hints.is_empty() {
        return "nowhere".to_owned();
    }
    let mut parts: Vec<String> = hints.iter().take(SHOWN).map(ToString::to_string).collect();
    if hints.len() > SHOWN {
        parts.push(format!("{} more", hints.len() - SHOWN));
    }
    parts.join(" or ")
}
