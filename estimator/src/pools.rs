//! How big the pools of shared pods must be, which pods have one of their own, and what is left to reclaimed pods.

mod isolate;
mod ramp;
mod regulate;
mod room;
mod settings;

pub use isolate::{IsolationSize, IsolationState};
pub(crate) use isolate::{View, isolate};
pub(crate) use room::Room;
pub use settings::{IsolationSettings, MinReclaimed, PoolSettings};

use crate::policy::Policy;
use crate::region::Region;
use crate::regions::RegionNeed;
use crate::state::Sizes;
use gleaner_model::{
    Assignment, MilliCpu, NumaBinding, Pod, PodUid, PoolName, QosClass, Reason, RequirementRule, SizeRule, Snapshot, Timestamp, Topology,
};
use ramp::Ramp;
use regulate::{Wish, regulate};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What one pool needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolDemand {
    /// Its size from now on, in whole CPUs; at most those that are there for shared pools.
    pub cpus: u32,
    /// Measured need of its pods, margin included; `None` while a reading is missing.
    pub demand: Option<MilliCpu>,
    /// Sum of its pods' requests.
    pub requested: MilliCpu,
    /// [`Reason::PoolSize`] with these numbers, or [`Reason::Isolated`].
    pub reason: Reason,
}

/// What the pods of a pool need together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PoolNeed {
    /// How many.
    pub(crate) pods: usize,
    /// Sum of their requests.
    pub(crate) requested: MilliCpu,
    /// What they need, as far as it is known.
    pub(crate) need: MilliCpu,
    /// What ruled that; `None` without pods, or while something is missing.
    pub(crate) by: Option<RequirementRule>,
    /// Whether that is all of it.
    pub(crate) known: bool,
}

impl PoolNeed {
    fn of(region: &RegionNeed) -> Self {
        let need = region.need();
        // What is used and waited for now fits in any case.
        let size = region.pool.unwrap_or(need.known);
        let required = region.figures.and_then(|figures| figures.requirement);
        let by = required.map(|required| if region.now.known > size { RequirementRule::Now } else { required.rule });
        Self { pods: region.pods, requested: region.requested, need: size.max(region.now.known), by, known: need.missing.is_empty() }
    }

    fn demand(&self) -> Option<MilliCpu> {
        self.known.then_some(self.need)
    }
}

/// What one tick leaves to the next, of pools.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PoolState {
    /// What sizes each pool needed of late.
    pub(crate) sizes: BTreeMap<PoolName, Sizes>,
    /// How far each is on its way to its size.
    pub(crate) ramps: BTreeMap<PoolName, Ramp>,
}

/// What sizes are made from, beside what the pods need.
pub(crate) struct Frame<'a> {
    pub(crate) at: Timestamp,
    pub(crate) topology: &'a Topology,
    pub(crate) assignment: &'a Assignment,
    pub(crate) policy: &'a Policy,
    pub(crate) room: &'a Room,
    pub(crate) isolated: &'a BTreeMap<PodUid, IsolationSize>,
}

/// The size of each pool: the whole CPUs that cover the demand of its pods, at least one. While the demand is not known the pool keeps
/// its size (at first that of the assignment, else its requests), and grows when what is known needs more. It shrinks only after a
/// smaller size was enough for `shrink_after`, to the largest size needed in that time, and by `ramp_down` at most. A pool that has lost its last pod
/// is dropped at once: it serves nobody. All together are [regulated](regulate) into what is there; the pool of an isolated pod has the size that it was isolated with.
pub(crate) fn sizes(
    frame: &Frame<'_>,
    needs: &BTreeMap<PoolName, PoolNeed>,
    before: &PoolState,
) -> (BTreeMap<PoolName, PoolDemand>, PoolState) {
    let online = frame.topology.cpus().count();
    let settings = &frame.policy.pools;
    let isolated: BTreeMap<&PoolName, &IsolationSize> = frame.isolated.values().map(|size| (&size.own, size)).collect();
    let mut after = PoolState::default();
    let (mut wishes, mut wanted) = (BTreeMap::new(), BTreeMap::new());
    for (name, pool) in needs {
        if let Some(size) = isolated.get(name) {
            wishes.insert(name.clone(), Wish { need: size.cpus, size: size.cpus });
        } else if pool.pods == 0 {
            // Known to have needed nothing: what the pool has been given beyond need is no size to keep.
            after.sizes.insert(name.clone(), Sizes::default());
        } else {
            let sizes = before.sizes.get(name).cloned().unwrap_or_else(|| Sizes::from_size(frame.assignment.cpus_of(name).count()));
            let known = pool.need.ceil_cpus();
            let needed = if pool.known { known } else { known.max(sizes.current().unwrap_or(pool.requested.ceil_cpus())) };
            let needed = needed.max(1).min(online);
            let sizes = sizes.observe(frame.at, needed, frame.policy.shrink_after.get());
            let target = sizes.current().unwrap_or(1).min(online);
            let ramp = Ramp::towards(before.ramps.get(name), target, frame.at, settings, frame.policy.stale_after.get());
            let size = ramp.cpus().clamp(1, online.max(1));
            wishes.insert(name.clone(), Wish { need: needed.min(size), size });
            wanted.insert(name, target);
            after.sizes.insert(name.clone(), sizes);
            after.ramps.insert(name.clone(), ramp);
        }
    }
    let fitted = regulate(&wishes, frame.room);
    let demand = |(name, pool): (&PoolName, &PoolNeed)| {
        let cpus = fitted.get(name).copied().unwrap_or(0);
        let (demand, requested) = (pool.demand(), pool.requested);
        let rule = rule(wishes.get(name).map_or(0, |wish| wish.size), cpus, wanted.get(name).copied().unwrap_or(0));
        let reason = isolated.get(name).map(|size| size.reason.clone());
        let reason = reason.unwrap_or(Reason::PoolSize { cpus, demand, requested, by: pool.by, rule });
        (name.clone(), PoolDemand { cpus, demand, requested, reason })
    };
    (needs.iter().map(demand).collect(), after)
}

fn rule(size: u32, cpus: u32, wanted: u32) -> SizeRule {
    if cpus < size {
        SizeRule::Throttled { wanted: size }
    } else if cpus < wanted {
        SizeRule::Rising { wanted }
    } else {
        SizeRule::Need
    }
}

/// The shared pools that pods are in, by the pools that they would be in if nobody were isolated.
pub(crate) fn homes(snapshot: &Snapshot, assignment: &Assignment) -> BTreeSet<PoolName> {
    snapshot.pods.values().filter(|pod| pod.class() == QosClass::Shared).map(|pod| home_of(pod, assignment)).collect()
}

/// What the pools need, from what the regions need.
pub(crate) fn of_regions(regions: &BTreeMap<Region, RegionNeed>) -> BTreeMap<PoolName, PoolNeed> {
    let pool = |(region, found): (&Region, &RegionNeed)| match region {
        Region::Pool(name) => Some((name.clone(), PoolNeed::of(found))),
        Region::System => None,
    };
    regions.iter().filter_map(pool).collect()
}

/// The pool of a shared pod that is not isolated: of one with `numa_binding` the part on the NUMA node that it was bound to, if it was; else the
/// pool that it names. The names of pools that are not for shared pods lead to the default pool.
pub(crate) fn home_of(pod: &Pod, assignment: &Assignment) -> PoolName {
    let bound = pod.qos.memory.numa_binding != NumaBinding::Unbound;
    let named = pod.qos.cpu.pool.clone().filter(|name| !name.is_built_in()).unwrap_or_else(PoolName::share);
    let Some(on_node) = assignment.members.get(&pod.uid).filter(|_| bound) else { return named };
    match on_node.node_bound() {
        Some((own, node)) if own.is_isolation() => named.on_node(node),
        Some(_) => on_node.clone(),
        None => named,
    }
}

#[cfg(test)]
mod tests;
