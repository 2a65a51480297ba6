//! The dynamic policy: the choice of CPUs that costs least.
//!
//! For each core, L3 cache, NUMA node and package a table says what taking exactly so many of its CPUs costs at least. A group's table follows
//! from those of its parts, the choice from the tables. On machines whose groups nest the result is exact.

use super::cost::Cost;
use super::table::{Bounds, Table};
use super::{Nodes, Order, Wanted};
use crate::layout::{Layout, Level, Unit};
use gleaner_model::{CpuId, CpuSet, Id, NumaId, NumaSet};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What one choice is about.
struct Task<'a> {
    layout: &'a Layout<'a>,
    wanted: &'a Wanted<'a>,
    nodes: Nodes<'a>,
    bounds: Bounds,
    /// Groups where the taker has CPUs already, by level.
    own: [BTreeSet<u32>; 3],
}

/// What is free of one core.
struct Part<'a> {
    unit: &'a Unit,
    all: &'a CpuSet,
    /// What each free thread costs, in the order in which they are taken.
    threads: Vec<(u32, CpuId)>,
    /// All of them or none.
    whole: bool,
}

/// The cheapest choice; `None` when there is none.
pub(super) fn take(layout: &Layout<'_>, free: &CpuSet, wanted: &Wanted<'_>, nodes: Nodes<'_>, order: Order) -> Option<CpuSet> {
    let mut taken = CpuSet::new();
    let cpus = usize::try_from(wanted.cpus).ok()?;
    if cpus == 0 {
        return Some(taken);
    }
    let parts = parts(layout, free, wanted, order);
    let most: usize = parts.iter().map(|part| part.threads.len()).sum();
    let bounds = Bounds { cpus, spare: most.checked_sub(cpus)? };
    if !nodes.can_be_had(layout, &parts) {
        return None;
    }
    let own = layout.levels.map(|level| groups_of(layout, wanted.own, level));
    let task = Task { layout, wanted, nodes, bounds, own };
    let machine = task.group(&parts, &layout.levels);
    machine.costs.get(cpus).filter(|cost| cost.is_possible())?;
    machine.collect(cpus, &mut taken);
    (taken.count() == wanted.cpus).then_some(taken)
}

fn parts<'a>(layout: &'a Layout<'_>, free: &CpuSet, wanted: &Wanted<'_>, order: Order) -> Vec<Part<'a>> {
    let part = |unit: &'a Unit| {
        let open = unit.cpus.intersection(free);
        let all = layout.core(unit.core)?;
        if open.is_empty() || (wanted.whole_cores && !all.difference(&open).is_subset(wanted.own)) {
            return None;
        }
        let mut threads: Vec<(u32, CpuId)> = open.iter().map(|cpu| ((wanted.cost)(cpu), cpu)).collect();
        match order {
            Order::Lowest => threads.sort_unstable(),
            Order::Highest => threads.sort_unstable_by_key(|(cost, cpu)| (*cost, Reverse(*cpu))),
        }
        Some(Part { unit, all, threads, whole: wanted.whole_cores })
    };
    let parts = layout.units.iter().filter_map(part);
    match order {
        Order::Lowest => parts.collect(),
        Order::Highest => parts.rev().collect(),
    }
}

fn groups_of(layout: &Layout<'_>, cpus: &CpuSet, level: Level) -> BTreeSet<u32> {
    cpus.iter().filter_map(|cpu| level.group(layout.topology.cpu(cpu)?)).collect()
}

impl Nodes<'_> {
    fn can_be_had(&self, layout: &Layout<'_>, parts: &[Part<'_>]) -> bool {
        let (Nodes::Each(named) | Nodes::Even(named)) = self else { return true };
        let cpus = parts.iter().filter_map(|part| part.threads.first()).map(|(_, cpu)| *cpu).collect();
        named.is_subset(&layout.topology.nodes_of(&cpus))
    }

    /// Whether a node may give this many of all.
    fn allow(&self, node: NumaId, cpus: usize, of: usize) -> bool {
        match self {
            Nodes::Any => true,
            Nodes::Each(named) => cpus > 0 || !named.contains(node),
            Nodes::Even(named) if named.contains(node) => share(named, of) == Some(cpus),
            Nodes::Even(_) => cpus == 0,
        }
    }
}

fn share(nodes: &NumaSet, cpus: usize) -> Option<usize> {
    cpus.is_multiple_of(nodes.len()).then(|| cpus.checked_div(nodes.len()))?
}

impl Task<'_> {
    /// The table of CPUs that are in the same groups of all levels above these.
    fn group(&self, parts: &[Part<'_>], levels: &[Level]) -> Table {
        let Some((level, narrower)) = levels.split_first() else {
            return Table::of_group(parts.iter().map(|part| self.core(part)).collect(), self.bounds);
        };
        let depth = self.layout.levels.len() - levels.len();
        let group = |part: &Part<'_>| part.unit.path.get(depth).copied().flatten();
        let tables = parts.chunk_by(|a, b| group(a) == group(b)).map(|parts| {
            let mut table = self.group(parts, narrower);
            if let Some(id) = parts.first().and_then(group) {
                let owned = self.own.get(depth).is_some_and(|own| own.contains(&id));
                self.price(&mut table, *level, id, owned);
            }
            table
        });
        Table::of_group(tables.collect(), self.bounds)
    }

    /// Adds what it costs to touch a group.
    fn price(&self, table: &mut Table, level: Level, id: u32, owned: bool) {
        let touch = match level {
            _ if owned => Cost::ZERO,
            Level::Package => Cost::PACKAGE,
            Level::Node => Cost::NODE,
            Level::Cache => Cost::CACHE,
        };
        for (cpus, cost) in table.costs.iter_mut().enumerate() {
            if level == Level::Node && !self.nodes.allow(NumaId::from_index(id), cpus, self.bounds.cpus) {
                *cost = Cost::IMPOSSIBLE;
            } else if cpus > 0 {
                *cost = cost.plus(touch).plus(Cost::left(table.most.saturating_sub(cpus)));
                if level == Level::Node {
                    *cost = cost.plus(Cost::on_node(cpus));
                }
            }
        }
    }

    fn core(&self, part: &Part<'_>) -> Table {
        let touch = if part.all.is_disjoint(self.wanted.own) { Cost::CORE } else { Cost::ZERO };
        let held = if part.all.is_disjoint(self.wanted.held) { Cost::ZERO } else { Cost::HELD };
        let touch = touch.plus(held);
        let mut costs = vec![Cost::ZERO];
        let mut caller = 0u64;
        for (taken, (cost, _)) in (1..).zip(&part.threads) {
            caller = caller.saturating_add(u64::from(*cost));
            let left = part.threads.len() - taken;
            let torn = part.whole && left > 0;
            costs.push(if torn { Cost::IMPOSSIBLE } else { touch.plus(Cost::caller(caller)).plus(Cost::torn(left)) });
        }
        Table::of_core(part.threads.iter().map(|(_, cpu)| *cpu).collect(), costs)
    }
}
