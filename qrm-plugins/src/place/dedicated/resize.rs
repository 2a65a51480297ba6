//! In-place resize: a pod that runs keeps what it has and grows or shrinks where it is. What cannot be had changes nothing.

use super::cause::floor_cause;
use super::find::{find, is_aligned, usable};
use super::{Dedicated, Wanting, leaves_enough};
use crate::place::Context;
use crate::refusal::{Refusal, Rule};
use crate::take::{Nodes, TakePolicy, Wanted, capacity, give_back, take, take_from_node};
use gleaner_model::{CpuId, CpuSet, Id, NumaBinding, NumaId, NumaPlacement, NumaSet};
use std::cmp::Reverse;

/// Whether a pod that has CPUs has what it asks for. Alignment alone (whole cores, sockets) unsettles nobody.
pub(in crate::place) fn is_settled(context: &Context<'_>, done: &Dedicated, wanting: &Wanting<'_>) -> bool {
    let Some(has) = done.given.get(wanting.uid) else { return true };
    let nodes = context.layout.topology.nodes_of(has);
    if wanting.demand.binding == NumaBinding::Exclusive {
        let all = usable(context, &done.without(wanting.uid), wanting).intersection(&context.layout.cpus_of(&nodes));
        return wanting.may_be_on(&nodes) && has.count() >= wanting.cpus && *has == all;
    }
    wanting.may_be_on(&nodes) && has.count() == wanting.cpus
}

/// The CPUs of a pod that runs, at its new size; an error leaves it the old ones. A pod that was bound to other nodes than it has, or to
/// fewer, is placed as if it were new.
pub(in crate::place) fn resize(context: &Context<'_>, done: &Dedicated, wanting: &Wanting<'_>) -> Result<CpuSet, Refusal> {
    let others = done.without(wanting.uid);
    let has = done.given.get(wanting.uid).cloned().unwrap_or_default();
    let nodes = context.layout.topology.nodes_of(&has);
    let usable = usable(context, &others, wanting);
    let in_place = wanting.may_be_on(&nodes) && has.is_subset(&usable);
    if !in_place {
        let kept = |refusal: Refusal| Refusal::by(refusal.rule, format!("{}; it keeps CPUs {has}", refusal.cause));
        return find(context, &others, wanting).map_err(kept);
    }
    let sized = if wanting.demand.binding == NumaBinding::Exclusive {
        Some(usable.intersection(&context.layout.cpus_of(&nodes))).filter(|all| all.count() >= wanting.cpus)
    } else if has.count() > wanting.cpus {
        shrink(context, wanting, &has, &nodes)
    } else {
        extend(context, &others, wanting, &has, &usable)
    };
    let whole = |cpus: &CpuSet| !wanting.demand.whole_cores || context.layout.split_cores(cpus) == 0;
    let exclusive = wanting.demand.binding == NumaBinding::Exclusive;
    let sized =
        sized.filter(|cpus| exclusive || (whole(cpus) && is_aligned(context.layout, wanting, &context.layout.topology.nodes_of(cpus))));
    let Some(cpus) = sized else { return Err(impossible(wanting, &has, &nodes, &usable.intersection(&context.layout.cpus_of(&nodes)))) };
    match leaves_enough(context, &done.open(context), &others.with(wanting.uid, &cpus).open(context)) {
        Ok(()) => Ok(cpus),
        Err(lack) => {
            let Refusal { rule, cause } = floor_cause(wanting.cpus, lack);
            Err(Refusal::by(Rule::Resize, format!("{rule}: {cause}; it keeps its {}", has.count())))
        }
    }
}

fn impossible(wanting: &Wanting<'_>, has: &CpuSet, nodes: &NumaSet, usable: &CpuSet) -> Refusal {
    let whole = if wanting.demand.whole_cores { " in whole cores" } else { "" };
    let even = if wanting.demand.distribute_evenly { ", the same number on each" } else { "" };
    let (cpus, has, all) = (wanting.cpus, has.count(), usable.count());
    let text = format!("needs {cpus} CPUs{whole} around those that it has on NUMA nodes {nodes}{even}; {all} are free or its own there");
    Refusal::by(Rule::Resize, format!("{text}; it keeps its {has}"))
}

/// Whether it may not leave its nodes: it is bound, asks for them, or must be even on them.
fn stays(wanting: &Wanting<'_>) -> bool {
    let demand = wanting.demand;
    demand.binding != NumaBinding::Unbound || demand.placement != NumaPlacement::Any || demand.distribute_evenly
}

/// What is left when it gives back what is too much. A pod that asks for its nodes keeps some on each.
fn shrink(context: &Context<'_>, wanting: &Wanting<'_>, has: &CpuSet, nodes: &NumaSet) -> Option<CpuSet> {
    let layout = context.layout;
    if nodes.len() == 1 || !stays(wanting) {
        return Some(has.difference(&give_back(layout, has, has.count() - wanting.cpus)));
    }
    let (none, share) = (CpuSet::new(), if wanting.demand.distribute_evenly { Nodes::Even(nodes) } else { Nodes::Each(nodes) });
    let wanted = Wanted { cpus: wanting.cpus, whole_cores: wanting.demand.whole_cores, own: &none, held: &none, cost: &|_| 0 };
    take(layout, has, &wanted, share, &TakePolicy::default())
}

/// What it has and as much more as it lacks: on its own nodes first, those where it has most; then, if it may, on the nearest others.
fn extend(context: &Context<'_>, others: &Dedicated, wanting: &Wanting<'_>, has: &CpuSet, usable: &CpuSet) -> Option<CpuSet> {
    let layout = context.layout;
    let on = |id: &NumaId| layout.nodes.get(id).map(|cpus| cpus.intersection(has).count()).unwrap_or_default();
    let home = layout.nodes.keys().copied().max_by_key(|id| (on(id), Reverse(*id)))?;
    let mut order: Vec<NumaId> = layout.nodes.keys().copied().filter(|id| !stays(wanting) || on(id) > 0).collect();
    order.sort_by_key(|id| (Reverse(on(id)), layout.distance(home, *id), id.index()));
    let nodes = u32::try_from(order.len()).ok().filter(|nodes| *nodes > 0)?;
    let evenly = wanting.demand.distribute_evenly;
    if evenly && !wanting.cpus.is_multiple_of(nodes) {
        return None;
    }
    let held = others.cpus();
    let cost = |cpu: CpuId| 1 + u32::from(context.shared.contains(cpu));
    let mut cpus = has.clone();
    for id in &order {
        let free = layout.nodes.get(id)?.intersection(usable).difference(&cpus);
        let own = cpus.clone();
        let wanted = Wanted { cpus: 0, whole_cores: wanting.demand.whole_cores, own: &own, held: &held, cost: &cost };
        let room = capacity(layout, &free, &wanted);
        let lacks = if evenly { (wanting.cpus / nodes).checked_sub(on(id))? } else { wanting.cpus.saturating_sub(cpus.count()).min(room) };
        if lacks > 0 {
            let more = take_from_node(layout, &free, &Wanted { cpus: lacks, ..wanted });
            match more {
                Some(more) => cpus = cpus.union(&more),
                None if evenly => return None,
                None => {}
            }
        }
    }
    (cpus.count() == wanting.cpus).then_some(cpus)
}
