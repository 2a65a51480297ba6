//! The part of kubelet that turns a pod of the manifests into what a runtime is asked for. What the manifests say and this does not know fails the
//! test: nothing of them is passed over.

use gleaner_model::{Bytes, MilliCpu};
use gleaner_tests::cri::{CriContainer, CriPod, LinuxContainerResources, Mount, MountPropagation};
use gleaner_tests::manifests::{compose, object};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A pod of the DaemonSet of an overlay.
#[derive(Debug, Clone)]
pub(crate) struct DaemonPod {
    /// The pod's specification; a test may take something away.
    pub(crate) spec: Value,
    annotations: BTreeMap<String, String>,
    /// The ConfigMap's files.
    files: BTreeMap<String, String>,
}

/// Fails where an object has more than is known here.
fn only(object: &Value, known: &[&str], what: &str) {
    let keys: BTreeSet<&str> = object.as_object().unwrap_or_else(|| panic!("{what}: {object}")).keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = known.iter().copied().collect();
    assert!(keys.is_subset(&known), "{what}: this kubelet knows {known:?}, not all of {keys:?}");
}

fn text<'a>(value: &'a Value, what: &str) -> &'a str {
    value.as_str().unwrap_or_else(|| panic!("{what} is {value}"))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|word| text(word, "a word").to_owned()).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl DaemonPod {
    /// As `kubectl apply -k manifests/FOLDER` would make it.
    pub(crate) fn of(folder: &str) -> Self {
        let objects = compose(folder);
        let template = object(&objects, "DaemonSet", "gleaner")["spec"]["template"].clone();
        let parse = |value: Value| serde_json::from_value::<BTreeMap<String, String>>(value).unwrap();
        Self {
            annotations: parse(template["metadata"]["annotations"].clone()),
            files: parse(object(&objects, "ConfigMap", "gleaner-config")["data"].clone()),
            spec: template["spec"].clone(),
        }
    }

    /// The pod, with its cgroup below the burstable ones: it requests something, and its limits are others.
    pub(crate) fn pod(&self, name: &str, attempt: u32, logs: &Path) -> CriPod {
        let spec = &self.spec;
        let placed = ["serviceAccountName", "priorityClassName", "nodeSelector", "tolerations", "terminationGracePeriodSeconds"];
        let ran = ["hostPID", "securityContext", "initContainers", "containers", "volumes"];
        only(spec, &[placed.as_slice(), &ran].concat(), "pod");
        only(&spec["securityContext"], &["appArmorProfile", "seccompProfile", "seLinuxOptions"], "securityContext");
        assert_eq!(spec["securityContext"]["appArmorProfile"]["type"], "Unconfined");
        let uid = format!("uid-{name}-{attempt}");
        CriPod {
            name: name.into(),
            annotations: self.annotations.clone(),
            cgroup_parent: format!("/kubepods/burstable/pod{uid}"),
            uid,
            host_pid: spec["hostPID"] == true,
            own_network: spec["hostNetwork"] != true,
            seccomp: spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault",
            log_directory: logs.display().to_string(),
            attempt: 0,
        }
    }

    /// One of its containers, or of those that run before (`initContainers`). Its volumes are made below `volumes` where they are none of the host.
    pub(crate) fn container(&self, kind: &str, volumes: &Path) -> CriContainer {
        let found: Vec<&Value> = list(&self.spec[kind]).collect();
        let [container] = found[..] else { panic!("{kind}: {found:?}") };
        let known = ["name", "image", "imagePullPolicy", "args", "env", "resources"];
        let more = ["securityContext", "startupProbe", "livenessProbe", "volumeMounts"];
        only(container, &[known.as_slice(), &more].concat(), kind);
        let rights = &container["securityContext"];
        let known = ["runAsUser", "privileged", "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"];
        only(rights, &known, "securityContext of the container");
        assert_eq!((&rights["privileged"], texts(&rights["capabilities"]["drop"])), (&Value::Bool(false), vec!["ALL".to_owned()]));
        let name = text(&container["name"], "the name").to_owned();
        CriContainer {
            image: text(&container["image"], "the image").to_owned(),
            args: texts(&container["args"]),
            env: list(&container["env"]).map(variable).collect(),
            resources: resources(&container["resources"]),
            mounts: list(&container["volumeMounts"]).map(|mount| self.mount(mount, volumes)).collect(),
            capabilities: Some(texts(&rights["capabilities"]["add"])),
            readonly: rights["readOnlyRootFilesystem"] == true,
            user: rights["runAsUser"].as_i64(),
            no_new_privileges: rights["allowPrivilegeEscalation"] == false,
            log_path: format!("{name}.log"),
            name,
            ..CriContainer::default()
        }
    }

    /// Takes a capability away.
    pub(crate) fn without_capability(mut self, name: &str) -> Self {
        for container in self.spec["containers"].as_array_mut().unwrap() {
            let added = container["securityContext"]["capabilities"]["add"].as_array_mut().unwrap();
            let before = added.len();
            added.retain(|capability| capability != name);
            assert_eq!(added.len() + 1, before, "{name} was among them");
        }
        self
    }

    /// The command of a probe, and how many seconds it may take.
    pub(crate) fn probe(&self, name: &str) -> (Vec<String>, i64) {
        let probe = &self.spec["containers"][0][name];
        only(probe, &["exec", "periodSeconds", "timeoutSeconds", "failureThreshold"], name);
        (texts(&probe["exec"]["command"]), probe["timeoutSeconds"].as_i64().unwrap_or(1))
    }

    fn mount(&self, mount: &Value, volumes: &Path) -> Mount {
        only(mount, &["name", "mountPath", "readOnly", "mountPropagation"], "mount");
        let name = text(&mount["name"], "the mount's volume");
        let volume = list(&self.spec["volumes"]).find(|volume| volume["name"] == name);
        let propagation = match mount["mountPropagation"].as_str() {
            None | Some("None") => MountPropagation::PropagationPrivate,
            Some("HostToContainer") => MountPropagation::PropagationHostToContainer,
            Some(other) => panic!("{name}: propagation {other}"),
        };
        Mount {
            container_path: text(&mount["mountPath"], "the mount's path").to_owned(),
            host_path: self.volume(volume.unwrap_or_else(|| panic!("there is no volume {name}")), volumes).display().to_string(),
            readonly: mount["readOnly"] == true,
            propagation: propagation.into(),
        }
    }

    fn volume(&self, volume: &Value, volumes: &Path) -> PathBuf {
        only(volume, &["name", "hostPath", "configMap"], "volume");
        if volume["configMap"]["name"] == "gleaner-config" {
            let dir = volumes.join("config");
            fs::create_dir_all(&dir).unwrap();
            for (name, text) in &self.files {
                fs::write(dir.join(name), text).unwrap();
            }
            return dir;
        }
        let path = PathBuf::from(text(&volume["hostPath"]["path"], "the volume's path"));
        match volume["hostPath"]["type"].as_str() {
            Some("Directory") => assert!(path.is_dir(), "hostPath type check failed: {} is not a directory", path.display()),
            Some("DirectoryOrCreate") => fs::create_dir_all(&path).unwrap(),
            other => panic!("{}: type {other:?}", path.display()),
        }
        path
    }
}

fn variable(variable: &Value) -> (String, String) {
    assert_eq!(variable["valueFrom"]["fieldRef"]["fieldPath"], "spec.nodeName", "{variable}");
    (text(&variable["name"], "a variable").to_owned(), gleaner_tests::NODE.to_owned())
}

/// Kubelet's formulas. -997 is what it gives pods of the class system-node-critical.
fn resources(resources: &Value) -> LinuxContainerResources {
    let request: MilliCpu = text(&resources["requests"]["cpu"], "the request of CPU").parse().unwrap();
    let memory: Bytes = text(&resources["limits"]["memory"], "the limit of memory").parse().unwrap();
    assert_eq!(resources["limits"]["cpu"], Value::Null);
    LinuxContainerResources {
        cpu_period: 100_000,
        cpu_shares: i64::try_from(request.get() * 1024 / 1000).unwrap(),
        memory_limit_in_bytes: i64::try_from(memory.get()).unwrap(),
        oom_score_adj: -997,
        ..LinuxContainerResources::default()
    }
}
