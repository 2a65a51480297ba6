//! A node's machines step by step.

use crate::demand::Demand;
use crate::placing::{NodePlan, Tenant};
use crate::random::Random;
use crate::settings::{Settings, StepDemand};
use crate::trace::{Load, TraceSet};

/// The first part of the place of generators that make demand.
const DEMAND: u64 = 2;

/// A part of the node in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    /// Which of the slot's tenants has it; the first is 0.
    pub(crate) tenant: usize,
    /// What it wants, in millicores; `None` in a hole of its trace.
    pub(crate) demand: Option<u32>,
}

/// Plays a node from its first to its last whole step. `each` is given the number of the step and what each slot wants in it.
pub(crate) fn play(set: &TraceSet, plan: &NodePlan, settings: &Settings, mut each: impl FnMut(u64, &[Use])) {
    let row = usize::try_from(set.row_seconds).unwrap_or(1).max(1);
    let slots = plan.slots.iter().enumerate();
    let mut slots: Vec<Playing<'_>> = slots.map(|(number, slot)| Playing::new(&slot.tenants, slot.size.get(), number, row)).collect();
    let mut uses: Vec<Use> = vec![Use { tenant: 0, demand: None }; slots.len()];
    let mut gather = Gather { of: settings.step_demand, step: settings.step.max(1), seconds: 0, parts: vec![Part::default(); slots.len()] };
    let mut number = 0;
    for at in 0..plan.rows {
        for slot in &mut slots {
            slot.next_row(set, at, |slot, tenant| Random::new(settings.seed, &[DEMAND, plan.number, slot, tenant]));
        }
        for second in 0..row {
            for (slot, part) in slots.iter().zip(&mut gather.parts) {
                part.add(slot.second(second));
            }
            if gather.is_full() {
                gather.take(&slots, &mut uses);
                each(number, &uses);
                number += 1;
            }
        }
    }
}

/// One slot as it is played.
struct Playing<'a> {
    tenants: &'a [Tenant],
    size: f32,
    number: u64,
    /// Which of the tenants has it.
    tenant: usize,
    demand: Option<Demand>,
    seconds: Vec<u32>,
    known: bool,
}

impl<'a> Playing<'a> {
    fn new(tenants: &'a [Tenant], size: u64, number: usize, row: usize) -> Self {
        // Sizes are whole CPUs, at most 1,024.
        let size = u32::try_from(size).unwrap_or(u32::MAX) as f32;
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        Self { tenants, size, number, tenant: 0, demand: None, seconds: vec![0; row], known: false }
    }

    fn next_row(&mut self, set: &TraceSet, at: usize, random: impl FnOnce(u64, u64) -> Random) {
        if self.tenants.get(self.tenant).is_some_and(|tenant| at >= tenant.to) {
            self.tenant += 1;
            self.demand = None;
        }
        let load = self.tenants.get(self.tenant).and_then(|tenant| load(set, *tenant, at));
        self.known = load.is_some();
        if let Some(Load { average, max }) = load {
            let (slot, tenant) = (self.number, u64::try_from(self.tenant).unwrap_or(u64::MAX));
            let demand = self.demand.get_or_insert_with(|| Demand::new(random(slot, tenant)));
            demand.row(average * self.size / 100.0, max * self.size / 100.0, &mut self.seconds);
        }
    }

    #[inline]
    fn second(&self, second: usize) -> Option<u32> {
        if self.known { self.seconds.get(second).copied() } else { None }
    }
}

fn load(set: &TraceSet, tenant: Tenant, at: usize) -> Option<Load> {
    set.columns.get(tenant.column)?.rows.get(at + tenant.shift).copied().flatten()
}

/// The seconds of a step so far.
struct Gather {
    of: StepDemand,
    step: u32,
    seconds: u32,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Default)]
struct Part {
    highest: u32,
    sum: u64,
    unknown: bool,
}

impl Part {
    #[inline]
    fn add(&mut self, demand: Option<u32>) {
        match demand {
            Some(demand) => {
                self.highest = self.highest.max(demand);
                self.sum += u64::from(demand);
            }
            None => self.unknown = true,
        }
    }
}

impl Gather {
    fn is_full(&mut self) -> bool {
        self.seconds += 1;
        self.seconds == self.step
    }

    fn take(&mut self, slots: &[Playing<'_>], uses: &mut [Use]) {
        for ((slot, part), seen) in slots.iter().zip(&mut self.parts).zip(uses) {
            let demand = match self.of {
                StepDemand::Max => part.highest,
                StepDemand::Average => u32::try_from((part.sum + u64::from(self.step) / 2) / u64::from(self.step)).unwrap_or(u32::MAX),
            };
            *seen = Use { tenant: slot.tenant, demand: (!part.unknown).then_some(demand) };
            *part = Part::default();
        }
        self.seconds = 0;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
pub(crate) mod tests {
    use super::*;
    use crate::placing::Slot;
    use crate::trace::{Column, Kind};
    use gleaner_model::MilliCpu;

    /// Machines that want the same in all seconds of a row of 10 s, in percent.
    pub(crate) fn flat(columns: &[&[Option<f32>]]) -> TraceSet {
        let column = |(n, rows): (usize, &&[Option<f32>])| Column {
            workload: format!("flat/VirtualMachine/vm{n}").parse().unwrap(),
            rows: rows.iter().map(|load| load.map(|load| Load { average: load, max: load })).collect(),
        };
        let columns = columns.iter().enumerate().map(column).collect();
        TraceSet { name: "flat".to_owned(), kind: Kind::Machines, row_seconds: 10, columns }
    }

    /// A node on which each slot has these tenants, by column and end.
    pub(crate) fn plan(rows: usize, slots: &[(u32, &[(usize, usize)])]) -> NodePlan {
        let slot = |(cpus, tenants): &(u32, &[(usize, usize)])| {
            let mut from = 0;
            let tenants = tenants.iter().map(|(column, to)| {
                let tenant = Tenant { column: *column, shift: 0, from, to: *to };
                from = *to;
                tenant
            });
            Slot { size: MilliCpu::from_cpus(*cpus), tenants: tenants.collect() }
        };
        NodePlan { number: 0, rows, slots: slots.iter().map(slot).collect() }
    }

    fn played(set: &TraceSet, plan: &NodePlan, settings: &Settings) -> Vec<Vec<(usize, Option<u32>)>> {
        let mut all = Vec::new();
        play(set, plan, settings, |number, uses| {
            assert_eq!(number, all.len() as u64);
            all.push(uses.iter().map(|seen| (seen.tenant, seen.demand)).collect());
        });
        all
    }

    #[test]
    fn each_slot_wants_what_the_row_of_its_tenant_says() {
        let set = flat(&[&[Some(10.0), None, Some(30.0)], &[Some(50.0), Some(60.0), Some(70.0)]]);
        let plan = plan(3, &[(2, &[(0, 3)]), (4, &[(1, 2), (0, 3)])]);
        let seconds = played(&set, &plan, &Settings::default());
        assert_eq!(seconds.len(), 30);
        assert_eq!(seconds[0], [(0, Some(200)), (0, Some(2000))]);
        assert_eq!(seconds[10], [(0, None), (0, Some(2400))]);
        assert_eq!(seconds[20], [(0, Some(600)), (1, Some(1200))]);
    }

    #[test]
    fn a_step_has_the_highest_or_the_average_of_its_seconds_and_a_hole_in_it_makes_it_unknown() {
        let set = flat(&[&[Some(10.0), Some(20.0), Some(30.0), None, Some(10.0), Some(10.0), Some(10.0)]]);
        let plan = plan(7, &[(1, &[(0, 7)])]);
        let steps = |step_demand| played(&set, &plan, &Settings { step: 20, step_demand, ..Settings::default() }).concat();
        assert_eq!(steps(StepDemand::Max), [(0, Some(200)), (0, None), (0, Some(100))]);
        assert_eq!(steps(StepDemand::Average), [(0, Some(150)), (0, None), (0, Some(100))]);
    }
}
