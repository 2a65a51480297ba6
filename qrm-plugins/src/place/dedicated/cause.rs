//! Why a dedicated pod has what it has, or has nothing.

use super::{Lack, Wanting};
use crate::demand::DedicatedDemand;
use crate::place::Context;
use crate::refusal::{Refusal, Rule};
use crate::take::{Wanted, capacity};
use gleaner_model::{CpuSet, MilliCpu, NumaBinding, NumaPlacement, NumaSet};
use std::cmp::Reverse;

/// Refuses what even an empty node does not have.
pub(super) fn too_large(context: &Context<'_>, wanting: &Wanting<'_>) -> Result<(), Refusal> {
    let (online, cpus) = (context.layout.online.count(), wanting.cpus);
    if cpus <= context.usable.count() {
        return Ok(());
    }
    let kept = match (context.reserve.count(), context.interrupt.count()) {
        (0, 0) => String::new(),
        (reserve, 0) => format!(", {reserve} of them reserved"),
        (0, interrupt) => format!(", {interrupt} of them kept for interrupts"),
        (reserve, interrupt) => format!(", {reserve} of them reserved and {interrupt} kept for interrupts"),
    };
    let needs = if wanting.demand.request == MilliCpu::from_cpus(cpus) { String::new() } else { format!(" and needs {cpus} CPUs") };
    let rule = if cpus <= online { Rule::Reserve } else { Rule::Capacity };
    Err(Refusal::by(rule, format!("requests {} CPU{needs}, the node has {online}{kept}", wanting.demand.request)))
}

/// Why pools need the CPUs themselves.
pub(super) fn floor_cause(cpus: u32, lack: Lack) -> Refusal {
    let Lack { left, had, floor, node } = lack;
    let pools = match node {
        None => "the pools of shared and reclaimed pods, which need".to_owned(),
        Some(node) => format!("the shared pods bound to NUMA node {node}, which need"),
    };
    Refusal::by(Rule::Floor, format!("{cpus} CPUs for it would leave {left} of {had} to {pools} at least {floor}"))
}

/// Why no set of nodes has room.
pub(super) fn cause(context: &Context<'_>, wanting: &Wanting<'_>, usable: &CpuSet) -> Refusal {
    let (layout, demand, cpus) = (context.layout, wanting.demand, wanting.cpus);
    let free = |free: &CpuSet| {
        let none = CpuSet::new();
        let wanted = Wanted { cpus, whole_cores: demand.whole_cores, own: &none, held: &none, cost: &|_| 0 };
        capacity(layout, free, &wanted)
    };
    let by_node = layout.nodes.iter().map(|(id, cpus)| (free(&cpus.intersection(usable)), Reverse(*id)));
    let largest = by_node.max().map_or_else(String::new, |(free, Reverse(id))| format!("the largest free is {free} on node {id}"));
    let kind = if demand.whole_cores { "CPUs in whole cores" } else { "CPUs" };
    let also = match (demand.distribute_evenly, demand.align_by_socket) {
        (true, true) => ", the same number on each, on as few sockets as possible",
        (true, false) => ", the same number on each",
        (false, true) => ", on as few sockets as possible",
        (false, false) => "",
    };
    let alone = if demand.binding == NumaBinding::Exclusive { " without other dedicated pods" } else { "" };
    let there = |nodes: &NumaSet| free(&usable.intersection(&layout.cpus_of(nodes)));
    let text = match (&demand.placement, demand.binding) {
        (NumaPlacement::Ids(ids), _) => {
            format!("needs {cpus} {kind} on NUMA nodes {ids}{alone}{also}, {} are free there", there(ids))
        }
        _ if let Some(chosen) = wanting.chosen => {
            format!("needs {cpus} {kind} on NUMA nodes {chosen}, which were chosen for it{alone}{also}, {} are free there", there(chosen))
        }
        (NumaPlacement::Number(number), _) => format!("needs {cpus} {kind} on {number} NUMA nodes{alone}{also}; {largest}"),
        (NumaPlacement::Any, NumaBinding::Bound) => format!("needs one NUMA node with {cpus} free {kind}; {largest}"),
        (NumaPlacement::Any, _) => format!("needs {cpus} {kind}{alone}{also}, {} are free; {largest}", free(usable)),
    };
    Refusal::by(stopped_by(demand, cpus, usable), text)
}

/// The rule that leaves a pod without CPUs: what it asks for beyond their number, the narrowest first.
fn stopped_by(demand: &DedicatedDemand, cpus: u32, usable: &CpuSet) -> Rule {
    match (&demand.placement, demand.binding) {
        (NumaPlacement::Ids(_), _) => Rule::NumaIds,
        (NumaPlacement::Number(_), _) => Rule::NumaNumber,
        (NumaPlacement::Any, NumaBinding::Exclusive) => Rule::NumaExclusive,
        (NumaPlacement::Any, NumaBinding::Bound) => Rule::NumaBinding,
        (NumaPlacement::Any, NumaBinding::Unbound) if usable.count() < cpus => Rule::Capacity,
        (NumaPlacement::Any, NumaBinding::Unbound) if demand.whole_cores => Rule::FullPcpusPairing,
        (NumaPlacement::Any, NumaBinding::Unbound) if demand.distribute_evenly => Rule::DistributeEvenly,
        (NumaPlacement::Any, NumaBinding::Unbound) if demand.align_by_socket => Rule::AlignBySocket,
        (NumaPlacement::Any, NumaBinding::Unbound) => Rule::Capacity,
    }
}

/// The rule that a dedicated pod was placed by, as a phrase.
pub(in crate::place) fn rule(context: &Context<'_>, demand: &DedicatedDemand, cpus: &CpuSet) -> String {
    let layout = context.layout;
    let nodes = layout.topology.nodes_of(cpus).len();
    let mut rule = match (demand.binding, nodes) {
        (NumaBinding::Exclusive, _) => "alone on its NUMA nodes, with all their CPUs".to_owned(),
        (NumaBinding::Bound, 1) => "numa_binding: CPUs and memory on one NUMA node".to_owned(),
        (NumaBinding::Bound, _) => format!("numa_binding: CPUs and memory on {nodes} NUMA nodes"),
        (NumaBinding::Unbound, 1) => "own CPUs on one NUMA node".to_owned(),
        (NumaBinding::Unbound, _) => format!("own CPUs on {nodes} NUMA nodes"),
    };
    if layout.split_cores(cpus) == 0 {
        rule.push_str(", whole cores");
    }
    let needs = demand.cpus_on(layout.threads);
    if demand.request != MilliCpu::from_cpus(needs) {
        let why = if needs == demand.cpus { "" } else { " of whole cores, as full_pcpus_pairing asks" };
        rule.push_str(&format!("; request {} rounded up to {needs} CPUs{why}", demand.request));
    }
    rule
}
