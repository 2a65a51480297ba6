//! Which of the pods that flood their pool can be isolated.

use super::View;
use crate::pools::home_of;
use gleaner_model::{CpuSet, MilliCpu, NumaId, Permille, Pod, PodUid, PoolName, QosClass, Timestamp};
use std::collections::BTreeMap;

/// A pod that should be isolated.
pub(super) struct Candidate<'a> {
    pub(super) pod: &'a Pod,
    /// The pool that it would be in.
    pub(super) home: PoolName,
    /// When its flood began.
    pub(super) since: Timestamp,
    /// The smallest size of its own pool.
    pub(super) least: u32,
    /// The largest.
    pub(super) most: u32,
}

/// A pool with what is still in it.
#[derive(Default)]
struct Home {
    /// Shared pods, isolated ones included.
    pods: u32,
    need: MilliCpu,
    /// CPUs that it and its isolated pods have now; requests while it has none.
    size: u32,
    isolated_pods: u32,
    isolated_cpus: u32,
}

impl Home {
    /// CPUs for those that are still in it.
    fn cpus(&self) -> u32 {
        self.need.ceil_cpus().max(1)
    }
}

/// The CPUs of each candidate that can be isolated, in their order: each as it fits beside those before it.
pub(super) fn choose(view: &View<'_>, candidates: &[Candidate<'_>]) -> BTreeMap<PodUid, u32> {
    if candidates.is_empty() {
        return BTreeMap::new();
    }
    let mut homes = homes(view);
    let mut used = Used::of(&homes);
    let mut chosen = BTreeMap::new();
    for candidate in candidates {
        let Some(home) = homes.get_mut(&candidate.home) else { continue };
        let settings = view.settings;
        let pods = share(home.pods, settings.pod_share).min(home.pods.saturating_sub(1));
        let most = share(home.size, settings.cpu_share).saturating_sub(home.isolated_cpus);
        let node = candidate.home.node_bound().map(|(_, node)| node);
        let rest = home.need.minus(need(view, &candidate.pod.uid));
        let freed = home.cpus().saturating_sub(rest.ceil_cpus().max(1));
        let spare = used.spare(view, node, freed);
        let sizes = [candidate.most, candidate.least];
        let Some(cpus) = sizes.into_iter().find(|cpus| home.isolated_pods < pods && *cpus <= most && *cpus <= spare) else { continue };
        home.need = rest;
        home.isolated_pods += 1;
        home.isolated_cpus += cpus;
        used.change(node, freed, cpus);
        chosen.insert(candidate.pod.uid.clone(), cpus);
    }
    chosen
}

/// The pools of shared pods. A pod of which a reading is missing needs at least what it requests.
fn homes(view: &View<'_>) -> BTreeMap<PoolName, Home> {
    let mut homes: BTreeMap<PoolName, (Home, CpuSet, MilliCpu)> = BTreeMap::new();
    for pod in view.snapshot.pods.values().filter(|pod| pod.class() == QosClass::Shared) {
        let (home, has, requested) = homes.entry(home_of(pod, view.assignment)).or_default();
        home.pods = home.pods.saturating_add(1);
        home.need = home.need.plus(need(view, &pod.uid));
        *requested = requested.plus(pod.cpu_request());
        if let Some((_, pool)) = view.assignment.pool_of(&pod.uid) {
            *has = has.union(&pool.cpus);
        }
    }
    let sized = homes.into_iter().map(|(name, (home, has, requested))| {
        let size = if has.is_empty() { requested.ceil_cpus() } else { has.count() };
        (name, Home { size, ..home })
    });
    sized.collect()
}

fn need(view: &View<'_>, uid: &PodUid) -> MilliCpu {
    let Some(need) = view.needs.get(uid) else { return MilliCpu::ZERO };
    let requested = view.snapshot.pods.get(uid).map(Pod::cpu_request).unwrap_or_default();
    if need.cpu.missing.is_empty() { need.cpu.known } else { need.cpu.known.max(requested) }
}

fn share(of: u32, share: Permille) -> u32 {
    u32::try_from(u64::from(of) * u64::from(share.get()) / 1000).unwrap_or(u32::MAX)
}

/// CPUs that shared pools need now.
struct Used {
    all: u32,
    by_node: BTreeMap<NumaId, u32>,
}

impl Used {
    fn of(homes: &BTreeMap<PoolName, Home>) -> Self {
        let mut used = Self { all: 0, by_node: BTreeMap::new() };
        for (name, home) in homes {
            used.change(name.node_bound().map(|(_, node)| node), 0, home.cpus());
        }
        used
    }

    /// CPUs that nobody needs where a pool is, once that needs `freed` less.
    fn spare(&self, view: &View<'_>, node: Option<NumaId>, freed: u32) -> u32 {
        let left = |there: u32, used: u32| there.saturating_sub(used.saturating_sub(freed));
        let all = left(view.room.all(), self.all);
        node.map_or(all, |node| all.min(left(view.room.on_node(node), self.by_node.get(&node).copied().unwrap_or(0))))
    }

    fn change(&mut self, node: Option<NumaId>, less: u32, more: u32) {
        self.all = self.all.saturating_sub(less).saturating_add(more);
        if let Some(node) = node {
            let sum = self.by_node.entry(node).or_default();
            *sum = sum.saturating_sub(less).saturating_add(more);
        }
    }
}
