//! What all nodes came to: one row a policy and margin.

mod table;

use crate::lender::{Lender, Machine, lender};
use crate::margin::{margin, margins, setting, with_margin};
use crate::placing::NodePlan;
use crate::run::NodeOutcome;
use crate::score::Score;
use crate::settings::Settings;
use crate::trace::TraceSet;
use gleaner_estimator::{Policy, PolicyName};
use gleaner_model::Permille;
use serde::Serialize;

/// A policy with a margin.
#[derive(Debug, Clone, PartialEq)]
pub struct Contender {
    /// The policy.
    pub name: PolicyName,
    /// Its margin.
    pub margin: Permille,
    /// Whether the margin is the configured one.
    pub chosen: bool,
    policy: Policy,
}

impl Contender {
    /// It on a node of its own.
    #[must_use]
    pub fn lender(&self, machine: Machine) -> Box<dyn Lender + Send> {
        lender(self.name, &self.policy, machine)
    }
}

/// The policies of these names as they are configured; in a sweep, also with all other margins.
#[must_use]
pub fn contenders(names: &[PolicyName], policy: &Policy, machine: Machine, sweep: bool) -> Vec<Contender> {
    let policy = Policy { cpu_reserve: machine.reserve, ..policy.clone() };
    let of_name = |name: &PolicyName| {
        let (name, configured) = (*name, margin(*name, &policy));
        let mut all = if sweep { margins(name) } else { Vec::new() };
        all.push(configured);
        all.sort_unstable();
        all.dedup();
        let contender = |margin| Contender { name, margin, chosen: margin == configured, policy: with_margin(name, &policy, margin) };
        all.into_iter().map(contender).collect::<Vec<_>>()
    };
    names.iter().flat_map(of_name).collect()
}

/// What came of one policy with one margin.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The policy.
    pub policy: PolicyName,
    /// The name of the setting that is its margin.
    pub setting: &'static str,
    /// Its margin.
    pub margin: Permille,
    /// Whether the margin is the configured one.
    pub chosen: bool,
    /// Lent CPU-hours in percent of the clairvoyant's; `None` where that one lent nothing.
    pub lent_percent: Option<f64>,
    /// CPU-hours lent.
    pub lent_hours: f64,
    /// CPU-hours that the clairvoyant lent.
    pub clairvoyant_hours: f64,
    /// Minutes of violation of all nodes together.
    pub violation_minutes: f64,
    /// The same in percent of the time.
    pub violation_percent: f64,
    /// The deepest cut of the promise in CPUs.
    pub worst_cut: f64,
    /// Reclaimed pods of one CPU that would have been evicted, on all nodes together.
    pub evictions: u64,
    /// Changes of the promise per hour of a node.
    pub changes_per_hour: f64,
    /// Used CPU in percent of the capacity, without what is lent.
    pub used_before: f64,
    /// The same when all that is lent is used.
    pub used_after: f64,
    /// Minutes that were not scored, since a trace had a hole.
    pub unknown_minutes: f64,
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    // Sums of years of large nodes are below 2^53.
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * ratio(part, whole).unwrap_or(0.0)
}

impl Row {
    fn new(contender: &Contender, clairvoyant: u64, score: &Score) -> Self {
        let hours = |milli_seconds: u64| milli_seconds as f64 / 3_600_000.0;
        Self {
            policy: contender.name,
            setting: setting(contender.name),
            margin: contender.margin,
            chosen: contender.chosen,
            lent_percent: ratio(score.lent, clairvoyant).map(|share| 100.0 * share),
            lent_hours: hours(score.lent),
            clairvoyant_hours: hours(clairvoyant),
            violation_minutes: score.violation_seconds as f64 / 60.0,
            violation_percent: percent(score.violation_seconds, score.seconds),
            worst_cut: score.worst_cut.get() as f64 / 1000.0,
            evictions: score.evictions,
            changes_per_hour: 3600.0 * ratio(score.changes, score.seconds).unwrap_or(0.0),
            used_before: percent(score.demand, score.capacity),
            used_after: percent(score.demand + score.lent, score.capacity),
            unknown_minutes: score.unknown_seconds as f64 / 60.0,
        }
    }
}

/// All nodes of one set of traces, or of all sets.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetReport {
    /// The set.
    pub name: String,
    /// How many nodes.
    pub nodes: usize,
    /// How many machines were on them.
    pub machines: usize,
    /// Days of all nodes together, with the warm-up.
    pub node_days: f64,
    /// After the warm-up.
    pub rows: Vec<Row>,
    /// In the warm-up.
    pub warm_up: Vec<Row>,
    #[serde(skip)]
    sums: Sums,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Sums {
    clairvoyant: [u64; 2],
    scores: Vec<[Score; 2]>,
}

impl Sums {
    fn add(&mut self, clairvoyant: [u64; 2], scores: &[[Score; 2]]) {
        self.clairvoyant.iter_mut().zip(clairvoyant).for_each(|(sum, more)| *sum += more);
        self.scores.resize(self.scores.len().max(scores.len()), [Score::default(); 2]);
        for (sum, more) in self.scores.iter_mut().zip(scores) {
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.and(*more));
        }
    }

    /// The rows of the warm-up, and those of the rest.
    fn rows(&self, contenders: &[Contender]) -> (Vec<Row>, Vec<Row>) {
        let [before, after] = self.clairvoyant;
        let of_part = |clairvoyant, which: fn(&[Score; 2]) -> &Score| {
            contenders.iter().zip(&self.scores).map(|(contender, scores)| Row::new(contender, clairvoyant, which(scores))).collect()
        };
        (of_part(before, |[warm_up, _]| warm_up), of_part(after, |[_, scored]| scored))
    }
}

/// What a simulation found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was simulated.
    pub settings: Settings,
    /// Each set, and all together at the end if there are several.
    pub sets: Vec<SetReport>,
}

impl Report {
    /// Nothing found yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, sets: Vec::new() }
    }

    /// Adds the nodes of a set. The outcomes' lenders are the contenders, in their order.
    pub fn add(&mut self, set: &TraceSet, plans: &[NodePlan], contenders: &[Contender], outcomes: &[NodeOutcome]) {
        let mut sums = Sums::default();
        outcomes.iter().for_each(|outcome| sums.add(outcome.clairvoyant, &outcome.scores));
        let (warm_up, rows) = sums.rows(contenders);
        let machines = plans.iter().flat_map(|plan| &plan.slots).map(|slot| slot.tenants.len()).sum();
        let trace_rows = u64::try_from(plans.iter().map(|plan| plan.rows).sum::<usize>()).unwrap_or(u64::MAX);
        let node_days = trace_rows as f64 * f64::from(set.row_seconds) / 86_400.0;
        self.sets.push(SetReport { name: set.name.clone(), nodes: plans.len(), machines, node_days, rows, warm_up, sums });
    }

    /// Adds all sets together, if there are several.
    pub fn total(&mut self, contenders: &[Contender]) {
        if self.sets.len() < 2 {
            return;
        }
        let mut sums = Sums::default();
        self.sets.iter().for_each(|part| sums.add(part.sums.clairvoyant, &part.sums.scores));
        let (warm_up, rows) = sums.rows(contenders);
        let sum = |count: fn(&SetReport) -> usize| self.sets.iter().map(count).sum();
        let (nodes, machines) = (sum(|part| part.nodes), sum(|part| part.machines));
        let node_days = self.sets.iter().map(|part| part.node_days).sum();
        self.sets.push(SetReport { name: "all sets".to_owned(), nodes, machines, node_days, rows, warm_up, sums });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
