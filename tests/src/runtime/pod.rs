//! Pods and containers as the caller of the runtime asks for them.

use super::amounts::Amounts;
use crate::Node;
use std::collections::BTreeMap;

/// A pod to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSpec {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Kubelet's own string: a path with the cgroupfs driver, the last slice's name with the systemd driver.
    pub cgroup_parent: String,
    /// What its containers ask for together, where kubelet tells.
    pub resources: Option<Amounts>,
}

impl PodSpec {
    /// A burstable pod in the namespace `default`, below `/kubepods`, with the cgroupfs driver.
    #[must_use]
    pub fn new(name: &str, uid: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: "default".to_owned(),
            uid: uid.to_owned(),
            cgroup_parent: format!("/kubepods/burstable/pod{uid}"),
            ..Self::default()
        }
    }

    /// With the systemd driver.
    #[must_use]
    pub fn systemd(mut self) -> Self {
        self.cgroup_parent = format!("kubepods-burstable-pod{}.slice", self.uid.replace('-', "_"));
        self
    }

    /// Below a test's node, with the cgroupfs driver.
    #[must_use]
    pub fn on(self, node: &Node) -> Self {
        let parent = format!("{}/burstable/pod{}", node.kubepods(), self.uid);
        self.below(&parent)
    }

    /// With this parent.
    #[must_use]
    pub fn below(mut self, cgroup_parent: &str) -> Self {
        cgroup_parent.clone_into(&mut self.cgroup_parent);
        self
    }

    /// With this annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With this label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Whose containers ask for this together.
    #[must_use]
    pub fn resources(mut self, resources: Amounts) -> Self {
        self.resources = Some(resources);
        self
    }
}

/// A container to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Its name in the pod.
    pub name: String,
    /// Its own annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What kubelet asks for.
    pub resources: Amounts,
}

impl ContainerSpec {
    /// A container that asks for these resources.
    #[must_use]
    pub fn new(name: &str, resources: Amounts) -> Self {
        Self { name: name.to_owned(), resources, ..Self::default() }
    }
}

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// It may be started.
    Created,
    /// It runs.
    Running,
    /// It has ended.
    Exited,
}
