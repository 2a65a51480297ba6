//! What the agent tells the cluster, and takes from it.

use super::feature;
use crate::config::Mode;
use crate::doctor::facts::{Answers, Cluster, CpuManager, Facts, Said};
use crate::doctor::rights::{ADMIN_QOS, CNR, EVICTION, NODE_CONFIG, NODE_STATUS};
use crate::doctor::{Feature, On};

/// Why nothing can be told to the cluster, if that is so.
fn unreached(facts: &Facts) -> Result<&Answers, (On, &'static str)> {
    match &facts.cluster {
        Cluster::Answers(answers) if matches!(answers.knows_node, Said::No(_)) => Err((On::No, "the cluster has no node of this name")),
        Cluster::Answers(answers) => Ok(answers),
        Cluster::Silent(_) => Err((On::No, "the API server does not answer")),
        Cluster::NoWay(_) => Err((On::No, "no cluster was found")),
        Cluster::NotAsked => Err((On::Unknown, "the cluster was not asked")),
    }
}

/// Whether all of these are allowed, and if not, which is not.
fn allowed(answers: &Answers, wanted: &[(&'static str, &'static [&'static str])]) -> Result<(), (On, String)> {
    for (resource, verb) in wanted.iter().flat_map(|(resource, verbs)| verbs.iter().map(move |verb| (*resource, *verb))) {
        match answers.rights.get(&(resource, verb)) {
            Some(Said::Yes) => {}
            Some(Said::No(_)) => return Err((On::No, format!("{verb} {resource} is not allowed"))),
            Some(Said::NotKnown(_)) | None => return Err((On::Unknown, format!("whether {verb} {resource} is allowed is not known"))),
        }
    }
    Ok(())
}

/// A feature that is on when it is wanted, the kinds are there and the rights too.
struct Wanted<'a> {
    name: &'static str,
    /// Why it is not wanted.
    unwanted: Option<&'a str>,
    kinds: &'a [&'static str],
    rights: &'a [(&'static str, &'static [&'static str])],
    good: &'a str,
}

impl Wanted<'_> {
    fn judge(&self, facts: &Facts) -> Feature {
        if facts.mode() == Mode::Standalone {
            return feature(self.name, On::No, "mode standalone");
        }
        if let Some(cause) = self.unwanted {
            return feature(self.name, On::No, cause);
        }
        let answers = match unreached(facts) {
            Ok(answers) => answers,
            Err((on, cause)) => return feature(self.name, on, cause),
        };
        for kind in self.kinds {
            match answers.kinds.get(kind) {
                Some(Said::Yes) => {}
                Some(Said::No(_)) => return feature(self.name, On::No, format!("there is no kind {kind}")),
                _ => return feature(self.name, On::Unknown, format!("whether there is a kind {kind} is not known")),
            }
        }
        match allowed(answers, self.rights) {
            Ok(()) => feature(self.name, On::Yes, self.good),
            Err((on, cause)) => feature(self.name, on, cause),
        }
    }
}

fn off(wanted: bool, key: &str) -> Option<&str> {
    (!wanted).then_some(key)
}

pub(super) fn node_status(facts: &Facts) -> Feature {
    let wanted = Wanted {
        name: "reporting to the Node",
        unwanted: off(facts.config.report.node_status, "report.nodeStatus is off"),
        kinds: &[],
        rights: &[("nodes", &["list", "watch"]), (NODE_STATUS, &["patch"])],
        good: "for the default scheduler",
    };
    wanted.judge(facts)
}

pub(super) fn custom_node_resource(facts: &Facts) -> Feature {
    let wanted = Wanted {
        name: "reporting to the CNR",
        unwanted: off(facts.config.report.custom_node_resource, "report.customNodeResource is off"),
        kinds: &[CNR],
        rights: &[("nodes", &["list", "watch"]), (CNR, &["get", "create", "patch"]), ("customnoderesources/status", &["patch"])],
        good: "for Katalyst's scheduler",
    };
    wanted.judge(facts)
}

pub(super) fn eviction(facts: &Facts) -> Feature {
    let name = "eviction by the API server";
    if facts.mode() == Mode::Standalone {
        return feature(name, On::No, "mode standalone: the agent ends pods itself");
    }
    let wanted = Wanted {
        name,
        unwanted: off(!facts.shadow(), "shadow mode: nobody is evicted"),
        kinds: &[],
        rights: &[(EVICTION, &["create"])],
        good: "disruption budgets hold",
    };
    let found = wanted.judge(facts);
    let pressure = facts.offers().and_then(|offers| offers.pressure.get("memory")).copied();
    if found.on == On::Yes && pressure == Some(false) {
        return feature(name, On::Partly, "but for memory pressure, which the kernel does not tell");
    }
    found
}

pub(super) fn configuration(facts: &Facts) -> Feature {
    let wanted = Wanted {
        name: "configuration by objects",
        unwanted: off(facts.config.kubernetes.follow_configuration, "kubernetes.followConfiguration is off"),
        kinds: &[ADMIN_QOS],
        rights: &[(ADMIN_QOS, &["list", "watch"])],
        good: "AdminQoSConfiguration and CustomNodeConfig",
    };
    let found = wanted.judge(facts);
    // The node's own object only chooses among configurations.
    let node = facts.answers().and_then(|answers| answers.kinds.get(NODE_CONFIG));
    if found.on == On::Yes && node != Some(&Said::Yes) {
        return feature(found.name, On::Partly, "AdminQoSConfiguration alone: there is no kind customnodeconfigs");
    }
    found
}

pub(super) fn exclusive_cpus(facts: &Facts) -> Feature {
    let name = "kubelet's exclusive CPUs kept";
    if !facts.is_stock() {
        return feature(name, On::No, format!("mode {}: no kubelet gives CPUs away by itself", facts.mode()));
    }
    match facts.cpu_manager() {
        CpuManager::Gives(_) => feature(name, On::Yes, "CPUs of cpu_manager_state are given to nobody else"),
        CpuManager::Keeps(_) => feature(name, On::Yes, "its CPU manager gives none away"),
        CpuManager::NotKnown(cause) => feature(name, On::Unknown, cause),
    }
}
