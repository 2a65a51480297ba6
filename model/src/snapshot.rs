//! What one tick knows about the node. A snapshot is never changed after it was made.

use crate::ids::{CpuId, NumaId};
use crate::idset::CpuSet;
use crate::names::{ContainerName, PodUid};
use crate::pod::Pod;
use crate::reading::Reading;
use crate::units::{Bytes, MilliCpu, Permille, Timestamp};
use crate::wall::WallTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of a pressure file: the share of time in which some or all tasks waited (kernel, `accounting/psi.rst`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PressureLine {
    /// Average over 10 s.
    pub avg10: Permille,
    /// Average over 60 s.
    pub avg60: Permille,
    /// Average over 300 s.
    pub avg300: Permille,
    /// Total stall time in microseconds since the cgroup was made.
    pub total_us: u64,
}

/// One pressure file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressure {
    /// Some task waited.
    pub some: PressureLine,
    /// All tasks waited; the kernel prints none for CPU before 5.13.
    pub full: Option<PressureLine>,
}

/// CPU pressure and its share of the last sampling interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuPressure {
    /// The file.
    pub pressure: Pressure,
    /// Share of the last interval in which some task waited for a CPU, from the growth of `total`.
    pub waiting: Permille,
}

/// Memory of one cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReadings {
    /// Charged in total (`memory.current`, `memory.usage_in_bytes`).
    pub usage: Bytes,
    /// Usage without inactive file pages, at least zero: kubelet's working set.
    pub working_set: Bytes,
    /// Anonymous pages (v1: `total_rss`).
    pub anon: Bytes,
    /// Page cache (v1: `total_cache`).
    pub file: Bytes,
    /// Page cache that was not used lately.
    pub inactive_file: Bytes,
}

/// What was measured of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerReadings {
    /// CPU time per time over the last interval.
    pub cpu_usage: Reading<MilliCpu>,
    /// Share of quota periods of the last interval that ended throttled.
    pub throttled: Reading<Permille>,
    /// Waiting for CPUs.
    pub cpu_pressure: Reading<CpuPressure>,
    /// Memory charged.
    pub memory: Reading<MemoryReadings>,
    /// Waiting for memory.
    pub memory_pressure: Reading<Pressure>,
    /// Waiting for disks.
    pub io_pressure: Reading<Pressure>,
    /// The CPUs that the kernel lets it run on.
    pub cpus: Reading<CpuSet>,
}

/// What was measured of one pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodReadings {
    /// By container; one that has no cgroup yet is not here. In boxes, since a map has room for eleven values even when it holds one, as most do.
    pub containers: BTreeMap<ContainerName, Box<ContainerReadings>>,
}

/// Swap of the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapReadings {
    /// All of it (`SwapTotal`).
    pub total: Bytes,
    /// Not used (`SwapFree`).
    pub free: Bytes,
    /// The part of `total` that is zram: pages in it are compressed, but still in memory.
    pub zram: Bytes,
    /// What zram takes from memory for the pages in it (`mm_stat`, `mem_used_total`).
    pub zram_used: Bytes,
}

/// Memory of one NUMA node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumaReadings {
    /// All of it (`MemTotal` of the node).
    pub memory_total: Reading<Bytes>,
    /// Free and not even cached (`MemFree` of the node).
    pub memory_free: Reading<Bytes>,
    /// Page cache that was not used lately (`Inactive(file)` of the node).
    pub inactive_file: Reading<Bytes>,
    /// Sum of its zones' low watermarks.
    pub memory_low_watermark: Reading<Bytes>,
}

/// What was measured of the node as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReadings {
    /// CPU time per time, of everything on the node, over the last interval.
    pub cpu_usage: Reading<MilliCpu>,
    /// The part of it on each CPU.
    pub cpu_usage_by_cpu: Reading<BTreeMap<CpuId, Permille>>,
    /// Memory of the node.
    pub memory_total: Reading<Bytes>,
    /// Memory free and not even cached (`MemFree`).
    pub memory_free: Reading<Bytes>,
    /// The kernel's estimate of memory to be had without swapping (`MemAvailable`).
    pub memory_available: Reading<Bytes>,
    /// Sum of the zones' low watermarks: below it the kernel begins to reclaim.
    pub memory_low_watermark: Reading<Bytes>,
    /// Waiting for CPUs.
    pub cpu_pressure: Reading<CpuPressure>,
    /// Waiting for memory.
    pub memory_pressure: Reading<Pressure>,
    /// Waiting for disks.
    pub io_pressure: Reading<Pressure>,
    /// Swap, on disks or compressed in memory.
    #[serde(default)]
    pub swap: Reading<SwapReadings>,
    /// On each CPU, the time in the last interval that runnable tasks spent waiting for it, summed over tasks, over the interval (kernel,
    /// `scheduler/sched-stats.rst`); above 100% when several wait.
    #[serde(default)]
    pub sched_wait_by_cpu: Reading<BTreeMap<CpuId, Permille>>,
    /// Each NUMA node's memory; a node that could not be read at all is not here.
    #[serde(default)]
    pub numa: BTreeMap<NumaId, NumaReadings>,
}

/// What one tick reasons about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The moment of the tick.
    pub at: Timestamp,
    /// The same moment by the calendar, where that is known.
    #[serde(default)]
    pub wall: Option<WallTime>,
    /// Admitted pods that have not ended.
    pub pods: BTreeMap<PodUid, Pod>,
    /// What was measured of them; a pod that was not sampled yet is not here.
    pub readings: BTreeMap<PodUid, PodReadings>,
    /// What was measured of the node.
    pub node: NodeReadings,
}
