//! Katalyst's policy `numeric`: each resource keeps a hint of its own.
//!
//! A combination fits when aligned resources (CPU and memory, unless configured otherwise) have equal sets, one of them preferred, and of
//! any two sets one contains the other. Hints for any node bind nothing; of an aligned resource they must be preferred. Among what fits:
//! more preferred hints of resources that are not aligned, then the fewest nodes in the largest set, then the fewest nodes in sum, then
//! the lowest ids.
//!
//! Katalyst tries every combination. Here:
//!
//! - a resource that has a preferred hint for any node takes it: nothing else could be better or bind less;
//! - the aligned resources become one, with the sets that all of them have;
//! - what is left are a few resources whose sets must form a chain; see `chain`.
//!
//! Unlike Katalyst: "one of them preferred" counts all aligned resources, not the last two; equal means all, not each with the next; hints
//! that name no node, or one that the machine does not have, are passed over.

use super::Merged;
use super::chain::{self, Gain, Slot};
use crate::hint::Hint;
use gleaner_model::NumaSet;
use std::collections::{BTreeMap, BTreeSet};

/// One resource: its sets with whether they are preferred, and what it says about any node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Wish<'a> {
    resource: &'a str,
    sets: BTreeMap<&'a NumaSet, bool>,
    /// A hint for any node, and whether it is preferred.
    any: Option<bool>,
}

impl<'a> Wish<'a> {
    fn read(resource: &'a str, list: &'a [Hint], nodes: &NumaSet) -> Self {
        let mut wish = Self { resource, sets: BTreeMap::new(), any: None };
        for hint in list {
            match &hint.nodes {
                None => wish.any = wish.any.max(Some(hint.preferred)),
                Some(set) if set.is_empty() || !set.is_subset(nodes) => {}
                Some(set) => *wish.sets.entry(set).or_insert(false) |= hint.preferred,
            }
        }
        wish
    }

    fn settled(&self) -> bool {
        self.any == Some(true)
    }

    /// Its hint once the set is known.
    fn hint(&self, set: Option<&NumaSet>) -> Hint {
        match set {
            Some(set) => Hint::on(set.clone(), self.sets.get(set).copied().unwrap_or(false)),
            None => Hint { nodes: None, preferred: self.settled() },
        }
    }
}

pub(super) fn merge(align: &BTreeSet<String>, nodes: &NumaSet, names: &[String], lists: &[Vec<Hint>]) -> Merged {
    let mut wishes: Vec<Wish<'_>> = names.iter().zip(lists).map(|(name, list)| Wish::read(name, list, nodes)).collect();
    // So that the order of providers has no meaning.
    wishes.sort();
    let (aligned, others): (Vec<&Wish<'_>>, Vec<&Wish<'_>>) = wishes.iter().partition(|wish| align.contains(wish.resource));
    let (settled, mut open): (Vec<&Wish<'_>>, Vec<&Wish<'_>>) = others.into_iter().partition(|wish| wish.settled());
    let mut slots: Vec<Slot<'_>> = open.iter().map(|wish| slot(wish)).collect();
    let bound: Vec<&Wish<'_>> = aligned.iter().copied().filter(|wish| !wish.settled()).collect();
    let group = (!bound.is_empty()).then(|| aligned_slot(&bound, bound.len() < aligned.len()));
    slots.extend(group);
    let (found, cut) = chain::best(&slots);
    let Some(mut sets) = found else { return Merged { hints: BTreeMap::new(), admit: false, cut } };
    let common = if bound.is_empty() { None } else { sets.pop().flatten() };
    open.extend(&bound);
    sets.resize(open.len(), common);
    let chosen = open.iter().zip(&sets).map(|(wish, set)| (wish.resource, wish.hint(set.as_ref())));
    let free = settled.iter().chain(aligned.iter().filter(|wish| wish.settled())).map(|wish| (wish.resource, wish.hint(None)));
    Merged { hints: by_resource(chosen.chain(free)), admit: true, cut }
}

fn slot<'a>(wish: &Wish<'a>) -> Slot<'a> {
    let sets = wish.sets.iter().map(|(set, preferred)| (*set, Gain { preferred: u32::from(*preferred), nodes: set.count() }));
    Slot { sets: sets.collect(), without: wish.any.is_some() }
}

/// The sets that all of these have and one of them prefers; `glad`: another aligned resource, on any node, is the preferred one.
fn aligned_slot<'a>(bound: &[&Wish<'a>], glad: bool) -> Slot<'a> {
    let first = bound.iter().take(1).flat_map(|wish| wish.sets.keys().copied());
    let all = first.filter(|set| bound.iter().all(|wish| wish.sets.contains_key(set)));
    let fits = all.filter(|set| glad || bound.iter().any(|wish| wish.sets.get(set) == Some(&true)));
    let times = u32::try_from(bound.len()).unwrap_or(u32::MAX);
    Slot { sets: fits.map(|set| (set, Gain { preferred: 0, nodes: set.count().saturating_mul(times) })).collect(), without: false }
}

/// Two providers may name one resource; their sets are nested, so it has the smaller one.
fn by_resource<'a>(hints: impl Iterator<Item = (&'a str, Hint)>) -> BTreeMap<String, Hint> {
    let mut out: BTreeMap<String, Hint> = BTreeMap::new();
    for (resource, hint) in hints {
        let Some(held) = out.get_mut(resource) else {
            out.insert(resource.to_owned(), hint);
            continue;
        };
        held.preferred &= hint.preferred;
        held.nodes = match (held.nodes.take(), hint.nodes) {
            (Some(a), Some(b)) => Some(a.intersection(&b)),
            (a, b) => a.or(b),
        };
    }
    out
}
