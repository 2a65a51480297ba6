//! Which NUMA nodes a pod may take memory from.

use crate::Node;
use crate::layout::mems_near;
use gleaner_model::{Assignment, NumaBinding, NumaSet, Pod, PodUid, QosClass, Topology};
use std::collections::BTreeMap;

/// The NUMA nodes that a pod's containers may take memory from; empty only on a machine without memory. Of a pod with a pool, those of the
/// pool, less what others have for themselves:
///
/// - with `numa_binding`: the nodes chosen for it; of a node without memory the nearest with,
/// - dedicated: all that no pod has exclusively,
/// - shared: also not those of shared pods with `numa_binding` and of dedicated pods with `numa_share: false`,
/// - reclaimed: also not those of reclaimed pods with `numa_binding` and of dedicated pods with `numa_share: false`,
/// - system: all.
///
/// Where nothing would be left, a pod has the nodes of others without being alone there.
#[must_use]
pub fn mems(node: &Node<'_>, pod: &Pod) -> NumaSet {
    MemRules::new(node.topology, node.pods, node.assignment).of(pod)
}

/// What [`mems`] needs to know of all pods, worked out once.
pub(crate) struct MemRules<'a> {
    topology: &'a Topology,
    assignment: &'a Assignment,
    all: NumaSet,
    /// Memory nodes of pods with `numa_binding`, as far as nodes were chosen.
    bound: BTreeMap<&'a PodUid, NumaSet>,
    /// Of pods with `numa_exclusive`.
    exclusive: NumaSet,
    /// Of dedicated pods that share their nodes with no other class.
    unshared: NumaSet,
    /// Of bound shared pods.
    shared: NumaSet,
    /// Of bound reclaimed pods.
    reclaimed: NumaSet,
}

impl<'a> MemRules<'a> {
    pub(crate) fn new(topology: &'a Topology, pods: &'a BTreeMap<PodUid, Pod>, assignment: &'a Assignment) -> Self {
        let none = NumaSet::new;
        let all = topology.memory_nodes();
        let mut rules = Self {
            topology,
            assignment,
            all,
            bound: BTreeMap::new(),
            exclusive: none(),
            unshared: none(),
            shared: none(),
            reclaimed: none(),
        };
        for (uid, pod) in pods {
            let Some(nodes) = rules.chosen(uid, pod) else { continue };
            if pod.qos.memory.numa_binding == NumaBinding::Exclusive {
                rules.exclusive = rules.exclusive.union(&nodes);
            }
            let closed = match pod.class() {
                QosClass::Shared => Some(&mut rules.shared),
                QosClass::Reclaimed => Some(&mut rules.reclaimed),
                QosClass::Dedicated if !pod.qos.cpu.numa_share => Some(&mut rules.unshared),
                QosClass::Dedicated | QosClass::System => None,
            };
            if let Some(closed) = closed {
                *closed = closed.union(&nodes);
            }
            rules.bound.insert(uid, nodes);
        }
        rules
    }

    /// The memory nodes that were chosen for a pod with `numa_binding`; `None` for any other pod.
    fn chosen(&self, uid: &PodUid, pod: &Pod) -> Option<NumaSet> {
        if pod.qos.memory.numa_binding == NumaBinding::Unbound {
            return None;
        }
        let of_cpus = || {
            let own = self.assignment.pool_of(uid).filter(|(name, _)| name.is_dedicated());
            own.map(|(_, pool)| self.topology.nodes_of(&pool.cpus))
        };
        let nodes = self.assignment.nodes.get(uid).cloned().or_else(of_cpus)?;
        Some(self.near(&nodes)).filter(|mems| !mems.is_empty())
    }

    /// The memory of these nodes; of a node without memory that of the nearest with. A node that is not there has none.
    pub(crate) fn near(&self, nodes: &NumaSet) -> NumaSet {
        mems_near(self.topology, &self.all, nodes)
    }

    /// Memory nodes of a bound pod, as far as they were chosen.
    pub(crate) fn bound(&self, pod: &PodUid) -> Option<&NumaSet> {
        self.bound.get(pod)
    }

    /// Nodes that a pod has for itself.
    pub(crate) const fn exclusive(&self) -> &NumaSet {
        &self.exclusive
    }

    /// Nodes that dedicated pods share with no other class.
    pub(crate) const fn unshared(&self) -> &NumaSet {
        &self.unshared
    }

    /// What pods of a class without `numa_binding` may use.
    pub(crate) fn open(&self, class: QosClass) -> NumaSet {
        self.open_among(&self.all, class)
    }

    fn open_among(&self, nodes: &NumaSet, class: QosClass) -> NumaSet {
        let bound = match class {
            QosClass::System => return nodes.clone(),
            QosClass::Dedicated => NumaSet::new(),
            QosClass::Shared => self.unshared.union(&self.shared),
            QosClass::Reclaimed => self.unshared.union(&self.reclaimed),
        };
        let not_alone = nodes.difference(&self.exclusive);
        let left = [not_alone.difference(&bound), not_alone, self.all.difference(&self.exclusive).difference(&bound), nodes.clone()];
        left.into_iter().find(|nodes| !nodes.is_empty()).unwrap_or_default()
    }

    pub(crate) fn of(&self, pod: &Pod) -> NumaSet {
        let pool = self.assignment.pool_of(&pod.uid).map(|(_, pool)| pool.mems.intersection(&self.all)).filter(|mems| !mems.is_empty());
        if let Some(chosen) = self.bound.get(&pod.uid) {
            let in_pool = pool.map(|pool| pool.intersection(chosen)).filter(|mems| !mems.is_empty());
            return in_pool.unwrap_or_else(|| chosen.clone());
        }
        match pod.class() {
            QosClass::System => self.all.clone(),
            class => self.open_among(&pool.unwrap_or_else(|| self.all.clone()), class),
        }
    }
}
