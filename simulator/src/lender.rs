//! What a policy would promise on a simulated node: the one place that ties the simulator to the estimator.

use gleaner_estimator::{ContainerTrack, Control, Histories, Indicator, Member, Policy, PolicyName, RegionHistory, Sight, basis, settle};
use gleaner_model::{ContainerName, MilliCpu, Permille, Timestamp, WallTime, WorkloadName};
use std::collections::{BTreeMap, BTreeSet};
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
pub fn lender(name: PolicyName, policy: &Policy, machine: Machine) -> Box<dyn Lender + Send> {
    Box::new(Region {
        name,
        policy: policy.clone(),
        machine,
        history: RegionHistory::default(),
        histories: Histories::default(),
        tracks: BTreeMap::new(),
        control: Control::default(),
        required: None,
        promised: None,
    })
}

/// All pods of a node in one region: the estimator's own history, policy and ramp. What the agent does beside that is not here: a sample is never late, and tasks
/// that wait for a CPU are not seen.
struct Region {
    name: PolicyName,
    policy: Policy,
    machine: Machine,
    history: RegionHistory,
    histories: Histories,
    tracks: BTreeMap<u64, (ContainerTrack, Option<(WorkloadName, ContainerName)>)>,
    control: Control,
    required: Option<MilliCpu>,
    promised: Option<(MilliCpu, Timestamp)>,
}

impl Region {
    /// Notes what each pod used in its track and, when a minute is over, in the history of its workload.
    fn watch(&mut self, now: Timestamp, wall: WallTime, uses: &[VmUse<'_>]) {
        if self.tracks.len() > uses.len() || uses.iter().any(|each| !self.tracks.contains_key(&each.pod)) {
            let live: BTreeSet<u64> = uses.iter().map(|each| each.pod).collect();
            self.tracks.retain(|pod, _| live.contains(pod));
        }
        for each in uses {
            let Some(usage) = each.usage else { continue };
            let (track, key) = self.tracks.entry(each.pod).or_insert_with(|| (ContainerTrack::default(), key(each.workload)));
            if let Some(minute) = track.observe(now, Some(wall), usage, MilliCpu::ZERO)
                && let Some(key) = key
            {
                self.histories.observe_workload(key, &minute, &self.policy.history);
            }
        }
    }
}

impl Region {
    /// A model of the pressure that the policy `feedback` goes by, for traces tell none: the share of what is used now that was not required before, and so waited
    /// while the region's pool had not grown. The other policies are judged without.
    fn pressure(&self, usage: MilliCpu) -> Vec<Indicator> {
        let (PolicyName::Feedback, Some(target)) = (self.name, self.policy.feedback.cpu_pressure) else { return Vec::new() };
        let short = self.required.map_or(MilliCpu::ZERO, |required| usage.minus(required));
        let current = Permille::of(short.get(), usage.get()).unwrap_or_default();
        vec![Indicator { name: "cpu_pressure".to_owned(), current: current.get().into(), target: target.get().into() }]
    }
}

impl Lender for Region {
    fn second(&mut self, now: Timestamp, wall: WallTime, uses: &[VmUse<'_>]) -> MilliCpu {
        self.watch(now, wall, uses);
        let usage: Option<MilliCpu> = uses.iter().map(|each| each.usage).sum();
        let target = usage.map_or(MilliCpu::ZERO, |usage| {
            let requested: MilliCpu = uses.iter().map(|each| each.request).sum();
            self.history.observe(now, Some(wall), usage, basis(requested), &self.policy.history);
            let member = |each: &VmUse<'_>| {
                let track = self.tracks.get(&each.pod);
                let (request, age) = (Some(each.request), each.age);
                let history = track.and_then(|(_, key)| self.histories.workloads.get(key.as_ref()?));
                Member {
                    request,
                    limit: request,
                    usage: each.usage,
                    load: track.and_then(|(track, _)| track.loads()),
                    age,
                    history,
                    like: None,
                }
            };
            let members: Vec<Member<'_>> = uses.iter().map(member).collect();
            let wanted = usage.plus(usage.share(self.policy.usage_margin));
            let capacity = self.machine.capacity;
            let indicators = self.pressure(usage);
            let sight = Sight { now, wall: Some(wall), capacity, requested, members: &members, usage, wanted, indicators: &indicators };
            let required = self.control.step(&self.history, &self.policy, self.name, &sight, None);
            self.required = Some(required.cpu);
            self.machine.free(required.cpu.max(usage))
        });
        let promise = settle(target, self.promised, self.machine.capacity, &self.policy, now);
        self.promised = Some((promise, now));
        promise
    }
}

/// A VM is a pod of one container.
fn key(workload: &WorkloadName) -> Option<(WorkloadName, ContainerName)> {
    Some((workload.clone(), "main".parse().ok()?))
}
