//! A pod of which only the runtime has told: enough to place it until the API server's word comes.

use gleaner_model::{CgroupPath, Container, ContainerKind, KubeQos, Limit, MilliCpu, Pod, QosClass, QosConfig, QosSpec, Requirement};
use gleaner_nri::{Resources, Sandbox, SeenContainer};
use std::collections::BTreeMap;
use std::time::Duration;

/// Kubernetes' default.
const GRACE: Duration = Duration::from_secs(30);

/// The pod, told by its annotations and by the weights and limits that kubelet made of its requests. Extended resources are not in there, so what
/// a reclaimed pod was promised is not known. `None` while it has no containers. Wrong annotations count as none: the API server's record says
/// what is wrong with them.
pub(super) fn pod<'a>(sandbox: &Sandbox, seen: impl Iterator<Item = &'a SeenContainer>, qos: &QosConfig) -> Option<Pod> {
    let containers: Vec<Container> = seen.enumerate().map(|(at, seen)| container(at, seen)).collect();
    let containers = if containers.is_empty() { vec![whole(sandbox)?] } else { containers };
    let kube_qos = sandbox.cgroup.as_ref().map_or_else(|| KubeQos::of(&containers), class_of);
    Some(Pod {
        workload: None,
        uid: sandbox.uid.clone(),
        name: sandbox.name.clone(),
        qos: spec(sandbox, &containers, qos),
        kube_qos,
        priority: 0,
        grace: GRACE,
        containers,
    })
}

/// A dedicated pod that requests no CPU cannot be: what it asks for is not known yet, and then it is in the pool of all.
fn spec(sandbox: &Sandbox, containers: &[Container], qos: &QosConfig) -> QosSpec {
    let wanted = QosSpec::parse(&sandbox.annotations, qos).unwrap_or_else(|_| QosSpec::of(QosClass::Shared));
    let requests = containers.iter().any(|container| container.cpu.request.is_some());
    if wanted.class == QosClass::Dedicated && !requests { QosSpec::of(QosClass::Shared) } else { wanted }
}

/// The whole pod as one container, before any of its containers is known.
fn whole(sandbox: &Sandbox) -> Option<Container> {
    Some(amounts("pod".parse().ok()?, ContainerKind::Main, &sandbox.resources))
}

fn container(at: usize, seen: &SeenContainer) -> Container {
    amounts(seen.name.clone(), if at == 0 { ContainerKind::Main } else { ContainerKind::Sidecar }, &seen.resources)
}

fn amounts(name: gleaner_model::ContainerName, kind: ContainerKind, resources: &Resources) -> Container {
    let quota = resources.cpu_max.and_then(|max| match max.quota {
        Limit::At(quota) => Some(MilliCpu::new(quota.get().saturating_mul(1000) / max.period.get().max(1))),
        Limit::Max => None,
    });
    let memory = resources.memory.and_then(|limit| match limit {
        Limit::At(bytes) => Some(bytes),
        Limit::Max => None,
    });
    Container {
        name,
        kind,
        cpu: Requirement { request: resources.cpu_request(), limit: quota },
        // The runtime is told of limits alone.
        memory: Requirement { request: None, limit: memory },
        reclaimed_cpu: None,
        reclaimed_memory: None,
        hugepages: BTreeMap::new(),
        extended: BTreeMap::new(),
    }
}

fn class_of(cgroup: &CgroupPath) -> KubeQos {
    match cgroup.as_str() {
        path if path.contains("besteffort") => KubeQos::BestEffort,
        path if path.contains("burstable") => KubeQos::Burstable,
        _ => KubeQos::Guaranteed,
    }
}
