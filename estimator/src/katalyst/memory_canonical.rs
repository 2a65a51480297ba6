//! Memory that Katalyst promises to reclaimed pods, by its policy `canonical`.

use gleaner_model::{Bytes, Permille};
use serde::{Deserialize, Serialize};

/// Settings of [`memory_headroom_canonical`]; the defaults are Katalyst's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CanonicalMemorySettings {
    /// Memory kept for pods to come.
    pub reserved_for_allocate: Bytes,
    /// Whether the buffer is added.
    pub util_based: bool,
    /// The share of free memory that counts into the buffer.
    pub free_based_ratio: Permille,
    /// The share of memory neither used nor free that counts into the buffer; zero is none.
    pub cache_based_ratio: Permille,
    /// `cache_based_ratio` counts on nodes with more memory for each CPU than this.
    pub least_memory_per_cpu: Bytes,
    /// `cache_based_ratio` counts on nodes with less memory for each CPU than this.
    pub most_memory_per_cpu: Bytes,
    /// A fixed part of the buffer.
    pub static_based_capacity: Bytes,
}

impl Default for CanonicalMemorySettings {
    fn default() -> Self {
        Self {
            reserved_for_allocate: Bytes::new(5 << 30),
            util_based: false,
            free_based_ratio: Permille::new(600),
            cache_based_ratio: Permille::new(0),
            least_memory_per_cpu: Bytes::new(7 << 29),
            most_memory_per_cpu: Bytes::new(6 << 30),
            static_based_capacity: Bytes::new(20 << 30),
        }
    }
}

/// Whose memory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryUser {
    /// A shared or dedicated pod's.
    Pod,
    /// A system pod's.
    System,
    /// That of a dedicated pod that has NUMA nodes for itself and does not let reclaimed pods onto them: these nodes' capacity.
    WholeNodes(Bytes),
}

/// What a container holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Anonymous memory.
    pub rss: Bytes,
    /// Page cache.
    pub cache: Bytes,
    /// Shared memory.
    pub shmem: Bytes,
}

impl MemoryUse {
    fn all(self) -> Bytes {
        self.rss.plus(self.cache).plus(self.shmem)
    }
}

/// A container that is not reclaimed.
#[derive(Debug, Clone, Copy)]
pub struct MemoryMember {
    /// Whose it is.
    pub user: MemoryUser,
    /// What it holds; `None` where there is no fresh reading, or its use is not to count.
    pub used: Option<MemoryUse>,
    /// What it requests.
    pub request: Option<Bytes>,
}

/// What the buffer is made of.
#[derive(Debug, Clone, Copy)]
pub struct MemoryBuffer {
    /// Memory of the node.
    pub total: Bytes,
    /// The part that is free and not even cached.
    pub free: Bytes,
    /// The part that is used, without page cache.
    pub used: Bytes,
    /// The kernel's `vm.watermark_scale_factor`: the distance of two watermarks, in ten-thousandths of the memory.
    pub scale_factor: u32,
    /// CPUs of the node.
    pub cpus: u32,
}

/// What the promise is made of.
#[derive(Debug, Clone, Copy)]
pub struct CanonicalMemory<'a> {
    /// Memory that can be given to pods.
    pub upper: Bytes,
    /// The containers that are not reclaimed.
    pub members: &'a [MemoryMember],
    /// Readings of the node; `None` leaves the buffer out.
    pub buffer: Option<MemoryBuffer>,
}

/// Memory that can be promised:
///
/// ```text
/// need    = 1.1 x (rss + cache + shmem) of shared and dedicated pods, rss of system pods; the request where nothing is measured, 8 GiB where
///           there is no request; whole nodes where a pod has them for itself
/// base    = upper - reservedForAllocate - need
/// buffer  = free x freeBasedRatio - 2 x total x scaleFactor / 10000
///           - (need - what shared and dedicated pods hold + cache and shmem of system pods)
///           or, where that is more and the node is neither rich nor poor in memory, (total - used - free) x cacheBasedRatio
///           in both cases with staticBasedCapacity added
/// promise = min(base + buffer, upper - reservedForAllocate)
/// ```
///
/// The buffer counts with `util_based` only. Its fixed part is promised whether it is there or not: on a node that is full the promise is
/// memory that nobody has. That is Katalyst's choice.
#[must_use]
pub fn memory_headroom_canonical(input: &CanonicalMemory<'_>, settings: &CanonicalMemorySettings) -> Bytes {
    let cap = input.upper.minus(settings.reserved_for_allocate);
    let need: Bytes = input.members.iter().map(need).sum();
    let buffer = input.buffer.filter(|_| settings.util_based).map(|readings| buffer(&readings, input.members, need, settings));
    cap.minus(need).plus(buffer.unwrap_or_default()).min(cap)
}

fn need(member: &MemoryMember) -> Bytes {
    const UNKNOWN: Bytes = Bytes::new(8 << 30);
    let estimate = match member.user {
        MemoryUser::WholeNodes(capacity) => return capacity,
        MemoryUser::Pod => member.used.map(|used| used.all().share(Permille::new(1100))),
        MemoryUser::System => member.used.map(|used| used.rss),
    };
    let positive = |bytes: &Bytes| !bytes.is_zero();
    estimate.filter(positive).or(member.request.filter(positive)).unwrap_or(UNKNOWN)
}

fn buffer(readings: &MemoryBuffer, members: &[MemoryMember], need: Bytes, settings: &CanonicalMemorySettings) -> Bytes {
    let &MemoryBuffer { total, free, used, scale_factor, cpus } = readings;
    let system = |member: &&MemoryMember| member.user == MemoryUser::System;
    let held = members.iter().filter(|member| !system(member)).filter_map(|member| member.used).map(MemoryUse::all).sum();
    let of_system = members.iter().filter(system).filter_map(|member| member.used).map(|used| used.cache.plus(used.shmem)).sum();
    let watermarks = total.scaled(u64::from(scale_factor).saturating_mul(2), 10_000);
    let of_free = free.share(settings.free_based_ratio).plus(held).minus(watermarks.plus(need).plus(of_system));
    let per_cpu = total.get().checked_div(u64::from(cpus)).map(Bytes::new);
    let balanced = per_cpu.is_some_and(|per_cpu| settings.least_memory_per_cpu < per_cpu && per_cpu < settings.most_memory_per_cpu);
    let cached = if balanced { total.minus(used).minus(free).share(settings.cache_based_ratio) } else { Bytes::ZERO };
    of_free.max(cached).plus(settings.static_based_capacity)
}
