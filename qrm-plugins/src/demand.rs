//! What must be placed: from pods and pool sizes to the demands that the solver works on.

use gleaner_model::{MilliCpu, NumaBinding, NumaPlacement, Pod, PodName, PodUid, PoolName, QosClass};
use std::collections::BTreeMap;

/// CPUs that one `dedicated_cores` pod needs for itself, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedicatedDemand {
    /// Whole CPUs: the request, rounded up.
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

/// What all pods together need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demands {
    /// Dedicated pods.
    pub dedicated: BTreeMap<PodUid, DedicatedDemand>,
    /// Shared pools that have pods, with the CPUs that each wants; at least 1.
    pub share: BTreeMap<PoolName, u32>,
    /// How many reclaimed pods live.
    pub reclaim_pods: usize,
    /// Pools of system pods; each with the beginning of the names of the pools to join, `None`: every CPU that is not dedicated.
    pub system: BTreeMap<PoolName, Option<PoolName>>,
    /// The pool of each pod that is not dedicated.
    pub members: BTreeMap<PodUid, PoolName>,
    /// Pods whose demand cannot be read, with the cause.
    pub refused: BTreeMap<PodUid, String>,
}

/// What the pods need. `pool_sizes` are the estimator's; a pool that it does not know yet wants the CPUs that its pods request.
#[must_use]
pub fn demands(pods: &BTreeMap<PodUid, Pod>, pool_sizes: &BTreeMap<PoolName, u32>) -> Demands {
    let mut all = Demands::default();
    let mut requested: BTreeMap<PoolName, MilliCpu> = BTreeMap::new();
    for (uid, pod) in pods {
        match wish(pod) {
            Ok(Wish::Dedicated(demand)) => {
                all.dedicated.insert(uid.clone(), demand);
            }
            Ok(Wish::Pool(pool)) => {
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
            Err(cause) => {
                all.refused.insert(uid.clone(), cause);
            }
        }
    }
    let size = |(pool, request): (PoolName, MilliCpu)| {
        let cpus = pool_sizes.get(&pool).copied().unwrap_or(request.ceil_cpus());
        (pool, cpus.max(1))
    };
    all.share = requested.into_iter().map(size).collect();
    all
}

/// What one pod needs: CPUs of its own, or to be in a pool.
pub(crate) enum Wish {
    Dedicated(DedicatedDemand),
    Pool(PoolName),
}

/// What one pod needs, or why that cannot be told.
pub(crate) fn wish(pod: &Pod) -> Result<Wish, String> {
    let named = pod.qos.cpu.pool.as_ref();
    match (pod.class(), named) {
        (QosClass::Dedicated, _) => dedicated(pod).map(Wish::Dedicated),
        (QosClass::Reclaimed, _) => Ok(Wish::Pool(PoolName::reclaim())),
        (QosClass::Shared, None) => Ok(Wish::Pool(PoolName::share())),
        (QosClass::Shared, Some(pool)) if pool.is_built_in() => {
            Err(format!("cpuset_pool {pool:?} is a name that Gleaner keeps for itself", pool = pool.as_str()))
        }
        (QosClass::Shared, Some(pool)) => Ok(Wish::Pool(pool.clone())),
        (QosClass::System, prefix) => {
            let name = prefix.map_or_else(|| SYSTEM.to_owned(), |prefix| format!("{SYSTEM}-{prefix}"));
            name.parse().map(Wish::Pool).map_err(|error| format!("cpuset_pool: {error}"))
        }
    }
}

fn dedicated(pod: &Pod) -> Result<DedicatedDemand, String> {
    let request = pod.cpu_request();
    if request.is_zero() {
        return Err("a dedicated_cores pod must request CPU, but requests none".to_owned());
    }
    let cpu = &pod.qos.cpu;
    Ok(DedicatedDemand {
        cpus: request.ceil_cpus(),
        request,
        binding: pod.qos.memory.numa_binding,
        placement: cpu.placement.clone(),
        whole_cores: cpu.full_pcpus_pairing,
        numa_share: cpu.numa_share,
        align_by_socket: cpu.align_by_socket,
        distribute_evenly: cpu.distribute_evenly_across_numa,
        name: pod.name.clone(),
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
        assert!(all.refused.values().all(|cause| cause.contains("requests none")) && all.refused.len() == 1, "{all:?}");
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
        for name in ["reserve", "reclaim", "system", "system-x", "dedicated-x"] {
            let all = demands(&by_uid([with_pool(pod("a", QosClass::Shared, 1000), name)]), &BTreeMap::new());
            assert!(all.refused.len() == 1 && all.share.is_empty(), "{name}: {all:?}");
        }
    }
}
