//! CPU of the whole node.

use super::cpu_nodes::{self, ByNode};
use super::demand::Demand;
use super::ramp::{Top, settle};
use super::reading::{fresh, reclaimed, shorten};
use crate::Input;
use crate::need::Need;
use crate::policy::Policy;
use crate::state::Given;
use gleaner_model::{Assignment, CpuSet, MilliCpu, PoolName, QosClass, Reason, ReclaimRule, Snapshot};

/// What reclaimed pods can have of CPU, with the numbers that gave it.
#[derive(Debug, Clone)]
pub(super) struct Cpu {
    pub(super) supply: MilliCpu,
    pub(super) rule: ReclaimRule,
    pub(super) capacity: MilliCpu,
    pub(super) reserve: MilliCpu,
    pub(super) dedicated: MilliCpu,
    pub(super) demand: MilliCpu,
    pub(super) free: MilliCpu,
    pub(super) missing: Option<String>,
    /// On each NUMA node; empty on a machine of one.
    pub(super) by_node: ByNode,
}

impl Cpu {
    /// Capacity without the reserve: more is never promised.
    pub(super) fn room(&self) -> MilliCpu {
        self.capacity.minus(self.reserve)
    }

    /// The reason for what is promised in the end.
    pub(super) fn reason(self, given: MilliCpu, rule: ReclaimRule) -> Reason {
        let Self { supply, capacity, reserve, dedicated, demand, free, missing, .. } = self;
        Reason::ReclaimableCpu { given, rule, capacity, reserve, dedicated, demand, free, supply, missing }
    }
}

/// CPU that reclaimed pods can have:
///
/// ```text
/// demand  = sum of what the regions need
/// left    = capacity - reserve - dedicated - demand
/// free    = capacity - reserve - (usage of the node - usage of reclaimed pods)
/// supply  = min(left, free, last + risePerSecond x capacity x time since the last tick)
/// ```
///
/// Capacity is the online CPUs; reserve is the configured figure, and at least the CPUs of pool `reserve`; dedicated is the CPUs of dedicated
/// pools, and for a dedicated pod without one its request in whole CPUs. `free` sees what is in no pod's cgroup, such as the kernel's own
/// threads. Usage of a reclaimed pod that is not known counts as none, which makes `free` smaller.
pub(super) fn cpu(input: &Input<'_>, policy: &Policy, requirement: &Demand, last: Option<&Given>) -> Cpu {
    let Input { snapshot, topology, assignment, .. } = *input;
    let online = topology.cpus();
    let capacity = MilliCpu::from_cpus(online.count());
    let reserve = policy.cpu_reserve.max(MilliCpu::from_cpus(assignment.cpus_of(&PoolName::reserve()).intersection(&online).count()));
    let (held, waiting) = (held(assignment).intersection(&online), waiting(snapshot, assignment));
    let dedicated = MilliCpu::from_cpus(held.count().saturating_add(waiting));
    let mut demand = Need { known: MilliCpu::ZERO, missing: requirement.unread.clone() };
    requirement.cpu.values().for_each(|region| demand.add(region));
    let mut missing = demand.missing;
    let usage = fresh(&snapshot.node.cpu_usage, "CPU usage", snapshot.at, policy, &mut missing);
    let own = reclaimed(snapshot, policy, |readings| &readings.cpu_usage).map(|(_, usage)| *usage).sum();
    let free = usage.map_or(MilliCpu::ZERO, |usage| capacity.minus(reserve).minus(usage.minus(own)));
    let left = capacity.minus(reserve).minus(dedicated).minus(demand.known);
    let known = missing.is_empty();
    let settled = settle(left.min(free), last.map(|last| (last.cpu, last.at)), capacity, policy, snapshot.at);
    let top = Top { at: settled.get(), rule: ReclaimRule::SlowRise };
    let (supply, rule) = top.choose(policy.lend, known, left.get(), free.get());
    let supply = MilliCpu::new(supply);
    let cpus = cpu_nodes::Taken { reserve, held: &held, waiting: MilliCpu::from_cpus(waiting), requirement: &requirement.cpu };
    // Where the whole is not known, its parts are not either.
    let by_node = if known { cpu_nodes::by_node(input, policy, &cpus, supply, last) } else { ByNode::default() };
    Cpu { supply, rule, capacity, reserve, dedicated, demand: demand.known, free, missing: shorten(&missing), by_node }
}

/// CPUs that dedicated pods hold.
fn held(assignment: &Assignment) -> CpuSet {
    let pools = assignment.pools.iter().filter(|(name, _)| name.is_dedicated());
    pools.fold(CpuSet::new(), |held, (_, pool)| held.union(&pool.cpus))
}

/// How many CPUs dedicated pods ask for that were not given any yet.
fn waiting(snapshot: &Snapshot, assignment: &Assignment) -> u32 {
    let placed = |uid| assignment.pool_of(uid).is_some_and(|(name, pool)| name.is_dedicated() && !pool.cpus.is_empty());
    let waiting = snapshot.pods.values().filter(|pod| pod.class() == QosClass::Dedicated && !placed(&pod.uid));
    waiting.map(|pod| pod.cpu_request().ceil_cpus()).fold(0, u32::saturating_add)
}
