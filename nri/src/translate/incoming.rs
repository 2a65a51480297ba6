//! From the wire to the model.

use super::cgroup;
use crate::event::{Resources, Sandbox, SeenContainer};
use gleaner_crds::nri as wire;
use gleaner_model::{Bytes, ContainerName, CpuMax, CpuShares, Limit, Micros, PodName, ValueError};
use std::fmt;

/// Of a text from outside no more than this is repeated in a line.
const LONGEST_LINE: usize = 300;

/// Why a pod or container of a message is none that could be worked with: a line for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unknown(String);

impl Unknown {
    /// What is wrong with what.
    pub(crate) fn new(what: &str, id: &str, cause: impl fmt::Display) -> Self {
        Self(format!("{what} {id:?}: {cause}").chars().take(LONGEST_LINE).collect())
    }
}

/// A text that can stand in a path and in a line: 1 to 253 letters, digits, `-`, `_` and `.`.
///
/// # Errors
/// When it is none.
pub(crate) fn legal(text: &str) -> Result<(), ValueError> {
    // Names of containers have the same letters as all other names.
    text.parse::<ContainerName>().map(drop)
}

/// A pod.
///
/// # Errors
/// When a name, the cgroup or an amount is none.
pub(crate) fn sandbox(pod: wire::PodSandbox) -> Result<Sandbox, Unknown> {
    let unknown = |cause: ValueError| Unknown::new("sandbox", &pod.id, cause);
    legal(&pod.id).map_err(unknown)?;
    legal(&pod.namespace).map_err(unknown)?;
    legal(&pod.name).map_err(unknown)?;
    let linux = pod.linux.unwrap_or_default();
    Ok(Sandbox {
        uid: pod.uid.parse().map_err(unknown)?,
        cgroup: cgroup::of_pod(&linux.cgroup_parent).map_err(unknown)?,
        resources: resources(linux.pod_resources.unwrap_or_default()).map_err(unknown)?,
        id: pod.id,
        name: PodName { namespace: pod.namespace, name: pod.name },
        annotations: pod.annotations,
        labels: pod.labels,
    })
}

/// A container.
///
/// # Errors
/// When a name, the cgroup or an amount is none.
pub(crate) fn container(seen: wire::Container) -> Result<SeenContainer, Unknown> {
    let unknown = |cause: ValueError| Unknown::new("container", &seen.id, cause);
    legal(&seen.id).map_err(unknown)?;
    legal(&seen.pod_sandbox_id).map_err(unknown)?;
    let running = match seen.state() {
        wire::ContainerState::ContainerRunning | wire::ContainerState::ContainerPaused => true,
        // Created but not yet with a process, or with one that waits.
        wire::ContainerState::ContainerCreated => seen.pid != 0,
        wire::ContainerState::ContainerUnknown | wire::ContainerState::ContainerStopped => false,
    };
    let linux = seen.linux.unwrap_or_default();
    Ok(SeenContainer {
        name: seen.name.parse().map_err(unknown)?,
        cgroup: cgroup::of_container(&linux.cgroups_path).map_err(unknown)?,
        resources: resources(linux.resources.unwrap_or_default()).map_err(unknown)?,
        id: seen.id,
        sandbox: seen.pod_sandbox_id,
        running,
    })
}

/// What a caller asks for.
///
/// # Errors
/// When an amount is none.
pub(crate) fn requested(id: &str, wants: wire::LinuxResources) -> Result<Resources, Unknown> {
    resources(wants).map_err(|cause| Unknown::new("a request for container", id, cause))
}

/// Numbers that are not given are missing, or are there and zero: the same.
fn resources(wire: wire::LinuxResources) -> Result<Resources, ValueError> {
    let cpu = wire.cpu.unwrap_or_default();
    let memory = wire.memory.unwrap_or_default().limit.map_or(0, |limit| limit.value);
    Ok(Resources {
        cpus: given(&cpu.cpus).map(str::parse).transpose()?,
        mems: given(&cpu.mems).map(str::parse).transpose()?,
        shares: cpu.shares.filter(|shares| shares.value != 0).map(|shares| CpuShares::new(shares.value)),
        cpu_max: cpu_max(&cpu),
        memory: limit(memory).map(|limit| match limit {
            Limit::At(bytes) => Limit::At(Bytes::new(bytes)),
            Limit::Max => Limit::Max,
        }),
        unified: wire.unified,
    })
}

fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// Without a quota a period bounds nothing.
fn cpu_max(cpu: &wire::LinuxCpu) -> Option<CpuMax> {
    let quota = match limit(cpu.quota.map_or(0, |quota| quota.value))? {
        Limit::At(quota) => Limit::At(Micros::new(quota)),
        Limit::Max => Limit::Max,
    };
    let period = cpu.period.filter(|period| period.value != 0).map_or(CpuMax::PERIOD, |period| Micros::new(period.value));
    Some(CpuMax { quota, period })
}

/// Zero is nothing, below zero is no limit.
fn limit(value: i64) -> Option<Limit<u64>> {
    match u64::try_from(value) {
        Ok(0) => None,
        Ok(bound) => Some(Limit::At(bound)),
        Err(_) => Some(Limit::Max),
    }
}
