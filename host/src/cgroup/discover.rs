use crate::cgroup::layout::{Controller, Layout, within};
use crate::error::HostError;
use gleaner_model::{CgroupPath, KubeQos, PodUid};
use std::fs;
use std::path::Path;

/// How deep below the root a pod may lie. Kubelet's own layouts need three levels; the bound only ends a walk that went astray.
const DEEPEST: usize = 6;

/// A container's cgroup.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundContainer {
    /// The id that the container runtime gave it.
    pub id: String,
    /// Where it lives.
    pub cgroup: CgroupPath,
}

/// A pod's cgroup and those of its containers. The pause container is among them: its cgroup looks like any other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundPod {
    /// The uid in its name.
    pub uid: PodUid,
    /// Where it lives.
    pub cgroup: CgroupPath,
    /// Kubernetes' class, told by where it lives.
    pub kube_qos: KubeQos,
    /// Its containers, sorted by id.
    pub containers: Vec<FoundContainer>,
}

/// Finds the pods at or below `root` (such as `/kubepods` or `/kubepods.slice`) by their names, whichever driver and however nested,
/// sorted by uid. Pods inside pods are not looked for. A cgroup that vanishes meanwhile is passed over.
///
/// # Errors
/// When `root` itself does not exist ([`HostError::is_gone`]) or cannot be listed.
pub fn discover(layout: &Layout, root: &CgroupPath) -> Result<Vec<FoundPod>, HostError> {
    let mount = [Controller::Cpu, Controller::Memory, Controller::Cpuset]
        .into_iter()
        .find_map(|c| layout.dir(c, &CgroupPath::root()))
        .or_else(|| layout.unified_dir(&CgroupPath::root()))
        .ok_or_else(|| HostError::Missing("no cgroup hierarchy to look for pods in".to_owned()))?;
    let mut pods = Vec::new();
    let mut waiting = children(&mount, root)?;
    while let Some(cgroup) = waiting.pop() {
        if let Some(uid) = pod_uid(cgroup.name()) {
            let kube_qos = kube_qos(&cgroup);
            let Some(inside) = unless_gone(children(&mount, &cgroup))? else { continue };
            let mut containers: Vec<FoundContainer> = inside
                .into_iter()
                .filter_map(|cgroup| Some(FoundContainer { id: container_id(cgroup.name())?.to_owned(), cgroup }))
                .collect();
            containers.sort();
            pods.push(FoundPod { uid, cgroup, kube_qos, containers });
        } else if cgroup.depth() < root.depth() + DEEPEST {
            waiting.extend(unless_gone(children(&mount, &cgroup))?.unwrap_or_default());
        }
    }
    pods.sort();
    Ok(pods)
}

fn unless_gone<T>(result: Result<T, HostError>) -> Result<Option<T>, HostError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The cgroups directly inside one. Names that are no cgroup path (not UTF-8) cannot be pods.
fn children(mount: &Path, cgroup: &CgroupPath) -> Result<Vec<CgroupPath>, HostError> {
    let dir = within(mount, cgroup);
    let failed = |e| HostError::io("list", &dir, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(&dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // The type of the entry itself: a symbolic link is not a folder.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        found.extend(entry.file_name().to_str().and_then(|name| cgroup.join(name).ok()));
    }
    Ok(found)
}

/// `pod<uid>` of the cgroupfs driver, `<parents>-pod<uid, - written as _>.slice` of the systemd driver.
#[must_use]
pub fn pod_uid(name: &str) -> Option<PodUid> {
    match name.strip_suffix(".slice") {
        Some(unit) => unit.rsplit_once("-pod")?.1.replace('_', "-").parse().ok(),
        None => name.strip_prefix("pod")?.parse().ok(),
    }
}

/// `<id>` of the cgroupfs driver (CRI-O: `crio-<id>`), `<runtime>-<id>.scope` of the systemd driver. CRI-O's `crio-conmon-<id>` holds the
/// monitor of a container, not the container.
fn container_id(name: &str) -> Option<&str> {
    if name.starts_with("crio-conmon-") || [".slice", ".service", ".mount"].iter().any(|unit| name.ends_with(unit)) {
        return None;
    }
    let id = match name.strip_suffix(".scope") {
        Some(unit) => unit.rsplit_once('-')?.1,
        None => name.strip_prefix("crio-").unwrap_or(name),
    };
    (!id.is_empty()).then_some(id)
}

fn kube_qos(pod: &CgroupPath) -> KubeQos {
    let above = pod.parent();
    let mut parts = above.iter().flat_map(|path| path.as_str().split('/')).map(|part| part.strip_suffix(".slice").unwrap_or(part));
    let class = |part: &str| match part.rsplit_once('-').map_or(part, |(_, last)| last) {
        "besteffort" => Some(KubeQos::BestEffort),
        "burstable" => Some(KubeQos::Burstable),
        _ => None,
    };
    parts.find_map(class).unwrap_or(KubeQos::Guaranteed)
}

#[cfg(test)]
mod tests;
