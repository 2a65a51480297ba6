//! The resources that this process decides itself; each is one file.

mod cpu;
mod memory;

pub use cpu::{CpuPlugin, replace};
pub use memory::MemoryPlugin;

use crate::Node;
use crate::ledger::Ledger;
use crate::plugin::{ContainerType, Context, Parsed};
use gleaner_model::{NumaBinding, NumaSet, QosClass};

/// The node as solvers see it.
fn node<'a>(context: &Context<'a>, ledger: &'a Ledger) -> Node<'a> {
    Node { topology: context.topology, pods: ledger.pods(), assignment: ledger.assignment(), policy: context.place }
}

/// Containers beside the main one of a pod that has its own CPUs, or its own nodes, run where the main one runs.
fn follows_main(asked: &Parsed<'_>) -> bool {
    let together = asked.qos.class == QosClass::Dedicated || asked.qos.memory.numa_binding != NumaBinding::Unbound;
    together && asked.request.kind != ContainerType::Main
}

/// The NUMA nodes that the caller chose for a bound pod.
fn chosen<'a>(asked: &Parsed<'a>) -> Option<&'a NumaSet> {
    let bound = asked.qos.memory.numa_binding != NumaBinding::Unbound;
    let nodes = asked.request.hint.as_ref().and_then(|hint| hint.nodes.as_ref());
    nodes.filter(|nodes| bound && !nodes.is_empty())
}
