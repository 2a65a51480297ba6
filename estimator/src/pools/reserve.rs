use gleaner_model::{Assignment, MilliCpu, NumaId, PoolName, Topology, apportion};
use std::collections::BTreeMap;

/// CPU of each NUMA node that is never lent: the CPUs that pool `reserve` has there and, where `cpu_reserve` is more than all of these, the rest of
/// it by the CPUs that each node has besides. The sum is the reserve of the whole node, as far as that has so many CPUs.
#[must_use]
pub fn reserve_by_node(topology: &Topology, assignment: &Assignment, cpu_reserve: MilliCpu) -> BTreeMap<NumaId, MilliCpu> {
    let pool = assignment.cpus_of(&PoolName::reserve());
    let milli = |cpus: u32| u32::try_from(MilliCpu::from_cpus(cpus).get()).unwrap_or(u32::MAX);
    let held: BTreeMap<NumaId, u32> = topology.nodes().map(|(id, node)| (id, milli(node.cpus.intersection(&pool).count()))).collect();
    let rest: BTreeMap<NumaId, u32> = topology.nodes().map(|(id, node)| (id, milli(node.cpus.difference(&pool).count()))).collect();
    let lacks = u64::from(u32::MAX).min(cpu_reserve.get()).saturating_sub(held.values().map(|cpu| u64::from(*cpu)).sum());
    let lacks = lacks.min(rest.values().map(|cpu| u64::from(*cpu)).sum());
    let more = apportion(&rest, u32::try_from(lacks).unwrap_or(u32::MAX), 0);
    let sum = |(node, cpu): (NumaId, u32)| (node, MilliCpu::new(u64::from(cpu) + u64::from(more.get(&node).copied().unwrap_or(0))));
    held.into_iter().map(sum).collect()
}
