//! The two ways to choose CPUs, behind one call.

use super::kubelet::{KubeletMachine, StaticOptions, take_static};
use super::{Wanted, dynamic};
use crate::layout::Layout;
use gleaner_model::{CpuSet, NumaSet, Topology};
use serde::{Deserialize, Serialize};

/// How CPUs are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TakePolicy {
    /// The choice that costs least, in this order where choices cost the same.
    Dynamic(Order),
    /// The sets that kubelet's static CPU manager policy would choose.
    Static(StaticOptions),
}

impl Default for TakePolicy {
    fn default() -> Self {
        Self::Dynamic(Order::Lowest)
    }
}

/// What is wanted of which NUMA nodes.
#[derive(Debug, Clone, Copy)]
pub enum Nodes<'a> {
    /// Wherever it costs least.
    Any,
    /// At least one CPU of each of these.
    Each(&'a NumaSet),
    /// The same number of each of these, nothing of others.
    Even(&'a NumaSet),
}

/// Which of CPUs that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Those with low numbers.
    #[default]
    Lowest,
    /// Those with high numbers.
    Highest,
}

/// Exactly as many CPUs of `free` as wanted, chosen by the policy. `None` when there are too few, or none that satisfy `nodes` and whole cores.
///
/// Under the dynamic policy the CPUs that cost least. The cost, each item counting only where all before it are equal: cores of which another
/// exclusive owner holds a thread; packages, NUMA nodes, L3 caches and cores touched, other than those where the taker has CPUs already; the sum
/// of what the caller says that each CPU costs; the sum over NUMA nodes of the square of the CPUs taken there; threads left free on cores that
/// are touched; CPUs left free in the packages, nodes and caches that are touched, of those that can be had. The last two keep large holes
/// large. On a machine where caches, nodes and packages do not nest in any order, or a core is in two of them, groups that are cut by wider ones
/// are counted by their pieces.
///
/// Under the static policy what kubelet would take. It knows no NUMA nodes that must all be used, no owners and no cost: where `nodes` names some,
/// the dynamic policy says how many CPUs each gives, and the static one which.
#[must_use]
pub fn take_cpus(topology: &Topology, free: &CpuSet, wanted: &Wanted<'_>, nodes: Nodes<'_>, policy: &TakePolicy) -> Option<CpuSet> {
    take(&Layout::new(topology), free, wanted, nodes, policy)
}

/// As [`take_cpus`], on a layout that is at hand.
pub(crate) fn take(layout: &Layout<'_>, free: &CpuSet, wanted: &Wanted<'_>, nodes: Nodes<'_>, policy: &TakePolicy) -> Option<CpuSet> {
    let options = match policy {
        TakePolicy::Dynamic(order) => return dynamic::take(layout, free, wanted, nodes, *order),
        TakePolicy::Static(options) => options,
    };
    let machine = KubeletMachine::of(layout.topology);
    let options = StaticOptions { full_pcpus_only: options.full_pcpus_only || wanted.whole_cores, ..*options };
    let (Nodes::Each(_) | Nodes::Even(_)) = nodes else { return take_static(&machine, free, wanted.cpus, options) };
    let shares = dynamic::take(layout, free, wanted, nodes, Order::Lowest)?;
    layout.nodes.values().try_fold(CpuSet::new(), |all, node| {
        let count = shares.intersection(node).count();
        Some(all.union(&take_static(&machine, &free.intersection(node), count, options)?))
    })
}
