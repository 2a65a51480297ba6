//! Who gets which CPUs, memory nodes and knob values on this node.
//!
//! Purpose: pure solvers. [`demands`] says what the pods need, [`place`] cuts the machine into pools, [`knobs`] turns the pools into desired
//! knob values, [`adopt`] rebuilds the pools from what the kernel says when nothing else is known.
//!
//! This crate must not know: files, clocks, cgroup versions, Kubernetes clients. Everything comes in as a value and goes out as one.
//!
//! Entry points: [`demands`], [`place`], [`knobs`], [`adopt`].

mod adopt;
mod demand;
mod dispatch;
mod hint;
mod knobs;
mod layout;
mod ledger;
mod node;
mod place;
mod plugin;
mod refusal;
mod take;

#[cfg(test)]
mod fixtures;

pub use adopt::adopt;
pub use demand::{DedicatedDemand, Demands, demands};
pub use dispatch::Plugins;
pub use hint::{Hint, Hints};
pub use knobs::{KnobPolicy, PodCgroups, Supply, knobs};
pub use ledger::{Claim, Entry, Held, Ledger, Pools, RECORD_VERSION, Record};
pub use node::Node;
pub use place::{PlacePolicy, Placement, ReserveRule, place, reserved};
pub use plugin::{
    Allocatable, Allocation, Allocations, Amount, ContainerAllocation, ContainerType, Context, OciProperty, Parsed, PluginOptions,
    PodIdentity, Request, ResourcePlugin,
};
pub use refusal::{Refusal, Rule};
