//! Memory of the whole node.

use super::cpu_nodes::ByNode;
use super::memory_nodes;
use super::pressure::{is_dark, pressure};
use super::reading::{fresh, reclaimed, shorten};
use crate::Input;
use crate::need::{Need, gap};
use crate::policy::Policy;
use crate::state::Given;
use gleaner_model::{Bytes, MemoryReadings, Reason, ReclaimRule, SwapReadings};

/// What reclaimed pods can have of memory, with the numbers that gave it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    pub(super) supply: Bytes,
    pub(super) rule: ReclaimRule,
    pub(super) capacity: Bytes,
    /// With what zram makes necessary.
    pub(super) reserve: Bytes,
    pub(super) demand: Bytes,
    pub(super) free: Bytes,
    pub(super) missing: Option<String>,
    /// On each NUMA node; empty on a machine of one.
    pub(super) by_node: ByNode,
}

impl Memory {
    /// Capacity without the reserve: more is never promised.
    pub(super) fn room(&self) -> Bytes {
        self.capacity.minus(self.reserve)
    }

    /// The reason for what is promised in the end.
    pub(super) fn reason(self, given: Bytes, rule: ReclaimRule) -> Reason {
        let Self { supply, capacity, reserve, demand, free, missing, .. } = self;
        Reason::ReclaimableMemory { given, rule, capacity, reserve, demand, free, supply, missing }
    }
}

/// Memory that reclaimed pods can have:
///
/// ```text
/// reserve = the configured one + zram's share that must be free - what is free of zram
/// left    = capacity - reserve - demand
/// free    = MemAvailable + memory held by reclaimed pods - low watermark - reserve
/// supply  = min(left, free, last + risePerSecond x capacity x time since the last tick)
/// ```
///
/// While tasks wait for memory `last` takes the place of the rise, or `last - fallPerSecond x capacity x time`. Memory held by a reclaimed pod is
/// its working set without page cache: page cache is in `MemAvailable` already (kernel, `filesystems/proc.rst`) and must not count twice. What
/// is not known of it counts as none, which makes `free` smaller. Free swap is no memory to lend.
pub(super) fn memory(input: &Input<'_>, policy: &Policy, demand: &Need<Bytes>, last: Option<&Given>) -> Memory {
    let snapshot = input.snapshot;
    let mut missing = demand.missing.clone();
    let mut of_node = |reading, what| fresh(reading, what, snapshot.at, policy, &mut missing);
    let capacity = of_node(&snapshot.node.memory_total, "memory").unwrap_or_default();
    let available = of_node(&snapshot.node.memory_available, "available memory").unwrap_or_default();
    let watermark = of_node(&snapshot.node.memory_low_watermark, "low watermark of memory").unwrap_or_default();
    let swap = &snapshot.node.swap;
    if is_dark(swap, snapshot.at, policy) {
        missing.push(format!("node swap: {}", gap(swap, snapshot.at)));
    }
    let reserve = policy.memory_reserve.plus(swap.value().map(|swap| short_of_zram(*swap, policy)).unwrap_or_default());
    let own: Bytes = reclaimed(snapshot, policy, |readings| &readings.memory).map(|(_, memory)| held(memory)).sum();
    let free = available.plus(own).minus(watermark).minus(reserve);
    let left = capacity.minus(reserve).minus(demand.known);
    let known = missing.is_empty();
    let pressure = pressure(snapshot, policy);
    let before = last.map(|last| (last.memory.get(), last.at));
    let top = pressure.top(before, capacity.get(), policy, snapshot.at);
    let (supply, rule) = top.choose(policy.lend, known, left.get(), free.get());
    let supply = Bytes::new(supply);
    let whole = memory_nodes::Whole { supply, capacity, reserve, pressure };
    // Where the whole is not known, its parts are not either.
    let by_node = if known { memory_nodes::by_node(input, policy, &whole, last) } else { ByNode::default() };
    Memory { supply, rule, capacity, reserve, demand: demand.known, free, missing: shorten(&missing), by_node }
}

/// Memory of a reclaimed container that is free once it is gone, and that `MemAvailable` does not count.
pub(super) fn held(memory: &MemoryReadings) -> Bytes {
    memory.usage.minus(memory.file).min(memory.working_set)
}

/// What zram lacks of its share that must be free. Pages can be moved there as long as it has room; when it has none, what is held stays where
/// it is, and memory that ran out is not to be had back. All that is swapped counts as being in zram first, which comes before disks.
fn short_of_zram(swap: SwapReadings, policy: &Policy) -> Bytes {
    let zram = swap.zram.min(swap.total);
    let free = zram.minus(swap.total.minus(swap.free));
    zram.share(policy.headroom.zram_free).minus(free)
}
