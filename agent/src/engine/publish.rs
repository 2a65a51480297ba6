//! Makes the state that people and monitors see.

use super::Engine;
use crate::report::{KnobState, NodeState, PodState, PoolState};
use crate::runtime::{Phase, RunningPod};
use gleaner_host::cgroup::Mode;
use gleaner_model::{Bytes, CpuSet, MilliCpu, NumaSet, Pod, PodReadings, PodUid, QosClass, Subject, Timestamp};
use gleaner_qrm_plugins::PodCgroups;

/// One pod, whoever runs it.
struct Seen<'a> {
    pod: &'a Pod,
    held: bool,
    phase: Phase,
    trouble: Option<String>,
    restarts: u32,
    cgroups: Option<&'a PodCgroups>,
}

impl<'a> Seen<'a> {
    fn of_runtime(running: &'a RunningPod, now: Timestamp) -> Self {
        Self {
            pod: &running.spec().pod,
            held: running.holds_resources(),
            phase: running.phase().clone(),
            trouble: running.trouble(now),
            restarts: running.restarts(),
            cgroups: Some(running.cgroups()),
        }
    }

    /// The kubelet tells of a pod's admission and of its end, and of nothing in between.
    fn of_kubelet(pod: &'a Pod, cgroups: Option<&'a PodCgroups>) -> Self {
        Self { pod, held: true, phase: Phase::Running, trouble: None, restarts: 0, cgroups }
    }
}

/// Decisions that the state carries; the rest is with each pod and pool.
const SHOWN: usize = 96;

impl Engine {
    /// What is known now.
    pub(super) fn state(&self, now: Timestamp) -> NodeState {
        let sample = self.sample.as_ref();
        let of_runtime = self.runtime.pods().values().map(|running| Seen::of_runtime(running, now));
        let kubelets = self.kubelets_pods();
        let cgroups = kubelets.map(|_| self.pod_cgroups()).unwrap_or_default();
        let of_kubelet = kubelets.into_iter().flatten().map(|(uid, pod)| Seen::of_kubelet(pod, cgroups.get(uid)));
        let mut pods: Vec<PodState> = of_runtime.chain(of_kubelet).map(|seen| self.pod_state(&seen)).collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name).then(a.uid.cmp(&b.uid)));
        let refused = self.manifests.iter().filter_map(|m| Some((m.source.clone(), m.pod.as_ref().err()?.clone()))).collect();
        let wrong = self.manifests.iter().filter(|m| m.pod.is_err());
        let refused_names = wrong.filter_map(|m| Some((m.name.as_ref()?.to_string(), m.source.clone()))).collect();
        let mut decisions: Vec<_> = self.recorder.last().rev().take(SHOWN).cloned().collect();
        decisions.reverse();
        NodeState {
            at: sample.map_or(now, |s| s.at),
            node: self.inventory.hostname.clone(),
            mode: self.config.mode,
            runtime: self.stock.as_ref().and_then(|stock| stock.runtime.as_ref()).map(|known| format!("{} {}", known.name, known.version)),
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
            pools: self.ledger.assignment().pools.keys().map(|name| (name.clone(), self.pool_state(name))).collect(),
            pods,
            refused,
            refused_names,
            estimate: self.estimate.clone(),
            decisions,
            decision_counts: self.recorder.counts().iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect(),
            events: self.cluster.as_ref().map(|links| links.events.counts()).unwrap_or_default(),
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

    fn pod_state(&self, seen: &Seen<'_>) -> PodState {
        let Seen { pod, held, .. } = *seen;
        let uid = &pod.uid;
        let readings = self.readings(uid).filter(|_| held);
        let pool = self.ledger.assignment().pool_of(uid).filter(|_| held);
        let cpus = readings.map(|r| r.containers.values().filter_map(|c| c.cpus.value()).fold(CpuSet::new(), |all, c| all.union(c)));
        let memory: Option<Vec<Bytes>> =
            readings.map(|r| r.containers.values().filter_map(|c| c.memory.value()).map(|m| m.working_set).collect());
        let containers = seen.cgroups.filter(|_| held).into_iter().flat_map(|cgroups| cgroups.containers.values());
        let mems = containers.filter_map(|cgroup| self.mems.get(cgroup)).fold(NumaSet::new(), |all, has| all.union(&has.mems));
        let lent = pod.class() == QosClass::Reclaimed;
        PodState {
            name: pod.name.to_string(),
            uid: uid.clone(),
            class: pod.class(),
            phase: seen.phase.clone(),
            trouble: seen.trouble.clone(),
            pool: pool.map(|(name, _)| name.clone()),
            cpus: cpus.filter(|c| !c.is_empty()).or_else(|| pool.map(|(_, p)| p.cpus.clone())).unwrap_or_default(),
            mems: Some(mems).filter(|m| !m.is_empty()).or_else(|| pool.map(|(_, p)| p.mems.clone())).unwrap_or_default(),
            cpu_request: if lent { pod.reclaimed_cpu() } else { pod.cpu_request() },
            cpu_usage: self.pod_usage(uid).filter(|_| held),
            memory_request: if lent { pod.reclaimed_memory() } else { pod.memory_request() },
            memory: memory.filter(|m| !m.is_empty()).map(|m| m.into_iter().sum()),
            restarts: seen.restarts,
            knobs: seen.cgroups.filter(|_| held).map(|cgroups| self.knob_states(cgroups)).unwrap_or_default(),
            decisions: self.recorder.about(&Subject::Pod(pod.name.clone())),
        }
    }

    fn knob_states(&self, cgroups: &PodCgroups) -> Vec<KnobState> {
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
        let members = || self.ledger.assignment().members.iter().filter(|(_, pool)| *pool == name).map(|(uid, _)| uid);
        let pool = self.ledger.assignment().pools.get(name).cloned().unwrap_or_default();
        PoolState {
            cpus: pool.cpus,
            mems: pool.mems,
            pods: members().count(),
            cpu_usage: members().filter_map(|uid| self.pod_usage(uid)).sum(),
            decisions: self.recorder.about(&Subject::Pool(name.clone())),
        }
    }
}
