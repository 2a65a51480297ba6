//! One tick: from what was measured to what is written. The order is that of DESIGN: promises are stored before the kernel is told.

use super::admission::{self, Allocatable};
use super::calls::context;
use super::{Engine, figures};
use crate::estimators::Told;
use crate::store::Lent;
use gleaner_estimator::{Estimate, Input};
use gleaner_host::arbiter::{Outcome, WriteResult};
use gleaner_host::clock;
use gleaner_model::{Assignment, MilliCpu, Pod, PodUid, PoolName, QosClass, Reason, Snapshot, Subject, Timestamp};
use gleaner_qrm_plugins::{Placement, Supply, demands, knobs, oom_scores, place};
use std::collections::{BTreeMap, BTreeSet};

impl Engine {
    /// Brings pods, pools and knobs in line with what is known now.
    pub(super) fn step(&mut self, now: Timestamp) {
        let happenings = self.runtime.advance(&mut self.arbiter, now);
        self.record_all(happenings, now);
        self.look_for_pods(now);
        let snapshot = self.snapshot(now);
        self.estimate_now(&snapshot);
        let admitted = !self.stopping && self.place_now(&snapshot);
        // What somebody else wrote is put right at the next look at everything; in between only what is new is written.
        let mended = self.runtime.mend(&mut self.arbiter);
        let look_at_all = admitted || mended || self.ticks.is_multiple_of(LOOK_AT_ALL);
        if self.enforce(look_at_all, &snapshot) {
            self.runtime.release(&self.unwritten);
        }
        self.take_memory_back(&snapshot);
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
        self.sampler.set_targets(self.targets());
        self.save_pods(now);
        self.tell_cluster();
        let snapshot = self.record_tick(snapshot);
        self.put_back(snapshot);
    }

    /// The part of a step that a newcomer of a stock node waits for: everybody is placed, and what is new is written.
    pub(super) fn place_and_write(&mut self, now: Timestamp) {
        let snapshot = self.snapshot(now);
        if !self.stopping {
            self.place_stock(now);
        }
        self.enforce(false, &snapshot);
        self.put_back(snapshot);
    }

    fn put_back(&mut self, snapshot: Snapshot) {
        if let Some(sample) = &mut self.sample {
            sample.pods = snapshot.readings;
        }
    }

    /// What is known of the pods that hold resources. The readings are lent by the sample and go back to it at the end of the step.
    fn snapshot(&mut self, now: Timestamp) -> Snapshot {
        let (mut readings, node) = match &mut self.sample {
            Some(sample) => (std::mem::take(&mut sample.pods), sample.node.clone()),
            None => (BTreeMap::new(), gleaner_model::NodeReadings::default()),
        };
        let pods = self.live();
        if let Some(presence) = self.presence() {
            // Nothing of a pod without a cgroup runs, however long its images take: that is known, not missing.
            for uid in pods.keys().filter(|uid| presence.cgroup(uid).is_none()) {
                readings.entry(uid.clone()).or_default();
            }
        }
        Snapshot { at: now, wall: clock::wall(), pods, readings, node }
    }

    fn estimate_now(&mut self, snapshot: &Snapshot) {
        let now = snapshot.at;
        self.record_before(now);
        self.advice = self.advisers.advice(now);
        let input = Input { snapshot, topology: &self.topology, assignment: self.ledger.assignment(), advice: &self.advice };
        let (estimate, state) = gleaner_estimator::estimate(&input, &self.config.estimator, std::mem::take(&mut self.estimator));
        self.estimator = state;
        let capacity = MilliCpu::from_cpus(self.topology.cpus().count()).get();
        self.recorder.record_figure(now, Subject::Node, estimate.cpu_reason.clone(), figures::cpu, capacity);
        self.recorder.record_figure(now, Subject::Node, estimate.memory_reason.clone(), figures::memory, self.inventory.total_memory.get());
        for (pool, demand) in &estimate.pools {
            self.recorder.record_figure(now, Subject::Pool(pool.clone()), demand.reason.clone(), figures::pool, 0);
        }
        self.tell_estimators(&estimate, snapshot);
        self.write_histories(now);
        let before = self.estimate.replace(estimate);
        self.record_isolation(before.as_ref(), snapshot);
    }

    /// Tells pods that they are isolated now, or with another size.
    fn record_isolation(&mut self, before: Option<&Estimate>, snapshot: &Snapshot) {
        let isolated = self.estimate.iter().flat_map(|e| &e.isolated);
        let news = isolated.filter(|(uid, size)| before.and_then(|e| e.isolated.get(*uid)).is_none_or(|had| had.cpus != size.cpus));
        let named = news.filter_map(|(uid, size)| Some((snapshot.pods.get(uid)?.name.clone(), size.reason.clone())));
        for (name, reason) in named.collect::<Vec<_>>() {
            self.recorder.record(snapshot.at, Subject::Pod(name), reason);
        }
    }

    fn tell_estimators(&self, estimate: &Estimate, snapshot: &Snapshot) {
        if self.told.receiver_count() > 0 {
            let capacity = MilliCpu::from_cpus(self.topology.cpus().count());
            let told = Told { node: self.inventory.hostname.clone(), wall: snapshot.wall, capacity, regions: estimate.regions.clone() };
            self.told.send_replace(Some(told));
        }
    }

    /// Admits what fits and gives every pod its pool. True when a pod was admitted.
    fn place_now(&mut self, snapshot: &Snapshot) -> bool {
        let now = snapshot.at;
        if self.stock.is_some() {
            self.place_stock(now);
            return false;
        }
        let candidates = self.runtime.candidates(now);
        self.tell_plugins(&candidates, now);
        let question = (snapshot.pods.keys().cloned().collect(), self.pool_sizes());
        if candidates.is_empty() && self.settled.as_ref() == Some(&question) {
            return false;
        }
        if self.qrm.is_some() {
            self.replace_claims(question, now);
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
        self.settled = (fitting.is_empty() && placement.assignment == *self.ledger.assignment()).then_some(question);
        self.ledger.assign(placement.assignment);
        !fitting.is_empty()
    }

    /// Brings the pools of the kubelet's pods in line with what is measured.
    pub(super) fn replace_claims(&mut self, question: (BTreeSet<PodUid>, BTreeMap<PoolName, u32>), now: Timestamp) {
        let headroom = self.headroom();
        let mut ledger = std::mem::take(&mut self.ledger);
        let before = ledger.assignment().clone();
        let decided = gleaner_qrm_plugins::replace(&context(self, &question.1, headroom.as_ref()), &mut ledger, &question.1, None);
        self.ledger = ledger;
        // Without a newcomer nobody is refused as a whole.
        let decided = decided.unwrap_or_default();
        self.tell_of_losses(&decided, now);
        self.record_decisions(decided, now);
        self.settled = (before == *self.ledger.assignment()).then_some(question);
    }

    /// The candidates that fit by their requests and by their placement, with that placement. One that cannot be placed takes nothing from the
    /// others: they are looked at again without it.
    fn find_room(&mut self, mut candidates: Vec<Pod>, live: &BTreeMap<PodUid, Pod>, now: Timestamp) -> (Vec<Pod>, Placement) {
        loop {
            let (fitting, mut waiting) = admission::sort_out(candidates.clone(), live, self.allocatable(), self.estimate.as_ref());
            let (fitting, start, nowhere) = self.choose(fitting, live, self.ledger.assignment().clone(), now);
            waiting.extend(nowhere);
            let mut pods = live.clone();
            pods.extend(fitting.iter().map(|pod| (pod.uid.clone(), pod.clone())));
            let placement = self.placement(&start, &pods);
            let mut refused: BTreeMap<PodUid, String> = BTreeMap::new();
            for pod in &fitting {
                let why = match placement.refused.get(&pod.uid) {
                    Some(reason) => Some(cause(reason)),
                    // Asked only when all else fits, so that nothing is held for a pod that cannot run.
                    None => self.has_foreign(pod, start.nodes.get(&pod.uid), now).err(),
                };
                refused.extend(why.map(|why| (pod.uid.clone(), why)));
            }
            for (uid, why) in &refused {
                self.make_wait(uid, why, now);
            }
            if refused.is_empty() {
                for (uid, why) in waiting {
                    self.make_wait(&uid, &why, now);
                }
                return (fitting, placement);
            }
            candidates.retain(|pod| !refused.contains_key(&pod.uid));
        }
    }

    pub(super) fn placement(&self, start: &Assignment, pods: &BTreeMap<PodUid, Pod>) -> Placement {
        let sizes = self.pool_sizes();
        let placement = place(&self.topology, start, pods, &demands(pods, &sizes), &self.config.placement);
        self.record_placement(start, pods, sizes, &placement);
        placement
    }

    pub(super) fn pool_sizes(&self) -> BTreeMap<PoolName, u32> {
        let Some(estimate) = &self.estimate else { return BTreeMap::new() };
        let pools = estimate.pools.iter().map(|(name, pool)| (name.clone(), pool.cpus));
        let least = estimate.least_reclaimed.iter().map(|(node, cpus)| (PoolName::reclaim().on_node(*node), *cpus));
        pools.chain(least).collect()
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
        let kept = [PoolName::reserve(), PoolName::interrupt()].map(|pool| self.ledger.assignment().cpus_of(&pool).count());
        let cpu = MilliCpu::from_cpus(self.topology.cpus().count()).minus(MilliCpu::from_cpus(kept.iter().sum()));
        Allocatable { cpu, memory: self.inventory.total_memory.minus(self.config.estimator.memory_reserve) }
    }

    /// Stores the promises, then writes what differs. Without a stored promise nothing is written: a restarted agent would not know it. True
    /// when the kernel was told, so that pods may start.
    fn enforce(&mut self, look_at_all: bool, snapshot: &Snapshot) -> bool {
        let now = snapshot.at;
        // On a stock node the runtime has the answer already, and the kernel's files tell it after a restart.
        if !self.save_promises(now) && self.stock.is_none() {
            return false;
        }
        let live = self.live();
        // What there is for reclaimed pods has no part in the plan while there are none.
        let supply = if live.values().any(|pod| pod.class() == QosClass::Reclaimed) { self.supply() } else { Supply::default() };
        let question = (self.ledger.assignment().clone(), supply.clone(), live.keys().cloned().collect());
        let changed = self.planned.as_ref() != Some(&question);
        if changed {
            self.goal = self.make_plan(&live, &supply);
            self.planned = Some(question);
        }
        let before = (changed || self.memory_waits()).then(|| {
            let plan = self.next_plan(snapshot);
            std::mem::replace(&mut self.plan, plan)
        });
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

    /// Stores what was promised; false when the disk does not take it.
    pub(super) fn save_promises(&mut self, now: Timestamp) -> bool {
        let lent = self.estimate.as_ref().map(|e| Lent { at: now, cpu: e.supply.cpu, memory: e.supply.memory });
        let saved = match &mut self.qrm {
            None => self.store.save(self.ledger.assignment(), lent),
            Some(qrm) => qrm.claims.save_moved(&self.ledger).and_then(|()| self.store.save(&Assignment::default(), lent)),
        };
        // A promise that the disk did not take is told until it takes one.
        let failing = self.qrm.as_ref().and_then(|qrm| qrm.failing.clone());
        let stored = saved.is_ok();
        self.note("promises", saved.err().map(|error| error.to_string()).or(failing), now);
        stored
    }

    fn make_plan(&self, live: &BTreeMap<PodUid, Pod>, supply: &Supply) -> gleaner_model::Plan {
        let mut plan =
            knobs(&self.topology, live, &self.pod_cgroups(), self.ledger.assignment(), supply, &oom_scores(live), &self.knob_policy());
        self.runtime.plan_classes(&mut plan);
        self.go_around_own(&mut plan);
        self.leave_to_kubelet(&mut plan);
        plan
    }

    pub(super) fn knob_policy(&self) -> gleaner_qrm_plugins::KnobPolicy {
        let behind_kubelet = self.kubelets_pods().is_some();
        gleaner_qrm_plugins::KnobPolicy { pod_root: Some(self.pod_root.clone()), behind_kubelet, ..self.config.knobs.clone() }
    }

    fn supply(&self) -> Supply {
        self.estimate.as_ref().map(super::headroom::supply).unwrap_or_default()
    }

    pub(super) fn record_outcomes(&mut self, outcomes: Vec<Outcome>, now: Timestamp) {
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

    /// The assignment that the kernel's files show, when there is none on disk.
    pub(super) fn assignment_from_kernel(&mut self, now: Timestamp) -> Assignment {
        let observed = if self.stock.is_some() { self.observed_cpus() } else { self.runtime.observed_cpus(&self.arbiter) };
        let (assignment, decisions) = gleaner_qrm_plugins::adopt(&self.topology, &self.live(), &observed);
        for (subject, reason) in decisions {
            self.recorder.record(now, subject, reason);
        }
        assignment
    }
}

/// Every so many ticks all knobs are read, not only those that changed: reading 110 pods' knobs costs more than sampling them.
const LOOK_AT_ALL: u64 = 10;

pub(super) fn cause(reason: &Reason) -> String {
    match reason {
        Reason::Refused { cause } => cause.clone(),
        other => other.to_string(),
    }
}
