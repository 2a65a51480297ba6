//! What must be placed: from pods and pool sizes to the demands that the solver works on.

use crate::refusal::{Refusal, Rule};
use gleaner_model::{MilliCpu, NumaBinding, NumaId, NumaPlacement, Pod, PodName, PodUid, PoolName, QosClass, QosSpec};
use std::collections::{BTreeMap, BTreeSet};

/// CPUs that one `dedicated_cores` pod needs for itself, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedicatedDemand {
    /// Whole CPUs: the request, rounded up. With `whole_cores` the machine rounds it up to whole cores: [`DedicatedDemand::cpus_on`].
    pub cpus: u32,
    /// The request as the manifest has it.
    pub request: MilliCpu,
    /// Whether CPUs and memory come from chosen NUMA nodes.
    pub binding: NumaBinding,
    /// Which NUMA nodes.
    pub placement: NumaPlacement,
    /// Whole cores only (`full_pcpus_pairing`).
    pub whole_cores: bool,
    /// Whether pods of other classes may be on its NUMA nodes (`numa_share`).
    pub numa_share: bool,
    /// On as few packages as the request needs (`align_by_socket`).
    pub align_by_socket: bool,
    /// The same number of CPUs on each of its nodes (`distribute_evenly_across_numa`).
    pub distribute_evenly: bool,
    /// The pod.
    pub name: PodName,
}

impl DedicatedDemand {
    /// The CPUs that it gets on a machine whose cores have this many threads: for whole cores a multiple of that.
    #[must_use]
    pub fn cpus_on(&self, threads: u32) -> u32 {
        let unit = if self.whole_cores { threads.max(1) } else { 1 };
        self.cpus.checked_next_multiple_of(unit).unwrap_or(u32::MAX)
    }
}

/// A shared or reclaimed pod that must be on one NUMA node (`numa_binding`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundDemand {
    /// The pool of which it wants the part on its node: `reclaim` of a reclaimed pod.
    pub pool: PoolName,
    /// The pool of its own that it has instead while it is isolated; again the part on its node.
    pub own: Option<PoolName>,
    /// CPU that it requests; of a reclaimed pod, that it was promised.
    pub request: MilliCpu,
    /// Which NUMA nodes it may be on.
    pub placement: NumaPlacement,
    /// Whether pods of other classes and pools may be on its NUMA node (`numa_share`).
    pub numa_share: bool,
    /// The pod.
    pub name: PodName,
}

impl BoundDemand {
    /// Whether it is a reclaimed pod.
    #[must_use]
    pub fn reclaimed(&self) -> bool {
        self.pool == PoolName::reclaim()
    }

    /// The pool that it is in on this node.
    #[must_use]
    pub fn pool_on(&self, node: NumaId) -> PoolName {
        self.own.as_ref().unwrap_or(&self.pool).on_node(node)
    }
}

/// What all pods together need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demands {
    /// Dedicated pods.
    pub dedicated: BTreeMap<PodUid, DedicatedDemand>,
    /// Shared pools that have unbound pods, with the CPUs that each wants; at least 1.
    pub share: BTreeMap<PoolName, u32>,
    /// CPU that all unbound shared pods request together.
    pub share_request: MilliCpu,
    /// How many unbound reclaimed pods live.
    pub reclaim_pods: usize,
    /// Shared and reclaimed pods that are bound to one NUMA node. The name of their pool is known when the node is.
    pub bound: BTreeMap<PodUid, BoundDemand>,
    /// Of the pools of isolated pods among these, the pool that each would be in. Such a pool never keeps a pod of another class from its CPUs.
    pub isolated: BTreeMap<PoolName, PoolName>,
    /// The sizes of pools that the estimator knows, those on one NUMA node among them. Of the parts of `reclaim` on each node it is what reclaimed
    /// pods are left at least.
    pub sizes: BTreeMap<PoolName, u32>,
    /// Pools of system pods; each with the beginning of the names of the pools to join, `None`: every CPU that is not dedicated.
    pub system: BTreeMap<PoolName, Option<PoolName>>,
    /// The pool of each pod that is neither dedicated nor bound.
    pub members: BTreeMap<PodUid, PoolName>,
    /// Pods whose demand cannot be read, with the cause.
    pub refused: BTreeMap<PodUid, Refusal>,
}

/// What the pods need. `pool_sizes` are the estimator's; a pool that it does not know yet wants the CPUs that its pods request. A shared pod for which there is
/// a size of [`PoolName::isolation`] is isolated: in that pool alone.
#[must_use]
pub fn demands(pods: &BTreeMap<PodUid, Pod>, pool_sizes: &BTreeMap<PoolName, u32>) -> Demands {
    demands_of(pods.iter(), pool_sizes)
}

/// As [`demands`], of some pods.
pub(crate) fn demands_of<'a>(pods: impl Iterator<Item = (&'a PodUid, &'a Pod)>, pool_sizes: &BTreeMap<PoolName, u32>) -> Demands {
    let mut all = Demands { sizes: pool_sizes.clone(), ..Demands::default() };
    let mut requested: BTreeMap<PoolName, MilliCpu> = BTreeMap::new();
    for (uid, pod) in pods {
        match wish(pod) {
            Ok(Wish::Dedicated(demand)) => {
                all.dedicated.insert(uid.clone(), demand);
            }
            Ok(Wish::Bound(mut demand)) => {
                demand.own = all.isolation_of(pod).filter(|_| !demand.reclaimed());
                all.bound.insert(uid.clone(), demand);
            }
            Ok(Wish::Pool(pool)) => {
                let pool = match all.isolation_of(pod) {
                    Some(own) => {
                        all.isolated.insert(own.clone(), pool);
                        own
                    }
                    None => pool,
                };
                match pod.class() {
                    QosClass::Reclaimed => all.reclaim_pods += 1,
                    QosClass::System => {
                        all.system.insert(pool.clone(), pod.qos.cpu.pool.clone());
                    }
                    QosClass::Shared | QosClass::Dedicated => {
                        let sum = requested.entry(pool.clone()).or_default();
                        *sum = sum.plus(pod.cpu_request());
                    }
                }
                all.members.insert(uid.clone(), pool);
            }
            Err(refusal) => {
                all.refused.insert(uid.clone(), refusal);
            }
        }
    }
    all.share_request = requested.values().copied().sum();
    all.share = requested.into_iter().map(|(pool, request)| (pool.clone(), all.size_of(&pool, request))).collect();
    all
}

impl Demands {
    /// The pool that a pod has for itself while it is isolated, without the part on a node.
    fn isolation_of(&self, pod: &Pod) -> Option<PoolName> {
        if pod.class() != QosClass::Shared || !self.sizes.keys().any(PoolName::is_isolation) {
            return None;
        }
        let own = PoolName::isolation(&pod.uid);
        let bound = pod.qos.memory.numa_binding != NumaBinding::Unbound;
        let on_node = |name: &PoolName| name.node_bound().is_some_and(|(of, _)| of == own);
        let isolated = if bound { self.sizes.keys().any(on_node) } else { self.sizes.contains_key(&own) };
        isolated.then_some(own)
    }

    /// How many shared pools there would be for unbound pods if nobody were isolated.
    pub(crate) fn share_pools(&self) -> u32 {
        let homes: BTreeSet<&PoolName> = self.share.keys().map(|pool| self.home_of(pool)).collect();
        u32::try_from(homes.len()).unwrap_or(u32::MAX)
    }

    /// The pool that the pod of an isolated one would be in; any other pool itself.
    pub(crate) fn home_of<'a>(&'a self, pool: &'a PoolName) -> &'a PoolName {
        self.isolated.get(pool).unwrap_or(pool)
    }

    /// CPUs of a NUMA node that reclaimed pods are left, whatever shared pools want.
    pub(crate) fn least_reclaimed(&self, node: NumaId) -> u32 {
        self.sizes.get(&PoolName::reclaim().on_node(node)).copied().unwrap_or(0)
    }

    /// The CPUs that a shared pool wants whose pods request this much.
    pub(crate) fn size_of(&self, pool: &PoolName, request: MilliCpu) -> u32 {
        self.sizes.get(pool).copied().unwrap_or(request.ceil_cpus()).max(1)
    }
}

/// What one pod needs: CPUs of its own, the part of a pool on one NUMA node, or to be in a pool.
pub(crate) enum Wish {
    Dedicated(DedicatedDemand),
    Bound(BoundDemand),
    Pool(PoolName),
}

/// What one pod needs, or why that cannot be told.
pub(crate) fn wish(pod: &Pod) -> Result<Wish, Refusal> {
    wish_of(&pod.qos, requested(pod), &pod.name)
}

/// The CPU that a pod asks for; of a reclaimed pod the reclaimed CPU.
pub(crate) fn requested(pod: &Pod) -> MilliCpu {
    if pod.class() == QosClass::Reclaimed { pod.reclaimed_cpu() } else { pod.cpu_request() }
}

/// As [`wish`], of a pod of which only this is known.
pub(crate) fn wish_of(qos: &QosSpec, request: MilliCpu, name: &PodName) -> Result<Wish, Refusal> {
    match (qos.class, qos.cpu.pool.as_ref()) {
        (QosClass::Dedicated, _) => dedicated(qos, request, name).map(Wish::Dedicated),
        (QosClass::Reclaimed, _) => in_pool(qos, PoolName::reclaim(), request, name),
        (QosClass::Shared, None) => in_pool(qos, PoolName::share(), request, name),
        (QosClass::Shared, Some(pool)) if pool.is_built_in() => {
            Err(Refusal::by(Rule::Pool, format!("{:?} is a name that Gleaner keeps for itself", pool.as_str())))
        }
        (QosClass::Shared, Some(pool)) => in_pool(qos, pool.clone(), request, name),
        (QosClass::System, prefix) => {
            let name = prefix.map_or_else(|| SYSTEM.to_owned(), |prefix| format!("{SYSTEM}-{prefix}"));
            name.parse().map(Wish::Pool).map_err(|error| Refusal::by(Rule::Pool, format!("{error}")))
        }
    }
}

fn in_pool(qos: &QosSpec, pool: PoolName, request: MilliCpu, name: &PodName) -> Result<Wish, Refusal> {
    if qos.memory.numa_binding == NumaBinding::Unbound {
        return Ok(Wish::Pool(pool));
    }
    if pool.as_str().len() + PoolName::NODE_SUFFIX > PoolName::LONGEST {
        return Err(Refusal::by(
            Rule::Pool,
            format!("with numa_binding a name has at most {} bytes", PoolName::LONGEST - PoolName::NODE_SUFFIX),
        ));
    }
    let (class, placement) = (qos.class, qos.cpu.placement.clone());
    match &placement {
        NumaPlacement::Number(number) if *number != 1 => {
            Err(Refusal::by(Rule::NumaNumber, format!("asks for {number} NUMA nodes, but a {class} pod with numa_binding is on one")))
        }
        NumaPlacement::Ids(ids) if ids.len() != 1 => {
            Err(Refusal::by(Rule::NumaIds, format!("asks for NUMA nodes {ids}, but a {class} pod with numa_binding is on one")))
        }
        _ => Ok(Wish::Bound(BoundDemand { pool, own: None, request, placement, numa_share: qos.cpu.numa_share, name: name.clone() })),
    }
}

fn dedicated(qos: &QosSpec, request: MilliCpu, name: &PodName) -> Result<DedicatedDemand, Refusal> {
    if request.is_zero() {
        return Err(Refusal::by(Rule::BadRequest, "a dedicated_cores pod must request CPU, but requests none"));
    }
    let cpu = &qos.cpu;
    Ok(DedicatedDemand {
        cpus: request.ceil_cpus(),
        request,
        binding: qos.memory.numa_binding,
        placement: cpu.placement.clone(),
        whole_cores: cpu.full_pcpus_pairing,
        numa_share: cpu.numa_share,
        align_by_socket: cpu.align_by_socket,
        distribute_evenly: cpu.distribute_evenly_across_numa,
        name: name.clone(),
    })
}

const SYSTEM: &str = "system";

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::fixtures::{by_uid, pod, with_pool};

    #[test]
    fn a_request_that_is_not_whole_is_rounded_up() {
        let all = demands(&by_uid([pod("d", QosClass::Dedicated, 1500)]), &BTreeMap::new());
        assert_eq!(all.dedicated.values().map(|d| d.cpus).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_dedicated_pod_without_a_request_is_refused() {
        let all = demands(&by_uid([pod("d", QosClass::Dedicated, 0)]), &BTreeMap::new());
        assert!(all.dedicated.is_empty(), "{all:?}");
        assert!(all.refused.values().all(|refusal| refusal.cause.contains("requests none")) && all.refused.len() == 1, "{all:?}");
    }

    #[test]
    fn a_pool_wants_the_estimators_size_or_else_its_requests_and_never_nothing() {
        let pods =
            by_uid([pod("a", QosClass::Shared, 2500), pod("b", QosClass::Shared, 0), with_pool(pod("c", QosClass::Shared, 0), "batch")]);
        let unsized_pools = demands(&pods, &BTreeMap::new()).share;
        assert_eq!(unsized_pools, BTreeMap::from([(PoolName::share(), 3), ("batch".parse().unwrap(), 1)]));
        let sizes = BTreeMap::from([(PoolName::share(), 6), ("gone".parse().unwrap(), 4)]);
        assert_eq!(demands(&pods, &sizes).share[&PoolName::share()], 6);
        assert_eq!(demands(&pods, &sizes).share.len(), 2, "a pool without pods wants nothing");
    }

    #[test]
    fn names_of_gleaners_own_pools_are_refused() {
        for name in ["reserve", "interrupt", "reclaim", "system", "system-x", "dedicated-x", "isolation-x", "share-NUMA0"] {
            let all = demands(&by_uid([with_pool(pod("a", QosClass::Shared, 1000), name)]), &BTreeMap::new());
            assert!(all.refused.len() == 1 && all.share.is_empty(), "{name}: {all:?}");
        }
    }
}
