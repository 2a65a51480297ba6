//! What each pod that is not reclaimed needs, as far as it is known.
//!
//! One container needs, of CPU, `max(usage x (1 + margin), usage + waiting x 1 CPU)`. `waiting` is the share of the interval in which
//! some task of the container was runnable but had no CPU: at least one task waited in that time, so the sum is a lower bound of its
//! load. A kernel without pressure information for each cgroup has no such share; then usage with margin alone counts, and a container
//! that is short of CPU is seen only by what it manages to use. Of memory it needs `working set x (1 + margin)`.
//!
//! What is no reading but no gap either:
//! - A container that ended (its cgroup vanished) or has no cgroup needs nothing: no process of it exists.
//! - A container that only just started has no rate yet. For `stale_after` it counts with its request; a pod that is only just known
//!   counts with at least its whole request as long as some of its containers were not measured.

use crate::policy::Policy;
use crate::state::Seen;
use gleaner_model::{
    Absence, Bytes, Container, ContainerKind, ContainerName, ContainerReadings, MilliCpu, Permille, Pod, PodReadings, PodUid, QosClass,
    Reading, Snapshot, Timestamp,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// A quantity that pods need.
pub(crate) trait Amount: Copy + Ord + Default {
    fn plus(self, other: Self) -> Self;
    /// This and a margin on top.
    fn with_margin(self, margin: Permille) -> Self;
}

impl Amount for MilliCpu {
    fn plus(self, other: Self) -> Self {
        self.plus(other)
    }
    fn with_margin(self, margin: Permille) -> Self {
        self.plus(self.share(margin))
    }
}

impl Amount for Bytes {
    fn plus(self, other: Self) -> Self {
        self.plus(other)
    }
    fn with_margin(self, margin: Permille) -> Self {
        self.plus(self.share(margin))
    }
}

/// A need, which is more than `known` by an unknown amount where something is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Need<Q> {
    pub(crate) known: Q,
    /// Which readings are missing, and why.
    pub(crate) missing: Vec<String>,
}

impl<Q: Amount> Need<Q> {
    pub(crate) fn add(&mut self, other: &Self) {
        self.known = self.known.plus(other.known);
        self.missing.extend(other.missing.iter().cloned());
    }
}

/// What one pod needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PodNeed {
    pub(crate) cpu: Need<MilliCpu>,
    pub(crate) memory: Need<Bytes>,
}

/// Since when pods and starting containers are known, this tick included. Pods that are gone are forgotten.
pub(crate) fn look(snapshot: &Snapshot, before: &BTreeMap<PodUid, Seen>) -> BTreeMap<PodUid, Seen> {
    let not_yet = |c: &ContainerReadings| {
        matches!(c.cpu_usage, Reading::Absent(Absence::NotYet)) || matches!(c.memory, Reading::Absent(Absence::NotYet))
    };
    let one = |uid: &PodUid| {
        let known = before.get(uid);
        let containers = snapshot.readings.get(uid).into_iter().flat_map(|readings| &readings.containers);
        let starting = containers.filter(|(_, readings)| not_yet(readings)).map(|(name, _)| {
            let since = known.and_then(|seen| seen.starting.get(name)).copied().unwrap_or(snapshot.at);
            (name.clone(), since)
        });
        Seen { first: known.map_or(snapshot.at, |seen| seen.first), starting: starting.collect() }
    };
    lenders(snapshot).map(|pod| (pod.uid.clone(), one(&pod.uid))).collect()
}

/// What each pod that is not reclaimed needs.
pub(crate) fn of_pods(snapshot: &Snapshot, policy: &Policy, seen: &BTreeMap<PodUid, Seen>) -> BTreeMap<PodUid, PodNeed> {
    let one = |pod: &Pod| {
        let view = View { pod, readings: snapshot.readings.get(&pod.uid), seen: seen.get(&pod.uid), now: snapshot.at, policy };
        let cpu = view.need(pod.cpu_request(), |c| c.cpu.request, |r| &r.cpu_usage, |usage, r| view.cpu(*usage, r));
        let memory = view.need(
            pod.memory_request(),
            |c| c.memory.request,
            |r| &r.memory,
            |memory, _| memory.working_set.with_margin(policy.memory_margin),
        );
        PodNeed { cpu, memory }
    };
    lenders(snapshot).map(|pod| (pod.uid.clone(), one(pod))).collect()
}

/// Pods that are not reclaimed, in the order of their uids.
fn lenders(snapshot: &Snapshot) -> impl Iterator<Item = &Pod> {
    snapshot.pods.values().filter(|pod| pod.class() != QosClass::Reclaimed)
}

/// Why a reading cannot be used now.
pub(crate) fn gap<T>(reading: &Reading<T>, now: Timestamp) -> String {
    match reading {
        Reading::Present { at, .. } => format!("the reading is {} ms old", now.since(*at).as_millis()),
        Reading::Absent(absence) => absence.to_string(),
    }
}

struct View<'a> {
    pod: &'a Pod,
    readings: Option<&'a PodReadings>,
    seen: Option<&'a Seen>,
    now: Timestamp,
    policy: &'a Policy,
}

impl View<'_> {
    fn need<T, Q: Amount>(
        &self,
        pod_request: Q,
        request: impl Fn(&Container) -> Option<Q>,
        reading: impl Fn(&ContainerReadings) -> &Reading<T>,
        measured: impl Fn(&T, &ContainerReadings) -> Q,
    ) -> Need<Q> {
        let young = self.within_start(self.seen.map(|seen| seen.first));
        let Some(readings) = self.readings else {
            let missing = if young { Vec::new() } else { vec![format!("pod {}: {}", self.pod.name, Absence::NotYet)] };
            return Need { known: if young { pod_request } else { Q::default() }, missing };
        };
        let mut need: Need<Q> = Need::default();
        let mut starting = false;
        for (name, readings) in &readings.containers {
            let reading = reading(readings);
            match (reading.fresh(self.now, self.oldest()), reading) {
                (Some(value), _) => need.known = need.known.plus(measured(value, readings)),
                (None, Reading::Absent(Absence::Vanished)) => {}
                (None, Reading::Absent(Absence::NotYet)) if self.within_start(self.starting(name)) => {
                    let manifest = self.pod.containers.iter().find(|c| c.name == *name);
                    need.known = need.known.plus(manifest.and_then(&request).unwrap_or_default());
                    starting = true;
                }
                (None, _) => need.missing.push(format!("pod {} container {name}: {}", self.pod.name, gap(reading, self.now))),
            }
        }
        // An init container without a cgroup has run or is about to; the others of a new pod are about to.
        let awaited = |c: &Container| c.kind != ContainerKind::Init && !readings.containers.contains_key(&c.name);
        starting |= self.pod.containers.iter().any(awaited);
        if young && starting {
            need.known = need.known.max(pod_request);
        }
        need
    }

    fn cpu(&self, usage: MilliCpu, readings: &ContainerReadings) -> MilliCpu {
        // A thousandth of one CPU is a milli-CPU, so the share is the amount.
        let waiting = readings.cpu_pressure.fresh(self.now, self.oldest()).map(|p| MilliCpu::new(u64::from(p.waiting.get())));
        let wanted = usage.with_margin(self.policy.usage_margin);
        waiting.map_or(wanted, |waiting| wanted.max(usage.plus(waiting)))
    }

    fn starting(&self, container: &ContainerName) -> Option<Timestamp> {
        self.seen.and_then(|seen| seen.starting.get(container)).copied()
    }

    fn within_start(&self, since: Option<Timestamp>) -> bool {
        since.is_some_and(|since| self.now.since(since) <= self.oldest())
    }

    fn oldest(&self) -> Duration {
        self.policy.stale_after.get()
    }
}
