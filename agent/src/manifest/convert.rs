//! From a Kubernetes Pod object to what the node needs to know and to run.

use crate::pod_object::{
    Controller, Needs, TEMPLATE_HASH, check_class, container_kind, grace, main_container, pod_name, promise_reclaimed, workload,
};
use gleaner_model::{Container, ContainerName, KubeQos, Pod, PodName, PodUid, QosClass, QosConfig, QosSpec};
use k8s_openapi::api::core::v1 as core;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `spec.restartPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    /// Whatever the exit status.
    Always,
    /// When it failed.
    OnFailure,
    /// Not at all.
    Never,
}

/// What one container runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerRun {
    /// Its name.
    pub(crate) name: ContainerName,
    /// Whether the next containers wait for its end.
    pub(crate) init: bool,
    /// Its own restart policy: an init container with `Always` runs beside the others.
    pub(crate) restart: RestartPolicy,
    /// Program and arguments; never empty.
    pub(crate) argv: Vec<String>,
    /// Its environment besides `PATH`.
    pub(crate) env: BTreeMap<String, String>,
    /// Where it starts.
    pub(crate) working_dir: Option<PathBuf>,
}

/// A pod to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodSpecification {
    /// What the solvers see.
    pub(crate) pod: Pod,
    /// Its labels, for those who decide by them.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its annotations as written.
    pub(crate) annotations: BTreeMap<String, String>,
    /// What its containers run, init containers first.
    pub(crate) runs: Vec<ContainerRun>,
    /// The manifest that it was read from.
    pub(crate) text: String,
}

/// Namespace and name of a pod.
pub(super) fn name(pod: &core::Pod) -> Result<PodName, String> {
    pod_name(pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref())
}

/// Everything of a pod, or everything that is wrong with it.
pub(super) fn specification(source: &str, text: &str, object: &core::Pod, config: &QosConfig) -> Result<PodSpecification, Vec<String>> {
    let mut problems = Vec::new();
    let mut note = |result: Result<(), String>| problems.extend(result.err());
    let pod_name = name(object).map_err(|e| note(Err(e))).ok();
    let annotations = object.metadata.annotations.clone().unwrap_or_default();
    let qos = QosSpec::parse(&annotations, config).map_err(|errors| errors.iter().for_each(|e| note(Err(e.to_string())))).ok();
    let Some(spec) = object.spec.as_ref().filter(|s| !s.containers.is_empty()) else {
        problems.push("spec.containers is empty".to_owned());
        return Err(problems);
    };
    let policy = match restart_policy(spec.restart_policy.as_deref().unwrap_or("Always")) {
        Ok(policy) => policy,
        Err(error) => {
            problems.push(error);
            RestartPolicy::Never
        }
    };
    let main = main_container(&annotations, spec.containers.first().map(|c| c.name.as_str()));
    let (mut containers, mut runs) = (Vec::new(), Vec::new());
    let all = spec.init_containers.iter().flatten().map(|c| (true, c)).chain(spec.containers.iter().map(|c| (false, c)));
    for (init, container) in all {
        match one_container(container, init, main, policy) {
            Ok((described, _)) if containers.iter().any(|c: &Container| c.name == described.name) => {
                problems.push(format!("container {}: a container of this name is there already", described.name));
            }
            Ok((described, run)) => {
                containers.push(described);
                runs.push(run);
            }
            Err(found) => problems.extend(found.into_iter().map(|p| format!("container {}: {p}", container.name))),
        }
    }
    let uid = uid(source, text, object).map_err(|e| problems.push(e)).ok();
    let (Some(name), Some(qos), Some(uid), true) = (pod_name, qos, uid, problems.is_empty()) else { return Err(problems) };
    check_class(&qos, &containers).map_err(|problem| vec![problem])?;
    if qos.class == QosClass::Reclaimed {
        containers.iter_mut().for_each(promise_reclaimed);
    }
    let labels = object.metadata.labels.clone().unwrap_or_default();
    let pod = Pod {
        workload: workload(&name, controller(object), labels.get(TEMPLATE_HASH).map(String::as_str)),
        uid,
        name,
        qos,
        kube_qos: KubeQos::of(&containers),
        priority: spec.priority.unwrap_or(0),
        grace: grace(spec.termination_grace_period_seconds),
        containers,
    };
    Ok(PodSpecification { pod, labels, annotations, runs, text: text.to_owned() })
}

/// The owner that says that it controls the pod: manifests that were exported from a cluster name one.
fn controller(pod: &core::Pod) -> Option<Controller<'_>> {
    let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    Some(Controller { kind: &owner.kind, name: &owner.name })
}

fn restart_policy(text: &str) -> Result<RestartPolicy, String> {
    match text {
        "Always" => Ok(RestartPolicy::Always),
        "OnFailure" => Ok(RestartPolicy::OnFailure),
        "Never" => Ok(RestartPolicy::Never),
        _ => Err(format!("spec.restartPolicy: {text:?} is not Always, OnFailure or Never")),
    }
}

/// The uid in the manifest, else a digest of file name and content as kubelet does for static pods: a changed manifest is another pod.
fn uid(source: &str, text: &str, pod: &core::Pod) -> Result<PodUid, String> {
    if let Some(uid) = &pod.metadata.uid {
        return uid.parse().map_err(|e| format!("metadata.uid: {e}"));
    }
    let digest = Sha256::new().chain_update(source).chain_update([0]).chain_update(text).finalize();
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    hex.parse().map_err(|e| format!("metadata.uid: {e}"))
}

fn one_container(
    container: &core::Container,
    init: bool,
    main: &str,
    policy: RestartPolicy,
) -> Result<(Container, ContainerRun), Vec<String>> {
    let mut problems = Vec::new();
    let name: Option<ContainerName> = container.name.parse().map_err(|_| problems.push("its name is not a legal name".to_owned())).ok();
    let own_policy = match (init, container.restart_policy.as_deref()) {
        (true, Some("Always")) => RestartPolicy::Always,
        // A failed init container is tried again unless the pod says never.
        (true, _) if policy == RestartPolicy::Never => RestartPolicy::Never,
        (true, _) => RestartPolicy::OnFailure,
        (false, _) => policy,
    };
    let kind = container_kind(init, own_policy == RestartPolicy::Always, container.name == main);
    if container.command.as_ref().is_none_or(Vec::is_empty) {
        problems.push("command is missing: standalone mode runs commands, not images".to_owned());
    }
    let env = environment(container, &mut problems);
    let words = container.command.iter().flatten().chain(container.args.iter().flatten());
    let argv: Vec<String> = words.map(|word| expand(word, &env)).collect();
    if argv.iter().chain(env.values()).any(|text| text.contains('\0')) {
        problems.push("command or env holds a NUL".to_owned());
    }
    let needs = Needs::read(container.resources.as_ref().unwrap_or(&core::ResourceRequirements::default()), &mut problems);
    let (Some(name), true) = (name, problems.is_empty()) else { return Err(problems) };
    let described = needs.into_container(name.clone(), kind);
    let run = ContainerRun { name, init, restart: own_policy, argv, env, working_dir: container.working_dir.clone().map(PathBuf::from) };
    Ok((described, run))
}

/// Kubernetes' `$(NAME)` in commands: the value of a variable of the container; `$$` is a dollar sign, and an unknown name stays as it is written.
fn expand(word: &str, env: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let variable = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        rest = match (after.strip_prefix('$'), variable) {
            (Some(tail), _) => {
                out.push('$');
                tail
            }
            (None, Some((name, tail))) if env.contains_key(name) => {
                out.push_str(env.get(name).map_or("", String::as_str));
                tail
            }
            _ => {
                out.push('$');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

fn environment(container: &core::Container, problems: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for var in container.env.iter().flatten() {
        if var.value_from.is_some() {
            problems.push(format!("env {}: valueFrom cannot be resolved without Kubernetes", var.name));
        } else if var.name.is_empty() || var.name.contains(['=', '\0']) {
            problems.push(format!("env {:?}: is not a legal name", var.name));
        } else {
            env.insert(var.name.clone(), var.value.clone().unwrap_or_default());
        }
    }
    env
}
