//! One region's control: its policy, asked once a tick.

use crate::advice::Advice;
use crate::history::RegionHistory;
use crate::katalyst::{Regulated, RegulatorState, regulate};
use crate::learning::Learned;
use crate::policy::Policy;
use crate::requirement::canonical::canonical;
use crate::requirement::composite::composite;
use crate::requirement::feedback::{FeedbackState, feedback};
use crate::requirement::n_sigma::n_sigma;
use crate::requirement::percentile::percentile;
use crate::requirement::seasonal::seasonal;
use crate::requirement::usage_margin::usage_margin;
use crate::requirement::{Evidence, Indicator, Member, PolicyName, Requirement};
use gleaner_model::{MilliCpu, RequirementRule, Timestamp, WallTime};
use serde::{Deserialize, Serialize};

/// What one tick knows of a region, all readings fresh.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// The moment of the tick.
    pub now: Timestamp,
    /// The same by the calendar.
    pub wall: Option<WallTime>,
    /// The region's part of the node's CPUs.
    pub capacity: MilliCpu,
    /// Sum of its containers' requests.
    pub requested: MilliCpu,
    /// Its containers.
    pub members: &'a [Member<'a>],
    /// What they used in the last interval.
    pub usage: MilliCpu,
    /// What they need at least now.
    pub wanted: MilliCpu,
    /// Figures with targets.
    pub indicators: &'a [Indicator],
}

/// What a region's policies keep between ticks, besides its history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    feedback: FeedbackState,
    regulator: RegulatorState,
    regulated: Option<MilliCpu>,
    learned: Learned,
    held: Option<MilliCpu>,
}

impl Control {
    /// What the region needs by its policy. What is seen now is in the history already.
    ///
    /// What another process supplied stands in the place of the policy's figure while it holds, but not below what is needed now. A policy that knows too
    /// little yet is replaced by the requests, or what is needed now if that is more.
    pub fn step(
        &mut self,
        history: &RegionHistory,
        policy: &Policy,
        name: PolicyName,
        sight: &Sight<'_>,
        advice: Option<&Advice>,
    ) -> Requirement {
        let Sight { now, wall, capacity, requested, members, usage, wanted, indicators } = *sight;
        let evidence = Evidence { now, wall, capacity, requested, members, usage, wanted, history, indicators, held: self.held };
        let supplied = advice.filter(|advice| advice.is_valid(now)).and_then(|advice| advice.requirement);
        let found = match supplied {
            Some(cpu) => Requirement { cpu: cpu.max(wanted), rule: RequirementRule::External },
            None => self.ask(policy, name, &evidence).unwrap_or(Requirement { cpu: requested.max(wanted), rule: RequirementRule::Request }),
        };
        self.regulated = (found.rule == RequirementRule::Canonical).then(|| self.regulate(&evidence, found.cpu, policy));
        self.held = Some(found.cpu);
        found
    }

    /// How big the region's pool must be: what the region needs, and by Katalyst's policy what its regulator makes of that.
    #[must_use]
    pub fn pool(&self) -> Option<MilliCpu> {
        self.regulated.or(self.held)
    }

    fn ask(&mut self, policy: &Policy, name: PolicyName, evidence: &Evidence<'_>) -> Option<Requirement> {
        match name {
            PolicyName::Canonical => Some(canonical(evidence, &policy.canonical)),
            PolicyName::UsageMargin => Some(usage_margin(evidence, &policy.usage_margin_policy)),
            PolicyName::NSigma => n_sigma(evidence, &policy.n_sigma),
            PolicyName::Percentile => percentile(evidence, &policy.percentile),
            PolicyName::Seasonal => seasonal(evidence, &policy.seasonal),
            PolicyName::Feedback => self.feed_back(policy, evidence),
            PolicyName::Composite => {
                let indicated = self.feed_back(policy, evidence);
                if let Some(held) = self.held {
                    self.learned.observe(evidence.now, evidence.usage, held, &policy.composite.learning);
                }
                Some(composite(evidence, &policy.composite, self.learned.margin(), indicated))
            }
        }
    }

    fn feed_back(&mut self, policy: &Policy, evidence: &Evidence<'_>) -> Option<Requirement> {
        let (found, next) = feedback(evidence, &policy.feedback, &self.feedback);
        self.feedback = next;
        found
    }

    fn regulate(&mut self, evidence: &Evidence<'_>, requirement: MilliCpu, policy: &Policy) -> MilliCpu {
        let held = self.regulated.unwrap_or(requirement);
        // What Katalyst keeps for pods to come is the reserve of the node here.
        let step = Regulated { requirement, held, reserved: MilliCpu::ZERO, upper: evidence.capacity, pairs: false, now: evidence.now };
        let (figure, next) = regulate(&step, self.regulator, &policy.canonical.regulator);
        self.regulator = next;
        figure
    }
}

/// What the history of a region is relative to: so it keeps its meaning when pods come and go.
#[must_use]
pub fn basis(requested: MilliCpu) -> MilliCpu {
    requested.max(MilliCpu::from_cpus(1))
}

#[cfg(test)]
mod tests;
