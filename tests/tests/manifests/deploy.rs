//! What the agent may do on a node and in the cluster, overlay by overlay: exactly this, and nothing more.

use crate::compose::{compose, object};
use crate::files::{document, root};
use gleaner_model::{QosClass, QosConfig, QosSpec};
use gleaner_tests::program;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

const OVERLAYS: [&str; 5] = ["shadow", "nri", "reconcile", "qrm", "restore"];

fn daemonset(overlay: &str) -> Value {
    object(&compose(&format!("overlays/{overlay}")), "DaemonSet", "gleaner")
}

fn pod(overlay: &str) -> Value {
    daemonset(overlay)["spec"]["template"]["spec"].clone()
}

fn containers(pod: &Value) -> Vec<Value> {
    ["initContainers", "containers"].iter().filter_map(|list| pod[list].as_array()).flatten().cloned().collect()
}

#[test]
fn each_overlay_runs_the_agent_in_its_mode() {
    for (overlay, last) in
        [("shadow", vec!["--nri", "--shadow"]), ("nri", vec!["--nri"]), ("reconcile", vec!["--reconcile"]), ("qrm", vec!["--qrm"])]
    {
        let pod = pod(overlay);
        let mut args = vec!["agent", "--config", "/etc/gleaner/gleaner.yaml"];
        args.extend(last);
        assert_eq!(pod["containers"][0]["args"], json!(args), "{overlay}");
        assert_eq!(pod["initContainers"], Value::Null, "{overlay}");
        assert_eq!(pod["containers"][0]["livenessProbe"]["exec"]["command"][0], "gleaner", "{overlay}");
    }
}

#[test]
fn restore_puts_the_node_back_and_then_waits() {
    let daemonset = daemonset("restore");
    assert_eq!(daemonset["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"], "100%");
    let pod = &daemonset["spec"]["template"]["spec"];
    assert_eq!(pod["initContainers"][0]["args"], json!(["restore", "--config", "/etc/gleaner/gleaner.yaml"]));
    assert_eq!(pod["containers"][0]["args"], json!(["restore", "--config", "/etc/gleaner/gleaner.yaml", "--wait"]));
    assert_eq!((&pod["containers"][0]["livenessProbe"], &pod["containers"][0]["startupProbe"]), (&Value::Null, &Value::Null));
    let [first, second] = containers(pod).try_into().unwrap();
    assert_eq!((&first["image"], &first["securityContext"]), (&second["image"], &second["securityContext"]));
}

#[test]
fn no_container_is_privileged_or_can_write_its_root() {
    let allowed = json!({
        "runAsUser": 0,
        "privileged": false,
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE", "SYS_RESOURCE"]},
    });
    for overlay in OVERLAYS {
        let pod = pod(overlay);
        for container in containers(&pod) {
            assert_eq!(container["securityContext"], allowed, "{overlay}: {}", container["name"]);
        }
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{overlay}");
        let host: BTreeSet<&str> = ["hostPID", "hostNetwork", "hostIPC"].into_iter().filter(|key| pod[key] == true).collect();
        assert_eq!(host, BTreeSet::from(["hostPID"]), "{overlay}");
    }
}

#[test]
fn only_the_listed_host_paths_are_mounted() {
    let base = ["/sys/fs/cgroup rw", "/var/lib/gleaner rw", "/run/gleaner rw", "/var/lib/kubelet ro"];
    for (overlay, more) in [
        ("shadow", vec!["/var/run/nri rw"]),
        ("nri", vec!["/var/run/nri rw"]),
        ("reconcile", vec![]),
        ("qrm", vec!["/var/lib/kubelet/plugins_registry rw", "/var/lib/katalyst/pod-resources rw"]),
        ("restore", vec![]),
    ] {
        let pod = pod(overlay);
        let volumes: BTreeMap<&str, &Value> =
            pod["volumes"].as_array().unwrap().iter().map(|volume| (volume["name"].as_str().unwrap(), volume)).collect();
        let mut found = BTreeSet::new();
        for container in containers(&pod) {
            for mount in container["volumeMounts"].as_array().unwrap() {
                let volume = volumes.get(mount["name"].as_str().unwrap()).unwrap_or_else(|| panic!("{overlay}: {mount} has no volume"));
                let Some(path) = volume["hostPath"]["path"].as_str() else { continue };
                assert_eq!(mount["mountPath"], path, "{overlay}: the agent has the host's names");
                found.insert(format!("{path} {}", if mount["readOnly"] == true { "ro" } else { "rw" }));
            }
        }
        let expected: BTreeSet<String> = base.into_iter().chain(more).map(str::to_owned).collect();
        assert_eq!(found, expected, "{overlay}");
        assert_eq!(volumes.len(), expected.len() + 1, "{overlay}: every volume is a host path but the configuration");
    }
}

#[test]
fn volumes_that_kubelet_unmounts_are_let_go() {
    for overlay in OVERLAYS {
        for mount in pod(overlay)["containers"][0]["volumeMounts"].as_array().unwrap() {
            if mount["mountPath"] == "/var/lib/kubelet" {
                assert_eq!(mount["mountPropagation"], "HostToContainer", "{overlay}");
            }
        }
    }
}

/// All rules as `group/resource: verbs`.
fn rules(objects: &[Value], role: &str) -> BTreeMap<String, BTreeSet<String>> {
    let texts = |value: &Value| value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rule in object(objects, "ClusterRole", role)["rules"].as_array().unwrap() {
        for (group, resource) in texts(&rule["apiGroups"]).iter().flat_map(|g| texts(&rule["resources"]).into_iter().map(move |r| (g, r))) {
            found.entry(format!("{group}/{resource}")).or_default().extend(texts(&rule["verbs"]));
        }
    }
    found
}

fn expected(rules: &[(&str, &str)]) -> BTreeMap<String, BTreeSet<String>> {
    rules.iter().map(|(resource, verbs)| ((*resource).to_owned(), verbs.split(' ').map(str::to_owned).collect())).collect()
}

#[test]
fn the_agent_may_do_exactly_what_it_does() {
    let agent = expected(&[
        ("/pods", "list watch"),
        ("/nodes", "get list watch"),
        ("/nodes/status", "patch"),
        ("/pods/eviction", "create"),
        ("events.k8s.io/events", "create patch"),
        ("node.katalyst.kubewharf.io/customnoderesources", "get create patch delete"),
        ("node.katalyst.kubewharf.io/customnoderesources/status", "patch"),
        ("config.katalyst.kubewharf.io/adminqosconfigurations", "get list watch"),
        ("config.katalyst.kubewharf.io/customnodeconfigs", "get list watch"),
    ]);
    for overlay in OVERLAYS {
        let objects = compose(&format!("overlays/{overlay}"));
        assert_eq!(rules(&objects, "gleaner"), agent, "{overlay}");
        assert_eq!(objects.iter().filter(|o| o["kind"] == "ClusterRole").count(), 1, "{overlay}: no other role");
        let binding = object(&objects, "ClusterRoleBinding", "gleaner");
        assert_eq!(binding["roleRef"]["name"], "gleaner");
        assert_eq!(binding["subjects"], json!([{"kind": "ServiceAccount", "name": "gleaner", "namespace": "gleaner-system"}]));
        assert_eq!(pod(overlay)["serviceAccountName"], "gleaner");
    }
}

#[test]
fn components_add_one_right_each() {
    let node_taint = document_set("components/node-taint/rbac.yaml");
    assert_eq!(rules(&node_taint, "gleaner-node-taint"), expected(&[("/nodes", "patch")]));
    let kubelet = document_set("components/kubelet-api/rbac.yaml");
    assert_eq!(rules(&kubelet, "gleaner-kubelet-api"), expected(&[("/nodes/proxy", "get")]));
    let patch = document(&root().join("manifests/components/kubelet-api/daemonset.yaml"));
    assert_eq!(patch["spec"]["template"]["spec"], json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}));
}

fn document_set(file: &str) -> Vec<Value> {
    crate::files::documents(&root().join("manifests").join(file))
}

#[test]
fn the_agent_has_what_a_node_with_many_pods_needs_and_comes_first() {
    for overlay in OVERLAYS {
        let pod = pod(overlay);
        for container in containers(&pod) {
            let resources = json!({"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}});
            assert_eq!(container["resources"], resources, "{overlay}");
        }
        assert_eq!(pod["priorityClassName"], "system-node-critical");
        assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
        let name = json!({"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}});
        assert_eq!(pod["containers"][0]["env"], json!([name]));
    }
}

#[test]
fn the_agents_own_pod_is_one_of_the_system() {
    let annotations = daemonset("nri")["spec"]["template"]["metadata"]["annotations"].clone();
    let annotations: BTreeMap<String, String> = serde_json::from_value(annotations).unwrap();
    assert_eq!(QosSpec::parse(&annotations, &QosConfig::default()), Ok(QosSpec::of(QosClass::System)));
}

/// The version of the image is that of the workspace.
#[test]
fn the_image_is_of_this_version() {
    for overlay in OVERLAYS {
        for container in containers(&pod(overlay)) {
            assert_eq!(container["image"], format!("gleaner:{}", env!("CARGO_PKG_VERSION")), "{overlay}");
        }
    }
}

/// Asks an agent that is not there: status 1. A configuration that is refused gives 64.
fn status(config: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gleaner.yaml");
    fs::write(&file, config).unwrap();
    let socket = dir.path().join("nobody.sock");
    let output = Command::new(program("gleaner")).args(["status", "--config"]).arg(file).arg("--socket").arg(socket).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_agent_takes_the_configuration_of_every_overlay() {
    for overlay in OVERLAYS {
        let map = object(&compose(&format!("overlays/{overlay}")), "ConfigMap", "gleaner-config");
        let (code, stderr) = status(map["data"]["gleaner.yaml"].as_str().unwrap());
        assert_eq!(code, Some(1), "{overlay}: {stderr}");
    }
    assert_eq!(status("estimator: {cpuReserv: 1}").0, Some(64), "a wrong key is noticed");
}

/// The flags of the overlays, without starting an agent: the command line is read before anything else, and a configuration that is not there ends it.
#[test]
fn the_agent_takes_the_flags_of_every_overlay() {
    for overlay in OVERLAYS.into_iter().filter(|overlay| *overlay != "restore") {
        let args = pod(overlay)["containers"][0]["args"].clone();
        let mut args: Vec<String> = serde_json::from_value(args).unwrap();
        "/nowhere/gleaner.yaml".clone_into(&mut args[2]);
        let output = Command::new(program("gleaner")).args(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("read /nowhere/gleaner.yaml"), "{overlay}: {stderr}");
    }
}
