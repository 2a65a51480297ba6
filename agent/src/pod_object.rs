//! What a v1 Pod says to a node, wherever it was read: what manifests in a folder and the cluster's pods have in common.

mod extended;
mod hugepages;
mod workload;

pub(crate) use workload::{Controller, TEMPLATE_HASH, workload};

use gleaner_crds::keys::pod_annotation::MAIN_CONTAINER_NAME;
use gleaner_crds::reclaimed::{Declared, native_cpu, native_memory, reclaimed_cpu, reclaimed_memory};
use gleaner_model::{
    Bytes, Container, ContainerKind, ContainerName, MilliCpu, PageSize, PodName, QosClass, QosSpec, Requirement, ResourceCount,
    ResourceName,
};
use k8s_openapi::api::core::v1::ResourceRequirements;
use std::collections::BTreeMap;
use std::time::Duration;

/// Requests and limits of one container.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    cpu: Requirement<MilliCpu>,
    memory: Requirement<Bytes>,
    reclaimed_cpu: Option<MilliCpu>,
    reclaimed_memory: Option<Bytes>,
    hugepages: BTreeMap<PageSize, Bytes>,
    extended: BTreeMap<ResourceName, ResourceCount>,
}

impl Needs {
    /// What is right in a container's `resources`; a line for what is wrong, which counts as not written.
    pub(crate) fn read(resources: &ResourceRequirements, problems: &mut Vec<String>) -> Self {
        let mut note = |problem: String| problems.push(problem);
        Self {
            cpu: requirement(native_cpu(resources), "cpu", |v| MilliCpu::new(v.get()), &mut note),
            memory: requirement(native_memory(resources), "memory", |v| Bytes::new(v.get()), &mut note),
            reclaimed_cpu: requested(reclaimed_cpu(resources), &mut note).map(|v| MilliCpu::new(v.get())),
            reclaimed_memory: requested(reclaimed_memory(resources), &mut note).map(|v| Bytes::new(v.get())),
            hugepages: hugepages::of_container(resources).map_err(&mut note).unwrap_or_default(),
            extended: extended::extended(resources).map_err(&mut note).unwrap_or_default(),
        }
    }

    /// The container that needs this.
    pub(crate) fn into_container(self, name: ContainerName, kind: ContainerKind) -> Container {
        let Self { cpu, memory, reclaimed_cpu, reclaimed_memory, hugepages, extended } = self;
        Container { name, kind, cpu, memory, reclaimed_cpu, reclaimed_memory, hugepages, extended }
    }
}

/// As the API server defaults it: a limit without a request is the request too.
fn requirement<V: Copy, T: Ord, E: std::error::Error>(
    declared: Result<Declared<V>, E>,
    what: &str,
    amount: impl Fn(V) -> T,
    note: &mut impl FnMut(String),
) -> Requirement<T> {
    let declared = match declared {
        Ok(declared) => declared,
        Err(error) => {
            note(with_cause(&error));
            return Requirement::default();
        }
    };
    let both = Requirement { request: declared.effective_request().map(&amount), limit: declared.limit.map(amount) };
    if both.limit.is_some() && both.request > both.limit {
        note(format!("resources.requests[{what}] is larger than the limit"));
        return Requirement::default();
    }
    both
}

fn requested<V: Copy, E: std::error::Error>(declared: Result<Declared<V>, E>, note: &mut impl FnMut(String)) -> Option<V> {
    declared.map_err(|error| note(with_cause(&error))).ok()?.effective_request()
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// Namespace and name of a pod.
///
/// # Errors
/// The one that is missing or not legal.
pub(crate) fn pod_name(namespace: Option<&str>, name: Option<&str>) -> Result<PodName, String> {
    let name = name.filter(|n| !n.is_empty()).ok_or("metadata.name is missing")?;
    let namespace = namespace.unwrap_or("default");
    for part in [namespace, name] {
        // The rule for names in paths is wider than Kubernetes' own (RFC 1123), which the API server checks.
        part.parse::<ContainerName>().map_err(|_| format!("metadata.name or namespace: {part:?} is not a legal name"))?;
    }
    Ok(PodName { namespace: namespace.to_owned(), name: name.to_owned() })
}

/// The name of the container that the pod is for: the one that the annotation names, else the first.
pub(crate) fn main_container<'a>(annotations: &'a BTreeMap<String, String>, first: Option<&'a str>) -> &'a str {
    annotations.get(MAIN_CONTAINER_NAME).map(String::as_str).or(first).unwrap_or_default()
}

/// What a container is for. An init container with the restart policy `Always` runs beside the others.
pub(crate) fn container_kind(init: bool, always: bool, is_main: bool) -> ContainerKind {
    match (init, always) {
        (true, false) => ContainerKind::Init,
        (false, _) if is_main => ContainerKind::Main,
        _ => ContainerKind::Sidecar,
    }
}

/// `spec.terminationGracePeriodSeconds`, as the API server defaults it.
pub(crate) fn grace(seconds: Option<i64>) -> Duration {
    Duration::from_secs(seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(30))
}

/// What its class forbids the pod.
///
/// # Errors
/// A dedicated pod that requests no CPU: there is nothing to give it for its own.
pub(crate) fn check_class(qos: &QosSpec, containers: &[Container]) -> Result<(), String> {
    let silent = || containers.iter().all(|c| c.cpu.request.is_none_or(MilliCpu::is_zero));
    if qos.class == QosClass::Dedicated && silent() {
        return Err("a dedicated_cores pod must request CPU, but requests none".to_owned());
    }
    Ok(())
}

/// In a cluster, admission turns the native requests of a reclaimed pod into reclaimed resources, so that they are not counted twice. Where nobody
/// did, they are its promise all the same.
pub(crate) fn promise_reclaimed(container: &mut Container) {
    container.reclaimed_cpu = container.reclaimed_cpu.or(container.cpu.request);
    container.reclaimed_memory = container.reclaimed_memory.or(container.memory.request);
    container.cpu = Requirement::default();
    container.memory = Requirement::default();
}
