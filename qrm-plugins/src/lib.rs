//! Who gets which CPUs, memory nodes and knob values on this node.
//!
//! Purpose: pure solvers, and servers that ask them. [`cpu_hints`] and [`memory_hints`] say where a pod could go, [`merge()`] what they have in
//! common, [`demands`] what the pods need, [`place`] cuts the machine into pools, [`take_cpus`] chooses CPUs, [`mems`] memory nodes,
//! [`pace_mems`] bounds what moves when these change, [`take_back`] takes memory back in steps, [`knobs`] turns all of it into desired knob
//! values, [`adopt`] rebuilds the pools from what the kernel says when nothing else is known. [`Ledger`] holds what callers were promised,
//! [`Plugins`] answers them over it.
//!
//! This crate must not know: files, clocks, cgroup versions, Kubernetes clients. Everything comes in as a value and goes out as one. Only [`serve`],
//! its edge, knows sockets and messages; it decides nothing, and nothing else knows it.
//!
//! Entry points: [`Plugins`], [`place`], [`knobs`], [`adopt`], [`serve`].

mod adopt;
mod choose;
mod demand;
mod dispatch;
mod hint;
mod hints;
mod knobs;
mod layout;
mod ledger;
mod memory;
mod merge;
mod node;
mod oom;
mod place;
mod plugin;
mod refusal;
pub mod remote;
mod resources;
pub mod serve;
mod subsets;
mod take;

#[cfg(test)]
mod fixtures;

pub use adopt::adopt;
pub use choose::{OtherHints, TopologyChoice, choose_nodes};
pub use demand::{BoundDemand, DedicatedDemand, Demands, demands};
pub use dispatch::Plugins;
pub use hint::{Hint, Hints};
pub use hints::{Asked, cpu_hints};
pub use knobs::{KnobPolicy, MemsHeld, PodCgroups, Supply, knobs, pace_mems};
pub use ledger::{Claim, Entry, Held, Ledger, Pools, RECORD_VERSION, Record};
pub use memory::{
    Account, Holding, MemoryAsked, MemoryPolicy, MemoryStep, MemsChange, NodeMemory, Reclaiming, Resident, TakeBackPolicy, memory_by_node,
    memory_hints, mems, pace, take_back,
};
pub use merge::{
    Distance, HintOrder, MergeOptions, Merged, Provider, TopologyPolicy, TopologyScope, distance_sum, merge, single_node_hints,
};
pub use node::Node;
pub use oom::{OomPriority, oom_priority, oom_scores};
pub use place::{HintPreference, PlacePolicy, Placement, ReclaimMode, ReserveRule, place, reserved};
pub use plugin::{
    Allocatable, Allocation, Allocations, Amount, ContainerAllocation, ContainerType, Context, Decisions, OciProperty, Parsed,
    PluginOptions, PodIdentity, Request, ResourcePlugin, Told,
};
pub use refusal::{Refusal, Rule};
pub use resources::{CpuPlugin, MemoryPlugin, replace};
pub use take::{Nodes, Order, StaticOptions, TakePolicy, Wanted, take_cpus};

/// The static policy's parts, for tests against kubelet's own.
#[doc(hidden)]
pub mod kubelet {
    pub use crate::take::{Accumulator, Counts, KubeletMachine, Place, Sorting, Unit, distributed, packed, take_static};
}
pub use remote::is_own_resource;
