//! Kinds of objects, by what they are called in a path.

use std::fmt;

/// A kind of object that the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// The API group; empty for core.
    pub group: &'static str,
    /// Its version, such as `v1`.
    pub version: &'static str,
    /// The name in paths, such as `pods`.
    pub plural: &'static str,
    /// The name in objects, such as `Pod`.
    pub kind: &'static str,
    /// Whether objects are in namespaces.
    pub namespaced: bool,
    /// Whether the status is written through `/status` alone.
    pub status_subresource: bool,
}

const fn built_in(group: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource { group, version: "v1", plural, kind, namespaced: true, status_subresource: false }
}

/// Nodes.
pub const NODES: Resource = Resource { namespaced: false, status_subresource: true, ..built_in("", "nodes", "Node") };
/// Pods.
pub const PODS: Resource = Resource { status_subresource: true, ..built_in("", "pods", "Pod") };
/// Events as they were. A real server keeps them together with [`EVENTS_V1`]; this one does not.
pub const EVENTS: Resource = built_in("", "events", "Event");
/// Events as they are now.
pub const EVENTS_V1: Resource = built_in("events.k8s.io", "events", "Event");
/// Leases.
pub const LEASES: Resource = built_in("coordination.k8s.io", "leases", "Lease");
/// What nodes lend, for Katalyst's scheduler.
pub const CNRS: Resource = Resource {
    group: "node.katalyst.kubewharf.io",
    version: "v1alpha1",
    plural: "customnoderesources",
    kind: "CustomNodeResource",
    namespaced: false,
    status_subresource: true,
};
/// Which configuration holds for a node.
pub const CNCS: Resource = Resource {
    group: "config.katalyst.kubewharf.io",
    version: "v1alpha1",
    plural: "customnodeconfigs",
    kind: "CustomNodeConfig",
    namespaced: false,
    status_subresource: true,
};
/// Configurations.
pub const ADMIN_QOS: Resource = Resource {
    group: "config.katalyst.kubewharf.io",
    version: "v1alpha1",
    plural: "adminqosconfigurations",
    kind: "AdminQoSConfiguration",
    namespaced: true,
    status_subresource: true,
};

/// What every server knows.
pub(super) const BUILT_IN: [Resource; 5] = [NODES, PODS, EVENTS, EVENTS_V1, LEASES];
/// What a server knows once Katalyst's definitions are installed.
pub(super) const KATALYST: [Resource; 3] = [CNRS, CNCS, ADMIN_QOS];

impl Resource {
    /// `apiVersion` of its objects.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether it comes from a definition and not with the server.
    pub(super) fn is_custom(&self) -> bool {
        !BUILT_IN.contains(self)
    }

    /// Whether an object of it may be replaced without its version.
    pub(super) fn replaced_blindly(&self) -> bool {
        !self.is_custom() && *self != LEASES
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(self.plural) } else { write!(f, "{}.{}", self.plural, self.group) }
    }
}
