//! Kubelet, container runtime, API server.

use super::Of;
use crate::config::Mode;
use crate::doctor::facts::{Answers, Cluster, CpuManager, Facts, NriSocket, Said};
use crate::doctor::rights::{ADMIN_QOS, CNR, NODE_CONFIG};
use crate::doctor::{Finding, Group};
use crate::kubelet::{CgroupDriver, KubeletConfig};

const OF: Of = Of(Group::Kubernetes);
/// The oldest minor version of Kubernetes 1 that the manifests and the agent are made for.
const OLDEST: u32 = 30;

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    if facts.mode() == Mode::Standalone {
        return vec![OF.ok("kubernetes", "not used: mode standalone")];
    }
    let mut all = vec![nri(facts)];
    if facts.is_stock() {
        all.extend([kubelet(facts), cpu_manager(facts)]);
    }
    all.extend(cluster(facts));
    all
}

fn nri(facts: &Facts) -> Finding {
    let (name, socket) = ("NRI socket", facts.config.nri.socket.display());
    if facts.mode() != Mode::Nri {
        return OF.ok(name, format!("not used: mode {}", facts.mode()));
    }
    let lost = "containers are changed soon after they start, not before";
    let lacks = |what: String, remedy: &str| OF.missing(name, what, format!("{lost}: {remedy}")).needed();
    let enable = "enable NRI in the runtime, or choose mode reconcile";
    match &facts.nri {
        // Its own word, and the best there is.
        _ if facts.agent.as_ref().is_ok_and(|agent| agent.runtime.is_some()) => OF.ok(name, format!("{socket}, the agent is connected")),
        NriSocket::Absent => lacks(format!("{socket} is not there"), enable),
        NriSocket::NoSocket => lacks(format!("{socket} is no socket"), "set nri.socket to the runtime's"),
        NriSocket::Hidden(cause) => OF.unknown(name, format!("{socket}: {cause}")),
        NriSocket::There { listens: Some(false), .. } => lacks(format!("nobody listens on {socket}"), "start the runtime with NRI enabled"),
        NriSocket::There { listens: None, .. } => OF.unknown(name, format!("{socket} is there; who listens is not seen without hostPID")),
        NriSocket::There { owner: 0, .. } => OF.ok(name, format!("{socket} listens")),
        NriSocket::There { owner, .. } => OF.limited(
            name,
            format!("{socket} listens, and is of user {owner}"),
            "whoever serves it decides what containers get: see that it is the runtime's",
        ),
    }
}

fn kubelet(facts: &Facts) -> Finding {
    let (name, dir) = ("kubelet", facts.config.kubernetes.kubelet_dir.display());
    let config = match &facts.kubelet.config {
        Ok(Some(config)) => config,
        Ok(None) => {
            let effect = "its reserves and managers are not known from the file: set kubernetes.kubeletDir, or allow get nodes/proxy";
            return OF.missing(name, format!("no config.yaml in {dir}"), effect);
        }
        Err(cause) => return OF.unknown(name, cause),
    };
    if config.cgroup_root != facts.config.cgroup_root && !config.assumed.contains(&"cgroupRoot") {
        let what = format!("its cgroupRoot is {}, the agent's {}", config.cgroup_root, facts.config.cgroup_root);
        return OF.missing(name, what, "the agent looks for pods in another place: set cgroupRoot to kubelet's").needed();
    }
    let what = summary(config);
    if config.memory_qos {
        let effect = "kubelet and the agent both write memory.high: switch kubelet's feature gate MemoryQoS off";
        return OF.limited(name, format!("{what}, MemoryQoS on"), effect);
    }
    OF.ok(name, what)
}

fn summary(config: &KubeletConfig) -> String {
    let driver = match config.cgroup_driver {
        CgroupDriver::Cgroupfs => "cgroupfs",
        CgroupDriver::Systemd => "systemd",
    };
    let assumed = if config.assumed.contains(&"cgroupDriver") { " (assumed)" } else { "" };
    format!(
        "driver {driver}{assumed}, memory manager {}, topology manager {}",
        config.memory_manager_policy, config.topology_manager_policy
    )
}

fn cpu_manager(facts: &Facts) -> Finding {
    let name = "kubelet's CPU manager";
    let exclusive = match facts.cpu_manager() {
        CpuManager::Gives(exclusive) => exclusive,
        CpuManager::Keeps(policy) => return OF.ok(name, format!("{policy}: nothing is exclusive")),
        CpuManager::NotKnown(cause) => return OF.unknown(name, cause),
    };
    let cpus = exclusive.all();
    let what = match cpus.count() {
        0 => "static: no CPU is exclusive now".to_owned(),
        1 => format!("static: CPU {cpus} is exclusive"),
        _ => format!("static: CPUs {cpus} are exclusive"),
    };
    if facts.mode() == Mode::Reconcile {
        return OF.limited(name, what, "kubelet writes the CPUs of all other containers too: use mode nri, or cpuManagerPolicy: none");
    }
    OF.ok(name, what)
}

fn cluster(facts: &Facts) -> Vec<Finding> {
    let name = "API server";
    let lost = if facts.is_stock() { "pods' annotations are not known, and nothing is reported" } else { "nothing is reported" };
    let needed = facts.is_stock() || facts.config.report.is_on();
    let lacks = |what: &str, remedy: &str| vec![OF.missing(name, what, format!("{lost}: {remedy}")).needed_if(needed)];
    match &facts.cluster {
        Cluster::NotAsked => vec![OF.unknown(name, "not asked")],
        Cluster::NoWay(cause) => lacks(cause, "set kubernetes.kubeconfig, or run the agent as a pod"),
        Cluster::Silent(cause) => lacks(cause, "see that it runs and that this node reaches it"),
        Cluster::Answers(answers) => of_answers(facts, answers),
    }
}

fn of_answers(facts: &Facts, answers: &Answers) -> Vec<Finding> {
    let version = match &answers.version {
        Ok(version) if minor(version).is_some_and(|minor| minor < OLDEST) => {
            OF.limited("API server", version, format!("nobody tried a version so old: use Kubernetes 1.{OLDEST} or newer"))
        }
        Ok(version) => OF.ok("API server", version),
        Err(cause) => OF.unknown("API server", cause),
    };
    let node = match &answers.knows_node {
        Said::Yes => OF.ok("node", &answers.node),
        Said::No(cause) => {
            let effect = "no pod is found and nothing is reported: set kubernetes.nodeName, or NODE_NAME";
            OF.missing("node", cause, effect).needed()
        }
        Said::NotKnown(cause) => OF.unknown("node", cause),
    };
    let report = facts.config.report.custom_node_resource;
    let follow = facts.config.kubernetes.follow_configuration;
    let kind = |kind: &str, wanted: bool, key: &str, effect: &str| match answers.kinds.get(kind) {
        _ if !wanted => OF.ok(format!("kind {kind}"), format!("not used: {key} is off")),
        Some(Said::Yes) => OF.ok(format!("kind {kind}"), "there"),
        Some(Said::No(_)) => OF.missing(format!("kind {kind}"), "not there", effect),
        Some(Said::NotKnown(cause)) => OF.unknown(format!("kind {kind}"), cause),
        None => OF.unknown(format!("kind {kind}"), "not asked"),
    };
    let cnr = "Katalyst's scheduler is told of nothing that is lent: apply manifests/crds, or switch report.customNodeResource off";
    let configuration = "the file alone configures: apply Katalyst's definitions where configuration by objects is wanted";
    vec![
        version,
        node,
        kind(CNR, report, "report.customNodeResource", cnr),
        kind(ADMIN_QOS, follow, "kubernetes.followConfiguration", configuration),
        kind(NODE_CONFIG, follow, "kubernetes.followConfiguration", configuration),
    ]
}

/// The minor version of `v1.33.2+k3s1`; `None` where it is not Kubernetes 1.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("v1.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
