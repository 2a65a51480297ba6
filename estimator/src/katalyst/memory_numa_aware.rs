//! Memory that Katalyst promises to reclaimed pods on each NUMA node, by its policy `numa-aware`.

use gleaner_model::{Bytes, NumaId, Permille};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of [`memory_headroom_numa_aware`]; the defaults are Katalyst's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NumaAwareMemorySettings {
    /// Memory kept for pods to come, of the whole machine.
    pub reserved_for_allocate: Bytes,
    /// The share of page cache not used lately that counts as free.
    pub cache_based_ratio: Permille,
    /// The share of what others requested that is kept for them, where they do not use it.
    pub request_based_ratio: Permille,
    /// A node's promise is at most this share of what its reclaimed pods' cgroup may hold; zero is no such bound.
    pub max_oversold_rate: Permille,
}

impl Default for NumaAwareMemorySettings {
    fn default() -> Self {
        Self {
            reserved_for_allocate: Bytes::new(5 << 30),
            cache_based_ratio: Permille::new(0),
            request_based_ratio: Permille::new(100),
            max_oversold_rate: Permille::new(2000),
        }
    }
}

/// One NUMA node that reclaimed pods may use: none that a dedicated pod has for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NumaMemory {
    /// All of its memory.
    pub total: Bytes,
    /// The part that is free and not even cached.
    pub free: Bytes,
    /// Page cache that was not used lately.
    pub inactive_file: Bytes,
    /// What reclaimed pods request of it: a pod on several nodes requests an equal part of each.
    pub requested: Bytes,
    /// What its reclaimed pods' cgroup may hold; for nodes that share a cgroup an equal part. `None` is without bound.
    pub limit: Option<Bytes>,
}

/// What the promises are made of. Every figure is a reading that is there: a caller that lacks one has no promise to make.
#[derive(Debug, Clone, Copy)]
pub struct NumaAwareMemory<'a> {
    /// The nodes that reclaimed pods may use.
    pub nodes: &'a BTreeMap<NumaId, NumaMemory>,
    /// NUMA nodes of the machine, the others included.
    pub machine_nodes: u32,
    /// The kernel's `vm.watermark_scale_factor`, in ten-thousandths of the memory.
    pub scale_factor: u32,
    /// What pods that are not reclaimed request.
    pub others_requested: Bytes,
    /// What they hold.
    pub others_used: Bytes,
    /// What reclaimed pods hold.
    pub reclaimed_used: Bytes,
}

/// Memory promised on each NUMA node:
///
/// ```text
/// reclaimable[n] = free[n] + inactiveFile[n] x cacheBasedRatio
/// unused         = min(requested - used, requested x requestBasedRatio) of the others
/// kept           = (all memory - all reclaimable) x unused / (used by the others + used by reclaimed pods)
/// available      = all reclaimable - all memory x scaleFactor / 10000 - reservedForAllocate x nodes / nodes of the machine - kept
/// promise[n]     = available x reclaimable[n] / all reclaimable x requested / used by reclaimed pods + requested[n]
/// ```
///
/// and at most `max_oversold_rate` of the node's limit. Where nobody is measured to hold anything, `kept` is `unused`; Katalyst divides by zero.
#[must_use]
pub fn memory_headroom_numa_aware(input: &NumaAwareMemory<'_>, settings: &NumaAwareMemorySettings) -> BTreeMap<NumaId, Bytes> {
    let reclaimable = |node: &NumaMemory| node.free.plus(node.inactive_file.share(settings.cache_based_ratio));
    let of_all = |of: &dyn Fn(&NumaMemory) -> Bytes| input.nodes.values().map(of).sum::<Bytes>();
    let (all, total) = (of_all(&reclaimable), of_all(&|node| node.total));
    let usable = u64::try_from(input.nodes.len()).unwrap_or(u64::MAX);
    let watermarks = total.scaled(u64::from(input.scale_factor), 10_000);
    let reserved = settings.reserved_for_allocate.scaled(usable, u64::from(input.machine_nodes));
    let unused = input.others_requested.minus(input.others_used).min(input.others_requested.share(settings.request_based_ratio));
    let used = input.others_used.plus(input.reclaimed_used);
    let kept = if used.is_zero() { unused } else { total.minus(all).scaled(unused.get(), used.get()) };
    let available = all.minus(watermarks).minus(reserved).minus(kept);
    let requested = of_all(&|node| node.requested);
    let of_node = |node: &NumaMemory| {
        let part = if all.is_zero() { Bytes::ZERO } else { reclaimable(node).scaled(available.get(), all.get()) };
        // What reclaimed pods request for each byte that they hold; where they hold nothing, a byte for a byte.
        let promise = part.scaled(requested.get(), input.reclaimed_used.get()).plus(node.requested);
        match node.limit.filter(|_| settings.max_oversold_rate.get() > 0) {
            Some(limit) => promise.min(limit.share(settings.max_oversold_rate)),
            None => promise,
        }
    };
    input.nodes.iter().map(|(id, node)| (*id, of_node(node))).collect()
}
