//! CPUs that the kubelet's static policy gave away: they are taken as given, and nobody else is placed on them.

use gleaner_model::{Assignment, CpuSet, MilliCpu, Pod, PodUid, Pool, PoolName, QosClass, QosSpec, Requirement, Topology};
use std::collections::BTreeMap;

/// A pod to whose containers kubelet gave these CPUs alone: dedicated, with as many CPUs as it was given, whatever its annotations say.
pub(super) fn alone(pod: &mut Pod, cpus: &CpuSet) {
    pod.qos = QosSpec::of(QosClass::Dedicated);
    for (at, container) in pod.containers.iter_mut().enumerate() {
        let request = (at == 0).then(|| MilliCpu::from_cpus(cpus.count()));
        container.cpu = Requirement { request, limit: container.cpu.limit };
    }
}

/// Gives the pods their CPUs, and takes these from everybody else, as a start for the solver.
pub(crate) fn give_exclusive(
    topology: &Topology,
    exclusive: &BTreeMap<PodUid, CpuSet>,
    live: impl Fn(&PodUid) -> bool,
    start: &mut Assignment,
) {
    for (uid, cpus) in exclusive.iter().filter(|(uid, _)| live(uid)) {
        let own = PoolName::dedicated(uid);
        for (_, pool) in start.pools.iter_mut().filter(|(name, _)| **name != own) {
            pool.cpus = pool.cpus.difference(cpus);
        }
        let mems = start.pools.get(&own).map_or_else(|| topology.nodes_of(cpus), |pool| pool.mems.clone());
        start.pools.insert(own.clone(), Pool { cpus: cpus.clone(), mems });
        start.members.insert(uid.clone(), own);
    }
}

/// A pod that cannot have what it asks for and runs all the same: among the shared ones, so that it is at least not on the CPUs of others.
pub(crate) fn lowered(pod: &Pod) -> Pod {
    Pod { qos: QosSpec::of(QosClass::Shared), ..pod.clone() }
}
