//! Takes memory back from reclaimed pods that hold more than they may. What they may hold is in the plan; here their bounds go down to it
//! step by step, and the kernel is asked for the rest.

mod due;
mod worker;

pub(crate) use worker::TakenBack;

use super::{Engine, Event};
use crate::error::AgentError;
use due::{Attempt, Bounds, Candidate, Goal, Now, due, is_above, on_the_way};
use gleaner_host::cgroup::Layout;
use gleaner_host::reclaim::{self, Means};
use gleaner_model::{
    Bytes, CgroupPath, KnobId, KnobKind, KnobValue, Limit, Plan, PodName, PodReadings, PodUid, Reason, Snapshot, Subject, TakeBackOutcome,
    Timestamp,
};
use gleaner_qrm_plugins::{Reclaiming, TakeBackPolicy};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use worker::{Job, Worker};

/// What is remembered between ticks.
pub(super) struct TakeBack {
    worker: Worker,
    /// The reclaimed pods of the goal that have bounds.
    pods: BTreeMap<PodUid, Bounded>,
    /// What the kernel is at, and what each may cost.
    busy: BTreeMap<PodUid, Bytes>,
    last: BTreeMap<PodUid, Attempt>,
    /// Whether some bound is not yet where it is to be in the end.
    waits: bool,
}

/// A pod and what it may hold in the end.
#[derive(Debug, Clone)]
struct Bounded {
    name: PodName,
    cgroup: CgroupPath,
    goal: Goal,
}

impl TakeBack {
    /// Nothing is known yet.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(layout: Layout, events: mpsc::Sender<Event>) -> Result<Self, AgentError> {
        let worker = Worker::start(layout, events)?;
        Ok(Self { worker, pods: BTreeMap::new(), busy: BTreeMap::new(), last: BTreeMap::new(), waits: false })
    }

    /// Whether some bound is still on its way down.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Nothing more is taken back.
    pub(super) fn stop(&self) {
        self.worker.stop();
    }

    fn exhausted(&self, pod: &PodUid, usage: Bytes, now: Timestamp, policy: &TakeBackPolicy) -> bool {
        self.last.get(pod).is_some_and(|attempt| attempt.exhausts(usage, now, policy))
    }
}

impl Engine {
    /// The plan with the memory bounds of this tick in the place of those to reach in the end.
    pub(super) fn bound_memory(&mut self, plan: Plan, snapshot: &Snapshot) -> Plan {
        self.taking.pods = self.bounded();
        let TakeBack { pods, last, .. } = &mut self.taking;
        last.retain(|uid, _| pods.contains_key(uid));
        let mut steps = Plan::new();
        for (uid, pod) in &self.taking.pods {
            let state = self.state_of(uid, pod, &snapshot.readings, snapshot.at);
            let bounds = on_the_way(pod.goal, &state, &self.config.take_back);
            if bounds != Bounds::from(pod.goal) {
                set_bounds(&mut steps, &plan, &pod.cgroup, bounds);
            }
        }
        self.taking.waits = !steps.is_empty();
        if steps.is_empty() { plan } else { Plan::of_parts([plan, steps]) }
    }

    /// Asks the kernel for memory of pods that hold too much; in shadow mode it is only said.
    pub(super) fn take_memory_back(&mut self, snapshot: &Snapshot) {
        if self.stopping {
            return;
        }
        let now = snapshot.at;
        let busy: Vec<Bytes> = self.taking.busy.values().copied().collect();
        for request in due(self.candidates(snapshot), &busy, &self.config.take_back) {
            let Some(pod) = self.taking.pods.get(&request.pod).cloned() else { continue };
            let (uid, name, allowed) = (request.pod, pod.name, pod.goal.high);
            if self.config.shadow {
                let before = self.usage_of(&uid, &pod.cgroup, &snapshot.readings);
                let asked = request.chunks.into_iter().sum();
                let done = TakenBack { pod: uid, name, allowed, asked, before, after: None, outcome: TakeBackOutcome::Would };
                self.memory_taken_back(done, now);
            } else if self.taking.worker.take(Job { pod: uid.clone(), name, cgroup: pod.cgroup, allowed, chunks: request.chunks }) {
                self.taking.busy.insert(uid, request.cost);
            }
        }
    }

    /// Notes what came of a request.
    pub(super) fn memory_taken_back(&mut self, done: TakenBack, now: Timestamp) {
        let TakenBack { pod, name, allowed, asked, before, after, outcome } = done;
        self.taking.busy.remove(&pod);
        let before = before.unwrap_or_default();
        if asked.is_zero() && outcome == TakeBackOutcome::Done {
            // It gave the memory back by itself meanwhile.
            return;
        }
        let held = after.unwrap_or(before);
        let attempt = Attempt::new(now, asked, before, held, &outcome);
        self.taking.last.insert(pod, attempt);
        self.recorder.record(now, Subject::Pod(name), Reason::MemoryTakenBack { asked, before, after, allowed, outcome });
    }

    fn candidates(&self, snapshot: &Snapshot) -> Vec<Candidate> {
        let leaving = self.runtime.leaving();
        let policy = &self.config.take_back;
        let candidate = |(uid, pod): (&PodUid, &Bounded)| {
            let allowed = pod.goal.high;
            let usage = self.usage_of(uid, &pod.cgroup, &snapshot.readings).filter(|usage| is_above(*usage, allowed, policy))?;
            let asked = self.taking.last.get(uid).map(|attempt| attempt.at);
            let vain = self.taking.busy.contains_key(uid) || self.taking.exhausted(uid, usage, snapshot.at, policy);
            let reclaiming = self.reclaiming(&pod.cgroup);
            (!vain).then(|| Candidate { pod: uid.clone(), usage, allowed, reclaiming, asked })
        };
        self.taking
            .pods
            .iter()
            .filter(|(uid, _)| snapshot.pods.contains_key(*uid) && !leaving.contains(*uid))
            .filter_map(candidate)
            .collect()
    }

    /// The pods of which the goal says how much memory they may hold.
    fn bounded(&self) -> BTreeMap<PodUid, Bounded> {
        let limit = |cgroup: &CgroupPath, kind| {
            let desired = self.goal.get(&KnobId { cgroup: cgroup.clone(), kind })?;
            match (&desired.value, &desired.owner) {
                (KnobValue::MemoryHigh(Limit::At(bytes)) | KnobValue::MemoryMax(Limit::At(bytes)), Subject::Pod(name)) => {
                    Some((*bytes, name.clone()))
                }
                _ => None,
            }
        };
        let bounded = |cgroup: CgroupPath| {
            let (high, name) = limit(&cgroup, KnobKind::MemoryHigh)?;
            let (max, _) = limit(&cgroup, KnobKind::MemoryMax)?;
            Some(Bounded { name, cgroup, goal: Goal { high, max } })
        };
        self.pod_cgroups().into_iter().filter_map(|(uid, cgroups)| Some((uid, bounded(cgroups.pod)?))).collect()
    }

    fn state_of(&self, uid: &PodUid, pod: &Bounded, readings: &BTreeMap<PodUid, PodReadings>, now: Timestamp) -> Now {
        let usage = self.usage_of(uid, &pod.cgroup, readings);
        let above = usage.is_some_and(|usage| is_above(usage, pod.goal.high, &self.config.take_back));
        Now {
            usage,
            high: self.in_force(&pod.cgroup, KnobKind::MemoryHigh, None),
            max: self.in_force(&pod.cgroup, KnobKind::MemoryMax, usage),
            reclaiming: if above { self.reclaiming(&pod.cgroup) } else { Reclaiming::NotOffered },
            exhausted: usage.is_some_and(|usage| self.taking.exhausted(uid, usage, now, &self.config.take_back)),
        }
    }

    /// A bound as it was last planned; where that was not written, or cannot be since the pod holds more, as the kernel says.
    fn in_force(&self, cgroup: &CgroupPath, kind: KnobKind, usage: Option<Bytes>) -> Option<Limit<Bytes>> {
        let id = KnobId { cgroup: cgroup.clone(), kind };
        if self.not_offered.contains(&kind) {
            return None;
        }
        let limit = |value: &KnobValue| match value {
            KnobValue::MemoryHigh(limit) | KnobValue::MemoryMax(limit) => Some(*limit),
            _ => None,
        };
        let planned = self.plan.get(&id).filter(|_| !self.unwritten.contains(&id)).and_then(|desired| limit(&desired.value));
        let holds = |limit: &Limit<Bytes>| usage.is_none_or(|usage| *limit >= Limit::At(usage));
        planned.filter(holds).or_else(|| limit(&self.arbiter.read(&id).ok()??))
    }

    /// What a pod holds: as it was measured, and before that as the kernel says.
    fn usage_of(&self, uid: &PodUid, cgroup: &CgroupPath, readings: &BTreeMap<PodUid, PodReadings>) -> Option<Bytes> {
        let measured: Option<Vec<Bytes>> =
            readings.get(uid).map(|pod| pod.containers.values().filter_map(|c| c.memory.value()).map(|m| m.usage).collect());
        let measured = measured.filter(|parts| !parts.is_empty()).map(|parts| parts.into_iter().sum());
        measured.or_else(|| reclaim::usage(&self.layout, cgroup).ok().flatten())
    }

    fn reclaiming(&self, cgroup: &CgroupPath) -> Reclaiming {
        match reclaim::means(&self.layout, cgroup) {
            Some(Means::Amount) => Reclaiming::Amount,
            Some(Means::Everything) => Reclaiming::Everything,
            None => Reclaiming::NotOffered,
        }
    }
}

/// Replaces the bounds of a pod's cgroup, for whom they were and with the reason that they had.
fn set_bounds(steps: &mut Plan, plan: &Plan, cgroup: &CgroupPath, bounds: Bounds) {
    for value in [KnobValue::MemoryHigh(bounds.high), KnobValue::MemoryMax(bounds.max)] {
        let Some(desired) = plan.get(&KnobId { cgroup: cgroup.clone(), kind: value.kind() }) else { continue };
        let reason = match &desired.reason {
            Reason::MemoryBound { promised, .. } => Reason::MemoryBound { promised: *promised, high: bounds.high, max: bounds.max },
            other => other.clone(),
        };
        steps.set(cgroup.clone(), value, desired.owner.clone(), reason);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]
mod tests;
