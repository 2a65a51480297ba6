//! Pods and containers in the words of the protocol, with what the runtime adds.

use super::options::Version;
use super::pod::{ContainerSpec, ContainerState};
use super::world::{Held, Sandbox, is_slice};
use gleaner_crds::nri;
use std::collections::BTreeMap;

type Texts = BTreeMap<String, String>;

/// A pod whose pause process may have ended: 0.6 then knows only what kubelet gave.
pub(super) fn pod(version: Version, sandbox: &Sandbox) -> nri::PodSandbox {
    if version == Version::V0_6 && sandbox.pid == 0 { short_pod(sandbox) } else { full_pod(sandbox) }
}

/// A pod that is removed: only what kubelet gave.
pub(super) fn short_pod(sandbox: &Sandbox) -> nri::PodSandbox {
    let spec = &sandbox.spec;
    let resources = spec.resources.as_ref().map(super::Amounts::as_asked);
    let overhead = spec.resources.as_ref().map(|_| super::Amounts::default().as_asked());
    nri::PodSandbox {
        id: sandbox.id.clone(),
        name: spec.name.clone(),
        uid: spec.uid.clone(),
        namespace: spec.namespace.clone(),
        labels: spec.labels.clone(),
        annotations: spec.annotations.clone(),
        runtime_handler: String::new(),
        linux: Some(nri::LinuxPodSandbox {
            pod_overhead: overhead,
            pod_resources: resources,
            cgroup_parent: spec.cgroup_parent.clone(),
            ..nri::LinuxPodSandbox::default()
        }),
        pid: 0,
    }
}

fn full_pod(sandbox: &Sandbox) -> nri::PodSandbox {
    let mut pod = short_pod(sandbox);
    let (spec, id) = (&sandbox.spec, &sandbox.id);
    pod.labels.insert("io.cri-containerd.kind".to_owned(), "sandbox".to_owned());
    pod.annotations.extend(of_sandbox(sandbox, "sandbox"));
    let logs = format!("/var/log/pods/{}_{}_{}", spec.namespace, spec.name, spec.uid);
    pod.annotations.insert("io.kubernetes.cri.sandbox-log-directory".to_owned(), logs);
    if let Some(asked) = &spec.resources {
        let numbers = [
            ("cpu-shares", asked.shares.to_string()),
            ("cpu-quota", asked.quota.to_string()),
            ("cpu-period", asked.period.to_string()),
            ("memory", asked.memory.to_string()),
        ];
        pod.annotations.extend(numbers.map(|(name, value)| (format!("io.kubernetes.cri.sandbox-{name}"), value)));
    }
    let parent = &spec.cgroup_parent;
    let linux = pod.linux.get_or_insert_default();
    linux.cgroups_path =
        if is_slice(parent) { format!("{parent}:cri-containerd:{id}") } else { format!("{}/{id}", parent.trim_end_matches('/')) };
    linux.resources = Some(super::Amounts { shares: 2, ..super::Amounts::default() }.in_spec());
    pod.pid = sandbox.pid;
    pod
}

/// What containerd writes about a pod into annotations of it and of its containers.
fn of_sandbox(sandbox: &Sandbox, kind: &str) -> Texts {
    let spec = &sandbox.spec;
    let all = [
        ("container-type", kind),
        ("sandbox-id", &sandbox.id),
        ("sandbox-name", &spec.name),
        ("sandbox-namespace", &spec.namespace),
        ("sandbox-uid", &spec.uid),
    ];
    all.into_iter().map(|(name, value)| (format!("io.kubernetes.cri.{name}"), value.to_owned())).collect()
}

/// The annotations of a container's specification; those of its pod are not among them.
pub(super) fn container_annotations(sandbox: &Sandbox, spec: &ContainerSpec) -> Texts {
    let mut all = spec.annotations.clone();
    all.extend(of_sandbox(sandbox, "container"));
    all.insert("io.kubernetes.cri.container-name".to_owned(), spec.name.clone());
    all.insert("io.kubernetes.cri.image-name".to_owned(), "registry.example.com/image:1".to_owned());
    all
}

pub(super) fn container(held: &Held) -> nri::Container {
    let state = match held.state {
        None => nri::ContainerState::ContainerUnknown,
        Some(ContainerState::Created) => nri::ContainerState::ContainerCreated,
        Some(ContainerState::Running) => nri::ContainerState::ContainerRunning,
        Some(ContainerState::Exited) => nri::ContainerState::ContainerStopped,
    };
    let mut labels = held.spec.labels.clone();
    labels.insert("io.cri-containerd.kind".to_owned(), "container".to_owned());
    nri::Container {
        id: held.id.clone(),
        pod_sandbox_id: held.sandbox.clone(),
        name: held.spec.name.clone(),
        state: state.into(),
        labels,
        annotations: held.annotations.clone(),
        linux: Some(nri::LinuxContainer {
            resources: Some(held.amounts.in_spec()),
            oom_score_adj: Some(nri::OptionalInt { value: 1000 }),
            cgroups_path: held.cgroups_path.clone(),
        }),
        pid: held.pid,
    }
}
