//! From the model to the wire.
//!
//! Only values that differ from what a container has or is about to get are sent: two plugins that set the same field, even to the same value, make
//! the runtime refuse the container. Neither NRI nor the runtime looks at values; a wrong one fails the container's start again and again. So each is
//! looked at here, and one that the kernel would refuse is left out.

use crate::event::{Adjustment, Resources};
use gleaner_crds::nri as wire;
use gleaner_model::{Bytes, CpuMax, KnobValue, Limit, Micros};
use std::collections::BTreeMap;

/// What the kernel takes as a period of CPU time, in microseconds; a quota is at least as long as the shortest.
const PERIODS: std::ops::RangeInclusive<u64> = 1000..=1_000_000;

const MEMORY_LOW: &str = "memory.low";
const MEMORY_HIGH: &str = "memory.high";

/// What is sent, and a line for each value that cannot be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent<T> {
    /// The message; `None`: there is nothing to say.
    pub(crate) message: Option<T>,
    /// Values that were left out although they were meant, and why.
    pub(crate) left_out: Vec<String>,
}

/// What a container that is about to be created is to have; `has` is what it gets without us. `unified` says whether the node has cgroup v2.
pub(crate) fn creation(wanted: &Adjustment, has: &Resources, unified: bool) -> Sent<wire::ContainerAdjustment> {
    differing(wanted, has, unified).map(|resources| wire::ContainerAdjustment {
        linux: Some(wire::LinuxContainerAdjustment { resources: Some(resources) }),
        ..wire::ContainerAdjustment::default()
    })
}

/// A change of a container that exists. That it ended in the meantime is no failure of the one whose answer carries the change.
pub(crate) fn update(id: &str, wanted: &Adjustment, has: &Resources, unified: bool) -> Sent<wire::ContainerUpdate> {
    differing(wanted, has, unified).map(|resources| update_of(id, resources, true))
}

/// A request to change a container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// The container.
    pub(crate) id: String,
    /// What its specification has before.
    pub(crate) has: Resources,
    /// What is asked for.
    pub(crate) wants: Resources,
    /// See [`crate::KnownRuntime::shows_unified`].
    pub(crate) shows_unified: bool,
}

/// What is to happen instead of a request; without a message it passes unchanged.
///
/// An answer on a runtime of 0.6 loses the files of cgroup v2 that the request sets, and does not show them to us either. There it is given only where
/// the request itself would put the container on wrong CPUs or memory nodes, or under a quota that must not be; what else the runtime writes is
/// put right after [`crate::Event::Updated`]. Later ones show them: they go into the answer, below our own.
pub(crate) fn replacement(asked: &Asked, wanted: &Adjustment, unified: bool) -> Sent<wire::ContainerUpdate> {
    let sent = differing(wanted, &after(&asked.wants, &asked.has), unified);
    let must = |resources: &wire::LinuxResources| asked.shows_unified || is_about(resources, &asked.wants);
    let message = sent.message.filter(must).map(|mut resources| {
        for (file, text) in &asked.wants.unified {
            resources.unified.entry(file.clone()).or_insert_with(|| text.clone());
        }
        update_of(&asked.id, resources, false)
    });
    Sent { message, left_out: sent.left_out }
}

impl<T> Sent<T> {
    fn map<U>(self, to: impl FnOnce(T) -> U) -> Sent<U> {
        Sent { message: self.message.map(to), left_out: self.left_out }
    }
}

fn update_of(id: &str, resources: wire::LinuxResources, ignore_failure: bool) -> wire::ContainerUpdate {
    let linux = Some(wire::LinuxContainerUpdate { resources: Some(resources) });
    wire::ContainerUpdate { container_id: id.to_owned(), linux, ignore_failure }
}

/// What a container has when a request was carried out: the runtime keeps what the request does not speak of, and writes it again.
fn after(wants: &Resources, has: &Resources) -> Resources {
    let mut unified = has.unified.clone();
    unified.extend(wants.unified.clone());
    Resources {
        cpus: wants.cpus.clone().or_else(|| has.cpus.clone()),
        mems: wants.mems.clone().or_else(|| has.mems.clone()),
        shares: wants.shares.or(has.shares),
        cpu_max: wants.cpu_max.or(has.cpu_max),
        memory: wants.memory.or(has.memory),
        unified,
    }
}

/// Whether an answer takes back CPUs, memory nodes or a quota that the request itself sets.
fn is_about(answer: &wire::LinuxResources, wants: &Resources) -> bool {
    let Some(cpu) = &answer.cpu else { return false };
    (!cpu.cpus.is_empty() && wants.cpus.is_some())
        || (!cpu.mems.is_empty() && wants.mems.is_some())
        || (cpu.quota.is_some() && wants.cpu_max.is_some())
}

/// The values that differ from what is there already. Of several values for a knob the last is meant.
fn differing(wanted: &Adjustment, has: &Resources, unified: bool) -> Sent<wire::LinuxResources> {
    let knobs: BTreeMap<_, _> = wanted.knobs.iter().map(|value| (value.kind(), value)).collect();
    let (mut resources, mut left_out) = (wire::LinuxResources::default(), Vec::new());
    for value in knobs.into_values() {
        if let Err(cause) = add(value, has, unified, &mut resources) {
            left_out.push(format!("{} = {value}: {cause}", value.kind()));
        }
    }
    let message = (resources != wire::LinuxResources::default()).then_some(resources);
    Sent { message, left_out }
}

/// Adds one value, if it is another than the one that is there. Values that are no matter of a container's specification, or that runtimes ignore,
/// are none that could be sent: they are written directly.
fn add(value: &KnobValue, has: &Resources, unified: bool, to: &mut wire::LinuxResources) -> Result<(), &'static str> {
    match value {
        KnobValue::Cpus(cpus) if cpus.is_empty() => return Err("no CPU; to the runtime that is no change"),
        KnobValue::Cpus(cpus) if has.cpus.as_ref() != Some(cpus) => cpu(to).cpus = cpus.to_string(),
        KnobValue::Mems(mems) if mems.is_empty() => return Err("no memory node; to the runtime that is no change"),
        KnobValue::Mems(mems) if has.mems.as_ref() != Some(mems) => cpu(to).mems = mems.to_string(),
        KnobValue::Shares(shares) if has.shares != Some(*shares) => {
            cpu(to).shares = Some(wire::OptionalUInt64 { value: u64::from(shares.get()) });
        }
        KnobValue::CpuMax(max) if !is_same(*max, has.cpu_max) => {
            let quota = quota(*max)?;
            let cpu = cpu(to);
            cpu.quota = Some(wire::OptionalInt64 { value: quota });
            cpu.period = Some(wire::OptionalUInt64 { value: max.period.get() });
        }
        // The runtime bounds swap by the same amount, so on cgroup v2 there is none. As a file of cgroup v2 it would leave swap alone, but would also
        // win over every later limit that kubelet asks for.
        KnobValue::MemoryMax(limit) if *limit != has.memory.unwrap_or(Limit::Max) => {
            let limit = Some(wire::OptionalInt64 { value: bytes(*limit)? });
            to.memory.get_or_insert_default().limit = limit;
        }
        KnobValue::MemoryLow(low) if unified && !holds(has, MEMORY_LOW, Limit::At(*low), Limit::At(Bytes::ZERO)) => {
            to.unified.insert(MEMORY_LOW.to_owned(), low.get().to_string());
        }
        KnobValue::MemoryHigh(high) if unified && !holds(has, MEMORY_HIGH, *high, Limit::Max) => {
            to.unified.insert(MEMORY_HIGH.to_owned(), text(*high));
        }
        _ => {}
    }
    Ok(())
}

fn cpu(resources: &mut wire::LinuxResources) -> &mut wire::LinuxCpu {
    resources.cpu.get_or_insert_default()
}

/// Without a quota, periods make no difference.
fn is_same(max: CpuMax, has: Option<CpuMax>) -> bool {
    let has = has.unwrap_or(CpuMax::UNLIMITED);
    max == has || (max.quota == Limit::Max && has.quota == Limit::Max)
}

fn quota(max: CpuMax) -> Result<i64, &'static str> {
    if !PERIODS.contains(&max.period.get()) {
        return Err("the kernel takes periods of 1 ms to 1 s");
    }
    match max.quota {
        Limit::Max => Ok(-1),
        Limit::At(quota) if quota < Micros::new(*PERIODS.start()) => Err("the kernel takes no quota below 1 ms"),
        Limit::At(quota) => i64::try_from(quota.get()).map_err(|_| "too long a quota"),
    }
}

fn bytes(limit: Limit<Bytes>) -> Result<i64, &'static str> {
    match limit {
        Limit::Max => Ok(-1),
        Limit::At(Bytes::ZERO) => Err("no memory; to the runtime that is no change"),
        Limit::At(bytes) => i64::try_from(bytes.get()).map_err(|_| "more memory than can be told"),
    }
}

fn text(limit: Limit<Bytes>) -> String {
    match limit {
        Limit::Max => "max".to_owned(),
        Limit::At(bytes) => bytes.get().to_string(),
    }
}

/// Whether a file of cgroup v2 has this value without us; one that nothing is said of has what the kernel gives it.
fn holds(has: &Resources, name: &str, value: Limit<Bytes>, by_default: Limit<Bytes>) -> bool {
    match has.unified.get(name).map(|text| text.trim()) {
        None => value == by_default,
        Some("max") => value == Limit::Max,
        Some(number) => number.parse().is_ok_and(|bytes| value == Limit::At(Bytes::new(bytes))),
    }
}
