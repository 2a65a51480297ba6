//! What the agent does in the cluster, and what is lost where it may not.

use super::facts::Facts;
use crate::config::Mode;
use crate::kubernetes::PodsFrom;

/// Verbs on one resource that are used for one thing.
#[derive(Debug)]
pub(super) struct Right {
    /// The API group; empty: the core.
    pub(super) group: &'static str,
    /// The resource, with its subresource after a slash.
    pub(super) resource: &'static str,
    /// The verbs.
    pub(super) verbs: &'static [&'static str],
    /// Whether only the object of this node's name is meant.
    pub(super) own: bool,
    /// What is lost without it.
    pub(super) lost: &'static str,
}

/// The kind of Katalyst's reports, and those of its configuration.
pub(super) const NODE_GROUP: &str = "node.katalyst.kubewharf.io";
pub(super) const CONFIG_GROUP: &str = "config.katalyst.kubewharf.io";
pub(super) const CNR: &str = "customnoderesources";
pub(super) const ADMIN_QOS: &str = "adminqosconfigurations";
pub(super) const NODE_CONFIG: &str = "customnodeconfigs";
pub(super) const NODE_STATUS: &str = "nodes/status";
pub(super) const EVICTION: &str = "pods/eviction";

/// Kinds that others defined, with group and version in a path.
pub(super) const KINDS: [(&str, &str); 3] = [
    (CNR, "/apis/node.katalyst.kubewharf.io/v1alpha1"),
    (ADMIN_QOS, "/apis/config.katalyst.kubewharf.io/v1alpha1"),
    (NODE_CONFIG, "/apis/config.katalyst.kubewharf.io/v1alpha1"),
];

/// Everything that the agent may do in a cluster.
pub(super) const RIGHTS: [Right; 11] = [
    Right {
        group: "",
        resource: "pods",
        verbs: &["list", "watch"],
        own: false,
        lost: "the classes of this node's pods are not known, and nothing is lent",
    },
    Right {
        group: "",
        resource: "nodes",
        verbs: &["get", "list", "watch"],
        own: true,
        lost: "labels and capacity of this node are not known, and nothing is reported",
    },
    Right { group: "", resource: NODE_STATUS, verbs: &["patch"], own: true, lost: "the default scheduler is told of nothing that is lent" },
    Right { group: "", resource: "nodes", verbs: &["patch"], own: true, lost: "a loaded node gets no taint" },
    Right {
        group: "events.k8s.io",
        resource: "events",
        verbs: &["create", "patch"],
        own: false,
        lost: "no Event tells why a pod was evicted, or what is wrong with its annotations",
    },
    Right { group: "", resource: EVICTION, verbs: &["create"], own: false, lost: "reclaimed pods are slowed down, but never evicted" },
    Right {
        group: NODE_GROUP,
        resource: CNR,
        verbs: &["get", "create", "patch"],
        own: true,
        lost: "Katalyst's scheduler is told of nothing that is lent",
    },
    Right {
        group: NODE_GROUP,
        resource: "customnoderesources/status",
        verbs: &["patch"],
        own: true,
        lost: "Katalyst's scheduler is told of nothing that is lent",
    },
    Right {
        group: CONFIG_GROUP,
        resource: ADMIN_QOS,
        verbs: &["get", "list", "watch"],
        own: false,
        lost: "the cluster's configuration is not followed",
    },
    Right {
        group: CONFIG_GROUP,
        resource: NODE_CONFIG,
        verbs: &["get", "list", "watch"],
        own: true,
        lost: "the cluster's configuration is not followed",
    },
    Right {
        group: "",
        resource: "nodes/proxy",
        verbs: &["get"],
        own: true,
        lost: "flags of kubelet are not seen: its configuration is read from its file",
    },
];

impl Right {
    /// What it is called on the page.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.verbs.join(", "), self.resource)
    }

    /// Whether a component or overlay gives it that is not part of the base.
    fn component(&self) -> Option<&'static str> {
        match (self.resource, self.verbs) {
            ("nodes", ["patch"]) => Some("node-taint"),
            ("nodes/proxy", _) => Some("kubelet-api"),
            _ => None,
        }
    }

    /// What to do to have it.
    pub(super) fn remedy(&self) -> String {
        match self.component() {
            Some(component) => format!("add manifests/components/{component}"),
            None => "apply manifests/base/rbac.yaml".to_owned(),
        }
    }

    /// How much this configuration needs it.
    pub(super) fn need(&self, facts: &Facts) -> Need {
        let report = &facts.config.report;
        let from_api = facts.config.kubernetes.pods_from == PodsFrom::Api;
        let unless = |wanted: bool, key: &'static str, need: Need| if wanted { need } else { Need::No(key) };
        match (self.resource, self.verbs) {
            ("pods", _) if !facts.is_stock() => Need::No("pods come from kubelet's calls"),
            ("pods", _) => unless(from_api, "kubernetes.podsFrom is kubelet", Need::Must),
            (EVICTION, _) if facts.mode() == Mode::Qrm => Need::Should,
            (EVICTION, _) => unless(!facts.shadow(), "nothing is evicted in shadow mode", Need::Must),
            ("nodes", ["patch"]) => unless(report.node_taint, "report.nodeTaint is off", Need::Should),
            ("nodes", _) => unless(report.is_on(), "nothing is reported", Need::Must),
            (NODE_STATUS, _) => unless(report.node_status, "report.nodeStatus is off", Need::Must),
            ("nodes/proxy", _) if !from_api && facts.is_stock() => Need::Must,
            (ADMIN_QOS | NODE_CONFIG, _) => {
                unless(facts.config.kubernetes.follow_configuration, "kubernetes.followConfiguration is off", Need::Should)
            }
            (resource, _) if resource.starts_with(CNR) => {
                unless(report.custom_node_resource, "report.customNodeResource is off", Need::Must)
            }
            _ => Need::Should,
        }
    }

    /// The kind that must be there for it to mean anything.
    pub(super) fn kind(&self) -> Option<&'static str> {
        let of = |(kind, _): &(&'static str, &str)| (self.resource.split('/').next() == Some(*kind)).then_some(*kind);
        KINDS.iter().find_map(of)
    }
}

/// How much a configuration needs a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The mode cannot do its work without it.
    Must,
    /// Something is lost without it.
    Should,
    /// It is not used; why.
    No(&'static str),
}
