//! One set for each of a few resources, so that the sets form a chain: of any two, one contains the other.
//!
//! Every resource lies somewhere on the chain, so the search goes up through all sets, the small ones first, and keeps for each set and
//! each group of resources the best way to place that group on a chain that ends there. Cost: (pairs of nested sets) x 2^resources. With
//! 8 nodes, Katalyst's most, and all their sets there are at most 3^8 pairs.

use super::order::falling;
use gleaner_model::NumaSet;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Sets that are looked at, the smallest first: all of them on machines with up to 10 nodes.
const MOST_SETS: usize = 1 << 10;
/// Steps after which the search is not begun.
const MOST_STEPS: usize = 1 << 23;

/// What it brings to put a resource on a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gain {
    /// Preferred hints.
    pub(super) preferred: u32,
    /// Nodes, summed over the hints.
    pub(super) nodes: u32,
}

/// A resource, or several that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot<'a> {
    /// Where it can be.
    pub(super) sets: BTreeMap<&'a NumaSet, Gain>,
    /// Whether it can also be nowhere on the chain, which brings nothing.
    pub(super) without: bool,
}

/// The best way found for one group of resources, and its last step.
#[derive(Debug, Clone, Copy)]
struct Way {
    preferred: u32,
    nodes: u32,
    last: Last,
}

#[derive(Debug, Clone, Copy)]
enum Last {
    /// All of the group are nowhere.
    Start,
    /// The chain ends at this earlier set already.
    Below(usize),
    /// This resource was put on the set.
    Put(usize),
}

/// By group of resources, as bits.
type Row = Vec<Option<Way>>;

/// The set of each slot, `None` for one that is nowhere; nothing when there is no chain. And whether the search was cut short.
pub(super) fn best(slots: &[Slot<'_>]) -> (Option<Vec<Option<NumaSet>>>, bool) {
    let distinct: BTreeSet<&NumaSet> = slots.iter().flat_map(|slot| slot.sets.keys().copied()).collect();
    let mut sets: Vec<&NumaSet> = distinct.into_iter().collect();
    sets.sort_by_cached_key(|set| (set.count(), falling(set)));
    let cut = sets.len() > MOST_SETS;
    sets.truncate(MOST_SETS);
    let below: Vec<Vec<usize>> = (0..).zip(&sets).map(|(at, set)| nested(&sets, at, set)).collect();
    let steps = below.iter().map(|below| below.len() + 1 + slots.len()).sum::<usize>() + 1;
    let groups = u32::try_from(slots.len()).ok().and_then(|slots| 1_usize.checked_shl(slots));
    let Some(groups) = groups.filter(|groups| steps.saturating_mul(*groups) <= MOST_STEPS) else { return (None, true) };
    let start: Row = (0..groups).map(|group| start(slots, group)).collect();
    let mut rows: Vec<Row> = Vec::with_capacity(sets.len());
    for (set, below) in sets.iter().zip(&below) {
        let row = row(slots, set, &start, below, &rows);
        rows.push(row);
    }
    (choose(slots, &sets, &start, &rows), cut)
}

fn nested(sets: &[&NumaSet], at: usize, set: &NumaSet) -> Vec<usize> {
    (0..).zip(sets.iter().take(at)).filter(|(_, below)| below.is_subset(set)).map(|(below, _)| below).collect()
}

/// The members of a group.
fn members<'a>(slots: &'a [Slot<'a>], group: usize) -> impl Iterator<Item = (usize, &'a Slot<'a>)> {
    slots.iter().enumerate().filter(move |(at, _)| group >> at & 1 == 1)
}

fn start(slots: &[Slot<'_>], group: usize) -> Option<Way> {
    members(slots, group).all(|(_, slot)| slot.without).then_some(Way { preferred: 0, nodes: 0, last: Last::Start })
}

fn row(slots: &[Slot<'_>], set: &NumaSet, start: &Row, below: &[usize], rows: &[Row]) -> Row {
    let mut row: Row = Vec::with_capacity(start.len());
    for (group, begun) in start.iter().enumerate() {
        let mut best = *begun;
        for at in below {
            let way = rows.get(*at).and_then(|row| row.get(group)).copied().flatten();
            better(&mut best, way.map(|way| Way { last: Last::Below(*at), ..way }));
        }
        for (at, slot) in members(slots, group) {
            // The group without this one has a smaller number: it is in the row already.
            let rest = row.get(group & !(1 << at)).copied().flatten();
            let put = rest.zip(slot.sets.get(set)).map(|(way, gain)| Way {
                preferred: way.preferred + gain.preferred,
                nodes: way.nodes.saturating_add(gain.nodes),
                last: Last::Put(at),
            });
            better(&mut best, put);
        }
        row.push(best);
    }
    row
}

/// Takes the other way if it is strictly better, so that the first of equals stays.
fn better(best: &mut Option<Way>, other: Option<Way>) {
    let key = |way: &Way| (way.preferred, Reverse(way.nodes));
    if other.as_ref().map(key) > best.as_ref().map(key) {
        *best = other;
    }
}

/// The best chain with all slots, and where it puts each.
fn choose(slots: &[Slot<'_>], sets: &[&NumaSet], start: &Row, rows: &[Row]) -> Option<Vec<Option<NumaSet>>> {
    let whole = start.len() - 1;
    let of = |row: &Row| row.get(whole).copied().flatten();
    let key = |way: &Way, top: u32| (way.preferred, Reverse(top), Reverse(way.nodes));
    let mut best = of(start).map(|way| (key(&way, 0), None));
    for (at, (set, row)) in sets.iter().zip(rows).enumerate() {
        let found = of(row).map(|way| (key(&way, set.count()), Some(at)));
        if found.as_ref().map(|(key, _)| key) > best.as_ref().map(|(key, _)| key) {
            best = found;
        }
    }
    let (_, mut top) = best?;
    let mut chosen = vec![None; slots.len()];
    let mut group = whole;
    while let Some(at) = top {
        match rows.get(at).and_then(|row| row.get(group)).copied().flatten().map(|way| way.last) {
            Some(Last::Below(lower)) => top = Some(lower),
            Some(Last::Put(slot)) => {
                if let (Some(place), Some(set)) = (chosen.get_mut(slot), sets.get(at)) {
                    *place = Some((*set).clone());
                }
                group &= !(1 << slot);
            }
            Some(Last::Start) | None => top = None,
        }
    }
    Some(chosen)
}
