//! Which CPUs the shared pools of one NUMA node have for themselves, and which the unbound ones.

use super::Context;
use super::bound::{Bound, Shares};
use super::share::{Area, Part, parts};
use gleaner_model::{CpuSet, MilliCpu, NumaId, PoolName};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Cuts the CPUs for shared pools into areas. A node with bound shared pods is theirs as long as the unbound pools have the CPUs of their
/// requests elsewhere; else these have what they lack from the nodes with most to spare, by requests. Requests and not the estimator's
/// sizes decide, so that a load that changes moves no border.
pub(super) fn areas(context: &Context<'_>, open: &CpuSet, bound: &Bound<'_>, held: &CpuSet) -> Vec<Area> {
    let layout = context.layout;
    let outside = open.difference(&layout.cpus_of(&bound.shares.keys().copied().collect()));
    let mut missing = unbound_need(context).saturating_sub(outside.count());
    let mut unbound = outside;
    let mut joined = Vec::new();
    let mut areas = Vec::new();
    for (node, shares, cpus) in by_surplus(context, open, bound) {
        let mut area = cpus.clone();
        let given = given_up(cpus.count(), shares.cpus(1), missing);
        if given > 0 {
            let theirs = cut(context, &cpus, shares, given, held);
            area = cpus.difference(&theirs);
            unbound = unbound.union(&theirs);
            missing -= given;
            joined.push(node.to_string());
        }
        let wants = shares.requests.iter().map(|(pool, request)| (pool.clone(), context.demands.size_of(pool, *request))).collect();
        areas.push(Area { cpus: area, wants, of: format!("numa_binding, on NUMA node {node}: ") });
    }
    let mut of = String::new();
    if unbound.is_empty() {
        unbound = open.clone();
        of.push_str("together with the pools of single NUMA nodes, since no other CPU is left: ");
    } else if !joined.is_empty() {
        of = format!("also on NUMA nodes {} with bound pods, since their requests do not fit elsewhere: ", joined.join(","));
    }
    areas.push(Area { cpus: unbound, wants: context.demands.share.clone(), of });
    areas
}

/// CPUs that the unbound shared pools should have: their requests, at least one each.
fn unbound_need(context: &Context<'_>) -> u32 {
    let pools = context.demands.share_pools();
    if pools == 0 { 0 } else { context.demands.share_request.ceil_cpus().max(pools) }
}

/// The nodes with bound shared pools and their CPUs, those with most CPUs beyond the requests of these pools first.
fn by_surplus<'a>(context: &Context<'_>, open: &CpuSet, bound: &'a Bound<'_>) -> Vec<(NumaId, &'a Shares, CpuSet)> {
    let cpus = |node: &NumaId| context.layout.nodes.get(node).map(|cpus| cpus.intersection(open)).unwrap_or_default();
    let mut nodes: Vec<_> = bound.shares.iter().map(|(node, shares)| (*node, shares, cpus(node))).collect();
    nodes.sort_by_key(|(node, shares, cpus)| (Reverse(MilliCpu::from_cpus(cpus.count()).minus(shares.request())), *node));
    nodes
}

/// How many of `cpus` the bound pools of a node, which request `own`, give up to unbound ones that lack `missing`: what they do not
/// request themselves, or a part in proportion. They keep one.
fn given_up(cpus: u32, own: u32, missing: u32) -> u32 {
    if missing == 0 || cpus < 2 {
        return 0;
    }
    let all = u64::from(own) + u64::from(missing);
    if all <= u64::from(cpus) {
        return missing;
    }
    let part = u64::from(cpus) * u64::from(missing) / all.max(1);
    u32::try_from(part).unwrap_or(cpus).clamp(1, cpus - 1)
}

/// The CPUs of a node that its bound pools give up: those that unbound pools have there already, as far as they reach.
fn cut(context: &Context<'_>, cpus: &CpuSet, shares: &Shares, given: u32, held: &CpuSet) -> CpuSet {
    let has = |pools: &mut dyn Iterator<Item = &PoolName>| {
        pools.fold(CpuSet::new(), |all, pool| all.union(&context.current.cpus_of(pool))).intersection(cpus)
    };
    let theirs = has(&mut context.demands.share.keys());
    let own = has(&mut shares.requests.keys()).difference(&theirs);
    let wanted = BTreeMap::from([(true, Part { has: own, size: cpus.count() - given }), (false, Part { has: theirs, size: given })]);
    parts(context, cpus, held, &wanted).remove(&false).unwrap_or_default()
}
