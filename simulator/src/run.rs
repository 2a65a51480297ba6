//! One node from its first to its last step, with all policies at once, so that its demand is made only once.

use crate::ahead::{Stretch, stretches};
use crate::lender::{Lender, Machine, VmUse};
use crate::placing::NodePlan;
use crate::play::{Use, play};
use crate::score::{Clairvoyant, Part, Rules, Score, Tally};
use crate::settings::{Horizon, Settings};
use crate::trace::TraceSet;
use crate::trail::Trail;
use gleaner_model::{MilliCpu, Timestamp, WallTime};
use std::collections::VecDeque;
use std::time::Duration;

/// What became of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOutcome {
    /// What the clairvoyant lent in the warm-up and after it, in thousandths of a CPU for one second.
    pub clairvoyant: [u64; 2],
    /// Of each lender in the warm-up and after it, in their order.
    pub scores: Vec<[Score; 2]>,
    /// For the plot, if it was asked for.
    pub trail: Option<Trail>,
}

/// A Monday, so that a trace's first day is one.
const FIRST_DAY: WallTime = WallTime::from_unix(345_600);

/// Runs the lenders on a node.
///
/// A sample is taken at the beginning of each step but the first. It shows what each machine used on average in the step before, as counters do. What a lender answers is in force
/// after the delay, in whole steps: at step `t` what was answered at step `t - delay / step`, and nothing before the first answer.
pub fn run_node<L: Lender>(set: &TraceSet, plan: &NodePlan, settings: &Settings, lenders: &mut [L], trail: Option<Trail>) -> NodeOutcome {
    let step = u64::from(settings.step.max(1));
    let machine = settings.machine();
    let stretches = if settings.horizon == Horizon::Lifetime { stretches(set, plan, settings) } else { Vec::new() };
    let horizon = match settings.horizon {
        Horizon::Seconds(seconds) => Some(usize::try_from(seconds / step).unwrap_or(usize::MAX)),
        Horizon::Lifetime => None,
    };
    let answers = usize::try_from(settings.delay / step).unwrap_or(0);
    let mut node = Node {
        set,
        plan,
        step,
        warm_up: settings.warm_up,
        seen: Vec::with_capacity(plan.slots.len()),
        clairvoyant: Clairvoyant::new(machine, step, horizon),
        stretches: stretches.into(),
        runs: lenders.iter().map(|_| Run::new(Rules::new(machine, step), answers)).collect(),
        trail,
    };
    play(set, plan, settings, |number, uses| node.step(number, uses, lenders));
    node.clairvoyant.settle(MilliCpu::ZERO);
    let both = |run: &Run| [run.tally.score(Part::WarmUp), run.tally.score(Part::Scored)];
    NodeOutcome {
        clairvoyant: [node.clairvoyant.lent(Part::WarmUp), node.clairvoyant.lent(Part::Scored)],
        scores: node.runs.iter().map(both).collect(),
        trail: node.trail,
    }
}

impl Settings {
    /// A node.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine { capacity: MilliCpu::from_cpus(self.cores), reserve: self.reserve }
    }
}

/// One lender on its way.
struct Run {
    tally: Tally,
    /// Answers that are not in force yet, the oldest first.
    on_the_way: VecDeque<MilliCpu>,
    /// What is in force.
    promise: MilliCpu,
}

impl Run {
    fn new(rules: Rules, answers: usize) -> Self {
        Self { tally: Tally::new(rules), on_the_way: VecDeque::from(vec![MilliCpu::ZERO; answers]), promise: MilliCpu::ZERO }
    }
}

struct Node<'a> {
    set: &'a TraceSet,
    plan: &'a NodePlan,
    step: u64,
    warm_up: u64,
    /// What the machines did in the step before.
    seen: Vec<VmUse<'a>>,
    clairvoyant: Clairvoyant,
    stretches: VecDeque<Stretch>,
    runs: Vec<Run>,
    trail: Option<Trail>,
}

impl Node<'_> {
    fn step<L: Lender>(&mut self, number: u64, uses: &[Use], lenders: &mut [L]) {
        let second = number * self.step;
        let part = if second < self.warm_up { Part::WarmUp } else { Part::Scored };
        let demand: Option<MilliCpu> = uses.iter().map(|each| each.demand.map(|demand| MilliCpu::new(demand.into()))).sum();
        self.look_ahead(number, demand, part);
        let since_boot = Duration::from_secs(second);
        let (now, wall) = (Timestamp::since_boot(since_boot), FIRST_DAY.after(since_boot));
        for (run, lender) in self.runs.iter_mut().zip(lenders) {
            let answer = if number == 0 { MilliCpu::ZERO } else { lender.second(now, wall, &self.seen) };
            run.on_the_way.push_back(answer);
            run.promise = run.on_the_way.pop_front().unwrap_or_default();
            run.tally.step(demand, run.promise, part);
        }
        if let Some(trail) = &mut self.trail {
            trail.step(second, demand, self.runs.iter().map(|run| run.promise));
        }
        self.remember(second, uses);
    }

    fn look_ahead(&mut self, number: u64, demand: Option<MilliCpu>, part: Part) {
        if let Some(past) = self.stretches.pop_front_if(|stretch| number >= stretch.end) {
            self.clairvoyant.settle(past.peak);
        }
        self.clairvoyant.step(demand, part);
    }

    /// What the next sample will show.
    fn remember(&mut self, second: u64, uses: &[Use]) {
        self.seen.clear();
        let row_seconds = u64::from(self.set.row_seconds);
        for (number, (slot, seen)) in self.plan.slots.iter().zip(uses).enumerate() {
            let Some(tenant) = slot.tenants.get(seen.tenant) else { continue };
            let Some(column) = self.set.columns.get(tenant.column) else { continue };
            let from = u64::try_from(tenant.from).unwrap_or(u64::MAX).saturating_mul(row_seconds);
            let pod = u64::try_from(number).unwrap_or(0) << 32 | u64::try_from(seen.tenant).unwrap_or(0);
            self.seen.push(VmUse {
                workload: &column.workload,
                pod,
                request: slot.size,
                age: Duration::from_secs((second + self.step).saturating_sub(from)),
                usage: seen.demand.map(|demand| MilliCpu::new(demand.into())),
            });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
