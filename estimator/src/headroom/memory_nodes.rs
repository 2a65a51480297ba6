//! Memory of each NUMA node.

use super::cpu_nodes::ByNode;
use super::memory::held;
use super::parts::{Parts, add, of, spread_down, spread_up, sum, within};
use super::pressure::Pressure;
use super::reading::reclaimed;
use crate::Input;
use crate::need::gap;
use crate::policy::Policy;
use crate::state::Given;
use gleaner_model::{Bytes, NumaId, NumaReadings, NumaSet, Pod, Reading};
use std::collections::BTreeMap;

/// What is known of the whole node.
pub(super) struct Whole {
    /// What all nodes together lend at most.
    pub(super) supply: Bytes,
    pub(super) capacity: Bytes,
    pub(super) reserve: Bytes,
    pub(super) pressure: Pressure,
}

/// Memory that reclaimed pods can have on each NUMA node:
///
/// ```text
/// free    = MemFree + inactiveFile x Inactive(file) + memory held by reclaimed pods on it - low watermark - its part of the reserve
/// most    = min(free, last + risePerSecond x its memory x time since the last tick)
/// supply  = most, of all nodes cut in proportion where together they are more than the whole node has
/// ```
///
/// and under pressure as for the whole node. The reserve is divided by the nodes' memory. What a reclaimed pod holds is divided by how much is in
/// use on the nodes that it may use: the kernel tells of no cgroup where its memory is without much reading.
pub(super) fn by_node(input: &Input<'_>, policy: &Policy, whole: &Whole, last: Option<&Given>) -> ByNode {
    let Input { snapshot, topology, .. } = *input;
    if topology.nodes().nth(1).is_none() {
        return ByNode::default();
    }
    let fresh = |reading: &Reading<Bytes>| {
        let value = reading.fresh(snapshot.at, policy.stale_after.get());
        value.map(|bytes| bytes.get()).ok_or_else(|| gap(reading, snapshot.at))
    };
    let mut unknown = BTreeMap::new();
    let mut nodes: BTreeMap<NumaId, Node> = BTreeMap::new();
    for (id, node) in topology.nodes() {
        let read = if node.memory.is_zero() { Ok(Node::default()) } else { Node::of(snapshot.node.numa.get(&id), fresh) };
        match read {
            Ok(node) => drop(nodes.insert(id, node)),
            Err(line) => drop(unknown.insert(id, line)),
        }
    }
    let sizes: Parts = topology.nodes().map(|(id, node)| (id, node.ordinary_memory().get())).collect();
    let reserve = spread_up(whole.reserve.get(), &sizes);
    let total = |id, size: u64| nodes.get(id).map_or(size, |node| node.total);
    let room: Parts = sizes.iter().map(|(id, size)| (*id, total(id, *size).saturating_sub(of(&reserve, *id)))).collect();
    let own = own(input, policy, &nodes);
    let settled = |(id, node): (&NumaId, &Node)| {
        let cache = Bytes::new(node.inactive_file).share(policy.headroom.inactive_file).get();
        let free = node.free.saturating_add(cache).saturating_add(of(&own, *id));
        let free = free.saturating_sub(node.watermark).saturating_sub(of(&reserve, *id)).min(of(&room, *id));
        let before = |last: &Given| match &last.by_node {
            Some(nodes) => nodes.get(id).map(|node| node.memory).unwrap_or_default(),
            None => last.memory.scaled(node.total, whole.capacity.get()),
        };
        let last = last.map(|last| (before(last).get(), last.at));
        (*id, free.min(whole.pressure.top(last, node.total, policy, snapshot.at).at))
    };
    let most: Parts = nodes.iter().map(settled).collect();
    ByNode { supply: within(whole.supply.get(), most.clone()), most, room, unknown }
}

/// One node's readings, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    total: u64,
    free: u64,
    inactive_file: u64,
    watermark: u64,
}

impl Node {
    /// All of them, or a line on the first that is missing.
    fn of(readings: Option<&NumaReadings>, fresh: impl Fn(&Reading<Bytes>) -> Result<u64, String>) -> Result<Self, String> {
        let Some(readings) = readings else { return Err("memory: could not be read".to_owned()) };
        let named = |what: &str, reading| fresh(reading).map_err(|why| format!("{what}: {why}"));
        Ok(Self {
            total: named("memory", &readings.memory_total)?,
            free: named("free memory", &readings.memory_free)?,
            inactive_file: named("inactive page cache", &readings.inactive_file)?,
            watermark: named("low watermark of memory", &readings.memory_low_watermark)?,
        })
    }

    fn used(&self) -> u64 {
        self.total.saturating_sub(self.free).saturating_sub(self.inactive_file)
    }
}

/// What reclaimed pods hold on each node, about.
fn own(input: &Input<'_>, policy: &Policy, nodes: &BTreeMap<NumaId, Node>) -> Parts {
    let mut by_nodes: BTreeMap<Vec<NumaId>, u64> = BTreeMap::new();
    for (pod, memory) in reclaimed(input.snapshot, policy, |readings| &readings.memory) {
        let sum = by_nodes.entry(places(input, pod).iter().collect()).or_default();
        *sum = sum.saturating_add(held(memory).get());
    }
    let mut own = Parts::new();
    for (places, bytes) in by_nodes {
        let used: Parts = places.iter().filter_map(|id| Some((*id, nodes.get(id)?.used()))).collect();
        // More than is in use there they cannot hold there.
        let most = u64::try_from(sum(&used)).unwrap_or(u64::MAX);
        // What is on nodes of which nothing is known is not taken for what is on the others.
        let known = u32::try_from(used.len()).unwrap_or(u32::MAX);
        let bytes = Bytes::new(bytes).scaled(u64::from(known), places.len() as u64).get();
        add(&mut own, &spread_down(bytes.min(most), &used));
    }
    own
}

/// The nodes that a reclaimed pod may use: those that it is bound to, else those of its pool, else all.
fn places(input: &Input<'_>, pod: &Pod) -> NumaSet {
    let Input { topology, assignment, .. } = *input;
    let bound = assignment.nodes.get(&pod.uid).filter(|nodes| !nodes.is_empty());
    let of_pool = || assignment.pool_of(&pod.uid).map(|(_, pool)| &pool.mems).filter(|mems| !mems.is_empty());
    bound.or_else(of_pool).cloned().unwrap_or_else(|| topology.memory_nodes())
}
