//! What a policy would promise on a simulated node: the one place that ties the simulator to the estimator.

use gleaner_estimator::{Policy, PolicyName};
use gleaner_model::{MilliCpu, Timestamp, WallTime, WorkloadName};
use std::time::Duration;

/// What a node has, and how much of it is never lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// All of it.
    pub capacity: MilliCpu,
    /// Never lent.
    pub reserve: MilliCpu,
}

impl Machine {
    /// What is free of it when the others want so much.
    #[must_use]
    pub fn free(self, demand: MilliCpu) -> MilliCpu {
        self.capacity.minus(self.reserve).minus(demand)
    }
}

/// One pod that is not reclaimed, as the sample shows it.
#[derive(Debug, Clone, Copy)]
pub struct VmUse<'a> {
    /// What it is one of; pods of the same share a history.
    pub workload: &'a WorkloadName,
    /// Which pod it is; never the same for two.
    pub pod: u64,
    /// What was sold to it: its request and its limit.
    pub request: MilliCpu,
    /// Since when it runs.
    pub age: Duration,
    /// What it used on average since the sample before; `None` while that is not known.
    pub usage: Option<MilliCpu>,
}

/// Something that promises CPU.
pub trait Lender {
    /// Takes one sample and says what is promised from it on. Called once a step, in order.
    fn second(&mut self, now: Timestamp, wall: WallTime, uses: &[VmUse<'_>]) -> MilliCpu;
}

impl<L: Lender + ?Sized> Lender for Box<L> {
    fn second(&mut self, now: Timestamp, wall: WallTime, uses: &[VmUse<'_>]) -> MilliCpu {
        (**self).second(now, wall, uses)
    }
}

/// A policy on a node.
#[must_use]
pub fn lender(_name: PolicyName, policy: &Policy, machine: Machine) -> Box<dyn Lender + Send> {
    Box::new(Margin { policy: policy.clone(), machine, promised: MilliCpu::ZERO, last: None })
}

/// Use with a margin, and the agent's ramp.
struct Margin {
    policy: Policy,
    machine: Machine,
    promised: MilliCpu,
    last: Option<Timestamp>,
}

impl Lender for Margin {
    fn second(&mut self, now: Timestamp, _wall: WallTime, uses: &[VmUse<'_>]) -> MilliCpu {
        let used: Option<MilliCpu> = uses.iter().map(|each| each.usage).sum();
        let aim = used.map_or(MilliCpu::ZERO, |used| self.machine.free(used.plus(used.share(self.policy.usage_margin))));
        let passed = self.last.map_or(Duration::ZERO, |last| now.since(last));
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let rise = self.machine.capacity.share(self.policy.rise_per_second).scaled(millis, 1000);
        self.last = Some(now);
        self.promised = aim.min(self.promised.plus(rise));
        self.promised
    }
}
