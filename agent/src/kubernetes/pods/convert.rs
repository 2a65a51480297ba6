//! From a Pod object to what the node needs to know of it.
//!
//! Not considered: `spec.overhead` and pod-level `spec.resources`, which [`Pod`] has no place for (kubelet's class of the pod does follow from the
//! latter, and is taken from `status.qosClass`); `status…resources`, so that a pod which is resized counts with what was asked for at once; and
//! resource claims. Ephemeral containers ask for nothing and may end while the pod lives on, so they are told by their ids only.

use super::super::object::{ContainerObject, ContainerStatus, Metadata, PodObject, Status};
use super::super::{ApiPhase, ApiPod};
use crate::pod_object::{Controller, Needs, check_class, container_kind, grace, main_container, pod_name, promise_reclaimed, workload};
use gleaner_model::{Container, ContainerName, KubeQos, Pod, PodUid, QosClass, QosConfig, QosError, QosSpec};
use std::collections::BTreeMap;

/// On the mirror of a static pod in the API server; the value is that of [`HASH`].
const MIRROR: &str = "kubernetes.io/config.mirror";
/// The uid that kubelet gave a static pod.
const HASH: &str = "kubernetes.io/config.hash";
/// Where kubelet has a pod from: `api`, else it is static. Only kubelet's own word counts: in the API server anybody can write it.
const SOURCE: &str = "kubernetes.io/config.source";

/// Who tells of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Source {
    /// The API server: static pods are known by their mirrors.
    Api,
    /// The kubelet: static pods are there themselves, and their mirrors are not.
    Kubelet,
}

/// The records of these objects. One that cannot be a pod of a node is logged and left out.
pub(in super::super) fn records(objects: Vec<PodObject>, source: Source, config: &QosConfig) -> Vec<ApiPod> {
    objects.into_iter().filter_map(|object| record(&object, source, config)).collect()
}

/// The record of one object; logged and `None` when it cannot be a pod of a node.
pub(super) fn record(object: &PodObject, source: Source, config: &QosConfig) -> Option<ApiPod> {
    let converted = convert(object, source, config);
    converted.map_err(|cause| tracing::warn!(pod = object.metadata.uid, "an object is passed over: {cause}")).ok()
}

/// What a Pod object says. What is wrong with annotations and amounts is listed in the record and counts as not written.
///
/// # Errors
/// When name or uid is missing or not legal: such an object no API server has.
pub(super) fn convert(object: &PodObject, source: Source, config: &QosConfig) -> Result<ApiPod, String> {
    let (metadata, spec) = (&object.metadata, &object.spec);
    let name = pod_name(metadata.namespace.as_deref(), metadata.name.as_deref())?;
    let (uid, is_static) = uid(object, source)?;
    let mut problems = Vec::new();
    let mut qos = qos(&metadata.annotations, config, &mut problems);
    let main = main_container(&metadata.annotations, spec.containers.first().map(|c| c.name.as_str()));
    let each = spec.init_containers.iter().map(|c| (true, c)).chain(spec.containers.iter().map(|c| (false, c)));
    let mut containers: Vec<Container> = Vec::new();
    for (init, object) in each {
        match container(object, init, main, &mut problems) {
            Some(described) if containers.iter().all(|c| c.name != described.name) => containers.push(described),
            _ => problems.push(format!("container {:?}: its name is not legal, or there twice", object.name)),
        }
    }
    if let Err(problem) = check_class(&qos, &containers) {
        problems.push(problem);
        qos = QosSpec::of(QosClass::Shared);
    }
    // Before the promise: kubelet places the pod's cgroup by the native requests.
    let kube_qos = kube_qos(&object.status).unwrap_or_else(|| KubeQos::of(&containers));
    if qos.class == QosClass::Reclaimed {
        containers.iter_mut().for_each(promise_reclaimed);
    }
    let grace = grace(spec.termination_grace_period_seconds);
    let workload = workload(&name, controller(metadata).filter(|_| !is_static), metadata.labels.pod_template_hash.as_deref());
    let pod = Pod { uid, name, workload, qos, kube_qos, priority: spec.priority.unwrap_or(0), grace, containers };
    Ok(ApiPod {
        pod,
        api_uid: metadata.uid.clone(),
        problems,
        phase: phase(&object.status),
        deleting: metadata.deletion_timestamp.is_some(),
        is_static,
        container_ids: container_ids(&object.status),
    })
}

/// The first owner that says that it controls the pod; the API server lets only one say so.
fn controller(metadata: &Metadata) -> Option<Controller<'_>> {
    let owner = metadata.owner_references.iter().find(|owner| owner.controller == Some(true))?;
    Some(Controller { kind: &owner.kind, name: &owner.name })
}

/// The uid that kubelet names the pod's cgroup by, and whether the pod is static.
pub(super) fn uid(object: &PodObject, source: Source) -> Result<(PodUid, bool), String> {
    let annotations = &object.metadata.annotations;
    let mirror = annotations.get(MIRROR).map(|mirror| annotations.get(HASH).unwrap_or(mirror));
    let own = || source == Source::Kubelet && annotations.get(SOURCE).is_some_and(|from| from != "api");
    if object.metadata.uid.is_empty() {
        return Err("metadata.uid is missing".to_owned());
    }
    let (place, text) = mirror.map_or(("metadata.uid", &object.metadata.uid), |hash| (HASH, hash));
    Ok((text.parse().map_err(|e| format!("{place}: {e}"))?, mirror.is_some() || own()))
}

/// What the annotations ask for, without those that are wrong.
fn qos(annotations: &BTreeMap<String, String>, config: &QosConfig, problems: &mut Vec<String>) -> QosSpec {
    let mut errors = match QosSpec::parse(annotations, config) {
        Ok(spec) => return spec,
        Err(errors) => errors,
    };
    problems.extend(errors.iter().map(ToString::to_string));
    // What is found wrong only now follows from what was said already: a key may not fit the class that is left.
    let mut right = annotations.clone();
    loop {
        let before = right.len();
        right.retain(|key, _| !errors.iter().any(|error| is_about(error, key)));
        match QosSpec::parse(&right, config) {
            Ok(spec) => return spec,
            Err(_) if right.len() == before => return QosSpec::of(QosClass::Shared),
            Err(next) => errors = next,
        }
    }
}

fn is_about(error: &QosError, annotation: &str) -> bool {
    match error {
        QosError::UnknownClass { key, .. } => key == annotation,
        QosError::TwoClasses { first_key, second_key, .. } => first_key == annotation || second_key == annotation,
        QosError::NotAnObject { annotation: wrong, .. }
        | QosError::UnknownKey { annotation: wrong, .. }
        | QosError::BadValue { annotation: wrong, .. }
        | QosError::NotForClass { annotation: wrong, .. }
        | QosError::Needs { annotation: wrong, .. }
        | QosError::Contradiction { annotation: wrong, .. }
        | QosError::NotOnMachine { annotation: wrong, .. } => wrong == annotation,
    }
}

fn container(object: &ContainerObject, init: bool, main: &str, problems: &mut Vec<String>) -> Option<Container> {
    let name: ContainerName = object.name.parse().ok()?;
    let mut found = Vec::new();
    let needs = Needs::read(&object.resources, &mut found);
    problems.extend(found.into_iter().map(|problem| format!("container {name}: {problem}")));
    let kind = container_kind(init, object.restart_policy.as_deref() == Some("Always"), object.name == main);
    Some(needs.into_container(name, kind))
}

/// The API server's word for it, which also knows pod-level resources.
fn kube_qos(status: &Status) -> Option<KubeQos> {
    let all = [KubeQos::Guaranteed, KubeQos::Burstable, KubeQos::BestEffort];
    all.into_iter().find(|class| status.qos_class.as_deref() == Some(class.to_string().as_str()))
}

/// `Unknown`, which kubelet no longer sets, says that it was running when its node was last heard of.
fn phase(status: &Status) -> ApiPhase {
    match status.phase.as_deref() {
        Some("Succeeded" | "Failed") => ApiPhase::Ended,
        Some("Running" | "Unknown") => ApiPhase::Running,
        _ => ApiPhase::Pending,
    }
}

fn container_ids(status: &Status) -> BTreeMap<String, ContainerName> {
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).chain(&status.ephemeral_container_statuses);
    all.filter_map(id).collect()
}

/// Cgroups are looked for by the id, so it must not lead out of their folder: the rule for names serves for it.
fn id(status: &ContainerStatus) -> Option<(String, ContainerName)> {
    let (_, id) = status.container_id.as_deref()?.split_once("://")?;
    let id: ContainerName = id.parse().ok()?;
    Some((id.into(), status.name.parse().ok()?))
}

#[cfg(test)]
mod tests;
