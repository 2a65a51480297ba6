//! A pod as far as the node needs to know it.

use crate::extended::{ResourceCount, ResourceName};
use crate::hugepages::PageSize;
use crate::names::{ContainerName, PodName, PodUid};
use crate::qos::{QosClass, QosSpec};
use crate::units::{Bytes, MilliCpu};
use crate::workload::WorkloadName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a container asks for and what it may have at most, of one resource; `None` where the manifest is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement<T> {
    /// The request; as the API server does, a reader of manifests fills it from the limit where only that is given.
    pub request: Option<T>,
    /// The limit.
    pub limit: Option<T>,
}

impl<T> Default for Requirement<T> {
    fn default() -> Self {
        Self { request: None, limit: None }
    }
}

/// What a container is for inside its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerKind {
    /// Runs to its end before the others start.
    Init,
    /// The container that the pod is for: the first, unless an annotation names another.
    Main,
    /// Any other.
    Sidecar,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: ContainerName,
    /// What it is for.
    pub kind: ContainerKind,
    /// Native CPU.
    pub cpu: Requirement<MilliCpu>,
    /// Native memory.
    pub memory: Requirement<Bytes>,
    /// `resource.katalyst.kubewharf.io/reclaimed_millicpu`.
    pub reclaimed_cpu: Option<MilliCpu>,
    /// `resource.katalyst.kubewharf.io/reclaimed_memory`.
    pub reclaimed_memory: Option<Bytes>,
    /// Huge pages by their size, whole pages each (`hugepages-2Mi`); request and limit are one, since they cannot be overcommitted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hugepages: BTreeMap<PageSize, Bytes>,
    /// Extended resources of other providers; request and limit are one, since they cannot be overcommitted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extended: BTreeMap<ResourceName, ResourceCount>,
}

/// Kubernetes' own class of a pod; it decides where in the cgroup tree the pod lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KubeQos {
    /// Every container has CPU and memory limits equal to its requests.
    Guaranteed,
    /// Some container has a request or limit.
    Burstable,
    /// None has.
    BestEffort,
}

impl KubeQos {
    /// The class of a pod with these containers (Kubernetes, `v1qos.GetPodQOS`): only CPU and memory count.
    #[must_use]
    pub fn of(containers: &[Container]) -> Self {
        let silent = |c: &Container| c.cpu == Requirement::default() && c.memory == Requirement::default();
        let full = |c: &Container| {
            c.cpu.limit.is_some() && c.memory.limit.is_some() && c.cpu.request == c.cpu.limit && c.memory.request == c.memory.limit
        };
        if containers.iter().all(silent) {
            Self::BestEffort
        } else if containers.iter().all(full) {
            Self::Guaranteed
        } else {
            Self::Burstable
        }
    }
}

impl fmt::Display for KubeQos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        })
    }
}

/// One pod that the node has admitted or is asked to admit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its uid.
    pub uid: PodUid,
    /// Namespace and name.
    pub name: PodName,
    /// What it is one of, where that is known: its replicas and successors have this in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadName>,
    /// What its annotations ask for.
    pub qos: QosSpec,
    /// Kubernetes' own class.
    pub kube_qos: KubeQos,
    /// `spec.priority`; higher is more important.
    pub priority: i32,
    /// `spec.terminationGracePeriodSeconds`.
    pub grace: Duration,
    /// Its containers, in the order of the manifest, init containers first.
    pub containers: Vec<Container>,
}

impl Pod {
    /// Its QoS class.
    #[must_use]
    pub fn class(&self) -> QosClass {
        self.qos.class
    }

    /// Native CPU requested: the sum over running containers, or the largest init container if that is more (kubelet's rule).
    #[must_use]
    pub fn cpu_request(&self) -> MilliCpu {
        self.requested(MilliCpu::ZERO, MilliCpu::plus, |c| c.cpu.request)
    }

    /// Native memory requested, by the same rule.
    #[must_use]
    pub fn memory_request(&self) -> Bytes {
        self.requested(Bytes::ZERO, Bytes::plus, |c| c.memory.request)
    }

    /// Reclaimed CPU that the pod was promised, by the same rule.
    #[must_use]
    pub fn reclaimed_cpu(&self) -> MilliCpu {
        self.requested(MilliCpu::ZERO, MilliCpu::plus, |c| c.reclaimed_cpu)
    }

    /// Reclaimed memory that the pod was promised, by the same rule.
    #[must_use]
    pub fn reclaimed_memory(&self) -> Bytes {
        self.requested(Bytes::ZERO, Bytes::plus, |c| c.reclaimed_memory)
    }

    /// Huge pages requested, by the same rule; a size that no container asks for is not here.
    #[must_use]
    pub fn hugepages(&self) -> BTreeMap<PageSize, Bytes> {
        let sizes = self.containers.iter().flat_map(|c| c.hugepages.keys());
        sizes.map(|size| (*size, self.requested(Bytes::ZERO, Bytes::plus, |c| c.hugepages.get(size).copied()))).collect()
    }

    fn requested<T: Copy + Ord>(&self, zero: T, plus: impl Fn(T, T) -> T, of: impl Fn(&Container) -> Option<T>) -> T {
        let each = |init: bool| self.containers.iter().filter(move |c| (c.kind == ContainerKind::Init) == init).filter_map(&of);
        let running = each(false).fold(zero, plus);
        each(true).fold(running, Ord::max)
    }
}
