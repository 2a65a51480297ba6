//! What every container on the node was given, as one value that changes as a whole or not at all.

mod entry;
mod record;

pub use entry::{Claim, Entry, Held};
pub use record::{Pools, RECORD_VERSION, Record};

use crate::plugin::{ContainerType, Parsed};
use gleaner_model::{Assignment, ContainerName, NumaSet, Pod, PodUid, PoolName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pods that were given something, what their containers claim, and the CPUs and NUMA nodes that follow from it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    entries: BTreeMap<PodUid, Entry>,
    /// The same pods as solvers see them.
    pods: BTreeMap<PodUid, Pod>,
    /// Shared, so that taking a change back costs nothing.
    assignment: Arc<Assignment>,
}

impl Ledger {
    /// Changes something about one pod: all of it, or, when `change` fails, nothing.
    ///
    /// # Errors
    /// What `change` fails with.
    pub fn transact<T, E>(&mut self, pod: &PodUid, change: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let before = (self.entries.get(pod).cloned(), self.pods.get(pod).cloned(), Arc::clone(&self.assignment));
        let outcome = change(self);
        if outcome.is_err() {
            let (entry, seen, assignment) = before;
            put_back(&mut self.entries, pod, entry);
            put_back(&mut self.pods, pod, seen);
            self.assignment = assignment;
        }
        outcome
    }

    /// Notes what a container claims of one resource, under the resource's name. What it claimed of it before is replaced.
    pub fn claim(&mut self, resource: &str, asked: &Parsed<'_>, claim: Claim) {
        let uid = &asked.request.pod.uid;
        let entry = self.entries.entry(uid.clone()).or_insert_with(|| Entry::of(asked));
        entry.identity.clone_from(&asked.request.pod);
        entry.qos.clone_from(asked.qos);
        let held = entry.containers.entry(asked.request.container.clone()).or_insert_with(|| Held::of(asked.request));
        held.claims.insert(resource.to_owned(), claim);
        if entry.stands() {
            self.pods.insert(uid.clone(), entry.pod());
        }
    }

    /// Takes a pod out, with all that its containers claim. The CPUs that it had are given out anew at the next placement.
    pub fn remove(&mut self, pod: &PodUid) -> bool {
        self.pods.remove(pod);
        if self.assignment.members.contains_key(pod) || self.assignment.nodes.contains_key(pod) {
            let assignment = Arc::make_mut(&mut self.assignment);
            assignment.members.remove(pod);
            assignment.nodes.remove(pod);
            assignment.pools.remove(&PoolName::dedicated(pod));
        }
        self.entries.remove(pod).is_some()
    }

    /// Which NUMA nodes a pod is bound to from now on.
    pub fn bind(&mut self, pod: &PodUid, nodes: NumaSet) {
        if self.assignment.nodes.get(pod) != Some(&nodes) {
            Arc::make_mut(&mut self.assignment).nodes.insert(pod.clone(), nodes);
        }
    }

    /// Which CPUs every pool has from now on.
    pub fn assign(&mut self, assignment: Assignment) {
        if *self.assignment != assignment {
            self.assignment = Arc::new(assignment);
        }
    }

    /// The pods as solvers see them. One whose containers follow the main one is seen when that has come.
    #[must_use]
    pub fn pods(&self) -> &BTreeMap<PodUid, Pod> {
        &self.pods
    }

    /// What each pod's containers claim.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<PodUid, Entry> {
        &self.entries
    }

    /// What one container claims.
    #[must_use]
    pub fn held(&self, pod: &PodUid, container: &ContainerName) -> Option<&Held> {
        self.entries.get(pod)?.containers.get(container)
    }

    /// What one container claims of one resource.
    #[must_use]
    pub fn claimed(&self, pod: &PodUid, container: &ContainerName, resource: &str) -> Option<&Claim> {
        self.held(pod, container)?.claims.get(resource)
    }

    /// Which CPUs and NUMA nodes everything has.
    #[must_use]
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// Whether a pod's main container has claimed CPU: the ones beside it follow it.
    #[must_use]
    pub fn has_main(&self, pod: &PodUid, resource: &str) -> bool {
        let entry = self.entries.get(pod);
        entry.is_some_and(|e| e.containers.values().any(|h| h.kind == ContainerType::Main && h.claims.contains_key(resource)))
    }
}

fn put_back<T>(map: &mut BTreeMap<PodUid, T>, pod: &PodUid, value: Option<T>) {
    match value {
        Some(value) => drop(map.insert(pod.clone(), value)),
        None => drop(map.remove(pod)),
    }
}

#[cfg(test)]
mod tests;
