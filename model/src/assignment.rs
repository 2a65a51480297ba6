use crate::idset::{CpuSet, NumaSet};
use crate::names::{PodUid, PoolName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A set of CPUs that some pods share, and the memory nodes that go with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// CPUs that its pods may run on.
    pub cpus: CpuSet,
    /// NUMA nodes that its pods may take memory from.
    pub mems: NumaSet,
}

/// Which CPUs each pool has, and which pool each pod is in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Pools by name.
    pub pools: BTreeMap<PoolName, Pool>,
    /// The pool of each pod that was given one.
    pub members: BTreeMap<PodUid, PoolName>,
    /// The NUMA nodes that were chosen for each pod with `numa_binding`, for its CPUs and its memory alike.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<PodUid, NumaSet>,
}

impl Assignment {
    /// The pool that a pod is in.
    #[must_use]
    pub fn pool_of(&self, pod: &PodUid) -> Option<(&PoolName, &Pool)> {
        let name = self.members.get(pod)?;
        Some((name, self.pools.get(name)?))
    }

    /// CPUs of a pool; empty when there is no such pool.
    #[must_use]
    pub fn cpus_of(&self, pool: &PoolName) -> CpuSet {
        self.pools.get(pool).map(|p| p.cpus.clone()).unwrap_or_default()
    }
}
