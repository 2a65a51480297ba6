//! How many CPUs there are for shared pools.

use super::PoolSettings;
use gleaner_model::{
    Assignment, CpuSet, MilliCpu, NumaBinding, NumaId, NumaSet, Permille, Pod, PoolName, QosClass, Snapshot, Topology, apportion,
};
use std::collections::BTreeMap;

/// CPUs that shared pools may have, and those that they must leave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Room {
    by_node: BTreeMap<NumaId, u32>,
    /// What dedicated pods were promised and have not got yet, on no certain node.
    promised: u32,
    least: BTreeMap<NumaId, u32>,
}

impl Room {
    /// Of each NUMA node its online CPUs, less those kept for the system and for interrupts, those of dedicated pods and of nodes that such a pod
    /// has without other classes, those that dedicated pods were promised, and the least for reclaimed pods. `pools` are the shared pools with
    /// pods: the least for reclaimed pods leaves them one CPU each.
    pub(crate) fn of<'a>(
        snapshot: &Snapshot,
        topology: &Topology,
        assignment: &Assignment,
        settings: &PoolSettings,
        lend: bool,
        pools: impl Iterator<Item = &'a PoolName>,
    ) -> Self {
        let mut taken = assignment.cpus_of(&PoolName::reserve()).union(&assignment.cpus_of(&PoolName::interrupt()));
        for (name, pool) in assignment.pools.iter().filter(|(name, _)| name.is_dedicated()) {
            taken = taken.union(&pool.cpus);
            let owner = snapshot.pods.values().find(|pod| PoolName::dedicated(&pod.uid) == *name);
            if owner.is_some_and(keeps_alone) {
                taken = taken.union(&cpus_of(topology, &topology.nodes_of(&pool.cpus)));
            }
        }
        let online = topology.cpus();
        let mut by_node: BTreeMap<NumaId, u32> =
            topology.nodes().map(|(id, node)| (id, node.cpus.intersection(&online).difference(&taken).count())).collect();
        let mut promised = 0u32;
        for pod in snapshot.pods.values().filter(|pod| pod.class() == QosClass::Dedicated && !assignment.members.contains_key(&pod.uid)) {
            let cpus = pod.cpu_request().ceil_cpus();
            let chosen = assignment.nodes.get(&pod.uid).filter(|nodes| nodes.len() == 1).and_then(NumaSet::first);
            match chosen.and_then(|node| by_node.get_mut(&node)) {
                Some(there) => *there = there.saturating_sub(cpus),
                None => promised = promised.saturating_add(cpus),
            }
        }
        let mut room = Self { by_node, promised, least: BTreeMap::new() };
        if lend {
            room.leave(topology, settings, pools);
        }
        room
    }

    /// Sets apart the least for reclaimed pods, as far as every shared pool keeps one CPU.
    fn leave<'a>(&mut self, topology: &Topology, settings: &PoolSettings, pools: impl Iterator<Item = &'a PoolName>) {
        let mut kept: BTreeMap<Option<NumaId>, u32> = BTreeMap::new();
        for pool in pools {
            *kept.entry(pool.node_bound().map(|(_, node)| node)).or_default() += 1;
        }
        let min = &settings.min_reclaimed;
        let cpus: BTreeMap<NumaId, u32> = topology.nodes().map(|(id, node)| (id, node.cpus.count())).collect();
        let all = min.cpu.ceil_cpus().min(cpus.values().sum());
        let parts = apportion(&cpus, all, 0);
        let mut spare = self.all().saturating_sub(kept.values().sum());
        for (node, there) in &mut self.by_node {
            let count = cpus.get(node).copied().unwrap_or(0);
            let share = ceil_share(count, min.share);
            let least = parts.get(node).copied().unwrap_or(0).max(min.per_node.ceil_cpus()).max(share);
            let own = kept.get(&Some(*node)).copied().unwrap_or(0);
            let least = least.min(there.saturating_sub(own)).min(spare);
            if least > 0 {
                spare -= least;
                *there -= least;
                self.least.insert(*node, least);
            }
        }
    }

    /// CPUs for the pools of one NUMA node.
    pub(crate) fn on_node(&self, node: NumaId) -> u32 {
        self.by_node.get(&node).copied().unwrap_or(0)
    }

    /// CPUs for all shared pools together.
    pub(crate) fn all(&self) -> u32 {
        self.by_node.values().copied().fold(0, u32::saturating_add).saturating_sub(self.promised)
    }

    /// CPUs of each NUMA node that are left to reclaimed pods, whatever shared pools need.
    pub(crate) const fn least(&self) -> &BTreeMap<NumaId, u32> {
        &self.least
    }
}

/// Whether no other class may be on the NUMA nodes of a dedicated pod.
fn keeps_alone(pod: &Pod) -> bool {
    !pod.qos.cpu.numa_share || pod.qos.memory.numa_binding == NumaBinding::Exclusive
}

fn cpus_of(topology: &Topology, nodes: &NumaSet) -> CpuSet {
    topology.nodes().filter(|(id, _)| nodes.contains(*id)).fold(CpuSet::new(), |all, (_, node)| all.union(&node.cpus))
}

fn ceil_share(cpus: u32, share: Permille) -> u32 {
    MilliCpu::from_cpus(cpus).share(share).ceil_cpus()
}
