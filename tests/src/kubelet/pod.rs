//! Pods as the kubelet's resource manager sees them.

use gleaner_crds::keys::resource;
use gleaner_crds::resourceplugin::{ContainerType, ResourceRequest, TopologyHint};
use gleaner_model::{Bytes, MilliCpu};
use std::collections::BTreeMap;

/// A pod to admit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QrmPod {
    /// The uid.
    pub uid: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The fork's role of a pod, usually empty.
    pub role: String,
    /// The fork's type of a pod, usually empty.
    pub pod_type: String,
    /// Kubernetes' own class: `Guaranteed`, `Burstable`, `BestEffort`.
    pub native_qos_class: String,
    /// The runtime class; empty for the usual one.
    pub runtime_class: String,
    /// Containers, each kind in the order of the pod's specification.
    pub containers: Vec<QrmContainer>,
}

/// A container of it.
#[derive(Debug, Clone, PartialEq)]
pub struct QrmContainer {
    /// The name.
    pub name: String,
    /// Init, main or sidecar.
    pub kind: ContainerType,
    /// Amounts by the resource's name in the pod: cores, bytes, and thousandths of a core of reclaimed CPU.
    pub requests: BTreeMap<String, f64>,
}

impl QrmPod {
    /// A burstable pod of this name in the namespace `default`, with a uid made of its name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let namespace = "default".to_owned();
        Self { uid: format!("uid-{name}"), namespace, name: name.to_owned(), native_qos_class: "Burstable".to_owned(), ..Self::default() }
    }

    /// With one more container.
    #[must_use]
    pub fn container(mut self, container: QrmContainer) -> Self {
        self.containers.push(container);
        self
    }

    /// With an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Containers in the order in which the kubelet admits them, with the place of each in its list: init containers have one of their own.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (u64, &QrmContainer)> {
        let of = |init: bool| {
            let some = self.containers.iter().filter(move |container| (container.kind == ContainerType::Init) == init);
            (0..).zip(some)
        };
        of(true).chain(of(false))
    }

    /// What is asked of a plugin for one container. The resource of the plugin and the name in the pod differ for reclaimed ones.
    pub(super) fn request(&self, index: u64, container: &QrmContainer, wanted: &Wanted, hint: Option<TopologyHint>) -> ResourceRequest {
        ResourceRequest {
            pod_uid: self.uid.clone(),
            pod_namespace: self.namespace.clone(),
            pod_name: self.name.clone(),
            container_name: container.name.clone(),
            container_type: container.kind.into(),
            container_index: index,
            pod_role: self.role.clone(),
            pod_type: self.pod_type.clone(),
            resource_name: wanted.resource.clone(),
            hint,
            resource_requests: BTreeMap::from([(wanted.key.clone(), wanted.amount)]),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            native_qos_class: self.native_qos_class.clone(),
            runtime_class: self.runtime_class.clone(),
        }
    }
}

/// One resource that a container asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// The plugin's resource.
    pub(super) resource: String,
    /// The name in the pod.
    pub(super) key: String,
    pub(super) amount: f64,
}

/// Which plugin serves a resource of a pod: the kubelet's flag maps reclaimed resources to the ordinary ones.
fn mapped(key: &str) -> &str {
    match key {
        resource::RECLAIMED_MILLICPU => resource::CPU,
        resource::RECLAIMED_MEMORY => resource::MEMORY,
        other => other,
    }
}

impl QrmContainer {
    fn new(name: &str, kind: ContainerType) -> Self {
        Self { name: name.to_owned(), kind, requests: BTreeMap::new() }
    }

    /// The main container.
    #[must_use]
    pub fn main(name: &str) -> Self {
        Self::new(name, ContainerType::Main)
    }

    /// One beside the main container.
    #[must_use]
    pub fn sidecar(name: &str) -> Self {
        Self::new(name, ContainerType::Sidecar)
    }

    /// One before the others.
    #[must_use]
    pub fn init(name: &str) -> Self {
        Self::new(name, ContainerType::Init)
    }

    /// Asks for CPU.
    #[must_use]
    pub fn cpu(self, amount: MilliCpu) -> Self {
        self.requests(resource::CPU, amount.get() as f64 / 1000.0)
    }

    /// Asks for memory.
    #[must_use]
    pub fn memory(self, amount: Bytes) -> Self {
        self.requests(resource::MEMORY, amount.get() as f64)
    }

    /// Asks for reclaimed CPU.
    #[must_use]
    pub fn reclaimed_cpu(self, amount: MilliCpu) -> Self {
        self.requests(resource::RECLAIMED_MILLICPU, amount.get() as f64)
    }

    /// Asks for reclaimed memory.
    #[must_use]
    pub fn reclaimed_memory(self, amount: Bytes) -> Self {
        self.requests(resource::RECLAIMED_MEMORY, amount.get() as f64)
    }

    /// Asks for any resource, in its own unit.
    #[must_use]
    pub fn requests(mut self, key: &str, amount: f64) -> Self {
        self.requests.insert(key.to_owned(), amount);
        self
    }

    pub(super) fn wanted(&self) -> Vec<Wanted> {
        let each = |(key, amount): (&String, &f64)| Wanted { resource: mapped(key).to_owned(), key: key.clone(), amount: *amount };
        self.requests.iter().map(each).collect()
    }
}
