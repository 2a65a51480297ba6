//! What can be lent: of the whole node and of each NUMA node the least of what the others leave, what is free, and what the last figure may rise
//! to.
//!
//! Two figures leave here. The supply is what reclaimed pods can really have: quotas, memory bounds and evictions go by it. The promise is what new
//! pods may be promised: the supply, raised where little is used of what was promised before, without what is too little to be of use.

mod cpu;
mod cpu_nodes;
mod demand;
mod fragments;
mod memory;
mod memory_nodes;
mod parts;
mod pressure;
mod ramp;
mod reading;
mod settings;
mod utilisation;

pub(crate) use demand::Demand;
pub use ramp::settle;
pub use settings::{Fragments, HeadroomSettings, PressureSettings, Utilisation};
pub(crate) use utilisation::Raised;

use crate::policy::Policy;
use crate::state::Given;
use crate::{Input, NodeShare, Supply};
use cpu::Cpu;
use fragments::{useless, without};
use gleaner_model::{Bytes, MilliCpu, NumaId, Reason, ReclaimRule};
use memory::Memory;
use std::collections::{BTreeMap, BTreeSet};
use utilisation::{raise, raised, uses};

/// What can be lent, and what the next tick must know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Headroom {
    /// What new pods may be promised.
    pub(crate) promise: NodeShare,
    /// What of it is on each NUMA node of which enough is known.
    pub(crate) by_node: BTreeMap<NumaId, NodeShare>,
    /// What reclaimed pods can really have.
    pub(crate) supply: Supply,
    /// NUMA nodes that offer nothing because a reading is missing, and which.
    pub(crate) unknown: BTreeMap<NumaId, String>,
    pub(crate) cpu_reason: Reason,
    pub(crate) memory_reason: Reason,
    pub(crate) given: Given,
}

/// What can be lent now, from what those need that are not reclaimed.
pub(crate) fn headroom(input: &Input<'_>, policy: &Policy, demand: &Demand, last: Option<&Given>) -> Headroom {
    let cpu = cpu::cpu(input, policy, demand, last);
    let memory = memory::memory(input, policy, &demand.memory, last);
    let raised = how_far(input, policy, &cpu, &memory, last);
    let promise = promise(input, policy, &cpu, &memory, raised);
    let supply = supply(&cpu, &memory);
    // A clock that ran backwards must not make the next step larger.
    let at = last.map_or(input.snapshot.at, |given| given.at.max(input.snapshot.at));
    let given = Given { at, cpu: supply.cpu, memory: supply.memory, by_node: Some(shares(&supply)), raised };
    let unknown = unknown(&cpu, &memory);
    let cpu_rule = rule(cpu.rule, promise.whole.cpu.get(), cpu.supply.get());
    let memory_rule = rule(memory.rule, promise.whole.memory.get(), memory.supply.get());
    Headroom {
        promise: promise.whole,
        by_node: promise.by_node,
        supply,
        unknown,
        cpu_reason: cpu.reason(promise.whole.cpu, cpu_rule),
        memory_reason: memory.reason(promise.whole.memory, memory_rule),
        given,
    }
}

fn how_far(input: &Input<'_>, policy: &Policy, cpu: &Cpu, memory: &Memory, last: Option<&Given>) -> Raised {
    let (of_cpu, of_memory) = uses(input.snapshot, policy);
    let settings = &policy.headroom.utilisation;
    let now = input.snapshot.at;
    let before = |of: fn(&Raised) -> u64| last.map(|last| (of(&last.raised), last.at));
    Raised {
        cpu: raise(settings.target, of_cpu, cpu.supply.get(), before(|raised| raised.cpu), policy, now),
        memory: raise(settings.memory_target, of_memory, memory.supply.get(), before(|raised| raised.memory), policy, now),
    }
}

/// What new pods may be promised: of the whole node and of each NUMA node of which both CPU and memory are known.
struct Promise {
    whole: NodeShare,
    by_node: BTreeMap<NumaId, NodeShare>,
}

fn promise(input: &Input<'_>, policy: &Policy, cpu: &Cpu, memory: &Memory, by: Raised) -> Promise {
    let least = &policy.headroom.fragments;
    let judged = known(cpu.rule) && known(memory.rule);
    let useless = if judged { useless(input.topology, &cpu.by_node.most, &memory.by_node.most, least) } else { BTreeSet::new() };
    let (all_cpus, cpus) = without(&useless, cpu.supply.get(), &cpu.by_node);
    let (all_bytes, bytes) = without(&useless, memory.supply.get(), &memory.by_node);
    let share = |cpus, bytes, cpu_room, memory_room| NodeShare {
        cpu: MilliCpu::new(raised(cpus, by.cpu).min(cpu_room)),
        memory: Bytes::new(raised(bytes, by.memory).min(memory_room)),
    };
    let whole = share(all_cpus, all_bytes, cpu.room().get(), memory.room().get());
    if judged && (whole.cpu < least.cpu || whole.memory < least.memory) {
        let nothing = cpus.keys().filter(|id| bytes.contains_key(id)).map(|id| (*id, NodeShare::default()));
        return Promise { whole: NodeShare::default(), by_node: nothing.collect() };
    }
    let part = |(id, cpus): (NumaId, u64)| {
        let part = share(cpus, *bytes.get(&id)?, parts::of(&cpu.by_node.room, id), parts::of(&memory.by_node.room, id));
        let single = BTreeMap::from([(id, part.cpu.get())]);
        let small = !fragments::useless(input.topology, &single, &BTreeMap::from([(id, part.memory.get())]), least).is_empty();
        Some((id, if small && judged { NodeShare::default() } else { part }))
    };
    Promise { whole, by_node: cpus.into_iter().filter_map(part).collect() }
}

fn supply(cpu: &Cpu, memory: &Memory) -> Supply {
    Supply {
        cpu: cpu.supply,
        memory: memory.supply,
        cpu_by_node: cpu.by_node.supply.iter().map(|(id, cpus)| (*id, MilliCpu::new(*cpus))).collect(),
        memory_by_node: memory.by_node.supply.iter().map(|(id, bytes)| (*id, Bytes::new(*bytes))).collect(),
    }
}

/// What each node had, for its next step: nothing of what is not known.
fn shares(supply: &Supply) -> BTreeMap<NumaId, NodeShare> {
    let ids: BTreeSet<NumaId> = supply.cpu_by_node.keys().chain(supply.memory_by_node.keys()).copied().collect();
    let share = |id: NumaId| NodeShare {
        cpu: supply.cpu_by_node.get(&id).copied().unwrap_or_default(),
        memory: supply.memory_by_node.get(&id).copied().unwrap_or_default(),
    };
    ids.into_iter().map(|id| (id, share(id))).collect()
}

fn unknown(cpu: &Cpu, memory: &Memory) -> BTreeMap<NumaId, String> {
    let mut unknown = cpu.by_node.unknown.clone();
    for (id, line) in &memory.by_node.unknown {
        let lines = unknown.entry(*id).or_default();
        lines.push_str(if lines.is_empty() { "" } else { "; " });
        lines.push_str(line);
    }
    unknown
}

const fn known(rule: ReclaimRule) -> bool {
    !matches!(rule, ReclaimRule::Unknown | ReclaimRule::Off)
}

/// The rule of the promise, from that of the supply.
fn rule(rule: ReclaimRule, promise: u64, supply: u64) -> ReclaimRule {
    match rule {
        // A figure that is on its way up is soon no fragment any more.
        ReclaimRule::Unknown | ReclaimRule::Off | ReclaimRule::SlowRise if promise <= supply => rule,
        _ if promise < supply => ReclaimRule::Fragment,
        _ if promise > supply => ReclaimRule::Raised,
        rule => rule,
    }
}
