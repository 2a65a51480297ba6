//! Which virtual machines are on which node. All nodes are sold out: the sizes of their machines add up to their CPUs.

use crate::random::Random;
use crate::settings::Settings;
use crate::trace::{Kind, TraceSet};
use gleaner_model::MilliCpu;
use thiserror::Error;

/// A set of traces that no nodes can be made of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{set}: {cause}")]
pub struct PlaceError {
    /// The set.
    pub set: String,
    /// Why not.
    pub cause: String,
}

/// What one node hosts, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePlan {
    /// Its number within its set, the first is 0.
    pub number: u64,
    /// Rows of the trace that it lasts.
    pub rows: usize,
    /// Parts of it that are sold.
    pub slots: Vec<Slot>,
}

/// A part of a node, sold to one machine after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// How much was sold.
    pub size: MilliCpu,
    /// Who has it, in order, without gaps.
    pub tenants: Vec<Tenant>,
}

/// A virtual machine on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenant {
    /// The column of the trace.
    pub column: usize,
    /// By how many rows it is ahead of its node: whole days.
    pub shift: usize,
    /// The node's row that it comes with.
    pub from: usize,
    /// The node's row that it is gone with.
    pub to: usize,
}

/// CPUs that a virtual machine can have; the traces do not tell.
const SIZES: [u32; 4] = [2, 4, 8, 16];
/// A week less a day: with it each weekday of a trace can meet each of another.
const LARGEST_SHIFT: usize = 6;
const DAY_SECONDS: u32 = 86_400;

/// The nodes of a set.
///
/// A machine is a column of the trace, drawn with replacement among those of the split, with a size drawn from 2, 4, 8 and 16 CPUs among those that still fit (1 where only 1
/// is left), shifted by a drawn number of whole days, 0 to 6 where the trace is long enough (a quarter of it at most). Machines are added until the node is sold out.
/// With a lifetime each ends after each row with the same probability, and another of the same size starts in its place, drawn in the same way.
///
/// A trace of a whole node is one node with one machine of all its CPUs, whatever the split.
///
/// # Errors
/// When no column is left, or the trace is not longer than the warm-up.
pub fn place(set: &TraceSet, settings: &Settings) -> Result<Vec<NodePlan>, PlaceError> {
    let refuse = |cause: String| Err(PlaceError { set: set.name.clone(), cause });
    let columns: Vec<usize> = match set.kind {
        Kind::Machines => (0..set.columns.len()).filter(|column| settings.split.has(*column)).collect(),
        Kind::Node => vec![0],
    };
    if columns.is_empty() {
        return refuse(format!("has no {} columns", settings.split.as_str()));
    }
    let day = usize::try_from(DAY_SECONDS / set.row_seconds.max(1)).unwrap_or(1).max(1);
    let shift = (set.rows() / day / 4).min(LARGEST_SHIFT);
    let there = set.rows() - shift * day;
    let rows = settings.days.map_or(there, |days| there.min(usize::try_from(days).unwrap_or(usize::MAX).saturating_mul(day)));
    let seconds = u64::try_from(rows).unwrap_or(u64::MAX).saturating_mul(set.row_seconds.into());
    if seconds <= settings.warm_up {
        return refuse(format!("nodes of it last {} h, and --warm-up takes {} h", seconds / 3600, settings.warm_up / 3600));
    }
    let nodes = if set.kind == Kind::Node { 1 } else { u64::from(settings.nodes) };
    let lasts = settings.lifetime.map(|days| days.saturating_mul(DAY_SECONDS / set.row_seconds.max(1)));
    let draw = Draw { columns: &columns, days: shift, day, rows, lasts };
    Ok((0..nodes)
        .map(|number| {
            let mut random = Random::new(settings.seed, &[PLACING, number]);
            let sizes = if set.kind == Kind::Node { vec![settings.cores] } else { sizes(&mut random, settings.cores) };
            let slot = |size| Slot { size: MilliCpu::from_cpus(size), tenants: draw.tenants(&mut random) };
            NodePlan { number, rows, slots: sizes.into_iter().map(slot).collect() }
        })
        .collect())
}

/// The first part of the place of generators that place; the second is the node.
const PLACING: u64 = 1;

fn sizes(random: &mut Random, cores: u32) -> Vec<u32> {
    let (mut sizes, mut left) = (Vec::new(), cores);
    while left > 0 {
        let fitting = SIZES.iter().filter(|size| **size <= left).count();
        let which = random.below(u32::try_from(fitting).unwrap_or(0));
        let size = SIZES.get(usize::try_from(which).unwrap_or(0)).copied().unwrap_or(1).min(left);
        sizes.push(size);
        left -= size;
    }
    sizes
}

struct Draw<'a> {
    columns: &'a [usize],
    /// Most days of shift.
    days: usize,
    /// Rows of a day.
    day: usize,
    /// Rows of the node.
    rows: usize,
    /// Rows that a machine stays on average.
    lasts: Option<u32>,
}

impl Draw<'_> {
    fn tenants(&self, random: &mut Random) -> Vec<Tenant> {
        let (mut tenants, mut from) = (Vec::new(), 0);
        while from < self.rows {
            let column = self.columns.get(below(random, self.columns.len())).copied().unwrap_or(0);
            let shift = below(random, self.days + 1) * self.day;
            let to = match self.lasts {
                None => self.rows,
                Some(lasts) => (from + 1..self.rows).find(|_| random.below(lasts) == 0).unwrap_or(self.rows),
            };
            tenants.push(Tenant { column, shift, from, to });
            from = to;
        }
        tenants
    }
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(u32::try_from(bound).unwrap_or(u32::MAX))).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::settings::Split;
    use crate::trace::{Column, Load};

    fn set(columns: usize, rows: usize) -> TraceSet {
        let workload = |n: usize| format!("set/VirtualMachine/vm{n}").parse().unwrap();
        let rows = vec![Some(Load { average: 1.0, max: 2.0 }); rows];
        let columns = (0..columns).map(|n| Column { workload: workload(n), rows: rows.clone() }).collect();
        TraceSet { name: "set".to_owned(), kind: Kind::Machines, row_seconds: 300, columns }
    }

    #[test]
    fn every_node_is_sold_out_and_every_moment_of_a_slot_has_one_machine() {
        for (cores, lifetime) in [(48, None), (48, Some(2)), (7, Some(1)), (1, None)] {
            let settings = Settings { cores, lifetime, reserve: MilliCpu::ZERO, ..Settings::default() };
            let nodes = place(&set(5, 28 * 288), &settings).unwrap();
            assert_eq!(nodes.len(), 20);
            for node in &nodes {
                assert_eq!(node.slots.iter().map(|slot| slot.size).sum::<MilliCpu>(), MilliCpu::from_cpus(cores), "{node:?}");
                assert_eq!(node.rows, 22 * 288);
                for slot in &node.slots {
                    assert_eq!((slot.tenants[0].from, slot.tenants.last().unwrap().to), (0, node.rows), "{slot:?}");
                    assert!(slot.tenants.windows(2).all(|pair| pair[0].to == pair[1].from), "{slot:?}");
                    assert!(slot.tenants.iter().all(|tenant| tenant.from < tenant.to && tenant.to + tenant.shift <= 28 * 288), "{slot:?}");
                    assert!(slot.tenants.iter().all(|tenant| tenant.shift.is_multiple_of(288)), "{slot:?}");
                    assert!(lifetime.is_some() || slot.tenants.len() == 1, "{slot:?}");
                }
            }
        }
    }

    #[test]
    fn machines_stay_as_long_on_average_as_asked() {
        let settings = Settings { lifetime: Some(2), nodes: 50, ..Settings::default() };
        let nodes = place(&set(5, 28 * 288), &settings).unwrap();
        let slots: usize = nodes.iter().map(|node| node.slots.len()).sum();
        let tenants: usize = nodes.iter().flat_map(|node| &node.slots).map(|slot| slot.tenants.len()).sum();
        // One at the beginning, then one each 2 days of 22: 12 in all.
        let each = f64::from(u32::try_from(tenants).unwrap()) / f64::from(u32::try_from(slots).unwrap());
        assert!((11.0..13.0).contains(&each), "{each} machines a slot");
    }

    #[test]
    fn the_same_seed_gives_the_same_nodes_and_more_nodes_leave_the_first_as_they_are() {
        let place_with = |seed, nodes| place(&set(5, 2000), &Settings { seed, nodes, ..Settings::default() }).unwrap();
        assert_eq!(place_with(1, 5), place_with(1, 20)[..5]);
        assert_ne!(place_with(1, 5), place_with(2, 5));
    }

    #[test]
    fn a_split_uses_its_columns_alone() {
        for (split, parity) in [(Split::Even, 0), (Split::Odd, 1)] {
            let nodes = place(&set(6, 1000), &Settings { split, ..Settings::default() }).unwrap();
            let columns = nodes.iter().flat_map(|node| &node.slots).flat_map(|slot| &slot.tenants).map(|tenant| tenant.column);
            assert!(columns.into_iter().all(|column| column % 2 == parity), "{split:?}");
        }
        let error = place(&set(1, 1000), &Settings { split: Split::Odd, ..Settings::default() }).unwrap_err();
        assert_eq!(error.to_string(), "set: has no odd columns");
    }

    #[test]
    fn a_trace_that_is_all_warm_up_is_refused() {
        let error = place(&set(3, 288), &Settings::default()).unwrap_err();
        assert_eq!(error.to_string(), "set: nodes of it last 24 h, and --warm-up takes 24 h");
        let error = place(&set(3, 2000), &Settings { days: Some(1), ..Settings::default() }).unwrap_err();
        assert_eq!(error.to_string(), "set: nodes of it last 24 h, and --warm-up takes 24 h");
    }

    #[test]
    fn a_trace_of_a_node_is_one_node_with_one_machine() {
        let whole = TraceSet { kind: Kind::Node, ..set(1, 2000) };
        let nodes = place(&whole, &Settings { split: Split::Odd, ..Settings::default() }).unwrap();
        assert_eq!((nodes.len(), nodes[0].slots.len(), nodes[0].slots[0].size), (1, 1, MilliCpu::from_cpus(48)));
    }
}
