//! The ledger as it is stored: one record a container, and one of the pools. What can be derived is not stored.

use super::{Entry, Held, Ledger};
use crate::plugin::PodIdentity;
use gleaner_model::{Assignment, ContainerName, CpuSet, NumaSet, PodUid, Pool, PoolName, QosSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The version of both kinds of record. A record of another version is of no use.
pub const RECORD_VERSION: u32 = 1;

/// What one container was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// Its pod.
    pub pod: PodIdentity,
    /// What the pod's annotations asked for when it was admitted.
    pub qos: QosSpec,
    /// The container.
    pub container: ContainerName,
    /// Its claims.
    pub held: Held,
    /// The CPUs that its pod has for itself; `None` for a pod that shares.
    pub own: Option<Pool>,
    /// The NUMA nodes that its pod is bound to.
    pub nodes: Option<NumaSet>,
    /// The pool that its pod shares; `None` for a pod that has CPUs for itself, or was not placed yet.
    #[serde(default)]
    pub pool: Option<PoolName>,
}

/// The pools that pods share. Without them the solver cuts new ones, which moves CPUs and harms nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pools {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// Each by name.
    pub pools: BTreeMap<PoolName, Pool>,
}

impl Ledger {
    /// The record of one container; `None` when it has none.
    #[must_use]
    pub fn record(&self, pod: &PodUid, container: &ContainerName) -> Option<Record> {
        let entry = self.entries.get(pod)?;
        Some(Record {
            version: RECORD_VERSION,
            pod: entry.identity.clone(),
            qos: entry.qos.clone(),
            container: container.clone(),
            held: entry.containers.get(container)?.clone(),
            own: self.assignment.pools.get(&PoolName::dedicated(pod)).cloned(),
            nodes: self.assignment.nodes.get(pod).cloned(),
            pool: self.assignment.members.get(pod).filter(|pool| !pool.is_dedicated()).cloned(),
        })
    }

    /// The record of the pools.
    #[must_use]
    pub fn pools(&self) -> Pools {
        let shared = self.assignment.pools.iter().filter(|(name, _)| !name.is_dedicated());
        Pools { version: RECORD_VERSION, pools: shared.map(|(name, pool)| (name.clone(), pool.clone())).collect() }
    }

    /// Takes from dedicated pods what cannot be theirs: CPUs that are not online, or none at all. They are placed anew; each has a line.
    pub fn keep_online(&mut self, online: &CpuSet) -> Vec<String> {
        let is_wrong = |(name, pool): &(&PoolName, &Pool)| name.is_dedicated() && (pool.cpus.is_empty() || !pool.cpus.is_subset(online));
        let wrong: Vec<PoolName> = self.assignment.pools.iter().filter(is_wrong).map(|(name, _)| name.clone()).collect();
        let mut lines = Vec::new();
        for name in wrong {
            let assignment = Arc::make_mut(&mut self.assignment);
            let cpus = assignment.pools.remove(&name).map(|pool| pool.cpus).unwrap_or_default();
            let owner = assignment.members.iter().find(|(_, pool)| **pool == name).map(|(uid, _)| uid.clone());
            if let Some(uid) = owner {
                assignment.members.remove(&uid);
                let pod = self.entries.get(&uid).map(|entry| entry.identity.name.to_string()).unwrap_or_default();
                lines.push(format!("{pod}: its CPUs {cpus:?} are not all online, which are {online}; it is placed anew"));
            }
        }
        lines
    }

    /// The ledger that these records tell of. Records of one pod that contradict each other: the first by container name counts for the
    /// whole pod. A pod whose own CPUs another has too gets none, and is placed anew; the text says so.
    #[must_use]
    pub fn restore(records: impl IntoIterator<Item = Record>, pools: Option<Pools>) -> (Self, Vec<String>) {
        let mut by_name: BTreeMap<(PodUid, ContainerName), Record> = BTreeMap::new();
        for record in records {
            by_name.insert((record.pod.uid.clone(), record.container.clone()), record);
        }
        let mut assignment = Assignment { pools: pools.map(|p| p.pools).unwrap_or_default(), ..Assignment::default() };
        assignment.pools.retain(|name, _| !name.is_dedicated());
        let (mut entries, mut taken, mut warnings): (BTreeMap<PodUid, Entry>, _, _) = (BTreeMap::new(), CpuSet::new(), Vec::new());
        for ((uid, container), record) in by_name {
            let first = !entries.contains_key(&uid);
            let entry =
                entries.entry(uid.clone()).or_insert_with(|| Entry { identity: record.pod, qos: record.qos, containers: BTreeMap::new() });
            entry.containers.insert(container, record.held);
            if let Some(pool) = record.pool.filter(|pool| first && assignment.pools.contains_key(pool)) {
                assignment.members.insert(uid.clone(), pool);
            }
            let Some(own) = record.own.filter(|_| first) else {
                assignment.nodes.extend(record.nodes.filter(|_| first).map(|nodes| (uid, nodes)));
                continue;
            };
            if own.cpus.is_disjoint(&taken) {
                taken = taken.union(&own.cpus);
                let name = PoolName::dedicated(&uid);
                assignment.members.insert(uid.clone(), name.clone());
                assignment.pools.insert(name, own);
            } else {
                let both = own.cpus.intersection(&taken);
                warnings.push(format!("{}: another dedicated pod has CPUs {both} too; it is placed anew", entry.identity.name));
            }
            assignment.nodes.extend(record.nodes.map(|nodes| (uid, nodes)));
        }
        let pods = entries.iter().filter(|(_, entry)| entry.stands()).map(|(uid, entry)| (uid.clone(), entry.pod())).collect();
        (Self { entries, pods, assignment: Arc::new(assignment) }, warnings)
    }
}
