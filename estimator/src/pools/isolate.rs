//! Pods that flood their pool: in after a short while, out after a long one, few at a time.

mod choose;

use super::IsolationSettings;
use super::room::Room;
use crate::need::PodNeed;
use crate::pools::home_of;
use choose::{Candidate, choose};
use gleaner_model::{
    Absence, Assignment, Container, ContainerKind, ContainerReadings, MilliCpu, Pod, PodUid, PoolName, QosClass, Reading, Reason, Snapshot,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The pool that a shared pod has for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsolationSize {
    /// Its own pool.
    pub own: PoolName,
    /// The pool that it would be in.
    pub pool: PoolName,
    /// How many CPUs its own pool has: between its request and its limit.
    pub cpus: u32,
    /// [`Reason::Isolated`] with the numbers.
    pub reason: Reason,
}

/// Pods that flood their pool, that are isolated, or that were let out too early. At most one entry a shared pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsolationState {
    at: Timestamp,
    pods: BTreeMap<PodUid, Watched>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Watched {
    /// It floods its pool, without a break since.
    Over { since: Timestamp },
    /// It is isolated, for a flood that began then; it has been calm without a break since.
    In { since: Timestamp, calm: Option<Timestamp>, cpus: u32 },
    /// It had to leave while it was not calm: there was no room for it any more.
    Barred { since: Timestamp },
}

/// What isolation looks at.
pub(crate) struct View<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) assignment: &'a Assignment,
    pub(crate) settings: &'a IsolationSettings,
    /// Of each pod that is not reclaimed.
    pub(crate) needs: &'a BTreeMap<PodUid, PodNeed>,
    pub(crate) room: &'a Room,
    /// How old a reading may be, and how far two ticks may be apart for what lies between them to count as seen.
    pub(crate) stale_after: Duration,
}

/// The pods that are isolated now, and the state for the next tick.
///
/// A pod floods its pool when it uses and waits for more CPU than `min(r x factor, r + above)`, where `r` is the larger of its request and its limit, and
/// more than the whole CPUs of its request. After `enter_after` of that it gets a pool of the size of its limit, else of its request, if that fits: into
/// `cpu_share` and `pod_share` of its pool, and beside what all other pools need. What waits longest comes first. It is calm when it floods no more and its
/// own pool is enough for it, and is let out after `leave_after` of that. One that does not fit any more is let out at once, and not isolated again for as long.
pub(crate) fn isolate(view: &View<'_>, before: &IsolationState) -> (BTreeMap<PodUid, IsolationSize>, IsolationState) {
    let now = view.snapshot.at;
    if !view.settings.enabled {
        return (BTreeMap::new(), IsolationState { at: now, pods: BTreeMap::new() });
    }
    // Another boot's times mean nothing.
    let known = if before.at > now { BTreeMap::new() } else { before.pods.clone() };
    let seen = now.since(before.at) <= view.stale_after;
    let mut after: BTreeMap<PodUid, Watched> = BTreeMap::new();
    let mut candidates = Vec::new();
    for pod in view.snapshot.pods.values().filter(|pod| pod.class() == QosClass::Shared && has_name(pod)) {
        let claim = Claim::of(pod);
        let used = view.used(pod);
        let Some(watched) = next(view.settings, &claim, used, known.get(&pod.uid), now, seen) else { continue };
        let waits = match &watched {
            Watched::Over { since } => Some(*since).filter(|since| now.since(*since) >= view.settings.enter_after.get()),
            Watched::In { since, .. } => Some(*since),
            Watched::Barred { .. } => None,
        };
        if let Some(since) = waits {
            let home = home_of(pod, view.assignment);
            candidates.push(Candidate { pod, home, since, least: claim.least(), most: claim.most() });
        }
        after.insert(pod.uid.clone(), watched);
    }
    candidates.sort_by(|a, b| (a.since, &a.pod.uid).cmp(&(b.since, &b.pod.uid)));
    let chosen = choose(view, &candidates);
    let mut isolated = BTreeMap::new();
    for Candidate { pod, home, since, .. } in candidates {
        let (uid, watched) = (&pod.uid, after.get(&pod.uid));
        let calm = if let Some(Watched::In { calm, .. }) = watched { *calm } else { None };
        match (chosen.get(uid), watched) {
            (Some(cpus), _) => {
                after.insert(uid.clone(), Watched::In { since, calm, cpus: *cpus });
                isolated.insert(uid.clone(), size(view, pod, home, *cpus));
            }
            (None, Some(Watched::In { .. })) => drop(after.insert(uid.clone(), Watched::Barred { since: now })),
            (None, _) => {}
        }
    }
    (isolated, IsolationState { at: now, pods: after })
}

/// What is known of a pod after this tick; `None`: nothing worth noting.
fn next(
    settings: &IsolationSettings,
    claim: &Claim,
    used: Option<MilliCpu>,
    known: Option<&Watched>,
    now: Timestamp,
    seen: bool,
) -> Option<Watched> {
    let floods = used.is_some_and(|used| used > claim.tolerated(settings));
    match known {
        Some(Watched::In { since, calm, cpus }) => {
            let is_calm = used.is_some_and(|used| used <= claim.tolerated(settings).min(MilliCpu::from_cpus(*cpus)));
            let calm = is_calm.then(|| calm.filter(|_| seen).unwrap_or(now));
            let out = calm.is_some_and(|calm| now.since(calm) >= settings.leave_after.get());
            (!out).then_some(Watched::In { since: *since, calm, cpus: *cpus })
        }
        Some(Watched::Barred { since }) if now.since(*since) < settings.leave_after.get() => Some(Watched::Barred { since: *since }),
        Some(Watched::Over { since }) if seen => floods.then_some(Watched::Over { since: *since }),
        Some(Watched::Over { .. } | Watched::Barred { .. }) | None => floods.then_some(Watched::Over { since: now }),
    }
}

fn size(view: &View<'_>, pod: &Pod, home: PoolName, cpus: u32) -> IsolationSize {
    let own = PoolName::isolation(&pod.uid);
    let own = home.node_bound().map_or(own.clone(), |(_, node)| own.on_node(node));
    let claim = Claim::of(pod);
    let reason = Reason::Isolated {
        pool: home.clone(),
        cpus,
        used: view.used(pod).unwrap_or_default(),
        tolerated: claim.tolerated(view.settings),
        requested: claim.request,
        limit: claim.limit,
    };
    IsolationSize { own, pool: home, cpus, reason }
}

/// Whether the name of its own pool would not be too long.
fn has_name(pod: &Pod) -> bool {
    const PREFIX: usize = "isolation-".len();
    pod.uid.as_str().len() + PREFIX + PoolName::NODE_SUFFIX <= PoolName::LONGEST
}

impl View<'_> {
    /// CPU that a pod uses and waits for; `None` while a reading is missing. At least one task waited in the share of time that the kernel tells, so
    /// that is a lower bound of what it waits for.
    fn used(&self, pod: &Pod) -> Option<MilliCpu> {
        let (now, readings) = (self.snapshot.at, self.snapshot.readings.get(&pod.uid)?);
        let one = |readings: &ContainerReadings| match &readings.cpu_usage {
            Reading::Absent(Absence::Vanished) => Some(MilliCpu::ZERO),
            usage => {
                let waiting = readings.cpu_pressure.fresh(now, self.stale_after).map_or(0, |pressure| pressure.waiting.get());
                Some(usage.fresh(now, self.stale_after)?.plus(MilliCpu::new(u64::from(waiting))))
            }
        };
        readings.containers.values().map(|readings| one(readings)).sum()
    }
}

/// What a pod asked for.
struct Claim {
    request: MilliCpu,
    limit: Option<MilliCpu>,
}

impl Claim {
    fn of(pod: &Pod) -> Self {
        let runs = |container: &&Container| container.kind != ContainerKind::Init;
        let limit = pod.containers.iter().filter(runs).map(|container| container.cpu.limit.filter(|limit| !limit.is_zero())).sum();
        Self { request: pod.cpu_request(), limit }
    }

    /// The smallest pool of its own.
    fn least(&self) -> u32 {
        self.request.ceil_cpus().max(1)
    }

    /// The largest one.
    fn most(&self) -> u32 {
        self.limit.map_or(0, MilliCpu::ceil_cpus).max(self.least())
    }

    /// The most that it may use and wait for.
    fn tolerated(&self, settings: &IsolationSettings) -> MilliCpu {
        let claim = self.limit.unwrap_or_default().max(self.request);
        claim.share(settings.factor).min(claim.plus(settings.above)).max(MilliCpu::from_cpus(self.least()))
    }
}
