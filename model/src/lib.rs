//! The values that every part of Gleaner shares.
//!
//! Purpose: units, CPU sets, the hardware topology, a pod's QoS specification, the [`Snapshot`] that one tick reasons about, the
//! [`Assignment`] of CPUs to pools, the [`Plan`] of knob values and the [`Decision`]s that explain them.
//!
//! This crate must not know: files, clocks, threads, async runtimes, Kubernetes clients. Time comes in as a [`Timestamp`] value.
//!
//! Entry points: [`QosSpec::parse`], [`Topology::build`], [`CpuSet`], [`Snapshot`].

mod apportion;
mod assignment;
mod decision;
mod error;
mod extended;
mod hugepages;
mod ids;
mod idset;
mod names;
mod oom;
mod plan;
mod pod;
mod qos;
mod reading;
mod reason;
mod snapshot;
mod span;
mod topology;
mod units;
mod wall;
mod workload;

pub use apportion::apportion;
pub use assignment::{Assignment, Pool};
pub use decision::{Decision, Subject};
pub use error::{TopologyError, ValueError};
pub use extended::{ResourceCount, ResourceName};
pub use hugepages::{PageCount, PageSize};
pub use ids::{CacheId, CoreId, CpuId, Id, NumaId, PackageId};
pub use idset::{CpuSet, IdSet, NumaSet};
pub use names::{CgroupPath, ContainerName, PodName, PodUid, PoolName};
pub use oom::OomScoreAdj;
pub use plan::{CpuMax, CpuShares, Desired, KnobId, KnobKind, KnobValue, Plan};
pub use pod::{Container, ContainerKind, KubeQos, Pod, Requirement};
pub use qos::{
    ClassSelector, CpuBurst, CpuBurstPolicy, CpuEnhancement, MemoryEnhancement, NamespaceType, NetworkEnhancement, NumaBinding,
    NumaPlacement, QosClass, QosConfig, QosError, QosSpec, annotation,
};
pub use reading::{Absence, Reading};
pub use reason::{Reason, ReclaimRule, RequirementRule, SizeRule, TakeBackOutcome};
pub use snapshot::{
    ContainerReadings, CpuPressure, MemoryReadings, NodeReadings, NumaReadings, PodReadings, Pressure, PressureLine, Snapshot, SwapReadings,
};
pub use span::Span;
pub use topology::{CpuInfo, NodeInfo, NumaNode, RawCpu, Topology};
pub use units::{Bytes, Limit, Micros, MilliCpu, Permille, Timestamp};
pub use wall::WallTime;
pub use workload::WorkloadName;
