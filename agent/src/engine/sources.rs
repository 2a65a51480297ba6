//! The pods on the node, whoever runs them: the embedded runtime, or a kubelet that asks the plugins.

use super::Engine;
use crate::presence::Presence;
use gleaner_host::cgroup::{self, FoundPod};
use gleaner_host::sampler::Target;
use gleaner_model::{
    Bytes, CgroupPath, Container, ContainerKind, CpuSet, KnobId, KnobKind, KnobValue, MilliCpu, Pod, PodUid, Reason, Requirement, Subject,
    Timestamp,
};
use gleaner_qrm_plugins::{Decisions, PodCgroups};
use std::collections::BTreeMap;

/// Looks for the kubelet's cgroups are this many ticks apart while none is expected.
const LOOK_FOR_PODS: u64 = 10;

impl Engine {
    /// Pods that hold CPUs and memory.
    pub(super) fn live(&self) -> BTreeMap<PodUid, Pod> {
        match self.kubelets_pods() {
            None => self.runtime.live(),
            Some(pods) => pods.iter().map(|(uid, pod)| (uid.clone(), measured_as_one(pod))).collect(),
        }
    }

    /// The pods that a kubelet runs; `None` in standalone mode.
    pub(super) fn kubelets_pods(&self) -> Option<&BTreeMap<PodUid, Pod>> {
        match (&self.qrm, &self.stock) {
            (Some(_), _) => Some(self.ledger.pods()),
            (None, Some(stock)) => Some(stock.pods()),
            (None, None) => None,
        }
    }

    /// Where they live.
    pub(super) fn presence(&self) -> Option<&Presence> {
        self.qrm.as_ref().map(|qrm| &qrm.presence).or(self.stock.as_ref().map(|stock| &stock.presence))
    }

    /// Where those pods live.
    pub(super) fn pod_cgroups(&self) -> BTreeMap<PodUid, PodCgroups> {
        match (&self.qrm, &self.stock) {
            (Some(qrm), _) => qrm.presence.pod_cgroups(),
            (None, Some(stock)) => stock.cgroups(),
            (None, None) => self.runtime.cgroups(),
        }
    }

    /// What is to be sampled.
    pub(super) fn targets(&self) -> Vec<Target> {
        let (Some(pods), Some(presence)) = (self.kubelets_pods(), self.presence()) else { return self.runtime.targets() };
        let main = |pod: &Pod| measured_as_one(pod).containers.into_iter().next().map(|container| container.name);
        let target =
            |(uid, pod): (&PodUid, &Pod)| Some(Target { pod: uid.clone(), container: main(pod)?, cgroup: presence.cgroup(uid)?.clone() });
        pods.iter().filter_map(target).collect()
    }

    /// Looks where the kubelet's pods live, and forgets those that are gone.
    pub(super) fn look_for_pods(&mut self, now: Timestamp) {
        let Some(presence) = self.presence() else { return };
        if !presence.expects_more(now) && !self.ticks.is_multiple_of(LOOK_FOR_PODS) {
            return;
        }
        match cgroup::discover(&self.layout, &self.pod_root) {
            Ok(found) => {
                self.note("cgroups of pods", None, now);
                self.found_pods(found, now);
                self.look_for_own();
            }
            Err(error) => {
                // Without the tree no pod has a cgroup.
                if error.is_gone() {
                    self.found_pods(Vec::new(), now);
                }
                self.note("cgroups of pods", Some(error.to_string()), now);
            }
        }
    }

    fn found_pods(&mut self, found: Vec<FoundPod>, now: Timestamp) {
        let patience = self.config.qrm.residual_after.get();
        if let Some(qrm) = &mut self.qrm {
            let gone = qrm.presence.observe(found, self.ledger.entries().keys(), now, patience);
            if qrm.presence.take_news() {
                self.planned = None;
            }
            for uid in gone {
                tracing::info!(pod = %uid, "has had no cgroup for long and is forgotten");
                // It cannot fail for a reason that is not noted.
                let _ = self.remove_pod(&uid, now);
            }
        } else if let Some(stock) = &mut self.stock {
            // The API server says when a pod is over.
            stock.presence.observe(found, std::iter::empty(), now, patience);
            if stock.forget_gone(&self.config.qos) {
                self.settled = None;
            }
            // Containers that came have knobs too.
            if stock.presence.take_news() {
                self.planned = None;
            }
        }
    }
}

impl Engine {
    /// Compares what dedicated pods were promised with what the kernel lets them run on. What was promised counts: the kubelet writes it
    /// with its next reconciliation, and so does the next tick.
    pub(super) fn verify_claims(&mut self, now: Timestamp) {
        let Some(qrm) = &self.qrm else { return };
        let mut found = Vec::new();
        for (uid, pod) in self.ledger.pods() {
            let Some((_, pool)) = self.ledger.assignment().pool_of(uid).filter(|(name, _)| name.is_dedicated()) else { continue };
            let seen: Vec<CpuSet> = qrm.presence.containers(uid).filter_map(|cgroup| self.cpus_in_kernel(cgroup)).collect();
            // The pause container, whose cgroup looks like any other, runs anywhere until somebody pins it.
            if !seen.is_empty() && seen.iter().all(|cpus| *cpus != pool.cpus) {
                let on: Vec<String> = seen.iter().map(ToString::to_string).collect();
                found.push((pod.name.clone(), format!("was promised CPUs {}, but the kernel has it on {}", pool.cpus, on.join("; "))));
            }
        }
        for (name, what) in found {
            tracing::warn!(pod = %name, "{what}");
            self.recorder.record(now, Subject::Pod(name), Reason::Lifecycle { what });
        }
    }

    pub(super) fn cpus_in_kernel(&self, cgroup: &CgroupPath) -> Option<CpuSet> {
        match self.arbiter.read(&KnobId { cgroup: cgroup.clone(), kind: KnobKind::CpusetCpus }) {
            Ok(Some(KnobValue::Cpus(cpus))) => Some(cpus),
            // A container that is gone or cannot be read says nothing.
            _ => None,
        }
    }
}

impl Engine {
    /// Pods that run and could not be given CPUs: another configuration, or CPUs that went away. Each is told once, and all of them as health.
    pub(super) fn tell_of_losses(&mut self, decisions: &Decisions, now: Timestamp) {
        let refused = |(subject, reason): &&(Subject, Reason)| matches!((subject, reason), (Subject::Pod(_), Reason::Refused { .. }));
        let lost: Vec<&(Subject, Reason)> = decisions.iter().filter(refused).collect();
        let problem = lost.first().map(|(pod, reason)| format!("{} pods that run have no CPUs, the first: {pod}: {reason}", lost.len()));
        for (pod, reason) in lost {
            if self.recorder.about(pod).last().is_none_or(|last| last.reason != *reason) {
                self.recorder.record(now, pod.clone(), reason.clone());
            }
        }
        self.note("placement", problem, now);
    }
}

/// The kubelet's containers have ids that only the runtime can put names to, so a pod is measured as a whole, and looks like one container.
fn measured_as_one(pod: &Pod) -> Pod {
    let amount = |cpu: MilliCpu| Some(cpu).filter(|cpu| !cpu.is_zero());
    let bytes = |memory: Bytes| Some(memory).filter(|memory| !memory.is_zero());
    let main = pod.containers.iter().find(|c| c.kind == ContainerKind::Main).or(pod.containers.first());
    let whole = main.map(|main| Container {
        name: main.name.clone(),
        kind: ContainerKind::Main,
        cpu: Requirement { request: amount(pod.cpu_request()), limit: None },
        memory: Requirement { request: bytes(pod.memory_request()), limit: None },
        reclaimed_cpu: amount(pod.reclaimed_cpu()),
        reclaimed_memory: bytes(pod.reclaimed_memory()),
        hugepages: pod.hugepages(),
        extended: BTreeMap::new(),
    });
    Pod { containers: whole.into_iter().collect(), ..pod.clone() }
}
