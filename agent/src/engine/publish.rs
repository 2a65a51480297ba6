//! Makes the state that people and monitors see.

use super::Engine;
use crate::report::{KnobState, NodeState, PodState, PoolState};
use crate::runtime::RunningPod;
use gleaner_host::cgroup::Mode;
use gleaner_model::{Bytes, CpuSet, MilliCpu, PodReadings, PodUid, QosClass, Subject, Timestamp};

/// Decisions that the state carries; the rest is with each pod and pool.
const SHOWN: usize = 96;

impl Engine {
    /// What is known now.
    pub(super) fn state(&self, now: Timestamp) -> NodeState {
        let sample = self.sample.as_ref();
        let mut pods: Vec<PodState> = self.runtime.pods().iter().map(|(uid, pod)| self.pod_state(uid, pod, now)).collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name).then(a.uid.cmp(&b.uid)));
        let refused = self.manifests.iter().filter_map(|m| Some((m.source.clone(), m.pod.as_ref().err()?.clone()))).collect();
        let wrong = self.manifests.iter().filter(|m| m.pod.is_err());
        let refused_names = wrong.filter_map(|m| Some((m.name.as_ref()?.to_string(), m.source.clone()))).collect();
        let mut decisions: Vec<_> = self.recorder.last().rev().take(SHOWN).cloned().collect();
        decisions.reverse();
        NodeState {
            at: sample.map_or(now, |s| s.at),
            node: self.inventory.hostname.clone(),
            shadow: self.config.shadow,
            stopping: self.stopping,
            cgroups: match self.layout.mode() {
                Mode::V1 => "v1",
                Mode::Hybrid => "hybrid",
                Mode::V2 => "v2",
            }
            .to_owned(),
            ticks: self.ticks,
            cpus: self.topology.cpus(),
            cpu_usage: sample.and_then(|s| s.node.cpu_usage.value().copied()),
            memory: self.inventory.total_memory,
            pools: self.assignment.pools.keys().map(|name| (name.clone(), self.pool_state(name))).collect(),
            pods,
            refused,
            refused_names,
            estimate: self.estimate.clone(),
            decisions,
            decision_counts: self.recorder.counts().iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect(),
            health: self.health.parts(),
        }
    }

    fn readings(&self, uid: &PodUid) -> Option<&PodReadings> {
        self.sample.as_ref()?.pods.get(uid)
    }

    fn pod_usage(&self, uid: &PodUid) -> Option<MilliCpu> {
        let known: Vec<MilliCpu> = self.readings(uid)?.containers.values().filter_map(|c| c.cpu_usage.value().copied()).collect();
        (!known.is_empty()).then(|| known.into_iter().sum())
    }

    fn pod_state(&self, uid: &PodUid, running: &RunningPod, now: Timestamp) -> PodState {
        let pod = &running.spec().pod;
        let held = running.holds_resources();
        let readings = self.readings(uid).filter(|_| held);
        let pool = self.assignment.pool_of(uid).filter(|_| held);
        let cpus = readings.map(|r| r.containers.values().filter_map(|c| c.cpus.value()).fold(CpuSet::new(), |all, c| all.union(c)));
        let memory: Option<Vec<Bytes>> =
            readings.map(|r| r.containers.values().filter_map(|c| c.memory.value()).map(|m| m.working_set).collect());
        let lent = pod.class() == QosClass::Reclaimed;
        PodState {
            name: pod.name.to_string(),
            uid: uid.clone(),
            class: pod.class(),
            phase: running.phase().clone(),
            trouble: running.trouble(now),
            pool: pool.map(|(name, _)| name.clone()),
            cpus: cpus.filter(|c| !c.is_empty()).or_else(|| pool.map(|(_, p)| p.cpus.clone())).unwrap_or_default(),
            mems: pool.map(|(_, p)| p.mems.clone()).unwrap_or_default(),
            cpu_request: if lent { pod.reclaimed_cpu() } else { pod.cpu_request() },
            cpu_usage: self.pod_usage(uid).filter(|_| held),
            memory_request: if lent { pod.reclaimed_memory() } else { pod.memory_request() },
            memory: memory.filter(|m| !m.is_empty()).map(|m| m.into_iter().sum()),
            restarts: running.restarts(),
            knobs: if held { self.knob_states(running) } else { Vec::new() },
            decisions: self.recorder.about(&Subject::Pod(pod.name.clone())),
        }
    }

    fn knob_states(&self, running: &RunningPod) -> Vec<KnobState> {
        let cgroups = running.cgroups();
        let ours = std::iter::once(&cgroups.pod).chain(cgroups.containers.values());
        ours.flat_map(|cgroup| self.plan.of_cgroup(cgroup))
            .map(|(id, desired)| KnobState {
                cgroup: id.cgroup.clone(),
                knob: id.kind,
                offered: !self.not_offered.contains(&id.kind),
                value: desired.value.clone(),
                reason: desired.reason.clone(),
            })
            .collect()
    }

    fn pool_state(&self, name: &gleaner_model::PoolName) -> PoolState {
        let members = || self.assignment.members.iter().filter(|(_, pool)| *pool == name).map(|(uid, _)| uid);
        let pool = self.assignment.pools.get(name).cloned().unwrap_or_default();
        PoolState {
            cpus: pool.cpus,
            mems: pool.mems,
            pods: members().count(),
            cpu_usage: members().filter_map(|uid| self.pod_usage(uid)).sum(),
            decisions: self.recorder.about(&Subject::Pool(name.clone())),
        }
    }
}
