//! Nodes that are judged.

use crate::config::{Config, Mode};
use crate::doctor::facts::{AgentSays, Answers, Cluster, Facts, Kernel, KubeletFiles, NriSocket, Process, Said, Shape, Windows};
use crate::doctor::rights::{KINDS, RIGHTS};
use crate::kubelet::{CgroupDriver, Exclusive, KubeletConfig};
use gleaner_host::cgroup::{self, Controller, Version};
use gleaner_host::offers::{DAC_OVERRIDE, Offers, Resctrl, SYS_RESOURCE, TakeBack};
use gleaner_host::reclaim::Means;
use gleaner_model::{Bytes, KnobKind};
use std::path::PathBuf;

const KNOBS: [KnobKind; 6] =
    [KnobKind::CpusetCpus, KnobKind::CpuIdle, KnobKind::CpuMax, KnobKind::MemoryLow, KnobKind::MemoryHigh, KnobKind::MemoryMax];

/// A stock node that has everything.
pub(super) fn full() -> Facts {
    let runtime = Some("containerd v2.1.4".to_owned());
    let policy = r#"{"policyName":"none","defaultCpuSet":"","checksum":1}"#;
    Facts {
        node: "node-1".to_owned(),
        config: Config::default(),
        file: Some(PathBuf::from("/etc/gleaner/gleaner.yaml")),
        problems: Vec::new(),
        agent: Ok(AgentSays { mode: Mode::Nri, shadow: false, runtime, problems: [].into() }),
        kernel: kernel(),
        process: Process { user: 0, writes: Ok(()) },
        nri: NriSocket::There { owner: 0, listens: Some(true) },
        kubelet: KubeletFiles {
            config: KubeletConfig::from_file("{cgroupDriver: systemd, cgroupRoot: /}").map(Some),
            exclusive: Exclusive::parse(policy).map(Some),
        },
        cluster: Cluster::Answers(Box::new(answers())),
    }
}

fn kernel() -> Kernel {
    let offers = Offers {
        controllers: Controller::ALL.map(|controller| (controller, Some(Version::V2))).into(),
        knobs: KNOBS.map(|kind| (kind, Some(true))).into(),
        pressure: ["cpu", "memory", "io"].map(|name| (name, true)).into(),
        cgroup_pressure: Some(true),
        take_back: TakeBack::By(Means::Amount),
        resctrl: Resctrl::Mounted,
        capabilities: 1 << SYS_RESOURCE | 1 << DAC_OVERRIDE,
        sees_all_processes: true,
        own_users: false,
    };
    Kernel {
        release: Ok("6.12.0".to_owned()),
        cgroups: Ok(cgroup::Mode::V2),
        offers: Ok(offers),
        tree: ("/kubepods.slice".parse().unwrap(), Some(CgroupDriver::Systemd)),
        windows: Windows::Short,
        shape: Ok(Shape { cpus: 64, sockets: 2, nodes: 4, l3_groups: 8, threads: 2 }),
        swap: Ok(Bytes::ZERO),
    }
}

fn answers() -> Answers {
    let verbs = RIGHTS.iter().flat_map(|right| right.verbs.iter().map(|verb| ((right.resource, *verb), Said::Yes)));
    Answers {
        node: "node-1".to_owned(),
        version: Ok("v1.33.2".to_owned()),
        knows_node: Said::Yes,
        kinds: KINDS.iter().map(|(kind, _)| (*kind, Said::Yes)).collect(),
        rights: verbs.collect(),
    }
}

/// That node with cgroup v1.
pub(super) fn on_v1(mode: cgroup::Mode) -> Facts {
    let mut facts = full();
    facts.kernel.cgroups = Ok(mode);
    facts.kernel.tree = ("/kubepods".parse().unwrap(), Some(CgroupDriver::Cgroupfs));
    knob(&mut facts, KnobKind::MemoryLow, Some(false));
    knob(&mut facts, KnobKind::MemoryHigh, Some(false));
    if let Ok(offers) = &mut facts.kernel.offers {
        offers.controllers.values_mut().for_each(|version| *version = Some(Version::V1));
        (offers.take_back, offers.cgroup_pressure) = (TakeBack::By(Means::Everything), Some(false));
    }
    facts
}

/// Changes whether there is a knob.
pub(super) fn knob(facts: &mut Facts, kind: KnobKind, there: Option<bool>) {
    if let Ok(offers) = &mut facts.kernel.offers {
        offers.knobs.insert(kind, there);
    }
}
