//! CPU of each NUMA node.

use super::parts::{Parts, add, of, spread_down, spread_up, sum, within};
use super::ramp::settle;
use super::reading::reclaimed;
use crate::Input;
use crate::need::{Need, gap};
use crate::policy::Policy;
use crate::region::Region;
use crate::state::Given;
use gleaner_model::{CpuId, CpuSet, MilliCpu, NumaId, Permille, PoolName, Topology};
use std::collections::BTreeMap;

/// What reclaimed pods can have on each NUMA node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ByNode {
    /// How much if it were for the node alone; a node of which too little is known is not here.
    pub(super) most: Parts,
    /// The same cut so that together they are at most what the whole node has.
    pub(super) supply: Parts,
    /// Capacity without the reserve: more is never promised.
    pub(super) room: Parts,
    /// Nodes of which a reading is missing, and which.
    pub(super) unknown: BTreeMap<NumaId, String>,
}

/// What is not for reclaimed pods.
pub(super) struct Taken<'a> {
    /// Of the whole node.
    pub(super) reserve: MilliCpu,
    /// Online CPUs that dedicated pods hold.
    pub(super) held: &'a CpuSet,
    /// What other dedicated pods ask for.
    pub(super) waiting: MilliCpu,
    /// What the regions need.
    pub(super) requirement: &'a BTreeMap<Region, Need<MilliCpu>>,
}

/// CPU that reclaimed pods can have on each NUMA node:
///
/// ```text
/// left    = its CPUs - reserve on it - dedicated CPUs on it - what the regions need on it
/// free    = its CPUs - reserve on it - (usage of its CPUs - usage of reclaimed pods on it)
/// most    = min(left, free, last + risePerSecond x its CPUs x time since the last tick)
/// supply  = most, of all nodes cut in proportion where together they are more than the whole node has
/// ```
///
/// What is known of the whole node only is divided: the reserve beyond the CPUs of pool `reserve`, system pods and dedicated pods without CPUs by
/// the nodes' CPUs; the need of a shared pool by where its CPUs are, all of it on the node of pods that are bound to one. Usage of reclaimed
/// pods is that of their cgroups, divided by how busy the CPUs of their pool are on each node; a CPU without a reading counts as busy.
pub(super) fn by_node(input: &Input<'_>, policy: &Policy, taken: &Taken<'_>, whole: MilliCpu, last: Option<&Given>) -> ByNode {
    let Input { snapshot, topology, .. } = *input;
    if topology.nodes().nth(1).is_none() {
        return ByNode::default();
    }
    let capacity = count(topology, &topology.cpus());
    let room = room(input, &capacity, taken.reserve);
    let reading = &snapshot.node.cpu_usage_by_cpu;
    let Some(busy) = reading.fresh(snapshot.at, policy.stale_after.get()) else {
        let line = format!("usage by CPU: {}", gap(reading, snapshot.at));
        let unknown = capacity.iter().filter(|(_, cpus)| **cpus > 0).map(|(id, _)| (*id, line.clone())).collect();
        let none: Parts = capacity.into_iter().filter(|(_, cpus)| *cpus == 0).collect();
        return ByNode { most: none.clone(), supply: none, room, unknown };
    };
    let demand = demand(input, &capacity, taken);
    let used = used(topology, &topology.cpus(), busy);
    let own = own(input, policy, busy);
    let all = MilliCpu::from_cpus(topology.cpus().count());
    let settled = |(id, room): (&NumaId, &u64)| {
        let left = room.saturating_sub(of(&demand, *id));
        let free = room.saturating_sub(of(&used, *id).saturating_sub(of(&own, *id)));
        let capacity = MilliCpu::new(of(&capacity, *id));
        let before = |last: &Given| match &last.by_node {
            Some(nodes) => nodes.get(id).map(|node| node.cpu).unwrap_or_default(),
            None => last.cpu.scaled(capacity.get(), all.get()),
        };
        let last = last.map(|last| (before(last), last.at));
        (*id, settle(MilliCpu::new(left.min(free)), last, capacity, policy, snapshot.at).get())
    };
    let most: Parts = room.iter().map(settled).collect();
    ByNode { supply: within(whole.get(), most.clone()), most, room, unknown: BTreeMap::new() }
}

/// How much CPU of a set is on each node.
fn count(topology: &Topology, cpus: &CpuSet) -> Parts {
    topology.nodes().map(|(id, node)| (id, MilliCpu::from_cpus(node.cpus.intersection(cpus).count()).get())).collect()
}

/// Capacity without the reserve. What is reserved beyond the CPUs of pool `reserve` is taken from all the others.
fn room(input: &Input<'_>, capacity: &Parts, reserve: MilliCpu) -> Parts {
    let kept = count(input.topology, &input.assignment.cpus_of(&PoolName::reserve()));
    let others: Parts = capacity.iter().map(|(id, all)| (*id, all.saturating_sub(of(&kept, *id)))).collect();
    let beyond = u128::from(reserve.get()).saturating_sub(sum(&kept));
    let beyond = spread_up(u64::try_from(beyond).unwrap_or(u64::MAX), &others);
    others.into_iter().map(|(id, rest)| (id, rest.saturating_sub(of(&beyond, id)))).collect()
}

/// What dedicated pods and regions take on each node.
fn demand(input: &Input<'_>, capacity: &Parts, taken: &Taken<'_>) -> Parts {
    let Input { topology, assignment, .. } = *input;
    let mut demand = count(topology, taken.held);
    add(&mut demand, &spread_up(taken.waiting.get(), capacity));
    for (region, need) in taken.requirement {
        let bound = |name: &PoolName| name.node_bound().filter(|(_, id)| of(capacity, *id) > 0).map(|(_, id)| Parts::from([(id, 1)]));
        let where_it_is = |name: &PoolName| count(topology, &assignment.cpus_of(name));
        let weights = match region {
            Region::Pool(name) => bound(name).unwrap_or_else(|| where_it_is(name)),
            Region::System => Parts::new(),
        };
        let weights = if sum(&weights) == 0 { capacity } else { &weights };
        add(&mut demand, &spread_up(need.known.get(), weights));
    }
    demand
}

/// How busy these CPUs are on each node.
fn used(topology: &Topology, cpus: &CpuSet, busy: &BTreeMap<CpuId, Permille>) -> Parts {
    // A thousandth of one CPU is a milli-CPU, so the share is the amount.
    let one = |cpu: CpuId| busy.get(&cpu).map_or(1000, |share| u64::from(share.get()));
    topology.nodes().map(|(id, node)| (id, node.cpus.intersection(cpus).iter().map(one).fold(0, u64::saturating_add))).collect()
}

/// What reclaimed pods use on each node, about.
fn own(input: &Input<'_>, policy: &Policy, busy: &BTreeMap<CpuId, Permille>) -> Parts {
    let Input { snapshot, topology, assignment, .. } = *input;
    let mut by_pool: BTreeMap<Option<&PoolName>, u64> = BTreeMap::new();
    for (pod, usage) in reclaimed(snapshot, policy, |readings| &readings.cpu_usage) {
        let usage_of_pool = by_pool.entry(assignment.members.get(&pod.uid)).or_default();
        *usage_of_pool = usage_of_pool.saturating_add(usage.get());
    }
    let mut own = Parts::new();
    for (pool, usage) in by_pool {
        let cpus = pool.map(|name| assignment.cpus_of(name)).filter(|cpus| !cpus.is_empty()).unwrap_or_else(|| topology.cpus());
        let busy = used(topology, &cpus, busy);
        // More than their CPUs did they cannot have used there.
        let most = u64::try_from(sum(&busy)).unwrap_or(u64::MAX);
        add(&mut own, &spread_down(usage.min(most), &busy));
    }
    own
}
