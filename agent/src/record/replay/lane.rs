//! One policy beside others over the same ticks.

use super::Row;
use super::series::Series;
use crate::record::codec::Recorded;
use crate::record::line::States;
use crate::record::score::score;
use gleaner_estimator::{Input, Policy, PolicyName, State};
use gleaner_eviction::Round;
use gleaner_model::MilliCpu;
use std::collections::BTreeMap;
use std::time::Duration;

/// What one policy carries, and what it has done so far.
pub(super) struct Lane {
    /// `None`: the one that was recorded.
    policy: Option<PolicyName>,
    name: String,
    estimator: State,
    eviction: gleaner_eviction::State,
    /// What was lent before this tick.
    last: MilliCpu,
    /// What was lent in each interval.
    promises: Vec<MilliCpu>,
    evicted: u64,
}

impl Lane {
    fn new(policy: Option<PolicyName>) -> Self {
        Self {
            policy,
            name: policy.map(|policy| policy.to_string()).unwrap_or_default(),
            estimator: State::default(),
            eviction: gleaner_eviction::State::default(),
            last: MilliCpu::ZERO,
            promises: Vec::new(),
            evicted: 0,
        }
    }

    /// The policy that the agent ran, whatever it was.
    pub(super) fn recorded() -> Self {
        Self::new(None)
    }

    /// A policy to compare with.
    pub(super) fn of(policy: PolicyName) -> Self {
        Self::new(Some(policy))
    }

    /// It begins where the recorded one began: with what was remembered and lent then.
    pub(super) fn start(&mut self, states: &States) {
        self.estimator = states.estimator.clone();
        self.eviction = states.eviction.clone();
    }

    /// What was lent so far held in the interval that this tick ended; from now on `cpu` is lent.
    pub(super) fn promise(&mut self, series: &Series, cpu: MilliCpu, recorded: &Recorded) {
        if series.ended {
            self.promises.push(self.last);
        }
        self.last = cpu;
        if self.policy.is_none() && self.name.is_empty() {
            self.name = name_of(&recorded.policies.estimator);
        }
    }

    pub(super) fn count(&mut self, round: &Round) {
        self.evicted += u64::try_from(round.victims.len()).unwrap_or(u64::MAX);
    }

    /// Runs this policy over a tick.
    pub(super) fn tick(&mut self, input: &Input<'_>, recorded: &Recorded, series: &Series) {
        let configured = &recorded.policies.estimator;
        let policy = Policy { policy: self.policy.unwrap_or(configured.policy), regions: BTreeMap::new(), ..configured.clone() };
        let (estimate, state) = gleaner_estimator::estimate(input, &policy, std::mem::take(&mut self.estimator));
        self.estimator = state;
        if let Some(asked) = &recorded.eviction {
            let (supply, policy) = (estimate.known_supply(), &recorded.policies.eviction);
            let (round, next) = gleaner_eviction::decide(input.snapshot, supply, policy, &self.eviction, &asked.leaving, asked.fired);
            self.eviction = next;
            self.count(&round);
        }
        self.promise(series, estimate.cpu, recorded);
    }

    pub(super) fn row(&self, series: &Series, horizon: Duration) -> Row {
        Row {
            policy: self.name.clone(),
            recorded: self.policy.is_none(),
            score: score(&series.intervals, &self.promises, horizon),
            evictions: self.evicted,
        }
    }
}

fn name_of(policy: &Policy) -> String {
    match policy.regions.len() {
        0 => policy.policy.to_string(),
        more => format!("{}, {more} regions with others", policy.policy),
    }
}
