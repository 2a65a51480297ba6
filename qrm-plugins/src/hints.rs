//! Where a pod's CPUs could come from, before anything is given: hints for kubelet's topology manager.
//!
//! Hints promise: what is hinted can be given, since the rules are asked that [`crate::place`] gives by. They move nothing themselves.

mod dedicated;
mod kept;
mod reclaimed;
mod room;
mod search;
mod shared;

use crate::demand::{Wish, demands_of, wish_of};
use crate::layout::Layout;
use crate::place::{Context, Others};
use crate::{Hints, Node, Refusal};
use gleaner_model::{MilliCpu, NumaId, PodName, PodUid, QosSpec};
use room::Room;
use std::collections::BTreeMap;

/// A pod that asks where it could go. Its init containers do not ask: they run where the pod runs.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The pod. One that has something on the node already asks to keep it, or to be resized.
    pub pod: &'a PodUid,
    /// What its annotations ask for.
    pub qos: &'a QosSpec,
    /// The CPU that it asks for; of a reclaimed pod the reclaimed CPU.
    pub cpu: MilliCpu,
}

/// The NUMA nodes that a pod's CPUs could come from. `headroom` is the CPU that reclaimed pods may use on each node, all of them
/// together; `None`: not known.
///
/// - Dedicated with `numa_binding`: sets of nodes, the smallest first; preferred are those as small as an empty machine would need.
/// - Shared with `numa_binding`: one node each, by [`crate::PlacePolicy::hint_preference`].
/// - Reclaimed with `numa_binding`: one node each, preferred where the headroom covers the request.
/// - Everything else: no preference.
///
/// A pod that asks again for what it has is hinted its own nodes and no others.
///
/// # Errors
/// The rule that leaves no node, with the numbers.
pub fn cpu_hints(node: &Node<'_>, asked: &Asked<'_>, headroom: Option<&BTreeMap<NumaId, MilliCpu>>) -> Result<Hints, Refusal> {
    let had = node.pods.get(asked.pod);
    let nobody = || PodName { namespace: String::new(), name: asked.pod.to_string() };
    let name = had.map_or_else(nobody, |pod| pod.name.clone());
    let wish = wish_of(asked.qos, asked.cpu, &name)?;
    if let Some(hints) = kept::again(node, asked, &wish) {
        return Ok(hints);
    }
    let layout = Layout::new(node.topology);
    let mut demands = demands_of(node.pods.iter().filter(|(uid, _)| *uid != asked.pod), &BTreeMap::new());
    if let Wish::Dedicated(demand) = &wish {
        demands.dedicated.insert(asked.pod.clone(), demand.clone());
    }
    let context = Context::new(&layout, node.assignment, node.pods, &demands, node.policy);
    let others = Others::new(&context, asked.pod);
    let room = Room::new(node, asked, &context, &others);
    match &wish {
        Wish::Dedicated(demand) => dedicated::hints(&room, demand),
        Wish::Bound(demand) if demand.reclaimed() => reclaimed::hints(&room, demand, headroom),
        Wish::Bound(demand) => shared::hints(&room, demand),
        Wish::Pool(_) => shared::anywhere(&room),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
