//! The embedded process runtime of standalone mode: it stands where kubelet and a container runtime stand on a node.
//!
//! Each container's command runs as processes in its own cgroup below `kubepods`, laid out and limited as kubelet would. Containers outlive the
//! agent: a restarted agent finds them by their cgroups and goes on. Which CPUs a pod gets is not decided here.

mod birth;
mod clear;
mod container;
pub(crate) mod init;
mod phase;
mod pod;
mod restart;

pub(crate) use clear::clear;
pub(crate) use phase::Phase;
pub(crate) use pod::RunningPod;

use crate::manifest::{PodSpecification, Wanted};
use gleaner_host::HostError;
use gleaner_host::arbiter::Arbiter;
use gleaner_host::cgroup::{self, Layout};
use gleaner_host::sampler::Target;
use gleaner_model::{
    CgroupPath, ContainerName, CpuSet, KnobId, KnobKind, KnobValue, KubeQos, Plan, Pod, PodName, PodUid, Reason, Subject, Timestamp,
};
use gleaner_qrm_plugins::PodCgroups;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened to a pod, for its decisions.
pub(crate) type Happening = (PodName, Reason);

/// All pods that the manifests ask for or that still have to end.
pub(crate) struct Runtime {
    layout: Layout,
    kubepods: CgroupPath,
    logs: PathBuf,
    pods: BTreeMap<PodUid, RunningPod>,
    evicted_back_off: Duration,
}

impl Runtime {
    /// A runtime whose pods live below `kubepods` and whose containers write to `logs`.
    pub(crate) fn new(layout: Layout, kubepods: CgroupPath, logs: PathBuf, evicted_back_off: Duration) -> Self {
        Self { layout, kubepods, logs, pods: BTreeMap::new(), evicted_back_off }
    }

    /// Makes these the pods that should run: new ones wait for admission, missing ones are ended.
    pub(crate) fn set_wanted(&mut self, wanted: &Wanted, now: Timestamp) {
        let wanted: BTreeMap<&PodUid, &Arc<PodSpecification>> = wanted.values().map(|spec| (&spec.pod.uid, spec)).collect();
        for (uid, pod) in &mut self.pods {
            if !wanted.contains_key(uid) {
                pod.leave(now, "its manifest was removed or changed");
            }
        }
        self.pods.retain(|uid, pod| wanted.contains_key(uid) || pod.holds_resources());
        for (uid, spec) in wanted {
            let cgroup = self.pod_cgroup(&spec.pod);
            self.pods.entry(uid.clone()).or_insert_with(|| RunningPod::new(spec.clone(), cgroup));
        }
    }

    fn pod_cgroup(&self, pod: &Pod) -> CgroupPath {
        // A uid is a legal name, so joining cannot fail; the fallback would only make the arbiter refuse the write.
        birth::class_cgroup(&self.kubepods, pod.kube_qos).join(&format!("pod{}", pod.uid)).unwrap_or_else(|_| CgroupPath::root())
    }

    /// Pods by uid.
    pub(crate) fn pods(&self) -> &BTreeMap<PodUid, RunningPod> {
        &self.pods
    }

    /// Pods that were admitted and have not ended: they hold CPUs and memory.
    pub(crate) fn live(&self) -> BTreeMap<PodUid, Pod> {
        self.pods.iter().filter(|(_, p)| p.holds_resources()).map(|(uid, p)| (uid.clone(), p.spec().pod.clone())).collect()
    }

    /// Live pods that are on their way out.
    pub(crate) fn leaving(&self) -> BTreeSet<PodUid> {
        self.pods.iter().filter(|(_, p)| matches!(p.phase(), Phase::Ending { .. })).map(|(uid, _)| uid.clone()).collect()
    }

    /// Pods that ask to be admitted now, in the order of their names. A pod whose predecessor of the same name still runs waits for it.
    pub(crate) fn candidates(&self, now: Timestamp) -> Vec<Pod> {
        let busy: BTreeSet<&PodName> = self.pods.values().filter(|p| p.holds_resources()).map(|p| &p.spec().pod.name).collect();
        let mut waiting: Vec<Pod> = self
            .pods
            .values()
            .filter(|p| p.asks_for_admission(now) && !busy.contains(&p.spec().pod.name))
            .map(|p| p.spec().pod.clone())
            .collect();
        waiting.sort_by(|a, b| a.name.cmp(&b.name));
        waiting
    }

    /// Says why a pod is not admitted; true when that is news.
    pub(crate) fn keep_waiting(&mut self, uid: &PodUid, why: &str) -> bool {
        self.pods.get_mut(uid).is_some_and(|pod| pod.keep_waiting(why))
    }

    /// Makes the cgroups of an admitted pod, as kubelet would.
    ///
    /// # Errors
    /// When the kernel refuses; the pod keeps waiting and what was made is taken away again.
    pub(crate) fn admit(&mut self, uid: &PodUid, arbiter: &mut Arbiter, now: Timestamp) -> Result<(), HostError> {
        let Some(pod) = self.pods.get_mut(uid) else { return Ok(()) };
        let class = birth::class_cgroup(&self.kubepods, pod.spec().pod.kube_qos);
        if class != self.kubepods {
            arbiter.create(&class, &birth::class_values(pod.spec().pod.kube_qos))?;
        }
        if let Err(error) = pod.create_cgroups(arbiter) {
            pod.remove_cgroups(arbiter);
            return Err(error);
        }
        pod.begin(now);
        Ok(())
    }

    /// Makes cgroups again that somebody else removed while their containers wait to be started again. True when there were any: their knobs are
    /// to be written.
    pub(crate) fn mend(&mut self, arbiter: &mut Arbiter) -> bool {
        let layout = &self.layout;
        self.pods.values_mut().filter(|pod| pod.lacks_cgroups(layout)).filter_map(|pod| pod.create_cgroups(arbiter).ok()).count() > 0
    }

    /// Starts what may start, notices what ended, drives terminations and restarts.
    pub(crate) fn advance(&mut self, arbiter: &mut Arbiter, now: Timestamp) -> Vec<Happening> {
        let mut happenings = Vec::new();
        for pod in self.pods.values_mut() {
            pod.advance(&self.layout, &self.logs, arbiter, now, &mut happenings);
        }
        self.pods.retain(|_, pod| !pod.is_forgotten());
        happenings
    }

    /// Lets containers of admitted pods start: their promises are stored and the kernel was told. A pod whose CPUs the kernel refused does not
    /// start: it would run on those of others.
    pub(crate) fn release(&mut self, unwritten: &BTreeSet<KnobId>) {
        let refused: Vec<&CgroupPath> =
            unwritten.iter().filter(|knob| knob.kind == KnobKind::CpusetCpus).map(|knob| &knob.cgroup).collect();
        for pod in self.pods.values_mut() {
            if !refused.iter().any(|cgroup| cgroup.is_within(&pod.cgroups().pod)) {
                pod.release();
            }
        }
    }

    /// Containers of live pods that cannot start before the variables are known that come with what other processes give.
    pub(crate) fn lacking_variables(&self) -> Vec<(PodUid, ContainerName)> {
        let of_pod =
            |(uid, pod): (&PodUid, &RunningPod)| pod.lacking_variables().map(|name| (uid.clone(), name.clone())).collect::<Vec<_>>();
        self.pods.iter().flat_map(of_pod).collect()
    }

    /// Tells a container the variables that come with what it was given.
    pub(crate) fn set_variables(&mut self, pod: &PodUid, container: &ContainerName, variables: BTreeMap<String, String>) {
        if let Some(pod) = self.pods.get_mut(pod) {
            pod.set_variables(container, variables);
        }
    }

    /// Ends containers whose first process left their cgroup.
    pub(crate) fn end_escaped(&self, now: Timestamp) -> Vec<Happening> {
        let mut happenings = Vec::new();
        self.pods.values().for_each(|pod| pod.end_escaped(&self.layout, now, &mut happenings));
        happenings
    }

    /// Keeps the containers' output bounded.
    pub(crate) fn bound_logs(&self) {
        self.pods.values().for_each(|pod| pod.bound_logs(&self.logs));
    }

    /// Starts ending a pod that must make room.
    pub(crate) fn evict(&mut self, uid: &PodUid, grace: Duration, why: &Reason, now: Timestamp) {
        let back = now.after(self.evicted_back_off);
        if let Some(pod) = self.pods.get_mut(uid) {
            pod.evict(now, grace, why, back);
        }
    }

    /// Starts ending every pod.
    pub(crate) fn end_all(&mut self, now: Timestamp) {
        for pod in self.pods.values_mut() {
            pod.leave(now, "the agent stops");
        }
        self.pods.retain(|_, pod| pod.holds_resources());
    }

    /// Takes the rest of every ending pod's grace away.
    pub(crate) fn kill_all(&mut self, now: Timestamp) {
        for pod in self.pods.values_mut() {
            pod.kill(now);
        }
    }

    /// Lets go of every pod without touching it: it runs on.
    pub(crate) fn forget_all(&mut self) {
        self.pods.clear();
    }

    /// The CPUs that the kernel lets the containers of each live pod run on.
    pub(crate) fn observed_cpus(&self, arbiter: &Arbiter) -> BTreeMap<PodUid, CpuSet> {
        let cpus_of = |cgroup: &CgroupPath| match arbiter.read(&KnobId { cgroup: cgroup.clone(), kind: KnobKind::CpusetCpus }) {
            Ok(Some(KnobValue::Cpus(cpus))) => cpus,
            // A container that is gone or cannot be read has no CPUs to keep.
            _ => CpuSet::new(),
        };
        let union = |pod: &RunningPod| pod.cgroups().containers.values().fold(CpuSet::new(), |all, c| all.union(&cpus_of(c)));
        self.pods.iter().filter(|(_, p)| p.holds_resources()).map(|(uid, pod)| (uid.clone(), union(pod))).collect()
    }

    /// Cgroups of live pods.
    pub(crate) fn cgroups(&self) -> BTreeMap<PodUid, PodCgroups> {
        self.pods.iter().filter(|(_, p)| p.holds_resources()).map(|(uid, p)| (uid.clone(), p.cgroups().clone())).collect()
    }

    /// What to sample: containers of live pods that have run.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let live = self.pods.iter().filter(|(_, p)| p.holds_resources());
        live.flat_map(|(uid, pod)| {
            pod.cgroups().containers.iter().map(|(name, cgroup)| Target {
                pod: uid.clone(),
                container: name.clone(),
                cgroup: cgroup.clone(),
            })
        })
        .collect()
    }

    /// What kubelet keeps on its own cgroups: the weight of the burstable class follows the requests of its pods.
    pub(crate) fn plan_classes(&self, plan: &mut Plan) {
        let burstable = |p: &&RunningPod| p.holds_resources() && p.spec().pod.kube_qos == KubeQos::Burstable;
        let request = self.pods.values().filter(burstable).map(|p| p.spec().pod.cpu_request()).sum();
        if self.pods.values().any(|p| burstable(&p)) {
            let value = KnobValue::Shares(gleaner_model::CpuShares::for_request(request));
            plan.set(birth::class_cgroup(&self.kubepods, KubeQos::Burstable), value, Subject::Node, Reason::Weight { request });
        }
    }

    /// Takes over what an earlier agent left running: pods of the manifests go on, others are ended.
    ///
    /// # Errors
    /// When the tree of pods cannot be listed.
    pub(crate) fn adopt(&mut self, arbiter: &mut Arbiter, now: Timestamp) -> Result<Vec<Happening>, HostError> {
        let mut happenings = Vec::new();
        for found in cgroup::discover(&self.layout, &self.kubepods)? {
            if let Some(pod) = self.pods.get_mut(&found.uid) {
                pod.adopt(&self.layout, now, &mut happenings);
                continue;
            }
            // Its manifest went away while no agent ran: nobody asks for it any more.
            clear(&self.layout, arbiter, &found)?;
        }
        Ok(happenings)
    }

    /// Removes the cgroups that the runtime made for all pods together; those that still hold pods stay.
    pub(crate) fn remove_classes(&self, arbiter: &mut Arbiter) {
        for class in [KubeQos::BestEffort, KubeQos::Burstable, KubeQos::Guaranteed] {
            // A cgroup that holds something cannot be removed, which is what is wanted.
            let _ = arbiter.remove(&birth::class_cgroup(&self.kubepods, class));
        }
    }
}
