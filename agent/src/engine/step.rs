//! One tick: from what was measured to what is written. The order is that of DESIGN: promises are stored before the kernel is told.

use super::admission::{self, Allocatable};
use super::{Engine, figures};
use crate::store::Lent;
use gleaner_eviction::Victim;
use gleaner_host::arbiter::{Outcome, WriteResult};
use gleaner_model::{Assignment, MilliCpu, Pod, PodUid, PoolName, QosClass, Reason, Snapshot, Subject, Timestamp};
use gleaner_qrm_plugins::{Placement, Supply, demands, knobs, place};
use std::collections::BTreeMap;

impl Engine {
    /// Brings pods, pools and knobs in line with what is known now.
    pub(super) fn step(&mut self, now: Timestamp) {
        let happenings = self.runtime.advance(&mut self.arbiter, now);
        self.record_all(happenings, now);
        let snapshot = self.snapshot(now);
        self.estimate_now(&snapshot);
        let admitted = !self.stopping && self.place_now(&snapshot);
        // What somebody else wrote is put right at the next look at everything; in between only what is new is written.
        let mended = self.runtime.mend(&mut self.arbiter);
        let look_at_all = admitted || mended || self.ticks.is_multiple_of(LOOK_AT_ALL);
        if self.enforce(look_at_all, now) {
            self.runtime.release(&self.unwritten);
        }
        if admitted {
            let happenings = self.runtime.advance(&mut self.arbiter, now);
            self.record_all(happenings, now);
        }
        if !self.stopping {
            self.evict_now(&snapshot);
        }
        self.runtime.bound_logs();
        if look_at_all {
            let happenings = self.runtime.end_escaped(now);
            self.record_all(happenings, now);
        }
        self.sampler.set_targets(self.runtime.targets());
        if let Some(sample) = &mut self.sample {
            sample.pods = snapshot.readings;
        }
    }

    /// What is known of the pods that hold resources. The readings are lent by the sample and go back to it at the end of the step.
    fn snapshot(&mut self, now: Timestamp) -> Snapshot {
        let (readings, node) = match &mut self.sample {
            Some(sample) => (std::mem::take(&mut sample.pods), sample.node.clone()),
            None => (BTreeMap::new(), gleaner_model::NodeReadings::default()),
        };
        Snapshot { at: now, pods: self.runtime.live(), readings, node }
    }

    fn estimate_now(&mut self, snapshot: &Snapshot) {
        let now = snapshot.at;
        let (estimate, state) =
            gleaner_estimator::estimate(snapshot, &self.topology, &self.assignment, &self.config.estimator, &self.estimator);
        self.estimator = state;
        let capacity = MilliCpu::from_cpus(self.topology.cpus().count()).get();
        self.recorder.record_figure(now, Subject::Node, estimate.cpu_reason.clone(), figures::cpu, capacity);
        self.recorder.record_figure(now, Subject::Node, estimate.memory_reason.clone(), figures::memory, self.inventory.total_memory.get());
        for (pool, demand) in &estimate.pools {
            self.recorder.record_figure(now, Subject::Pool(pool.clone()), demand.reason.clone(), figures::pool, 0);
        }
        self.estimate = Some(estimate);
    }

    /// Admits what fits and gives every pod its pool. True when a pod was admitted.
    fn place_now(&mut self, snapshot: &Snapshot) -> bool {
        let now = snapshot.at;
        let candidates = self.runtime.candidates(now);
        let question = (snapshot.pods.keys().cloned().collect(), self.pool_sizes());
        if candidates.is_empty() && self.settled.as_ref() == Some(&question) {
            return false;
        }
        let (fitting, placement) = self.find_room(candidates, &snapshot.pods, now);
        for pod in &fitting {
            self.admit(pod, now);
        }
        for (subject, reason) in placement.decisions {
            if !matches!(reason, Reason::Refused { .. }) {
                self.recorder.record(now, subject, reason);
            }
        }
        // The solver's answer to an unchanged question is what it answered before; asking for 500 pods is the dearest part of a tick.
        self.settled = (fitting.is_empty() && placement.assignment == self.assignment).then_some(question);
        self.assignment = placement.assignment;
        !fitting.is_empty()
    }

    /// The candidates that fit by their requests and by their placement, with that placement. One that cannot be placed takes nothing from the
    /// others: they are looked at again without it.
    fn find_room(&mut self, mut candidates: Vec<Pod>, live: &BTreeMap<PodUid, Pod>, now: Timestamp) -> (Vec<Pod>, Placement) {
        loop {
            let (fitting, waiting) = admission::sort_out(candidates.clone(), live, self.allocatable(), self.estimate.as_ref());
            let mut pods = live.clone();
            pods.extend(fitting.iter().map(|pod| (pod.uid.clone(), pod.clone())));
            let placement = self.placement(&pods);
            let refused: Vec<PodUid> =
                fitting.iter().map(|pod| pod.uid.clone()).filter(|uid| placement.refused.contains_key(uid)).collect();
            for uid in &refused {
                let why = placement.refused.get(uid).map(cause).unwrap_or_default();
                self.make_wait(uid, &why, now);
            }
            if refused.is_empty() {
                for (uid, why) in waiting {
                    self.make_wait(&uid, &why, now);
                }
                return (fitting, placement);
            }
            candidates.retain(|pod| !refused.contains(&pod.uid));
        }
    }

    fn placement(&self, pods: &BTreeMap<PodUid, Pod>) -> Placement {
        place(&self.topology, &self.assignment, pods, &demands(pods, &self.pool_sizes()), &self.config.placement)
    }

    fn pool_sizes(&self) -> BTreeMap<PoolName, u32> {
        self.estimate.iter().flat_map(|e| &e.pools).map(|(name, pool)| (name.clone(), pool.cpus)).collect()
    }

    fn admit(&mut self, pod: &Pod, now: Timestamp) {
        if let Err(error) = self.runtime.admit(&pod.uid, &mut self.arbiter, now) {
            self.make_wait(&pod.uid, &error.to_string(), now);
        }
    }

    fn make_wait(&mut self, uid: &PodUid, why: &str, now: Timestamp) {
        let name = self.runtime.pods().get(uid).map(|p| p.spec().pod.name.clone());
        if let (true, Some(name)) = (self.runtime.keep_waiting(uid, why), name) {
            self.recorder.record(now, Subject::Pod(name), Reason::Refused { cause: why.to_owned() });
        }
    }

    fn allocatable(&self) -> Allocatable {
        let reserve = self.assignment.cpus_of(&gleaner_model::PoolName::reserve()).count();
        let cpu = MilliCpu::from_cpus(self.topology.cpus().count()).minus(MilliCpu::from_cpus(reserve));
        Allocatable { cpu, memory: self.inventory.total_memory.minus(self.config.estimator.memory_reserve) }
    }

    /// Stores the promises, then writes what differs. Without a stored promise nothing is written: a restarted agent would not know it. True
    /// when the kernel was told, so that pods may start.
    fn enforce(&mut self, look_at_all: bool, now: Timestamp) -> bool {
        let lent = self.estimate.as_ref().map(|e| Lent { at: now, cpu: e.cpu, memory: e.memory });
        if let Err(error) = self.store.save(&self.assignment, lent) {
            self.note("promises", Some(error.to_string()), now);
            return false;
        }
        self.note("promises", None, now);
        let live = self.runtime.live();
        // What there is for reclaimed pods has no part in the plan while there are none.
        let supply = if live.values().any(|pod| pod.class() == QosClass::Reclaimed) { self.supply() } else { Supply::default() };
        let question = (self.assignment.clone(), supply, live.keys().cloned().collect());
        let mut before = None;
        if self.planned.as_ref() != Some(&question) {
            let plan = self.make_plan(&live, &supply);
            before = Some(std::mem::replace(&mut self.plan, plan));
            self.planned = Some(question);
        }
        if self.config.shadow {
            return true;
        }
        let outcomes = match (look_at_all, before) {
            (true, _) => self.arbiter.apply(&self.plan),
            (false, Some(before)) => self.arbiter.apply(&self.plan.since(&before, &self.unwritten)),
            (false, None) => self.arbiter.apply(&self.plan.since(&self.plan, &self.unwritten)),
        };
        self.record_outcomes(outcomes, now);
        true
    }

    fn make_plan(&self, live: &BTreeMap<PodUid, Pod>, supply: &Supply) -> gleaner_model::Plan {
        let policy = gleaner_qrm_plugins::KnobPolicy { pod_root: Some(self.config.kubepods()), ..self.config.knobs.clone() };
        let mut plan = knobs(&self.topology, live, &self.runtime.cgroups(), &self.assignment, supply, &policy);
        self.runtime.plan_classes(&mut plan);
        plan
    }

    fn supply(&self) -> Supply {
        let lent = self.estimate.as_ref();
        Supply { cpu: lent.map(|e| e.cpu).unwrap_or_default(), memory: lent.map(|e| e.memory).unwrap_or_default() }
    }

    fn record_outcomes(&mut self, outcomes: Vec<Outcome>, now: Timestamp) {
        let mut failures = Vec::new();
        self.unwritten.clear();
        for Outcome { knob, owner, result, .. } in outcomes {
            match result {
                WriteResult::Wrote { from, to } => {
                    let reason = Reason::Wrote { cgroup: knob.cgroup, knob: knob.kind, from, to };
                    tracing::debug!(owner = %owner, "{reason}");
                }
                WriteResult::Failed(cause) => {
                    self.unwritten.insert(knob.clone());
                    failures.push(format!("{} {}: {cause}", knob.cgroup, knob.kind));
                    let reason = Reason::WriteFailed { cgroup: knob.cgroup, knob: knob.kind, cause };
                    if self.recorder.about(&owner).iter().all(|d| d.reason != reason) {
                        self.recorder.record(now, owner, reason);
                    }
                }
                WriteResult::NotOffered => drop(self.not_offered.insert(knob.kind)),
                WriteResult::Unchanged | WriteResult::Gone => {}
            }
        }
        let problem = failures.first().map(|first| format!("{} knobs not written, the first: {first}", failures.len()));
        self.note("knobs", problem, now);
    }

    fn evict_now(&mut self, snapshot: &Snapshot) {
        let now = snapshot.at;
        let fired = std::mem::take(&mut self.pressure_fired);
        let supply = self.estimate.as_ref().and_then(gleaner_estimator::Estimate::known_cpu);
        let (round, state) =
            gleaner_eviction::decide(snapshot, supply, &self.config.eviction, &self.eviction, &self.runtime.leaving(), fired);
        self.eviction = state;
        let off: Vec<String> = round.notes.iter().map(ToString::to_string).collect();
        // Right after the start nothing is known yet, which is no failure.
        let settled = self.ticks > SETTLED;
        self.note("eviction", (settled && !off.is_empty()).then(|| off.join("; ")), now);
        for Victim { pod, name, grace, reason } in round.victims {
            self.recorder.record(now, Subject::Pod(name), reason.clone());
            if !self.config.shadow {
                self.runtime.evict(&pod, grace, &reason, now);
            }
        }
    }

    /// The assignment that the kernel's files show, when there is none on disk.
    pub(super) fn assignment_from_kernel(&mut self, now: Timestamp) -> Assignment {
        let observed = self.runtime.observed_cpus(&self.arbiter);
        let (assignment, decisions) = gleaner_qrm_plugins::adopt(&self.topology, &self.runtime.live(), &observed);
        for (subject, reason) in decisions {
            self.recorder.record(now, subject, reason);
        }
        assignment
    }
}

/// Every so many ticks all knobs are read, not only those that changed: reading 110 pods' knobs costs more than sampling them.
const LOOK_AT_ALL: u64 = 10;

/// Ticks after which every reading should be there.
const SETTLED: u64 = 10;

fn cause(reason: &Reason) -> String {
    match reason {
        Reason::Refused { cause } => cause.clone(),
        other => other.to_string(),
    }
}
