//! Hints of dedicated pods.

use super::kept;
use super::room::Room;
use super::search::{Found, Need, Site, Sizes, search, smallest};
use crate::demand::DedicatedDemand;
use crate::place::{Company, DedicatedRehearsal, closed, kept_alone};
use crate::{Hint, Hints, Refusal, Rule};
use gleaner_model::{CpuSet, NumaBinding, NumaId, NumaPlacement, NumaSet, PoolName};

/// Hints of a dedicated pod. Without `numa_binding` it has no preference, if it has room at all.
pub(super) fn hints<'a>(room: &Room<'a>, demand: &'a DedicatedDemand) -> Result<Hints, Refusal> {
    let need = need(room, demand);
    let own = room.own_nodes().filter(|_| !own_cpus(room).is_empty());
    let bound = demand.binding != NumaBinding::Unbound;
    if let Some(nodes) = own.as_ref().filter(|nodes| bound && has_all(room, &need, nodes)) {
        return Ok(Hints::List(vec![Hint::on(nodes.clone(), true)]));
    }
    possible(room, &need)?;
    let rehearsal = DedicatedRehearsal::new(room.context, room.others, room.asked.pod, demand);
    if !bound {
        return rehearsal.anywhere().map(|()| Hints::NoPreference);
    }
    let layout = room.context.layout;
    let company = Company::dedicated(demand);
    let open = sites(room, &need, |id| room.closed(id, &company, closed));
    let found = search(layout, &open, &need, &|nodes| rehearsal.takes(nodes));
    if found.is_empty() {
        // Where the numbers rule out nothing, placing knows better.
        let known = smallest(layout, &open, &need).and_then(|_| rehearsal.anywhere().err());
        return Err(known.unwrap_or_else(|| cause(room, &need, demand)));
    }
    let least = smallest(layout, &empty_sites(room, &need), &need);
    let preferred = |set: &Found| least.as_ref().is_none_or(|least| set.nodes.len() <= least.nodes.len() && set.packages <= least.packages);
    let hints = found.into_iter().map(|set| Hint { preferred: preferred(&set), nodes: Some(set.nodes) });
    Ok(Hints::List(kept::first(own.as_ref(), hints.collect())))
}

fn need(room: &Room<'_>, demand: &DedicatedDemand) -> Need {
    let layout = room.context.layout;
    let exclusive = demand.binding == NumaBinding::Exclusive;
    let whole_cores = demand.whole_cores && !exclusive;
    let cpus = demand.cpus_on(layout.threads);
    let most_packages = || usize::try_from(cpus.div_ceil(layout.largest_package().max(1))).unwrap_or(usize::MAX);
    let sizes = match (&demand.placement, demand.binding) {
        (NumaPlacement::Ids(ids), _) => Sizes::These(ids.clone()),
        (NumaPlacement::Number(number), _) => Sizes::Exactly(usize::try_from(*number).unwrap_or(usize::MAX)),
        (NumaPlacement::Any, NumaBinding::Bound) => Sizes::Exactly(1),
        (NumaPlacement::Any, NumaBinding::Unbound | NumaBinding::Exclusive) => Sizes::Any,
    };
    Need {
        cpus,
        whole_cores,
        // Where some cores have fewer threads, so may the part of a node.
        unit: if whole_cores && layout.is_regular() { layout.threads.max(1) } else { 1 },
        whole_nodes: exclusive,
        even: demand.distribute_evenly && !exclusive,
        packages: demand.align_by_socket.then(most_packages),
        sizes,
    }
}

fn own_cpus(room: &Room<'_>) -> CpuSet {
    room.node.assignment.cpus_of(&PoolName::dedicated(room.asked.pod))
}

/// Whether the pod has what it asks for.
fn has_all(room: &Room<'_>, need: &Need, nodes: &NumaSet) -> bool {
    let own = own_cpus(room);
    let there = match &need.sizes {
        Sizes::Any => true,
        Sizes::Exactly(size) => nodes.len() == *size,
        Sizes::These(ids) => nodes == ids,
    };
    let enough = own.count() == need.cpus || (need.whole_nodes && own.count() > need.cpus);
    kept::asks_again(&room.node, &room.asked) && there && enough && own.is_subset(&room.context.usable)
}

/// What no state of the node could meet.
fn possible(room: &Room<'_>, need: &Need) -> Result<(), Refusal> {
    let (cpus, online, open) = (need.cpus, room.context.layout.online.count(), room.context.usable.count());
    let all: NumaSet = room.nodes().collect();
    let size = match &need.sizes {
        Sizes::These(ids) if !ids.is_subset(&all) => {
            return Err(Refusal::by(Rule::NumaIds, format!("asks for NUMA nodes {ids}, those with CPUs are {all}")));
        }
        Sizes::Exactly(size) if *size > all.len() => {
            return Err(Refusal::by(Rule::NumaNumber, format!("asks for {size} NUMA nodes, {} have CPUs", all.len())));
        }
        Sizes::These(ids) => Some(ids.len()),
        Sizes::Exactly(size) => Some(*size),
        Sizes::Any => None,
    };
    if cpus > open {
        let rule = if cpus > online { Rule::Capacity } else { Rule::Reserve };
        let kept = online.saturating_sub(open);
        return Err(Refusal::by(
            rule,
            format!("needs {cpus} CPUs, the node has {online}, {kept} of them kept for the system or interrupts"),
        ));
    }
    let parts = size.and_then(|size| u32::try_from(size).ok()).map_or(1, |size| size.saturating_mul(need.unit));
    if need.even && !cpus.is_multiple_of(parts) {
        let cores = if need.unit > 1 { " in whole cores" } else { "" };
        let nodes = parts / need.unit;
        return Err(Refusal::by(Rule::DistributeEvenly, format!("{cpus} CPUs cannot be split evenly over {nodes} NUMA nodes{cores}")));
    }
    if !need.whole_nodes && cpus < parts {
        let rule = if matches!(need.sizes, Sizes::These(_)) { Rule::NumaIds } else { Rule::NumaNumber };
        return Err(Refusal::by(rule, format!("{cpus} CPUs cannot be on {} NUMA nodes in parts of {}", parts / need.unit, need.unit)));
    }
    Ok(())
}

/// The nodes with room for the pod; `closed` says which are not for it.
fn sites(room: &Room<'_>, need: &Need, closed: impl Fn(NumaId) -> Option<Refusal>) -> Vec<Site> {
    let open = room.nodes().filter(|id| closed(*id).is_none());
    with_room(room, open.map(|id| (id, capacity(room, need, &room.free_on(id)))))
}

/// The nodes as they would be without any pod.
fn empty_sites(room: &Room<'_>, need: &Need) -> Vec<Site> {
    with_room(room, room.nodes().map(|id| (id, capacity(room, need, &room.for_pods_on(id)))))
}

fn with_room(room: &Room<'_>, capacities: impl Iterator<Item = (NumaId, u32)>) -> Vec<Site> {
    let site = |(id, capacity)| Site { id, packages: packages(room, id), capacity };
    capacities.filter(|(_, capacity)| *capacity > 0).map(site).collect()
}

fn packages(room: &Room<'_>, id: NumaId) -> std::collections::BTreeSet<gleaner_model::PackageId> {
    let cpus = room.context.layout.nodes.get(&id).cloned().unwrap_or_default();
    cpus.iter().filter_map(|cpu| room.node.topology.cpu(cpu)).map(|info| info.package).collect()
}

fn capacity(room: &Room<'_>, need: &Need, free: &CpuSet) -> u32 {
    if need.whole_cores { room.context.layout.in_whole_cores(free) } else { free.count() }
}

/// Which rule leaves no nodes: the first without which there would be some.
fn cause<'a>(room: &Room<'a>, need: &Need, demand: &'a DedicatedDemand) -> Refusal {
    let company = Company::dedicated(demand);
    let shut = |id| room.closed(id, &company, closed);
    let fits = |need: &Need, sites: &[Site]| smallest(room.context.layout, sites, need).is_some();
    let now = sites(room, need, shut);
    let single = Need { whole_cores: false, unit: 1, cpus: demand.cpus, ..need.clone() };
    let rule = if fits(need, &sites(room, need, |id| room.closed(id, &company, kept_alone))) {
        Rule::NumaShare
    } else if fits(&Need { packages: None, ..need.clone() }, &now) {
        Rule::AlignBySocket
    } else if fits(&Need { even: false, ..need.clone() }, &now) {
        Rule::DistributeEvenly
    } else if fits(&single, &sites(room, &single, shut)) {
        Rule::FullPcpusPairing
    } else {
        plain_rule(room, need)
    };
    Refusal::by(rule, told(room, need, &company))
}

fn plain_rule(room: &Room<'_>, need: &Need) -> Rule {
    let free = room.nodes().map(|id| room.free_on(id).count()).fold(0, u32::saturating_add);
    match (&room.asked.qos.cpu.placement, room.asked.qos.memory.numa_binding) {
        (NumaPlacement::Ids(_), _) => Rule::NumaIds,
        (NumaPlacement::Number(_), _) => Rule::NumaNumber,
        _ if free < need.cpus => Rule::Capacity,
        (NumaPlacement::Any, NumaBinding::Exclusive) => Rule::NumaExclusive,
        (NumaPlacement::Any, NumaBinding::Bound) => Rule::NumaBinding,
        (NumaPlacement::Any, NumaBinding::Unbound) => Rule::Capacity,
    }
}

/// What is needed, and what each node has.
fn told<'a>(room: &Room<'a>, need: &Need, company: &Company<'a>) -> String {
    let qos = room.asked.qos;
    let kind = if need.whole_cores { "CPUs in whole cores" } else { "CPUs" };
    let place = match &need.sizes {
        Sizes::Any => " on NUMA nodes".to_owned(),
        Sizes::Exactly(1) => " on one NUMA node".to_owned(),
        Sizes::Exactly(size) => format!(" on {size} NUMA nodes"),
        Sizes::These(ids) => format!(" on NUMA nodes {ids}"),
    };
    let alone = if need.whole_nodes { " without other dedicated or bound pods" } else { "" };
    let even = if need.even { ", the same number on each" } else { "" };
    let near = if qos.cpu.align_by_socket { ", on as few sockets as possible" } else { "" };
    let here = sites(room, need, |_| None);
    let each = room.nodes().map(|id| {
        // CPUs of bound shared pods are free to take, but these pods cannot go elsewhere.
        let left = room.free_on(id).count().saturating_sub(room.requested_on(id, false).ceil_cpus());
        let free = here.iter().find(|site| site.id == id).map_or(0, |site| site.capacity.min(left));
        let closed = room.closed(id, company, closed).map(|refusal| format!(" ({})", refusal.cause)).unwrap_or_default();
        format!("{free} on node {id}{closed}")
    });
    format!("needs {} {kind}{place}{alone}{even}{near}; free: {}", need.cpus, each.collect::<Vec<_>>().join(", "))
}
