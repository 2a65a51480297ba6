//! What the kernel does for pods when it is told to.

use super::{feature, runtime_asks};
use crate::config::Mode;
use crate::doctor::facts::{CpuManager, Facts, Windows};
use crate::doctor::{Feature, On};
use gleaner_host::offers::{DAC_OVERRIDE, SYS_RESOURCE, TakeBack};
use gleaner_host::reclaim::Means;
use gleaner_model::KnobKind;

/// Why nothing is written into the pods' cgroups, if that is so.
fn unwritten(facts: &Facts) -> Option<String> {
    if facts.shadow() {
        return Some("shadow mode: nothing is written".to_owned());
    }
    if facts.process.user != 0 {
        return Some("an agent must run as root".to_owned());
    }
    if let Err(cause) = &facts.process.writes {
        return Some(format!("cgroups cannot be written: {cause}"));
    }
    let absent = facts.kernel.tree.1.is_none() && facts.mode() != Mode::Standalone;
    absent.then(|| "the pods' cgroup is not there".to_owned())
}

/// A feature that is one knob of the kernel; `without` is what is left where the kernel lacks it.
fn of_knob(facts: &Facts, name: &'static str, kind: KnobKind, without: (On, &str)) -> Feature {
    match (unwritten(facts), facts.offers().and_then(|offers| offers.has(kind))) {
        (Some(cause), _) => feature(name, On::No, cause),
        (None, Some(true)) => feature(name, On::Yes, kind.to_string()),
        (None, Some(false)) => feature(name, without.0, format!("no {kind}{}", without.1)),
        (None, None) => feature(name, On::Unknown, format!("whether there is {kind} is not known")),
    }
}

pub(super) fn own_cpus(facts: &Facts) -> Feature {
    let name = "own CPUs for dedicated pods";
    let knob = of_knob(facts, name, KnobKind::CpusetCpus, (On::No, ""));
    if knob.on != On::Yes {
        return knob;
    }
    let fixed = matches!(facts.cpu_manager(), CpuManager::Gives(_));
    match (facts.mode(), runtime_asks(facts)) {
        (Mode::Reconcile, _) if fixed => feature(name, On::Partly, "kubelet's static CPU manager writes cpusets too"),
        (Mode::Reconcile, _) => feature(name, On::Yes, "cpuset.cpus, soon after a container starts"),
        (Mode::Nri, Some(true)) => feature(name, On::Yes, "cpuset.cpus, from the start of a container"),
        (Mode::Nri, Some(false)) if fixed => {
            feature(name, On::Partly, "kubelet's static CPU manager writes cpusets too, and no runtime asks")
        }
        (Mode::Nri, Some(false)) => feature(name, On::Partly, "no runtime asks: soon after a container starts"),
        (Mode::Nri, None) => feature(name, On::Yes, "cpuset.cpus; whether from the start of a container is not known"),
        (Mode::Qrm, _) => feature(name, On::Yes, "kubelet writes cpuset.cpus from the agent's answers"),
        (Mode::Standalone, _) => knob,
    }
}

pub(super) fn idle(facts: &Facts) -> Feature {
    of_knob(facts, "reclaimed pods idle", KnobKind::CpuIdle, (On::Partly, ": they have the least weight"))
}

pub(super) fn quota(facts: &Facts) -> Feature {
    of_knob(facts, "quota of reclaimed pods", KnobKind::CpuMax, (On::No, ""))
}

pub(super) fn memory_protection(facts: &Facts) -> Feature {
    of_knob(facts, "memory protection", KnobKind::MemoryLow, (On::No, " on this cgroup version"))
}

pub(super) fn slow_down(facts: &Facts) -> Feature {
    of_knob(facts, "slow-down before kill", KnobKind::MemoryHigh, (On::No, ": reclaimed pods meet memory.max at once"))
}

pub(super) fn take_back(facts: &Facts) -> Feature {
    let name = "memory take-back";
    if let Some(cause) = unwritten(facts) {
        return feature(name, On::No, cause);
    }
    match facts.offers().map_or(TakeBack::NotKnown, |offers| offers.take_back) {
        TakeBack::By(Means::Amount) => feature(name, On::Yes, "memory.reclaim"),
        TakeBack::By(Means::Everything) => feature(name, On::Partly, "memory.force_empty takes all that can be had"),
        TakeBack::NotOffered => feature(name, On::No, "the kernel cannot be asked"),
        TakeBack::NotKnown => feature(name, On::Unknown, "whether the kernel can be asked is not known"),
    }
}

pub(super) fn pressure(facts: &Facts) -> Feature {
    let name = "reaction to pressure at once";
    let cgroups = facts.offers().and_then(|offers| offers.cgroup_pressure);
    match (&facts.kernel.windows, cgroups) {
        (Windows::Short, Some(false)) => feature(name, On::Partly, "to that of the node; cgroups have none of their own"),
        (Windows::Short, _) => feature(name, On::Yes, "the kernel wakes the agent"),
        (Windows::Slow, _) => feature(name, On::Partly, "within 2 s: the kernel refuses shorter windows"),
        (Windows::None(_), _) => feature(name, On::No, "the kernel does not wake the agent: each sample looks"),
    }
}

pub(super) fn order_of_killing(facts: &Facts) -> Feature {
    let name = "order of killing";
    if facts.shadow() || facts.process.user != 0 {
        return feature(name, On::No, unwritten(facts).unwrap_or_default());
    }
    let Some(offers) = facts.offers() else { return feature(name, On::Unknown, "what the kernel offers is not known") };
    match (offers.sees_all_processes && !offers.own_users, offers.can(DAC_OVERRIDE), offers.can(SYS_RESOURCE)) {
        (false, ..) => feature(name, On::No, "pods' processes cannot be reached"),
        (true, true, true) => feature(name, On::Yes, "oom_score_adj"),
        (true, false, _) => feature(name, On::Partly, "oom_score_adj of root's processes alone"),
        (true, true, false) => feature(name, On::Partly, "oom_score_adj is raised, never lowered"),
    }
}
