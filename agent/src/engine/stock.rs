//! The pods of a stock node: what is told of them, which CPUs they get, and what of that is written.

use super::Engine;
use crate::kubernetes::{EventReason, PodsEvent};
use crate::stock::{Stock, give_exclusive, lowered};
use gleaner_model::{Assignment, CpuSet, KnobId, KnobKind, Plan, Pod, PodUid, QosClass, Reason, Subject, Timestamp};
use gleaner_qrm_plugins::Placement;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Several pods often come at once: they are met by one tick.
pub(super) const SOON: Duration = Duration::from_millis(100);

impl Engine {
    /// Takes what the API server or the kubelet tells of pods.
    pub(super) fn pods_told(&mut self, event: PodsEvent, now: Timestamp) {
        if let PodsEvent::Reach(problem) = &event {
            self.note("pods", problem.clone(), now);
        }
        self.tell_problems(&event, now);
        let Some(stock) = &mut self.stock else { return };
        // Whatever is told of a pod, its cgroups may have come or gone.
        stock.presence.expect_more(now);
        if stock.told(event, &self.config.qos) {
            self.pods_are_others(now);
        }
    }

    /// Stores which pods there are, when that is due.
    pub(super) fn save_pods(&mut self, now: Timestamp) {
        let Some(saved) = self.stock.as_mut().map(|stock| stock.save(now)) else { return };
        self.note("records of pods", saved.err().map(|error| error.to_string()), now);
    }

    /// Pods came, went or changed: they are placed, and the kernel is told, soon.
    pub(super) fn pods_are_others(&mut self, now: Timestamp) {
        self.settled = None;
        if let Some(stock) = &mut self.stock {
            stock.presence.expect_more(now);
        }
        self.sampler.sample_within(SOON);
    }

    /// What is wrong with a pod's annotations is told to its owner once.
    fn tell_problems(&mut self, event: &PodsEvent, now: Timestamp) {
        let pods: Vec<_> = match event {
            PodsEvent::Listed(pods) => pods.iter().collect(),
            PodsEvent::Changed(pod) => vec![pod.as_ref()],
            PodsEvent::Gone(_) | PodsEvent::Reach(_) => Vec::new(),
        };
        for pod in pods.into_iter().filter(|pod| !pod.problems.is_empty()) {
            let told = self.stock.as_ref().and_then(|stock| stock.record(&pod.pod.uid)).is_some_and(|old| old.problems == pod.problems);
            if !told {
                let what = format!("treated as a {} pod: {}", pod.pod.class(), pod.problems.join("; "));
                self.tell_of_pod(pod, EventReason::AnnotationsInvalid, what.clone());
                self.recorder.record(now, Subject::Pod(pod.pod.name.clone()), Reason::Lifecycle { what });
            }
        }
    }

    /// Gives every pod its pool. A pod that cannot have what it asks for is among the shared ones as long as that is so.
    pub(super) fn place_stock(&mut self, now: Timestamp) {
        let Some(stock) = &self.stock else { return };
        let question = (stock.pods().keys().cloned().collect::<BTreeSet<_>>(), self.pool_sizes());
        if self.settled.as_ref() == Some(&question) {
            return;
        }
        let pods = stock.pods().clone();
        let before = self.ledger.assignment().clone();
        let (placement, short) = self.solve_stock(stock, &pods, now);
        self.tell_lowered(&pods, short, now);
        self.record_decisions(placement.decisions, now);
        self.settled = (before == placement.assignment).then_some(question);
        self.ledger.assign(placement.assignment);
    }

    /// The placement, and the pods that cannot have what they ask for, with the cause.
    fn solve_stock(&self, stock: &Stock, pods: &BTreeMap<PodUid, Pod>, now: Timestamp) -> (Placement, BTreeMap<PodUid, String>) {
        let mut start: Assignment = self.ledger.assignment().clone();
        give_exclusive(&self.topology, stock.exclusive(), |uid| pods.contains_key(uid), &mut start);
        // One that had to be lowered asks anew for what it wants: as one that is among the shared pods it would keep that place.
        start.members.retain(|uid, _| !stock.lowered.contains_key(uid));
        let (live, mut newcomers): (Vec<&Pod>, Vec<&Pod>) = pods.values().partition(|pod| start.members.contains_key(&pod.uid));
        newcomers.sort_by(|a, b| a.name.cmp(&b.name));
        let live = live.into_iter().map(|pod| (pod.uid.clone(), pod.clone())).collect();
        let (_, start, nowhere) = self.choose(newcomers.into_iter().cloned().collect(), &live, start, now);
        let mut short: BTreeMap<PodUid, String> = nowhere.into_iter().collect();
        let mut pods = pods.clone();
        loop {
            for uid in short.keys() {
                if let Some(pod) = pods.get_mut(uid) {
                    *pod = lowered(pod);
                }
            }
            let placement = self.placement(&start, &pods);
            let known = short.len();
            short.extend(placement.refused.iter().map(|(uid, reason)| (uid.clone(), super::step::cause(reason))));
            if short.len() == known {
                // Those keep what they have, which is not what they ask for. One with CPUs of its own goes on with these; one that waits for such is short.
                let waits = |uid: &PodUid| {
                    let own = placement.assignment.pool_of(uid).is_some_and(|(name, _)| name.is_dedicated());
                    !own && pods.get(uid).is_some_and(|pod| pod.class() == QosClass::Dedicated)
                };
                let kept = placement.unresized.iter().filter(|(uid, _)| waits(uid));
                short.extend(kept.map(|(uid, reason)| (uid.clone(), super::step::cause(reason))));
                return (placement, short);
            }
        }
    }

    fn tell_lowered(&mut self, pods: &BTreeMap<PodUid, Pod>, short: BTreeMap<PodUid, String>, now: Timestamp) {
        let Some(stock) = &mut self.stock else { return };
        let news: Vec<(Subject, Reason)> = short
            .iter()
            .filter(|(uid, _)| !stock.lowered.contains_key(*uid))
            .filter_map(|(uid, cause)| Some((Subject::Pod(pods.get(uid)?.name.clone()), Reason::Refused { cause: cause.clone() })))
            .collect();
        stock.lowered = short;
        let problem = stock.lowered.len();
        for (subject, reason) in news {
            self.recorder.record(now, subject, reason);
        }
        let text = format!("{problem} pods do not have the CPUs that they ask for; `gleaner explain POD` says why");
        self.note("placement", (problem > 0).then_some(text), now);
    }

    /// What is not ours to write on this node.
    pub(super) fn leave_to_kubelet(&self, plan: &mut Plan) {
        let Some(stock) = &self.stock else { return };
        let root = |uid: &PodUid| stock.cgroup_of(uid).cloned();
        // What kubelet gave away it also writes; where its static policy runs and no runtime asks us, so it is with every cpuset.
        let given: Vec<_> = stock.exclusive().keys().filter_map(root).collect();
        let all = self.kubelet_writes_cpusets();
        let unknown: Vec<_> = stock.provisional().iter().filter_map(root).collect();
        let is_cpuset = |id: &KnobId| matches!(id.kind, KnobKind::CpusetCpus | KnobKind::CpusetMems);
        let is_bound = |id: &KnobId| matches!(id.kind, KnobKind::CpuMax | KnobKind::MemoryHigh | KnobKind::MemoryMax);
        let below = |cgroups: &[gleaner_model::CgroupPath], id: &KnobId| cgroups.iter().any(|cgroup| id.cgroup.is_within(cgroup));
        if all || !given.is_empty() || !unknown.is_empty() {
            plan.retain(|id| !(is_cpuset(id) && (all || below(&given, id)) || is_bound(id) && below(&unknown, id)));
        }
    }

    /// Whether the kubelet's static policy runs and nobody asks us before it writes.
    pub(super) fn kubelet_writes_cpusets(&self) -> bool {
        self.stock.as_ref().is_some_and(|stock| stock.runtime.is_none() && stock.static_policy)
    }

    /// CPUs that the kernel lets the containers of each pod run on, for when nothing else tells what they were given.
    pub(super) fn observed_cpus(&self) -> BTreeMap<PodUid, CpuSet> {
        let Some(stock) = &self.stock else { return BTreeMap::new() };
        let union = |uid: &PodUid| {
            let containers = stock.presence.containers(uid).filter_map(|cgroup| self.cpus_in_kernel(cgroup));
            // A pause container that nobody pinned runs anywhere; the least set is that of a container that somebody pinned.
            containers.filter(|cpus| !cpus.is_empty()).min_by_key(CpuSet::count)
        };
        stock.pods().keys().filter_map(|uid| Some((uid.clone(), union(uid)?))).collect()
    }
}
