//! How big the pools of shared pods must be.

use crate::need::{Need, PodNeed};
use crate::policy::Policy;
use crate::state::Sizes;
use gleaner_model::{Assignment, MilliCpu, NumaBinding, Pod, PodUid, PoolName, QosClass, Reason, Snapshot, Topology};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one pool needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolDemand {
    /// Its size from now on, in whole CPUs; at most those that are online.
    pub cpus: u32,
    /// Measured need of its pods, margin included; `None` while a reading is missing.
    pub demand: Option<MilliCpu>,
    /// Sum of its pods' requests.
    pub requested: MilliCpu,
    /// [`Reason::PoolSize`] with these numbers.
    pub reason: Reason,
}

#[derive(Default)]
struct Members {
    pods: usize,
    requested: MilliCpu,
    need: Need<MilliCpu>,
}

impl Members {
    fn add(&mut self, pod: &Pod, need: &PodNeed) {
        self.pods += 1;
        self.requested = self.requested.plus(pod.cpu_request());
        self.need.add(&need.cpu);
    }
}

/// The size of each pool: the whole CPUs that cover the demand of its pods, at least one. While the demand is not known the pool keeps
/// its size (at first that of the assignment, else its requests), and grows when what is known needs more. It shrinks only after a
/// smaller size was enough for `shrink_after`, to the largest size needed in that time. A pool that has lost its last pod is dropped at
/// once: it serves nobody.
pub(crate) fn sizes(
    snapshot: &Snapshot,
    topology: &Topology,
    assignment: &Assignment,
    policy: &Policy,
    needs: &BTreeMap<PodUid, PodNeed>,
    before: &BTreeMap<PoolName, Sizes>,
) -> (BTreeMap<PoolName, PoolDemand>, BTreeMap<PoolName, Sizes>) {
    let online = topology.cpus().count();
    let mut demands = BTreeMap::new();
    let mut after = BTreeMap::new();
    for (name, members) in members(snapshot, assignment, needs) {
        let requested = members.requested;
        let demand = members.need.missing.is_empty().then_some(members.need.known);
        let mut cpus = 0;
        if members.pods == 0 {
            // Known to have needed nothing: what the pool has been given beyond need is no size to keep.
            after.insert(name.clone(), Sizes::default());
        } else {
            let sizes = before.get(&name).cloned().unwrap_or_else(|| Sizes::from_size(assignment.cpus_of(&name).count()));
            let known = members.need.known.ceil_cpus();
            let needed = if demand.is_some() { known } else { known.max(sizes.current().unwrap_or(requested.ceil_cpus())) };
            let sizes = sizes.observe(snapshot.at, needed.max(1).min(online), policy.shrink_after.get());
            cpus = sizes.current().unwrap_or(1).min(online);
            after.insert(name.clone(), sizes);
        }
        demands.insert(name, PoolDemand { cpus, demand, requested, reason: Reason::PoolSize { cpus, demand, requested } });
    }
    (demands, after)
}

/// The pools and what their pods need together. A system pod that joins pools by the beginning of their names counts in the first of
/// them, so that it is counted once; one that joins none runs anywhere.
fn members(snapshot: &Snapshot, assignment: &Assignment, needs: &BTreeMap<PodUid, PodNeed>) -> BTreeMap<PoolName, Members> {
    let mut pools: BTreeMap<PoolName, Members> = BTreeMap::from([(PoolName::share(), Members::default())]);
    let of_class =
        |class| snapshot.pods.values().filter(move |pod| pod.class() == class).filter_map(|pod| Some((pod, needs.get(&pod.uid)?)));
    for (pod, need) in of_class(QosClass::Shared) {
        pools.entry(pool_of(pod, assignment)).or_default().add(pod, need);
    }
    for (pod, need) in of_class(QosClass::System) {
        let Some(prefix) = &pod.qos.cpu.pool else { continue };
        if let Some((_, members)) = pools.iter_mut().find(|(name, _)| name.as_str().starts_with(prefix.as_str())) {
            members.add(pod, need);
        }
    }
    pools
}

/// The pool of a shared pod: of one with `numa_binding` the part on the NUMA node that it was bound to, if it was; else the pool that it
/// names. The names of pools that are not for shared pods lead to the default pool.
pub(crate) fn pool_of(pod: &Pod, assignment: &Assignment) -> PoolName {
    let bound = pod.qos.memory.numa_binding != NumaBinding::Unbound;
    let on_node = assignment.members.get(&pod.uid).filter(|name| bound && name.node_bound().is_some());
    let named = || pod.qos.cpu.pool.clone().filter(|name| !name.is_built_in());
    on_node.cloned().or_else(named).unwrap_or_else(PoolName::share)
}
