//! What the kernel and the machine offer.

use super::Of;
use crate::config::Mode;
use crate::doctor::facts::{Facts, Kernel, Windows};
use crate::doctor::{Finding, Group};
use crate::kubelet::CgroupDriver;
use gleaner_host::cgroup::{self, Controller, Version};
use gleaner_host::offers::{Offers, Resctrl, TakeBack};
use gleaner_host::reclaim::Means;
use gleaner_model::KnobKind;

const OF: Of = Of(Group::Kernel);
const BOOT_V2: &str = "boot with systemd.unified_cgroup_hierarchy=1";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let kernel = &facts.kernel;
    let mut all = vec![release(kernel), cgroups(kernel)];
    match &kernel.offers {
        Ok(offers) => {
            all.extend([controllers(offers), tree(facts)]);
            all.extend(KNOBS.map(|knob| of_knob(offers, knob)));
            all.extend([take_back(offers), node_pressure(offers), cgroup_pressure(offers), windows(kernel), resctrl(offers)]);
        }
        Err(cause) => all.push(OF.unknown("controllers", cause)),
    }
    all.extend([topology(kernel), swap(kernel)]);
    all
}

fn release(kernel: &Kernel) -> Finding {
    match &kernel.release {
        Ok(release) => OF.ok("release", release),
        Err(cause) => OF.unknown("release", cause),
    }
}

fn cgroups(kernel: &Kernel) -> Finding {
    let name = "cgroups";
    match &kernel.cgroups {
        Ok(mode @ cgroup::Mode::V2) => OF.ok(name, mode.to_string()),
        Ok(mode) => OF.limited(name, mode.to_string(), format!("memory is neither protected nor slowed down: {BOOT_V2}")),
        Err(cause) => OF.missing(name, cause, "nothing can be measured or isolated: mount /sys/fs/cgroup").needed(),
    }
}

fn controllers(offers: &Offers) -> Finding {
    // What are two controllers on v1 may be one on v2.
    let word = |controller: &Controller, version: Version| match version {
        Version::V1 => format!("{controller} v1"),
        Version::V2 => format!("{} v2", controller.v2_name().unwrap_or(controller.v1_name())),
    };
    let mut there: Vec<String> = offers.controllers.iter().filter_map(|(one, version)| Some(word(one, (*version)?))).collect();
    there.dedup();
    let there = there.join(", ");
    let needed = [Controller::Cpu, Controller::Cpuacct, Controller::Cpuset, Controller::Memory];
    let lacking = needed.into_iter().filter(|controller| offers.controllers.get(controller).copied().flatten().is_none());
    let lacking: Vec<&str> = lacking.map(Controller::v1_name).collect();
    if lacking.is_empty() {
        return OF.ok("controllers", there);
    }
    let effect = "what they measure and bound is neither: boot with cgroup_enable=memory, or a kernel that has them";
    OF.missing("controllers", format!("no {}; there are: {there}", lacking.join(", no ")), effect).needed()
}

fn tree(facts: &Facts) -> Finding {
    let name = "pods' cgroup";
    let (tree, driver) = &facts.kernel.tree;
    match driver {
        Some(CgroupDriver::Systemd) => OF.ok(name, format!("{tree}, of the systemd driver")),
        Some(CgroupDriver::Cgroupfs) => OF.ok(name, format!("{tree}, of the cgroupfs driver")),
        None if facts.mode() == Mode::Standalone => OF.ok(name, format!("none yet: the agent makes {tree}")),
        None => {
            let what = format!("neither kubepods nor kubepods.slice below {}", facts.config.cgroup_root);
            OF.missing(name, what, "no pod can be managed: start kubelet, or set cgroupRoot to its own").needed()
        }
    }
}

/// A knob that not every kernel has: what is lost without it.
struct Lost {
    kind: KnobKind,
    effect: &'static str,
    needed: bool,
}

const KNOBS: [Lost; 6] = [
    Lost { kind: KnobKind::CpusetCpus, effect: "no pod gets CPUs of its own: boot a kernel with CONFIG_CPUSETS", needed: true },
    Lost { kind: KnobKind::CpuIdle, effect: "the least weight alone puts reclaimed pods last: boot Linux 5.15 or newer", needed: false },
    Lost { kind: KnobKind::CpuMax, effect: "reclaimed pods have no quota: boot a kernel with CONFIG_CFS_BANDWIDTH", needed: false },
    Lost {
        kind: KnobKind::MemoryLow,
        effect: "memory of pods is not protected: boot with systemd.unified_cgroup_hierarchy=1",
        needed: false,
    },
    Lost {
        kind: KnobKind::MemoryHigh,
        effect: "reclaimed pods are killed without being slowed down before: boot with systemd.unified_cgroup_hierarchy=1",
        needed: false,
    },
    Lost { kind: KnobKind::MemoryMax, effect: "memory of reclaimed pods is not bounded: boot with cgroup_enable=memory", needed: true },
];

fn of_knob(offers: &Offers, knob: Lost) -> Finding {
    let name = knob.kind.to_string();
    match offers.has(knob.kind) {
        Some(true) => OF.ok(name, "there"),
        Some(false) => OF.missing(name, "not there", knob.effect).needed_if(knob.needed),
        None => OF.unknown(name, NO_CGROUP),
    }
}

const NO_CGROUP: &str = "there is no cgroup to look at";

fn take_back(offers: &Offers) -> Finding {
    let name = "memory take-back";
    match offers.take_back {
        TakeBack::By(Means::Amount) => OF.ok(name, "memory.reclaim, by amount"),
        TakeBack::By(Means::Everything) => {
            let effect = format!("all that can be had is taken, what is in use too: {BOOT_V2}, Linux 5.19 or newer");
            OF.limited(name, "memory.force_empty alone", effect)
        }
        TakeBack::NotOffered => OF.missing(name, "not there", "idle memory of reclaimed pods stays theirs: boot Linux 5.19 or newer"),
        TakeBack::NotKnown => OF.unknown(name, NO_CGROUP),
    }
}

fn node_pressure(offers: &Offers) -> Finding {
    let name = "pressure of the node";
    let (there, lacking): (Vec<_>, Vec<_>) = offers.pressure.iter().partition(|(_, there)| **there);
    let names = |list: Vec<(&&str, &bool)>| list.iter().map(|(name, _)| **name).collect::<Vec<_>>().join(", ");
    let memory = offers.pressure.get("memory").copied().unwrap_or_default();
    match (memory, lacking.is_empty()) {
        (true, true) => OF.ok(name, names(there)),
        (true, false) => OF.limited(name, format!("no {}", names(lacking)), "waiting for it is not seen: boot with psi=1"),
        (false, _) => OF.missing(name, format!("no {}", names(lacking)), "nobody is evicted for memory pressure: boot with psi=1"),
    }
}

fn cgroup_pressure(offers: &Offers) -> Finding {
    let name = "pressure of cgroups";
    match offers.cgroup_pressure {
        Some(true) => OF.ok(name, "there"),
        Some(false) => OF.missing(
            name,
            "not there",
            "pressure inside the pods' cgroup is not told apart from the node's: boot with psi=1 and cgroup v2",
        ),
        None => OF.unknown(name, NO_CGROUP),
    }
}

fn windows(kernel: &Kernel) -> Finding {
    let name = "short pressure windows";
    match &kernel.windows {
        Windows::Short => OF.ok(name, "taken"),
        Windows::Slow => {
            let effect = "memory pressure is told within 2 s and not at once: give the agent CAP_SYS_RESOURCE";
            OF.limited(name, "refused, those of 2 s are taken", effect)
        }
        Windows::None(cause) => {
            OF.missing(name, cause, "memory pressure is seen at the next sample only: boot with psi=1, and let /proc/pressure be written")
        }
    }
}

fn resctrl(offers: &Offers) -> Finding {
    let what = match offers.resctrl {
        Resctrl::Mounted => "mounted",
        Resctrl::NotMounted => "offered, not mounted",
        Resctrl::Absent => "not offered",
    };
    // Nothing depends on it, so its absence is nothing to act on.
    OF.ok("resctrl", format!("{what}; this version does not use it"))
}

fn topology(kernel: &Kernel) -> Finding {
    let shape = match &kernel.shape {
        Ok(shape) => shape,
        Err(cause) => return OF.missing("topology", cause, "no CPU can be given to anybody: mount /sys").needed(),
    };
    let some = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let l3 = if shape.l3_groups == 0 { "no L3 told of".to_owned() } else { some(shape.l3_groups, "L3 group", "L3 groups") };
    let threads = if shape.threads > 1 { format!("{} threads a core", shape.threads) } else { "no SMT".to_owned() };
    let (sockets, nodes) = (some(shape.sockets, "socket", "sockets"), some(shape.nodes, "NUMA node", "NUMA nodes"));
    OF.ok("topology", format!("{} CPUs, {sockets}, {nodes}, {l3}, {threads}", shape.cpus))
}

fn swap(kernel: &Kernel) -> Finding {
    match &kernel.swap {
        Ok(swap) if swap.is_zero() => OF.ok("swap", "none"),
        Ok(swap) => OF.ok("swap", format!("{}; memory that is taken back may go there", swap.rounded())),
        Err(cause) => OF.unknown("swap", cause),
    }
}
