//! The values that cgroups of pods are born with: those that kubelet gives them (`pkg/kubelet/cm`), before Gleaner has an opinion.

use gleaner_model::{Bytes, CgroupPath, Container, ContainerKind, CpuMax, CpuShares, KnobValue, KubeQos, Limit, MilliCpu, Pod};

/// The cgroup of a Kubernetes class; guaranteed pods live directly below `kubepods`.
pub(super) fn class_cgroup(kubepods: &CgroupPath, class: KubeQos) -> CgroupPath {
    let name = match class {
        KubeQos::Guaranteed => return kubepods.clone(),
        KubeQos::Burstable => "burstable",
        KubeQos::BestEffort => "besteffort",
    };
    // Both are legal names, so joining cannot fail.
    kubepods.join(name).unwrap_or_else(|_| kubepods.clone())
}

/// Of a class.
pub(super) fn class_values(class: KubeQos) -> Vec<KnobValue> {
    match class {
        KubeQos::BestEffort => vec![KnobValue::Shares(CpuShares::MIN)],
        KubeQos::Burstable | KubeQos::Guaranteed => Vec::new(),
    }
}

/// Of a pod's own cgroup.
pub(super) fn pod_values(pod: &Pod) -> Vec<KnobValue> {
    let running = || pod.containers.iter().filter(|c| c.kind != ContainerKind::Init);
    let cpu: Option<Vec<MilliCpu>> = running().map(|c| c.cpu.limit).collect();
    let memory: Option<Vec<Bytes>> = running().map(|c| c.memory.limit).collect();
    let mut values = vec![KnobValue::Shares(CpuShares::for_request(pod.cpu_request()))];
    values.extend(cpu.map(|limits| KnobValue::CpuMax(CpuMax::for_limit(limits.into_iter().sum()))));
    values.extend(memory.map(|limits| KnobValue::MemoryMax(Limit::At(limits.into_iter().sum()))));
    values
}

/// Of a container's cgroup.
pub(super) fn container_values(container: &Container) -> Vec<KnobValue> {
    let request = container.cpu.request.unwrap_or(MilliCpu::ZERO);
    let mut values = vec![KnobValue::Shares(CpuShares::for_request(request))];
    values.extend(container.cpu.limit.map(|limit| KnobValue::CpuMax(CpuMax::for_limit(limit))));
    values.extend(container.memory.limit.map(|limit| KnobValue::MemoryMax(Limit::At(limit))));
    values
}
