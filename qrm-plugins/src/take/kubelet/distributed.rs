//! Distributed: the same number of CPUs on each of as few NUMA nodes as can hold the request.

use super::accumulator::{Accumulator, Sorting, Unit};
use super::machine::KubeletMachine;
use super::packed::packed;
use gleaner_model::CpuSet;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// `count` CPUs of `available` in groups of `group`, the same number on each of the fewest NUMA nodes that can hold them; what does not divide
/// goes in groups to the nodes that leave the free CPUs of all nodes most even. Packed where that is impossible or the group does not divide
/// the count. `None` when there are too few.
#[must_use]
pub fn distributed(machine: &KubeletMachine, available: &CpuSet, count: u32, group: u32, sorting: Sorting) -> Option<CpuSet> {
    let pack = |available: &CpuSet, count| packed(machine, available, count, sorting, false);
    if group == 0 || !count.is_multiple_of(group) {
        return pack(available, count);
    }
    let mut request = Accumulator::new(machine, available, count, sorting);
    if request.is_satisfied() {
        return Some(CpuSet::new());
    }
    if request.is_failed() {
        return None;
    }
    let free = machine.groups(Unit::Numa, &request.free);
    let nodes: Vec<(u32, u32)> = request.ordered(Unit::Numa).into_iter().map(|id| (id, free.get(&id).map_or(0, CpuSet::count))).collect();
    let groups = machine.cpus().count().div_ceil(group).div_ceil(machine.nodes().max(1)).max(1);
    let fewest = (count / group).div_ceil(groups);
    let most = (count / group).min(u32::try_from(nodes.len()).unwrap_or(u32::MAX));
    let Some((each, chosen)) = (fewest..=most).find_map(|number| Some((even(count, number, group), choose(&nodes, count, number, group)?)))
    else {
        return pack(available, count);
    };
    let extra = chosen.iter().filter(|(_, extra)| *extra).map(|(id, _)| (*id, group));
    for (id, cpus) in chosen.iter().map(|(id, _)| (*id, each)).chain(extra) {
        let on_node = machine.in_unit(Unit::Numa, id).intersection(&request.free);
        request.take(&pack(&on_node, cpus)?);
    }
    request.is_satisfied().then_some(request.taken)
}

/// What every one of so many nodes gives at least.
fn even(count: u32, number: u32, group: u32) -> u32 {
    count / number.max(1) / group * group
}

/// What nodes leave free, and which were chosen: the smaller, the better, among equal ones those that are tried first.
type Choice = (i64, Vec<Reverse<bool>>, Vec<Reverse<bool>>);

/// `number` nodes, each with whether it gives one group more, such that the free CPUs of all nodes are left most even; `None` when no
/// nodes can. The sum of what is left is the same for all choices, so the smallest sum of squares has the smallest standard deviation.
pub(super) fn choose(nodes: &[(u32, u32)], count: u32, number: u32, group: u32) -> Option<Vec<(u32, bool)>> {
    let each = even(count, number, group);
    let extras = (count - each * number) / group;
    let mut best: BTreeMap<(u32, u32), Choice> = BTreeMap::from([((0, 0), Choice::default())]);
    for (_, free) in nodes {
        let mut next: BTreeMap<(u32, u32), Choice> = BTreeMap::new();
        for ((taken, more), choice) in &best {
            for (is_taken, has_more) in [(false, false), (true, false), (true, true)] {
                let gives = u32::from(is_taken) * each + u32::from(has_more) * group;
                let key = (taken + u32::from(is_taken), more + u32::from(has_more));
                if gives > *free || key.0 > number || key.1 > extras {
                    continue;
                }
                let mut choice = choice.clone();
                choice.0 += i64::from(free - gives).pow(2);
                choice.1.push(Reverse(is_taken));
                choice.2.push(Reverse(has_more));
                match next.get(&key) {
                    Some(other) if *other <= choice => {}
                    _ => drop(next.insert(key, choice)),
                }
            }
        }
        best = next;
    }
    let (_, taken, more) = best.remove(&(number, extras))?;
    let marked = nodes.iter().zip(taken.into_iter().zip(more));
    Some(marked.filter(|(_, (taken, _))| taken.0).map(|((id, _), (_, more))| (*id, more.0)).collect())
}
