//! What can be lent: the least of what the others leave, what is free, and what the last figure may rise to.

use crate::need::{Need, PodNeed, gap};
use crate::policy::Policy;
use crate::state::Given;
use gleaner_model::{
    Assignment, Bytes, ContainerReadings, CpuSet, MemoryReadings, MilliCpu, PodUid, PoolName, QosClass, Reading, Reason, ReclaimRule,
    Snapshot, Timestamp, Topology,
};
use std::collections::BTreeMap;

/// CPU that can be lent:
///
/// ```text
/// demand  = sum of the needs of shared and system pods
/// left    = capacity - reserve - dedicated - demand
/// free    = capacity - reserve - (usage of the node - usage of reclaimed pods)
/// given   = min(left, free, last + risePerSecond x capacity x time since the last tick)
/// ```
///
/// Capacity is the online CPUs; reserve is the configured figure, and at least the CPUs of pool `reserve`; dedicated is the CPUs of dedicated pools, and for a dedicated pod without one its request in whole CPUs.
/// `free` sees what is in no pod's cgroup, such as the kernel's own threads. Usage of a reclaimed pod that is not known counts as none,
/// which makes `free` smaller.
pub(crate) fn cpu(
    snapshot: &Snapshot,
    topology: &Topology,
    assignment: &Assignment,
    policy: &Policy,
    needs: &BTreeMap<PodUid, PodNeed>,
    last: Option<&Given>,
) -> (MilliCpu, Reason) {
    let online = topology.cpus();
    let capacity = MilliCpu::from_cpus(online.count());
    let reserve = policy.cpu_reserve.max(MilliCpu::from_cpus(assignment.cpus_of(&PoolName::reserve()).intersection(&online).count()));
    let dedicated = MilliCpu::from_cpus(dedicated(snapshot, &online, assignment));
    let mut demand = Need::default();
    for (uid, need) in needs {
        if snapshot.pods.get(uid).is_some_and(|pod| pod.class() == QosClass::Dedicated) {
            // Its CPUs are taken off whole; still, a node on which a reading of it is missing is not understood.
            demand.missing.extend(need.cpu.missing.iter().cloned());
        } else {
            demand.add(&need.cpu);
        }
    }
    let mut missing = demand.missing;
    let usage = fresh(&snapshot.node.cpu_usage, "CPU usage", snapshot.at, policy, &mut missing);
    let own = reclaimed(snapshot, policy, |readings| &readings.cpu_usage).into_iter().copied().sum();
    let free = usage.map_or(MilliCpu::ZERO, |usage| capacity.minus(reserve).minus(usage.minus(own)));
    let left = capacity.minus(reserve).minus(dedicated).minus(demand.known);
    let risen = last.map_or(0, |last| last.cpu.get().saturating_add(step(capacity.get(), policy, last.at, snapshot.at)));
    let (given, rule) = settle(policy.lend, missing.is_empty(), left.get(), free.get(), risen);
    let given = MilliCpu::new(given);
    let demand = demand.known;
    let missing = shorten(&missing);
    (given, Reason::ReclaimableCpu { given, rule, capacity, reserve, dedicated, demand, free, missing })
}

/// Memory that can be lent:
///
/// ```text
/// demand  = sum of the needs of all pods that are not reclaimed
/// left    = capacity - reserve - demand
/// free    = MemAvailable + memory held by reclaimed pods - low watermark - reserve
/// given   = min(left, free, last + risePerSecond x capacity x time since the last tick)
/// ```
///
/// Memory held by a reclaimed pod is its working set without page cache: page cache is in `MemAvailable` already (kernel,
/// `filesystems/proc.rst`) and must not count twice. What is not known of it counts as none, which makes `free` smaller.
pub(crate) fn memory(snapshot: &Snapshot, policy: &Policy, needs: &BTreeMap<PodUid, PodNeed>, last: Option<&Given>) -> (Bytes, Reason) {
    let mut demand = Need::default();
    for need in needs.values() {
        demand.add(&need.memory);
    }
    let mut missing = demand.missing;
    let mut of_node = |reading, what| fresh(reading, what, snapshot.at, policy, &mut missing);
    let capacity = of_node(&snapshot.node.memory_total, "memory").unwrap_or_default();
    let available = of_node(&snapshot.node.memory_available, "available memory").unwrap_or_default();
    let watermark = of_node(&snapshot.node.memory_low_watermark, "low watermark of memory").unwrap_or_default();
    let reserve = policy.memory_reserve;
    let demand = demand.known;
    let held = |m: &MemoryReadings| m.usage.minus(m.file).min(m.working_set);
    let own: Bytes = reclaimed(snapshot, policy, |readings| &readings.memory).into_iter().map(held).sum();
    let free = available.plus(own).minus(watermark).minus(reserve);
    let left = capacity.minus(reserve).minus(demand);
    let risen = last.map_or(0, |last| last.memory.get().saturating_add(step(capacity.get(), policy, last.at, snapshot.at)));
    let (given, rule) = settle(policy.lend, missing.is_empty(), left.get(), free.get(), risen);
    let given = Bytes::new(given);
    let missing = shorten(&missing);
    (given, Reason::ReclaimableMemory { given, rule, capacity, reserve, demand, free, missing })
}

/// How many online CPUs dedicated pods hold or, before they were given any, ask for.
fn dedicated(snapshot: &Snapshot, online: &CpuSet, assignment: &Assignment) -> u32 {
    let pools = assignment.pools.iter().filter(|(name, _)| name.is_dedicated());
    let held = pools.fold(CpuSet::new(), |held, (_, pool)| held.union(&pool.cpus)).intersection(online).count();
    let placed = |uid| assignment.pool_of(uid).is_some_and(|(name, pool)| name.is_dedicated() && !pool.cpus.is_empty());
    let waiting = snapshot.pods.values().filter(|pod| pod.class() == QosClass::Dedicated && !placed(&pod.uid));
    waiting.map(|pod| pod.cpu_request().ceil_cpus()).fold(held, u32::saturating_add)
}

/// The readings of one kind that reclaimed pods' containers have.
fn reclaimed<'a, T>(snapshot: &'a Snapshot, policy: &Policy, of: impl Fn(&'a ContainerReadings) -> &'a Reading<T>) -> Vec<&'a T> {
    let pods = snapshot.pods.values().filter(|pod| pod.class() == QosClass::Reclaimed);
    let containers = pods.filter_map(|pod| snapshot.readings.get(&pod.uid)).flat_map(|readings| readings.containers.values());
    containers.filter_map(|container| of(container).fresh(snapshot.at, policy.stale_after.get())).collect()
}

/// The value of a reading of the node, or a line on why there is none.
fn fresh<T: Copy>(reading: &Reading<T>, what: &str, now: Timestamp, policy: &Policy, missing: &mut Vec<String>) -> Option<T> {
    let value = reading.fresh(now, policy.stale_after.get()).copied();
    if value.is_none() {
        missing.push(format!("node {what}: {}", gap(reading, now)));
    }
    value
}

/// How far a figure may rise. A pause longer than a reading stays fresh is credited for only that long: nothing was watched in it.
fn step(capacity: u64, policy: &Policy, last: Timestamp, now: Timestamp) -> u64 {
    // Thousandths of a share times microseconds of a second.
    const UNITS: u128 = 1000 * 1_000_000;
    let elapsed = now.since(last).min(policy.stale_after.get()).as_micros();
    let step = u128::from(capacity).saturating_mul(u128::from(policy.rise_per_second.get())).saturating_mul(elapsed) / UNITS;
    u64::try_from(step).unwrap_or(u64::MAX)
}

fn settle(lend: bool, known: bool, left: u64, free: u64, risen: u64) -> (u64, ReclaimRule) {
    let target = left.min(free);
    if !known {
        (0, ReclaimRule::Unknown)
    } else if !lend {
        (0, ReclaimRule::Off)
    } else if target > risen {
        (risen, ReclaimRule::SlowRise)
    } else if free < left {
        (free, ReclaimRule::Free)
    } else {
        (left, ReclaimRule::Demand)
    }
}

/// What is missing, short enough for one line: on a node whose sampling fails it is every container.
fn shorten(missing: &[String]) -> Option<String> {
    const SHOWN: usize = 3;
    let shown = missing.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    match missing.len() {
        0 => None,
        all if all <= SHOWN => Some(shown),
        all => Some(format!("{shown}; and {} more", all - SHOWN)),
    }
}
