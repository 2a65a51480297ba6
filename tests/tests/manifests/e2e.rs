//! `scripts/e2e` against a stand-in for kubectl: its steps, their order, and what it does when one fails.

use crate::files::root;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Writes down how it was called, and answers as a cluster would on which Gleaner works: by the overlay that was applied last.
const KUBECTL: &str = r#"#!/bin/bash
here=$(dirname -- "$0")
printf '%s\n' "$*" >>"$here/calls"
state() { [ -e "$here/$1" ]; }
case "$*" in
  *"$(cat "$here/broken")"*) echo "the stand-in was told to fail"; exit 1 ;;
  "apply -k "*) basename "$3" >"$here/overlay"; cat "$3/kustomization.yaml" >>"$here/kustomizations"; kustomized=$("$REAL" kustomize "$3") || exit 1 ;;
  "apply -f -") text=$(cat); printf '%s\n' "$text" >>"$here/pods"; case $text in *"name: spike"*) : >"$here/spike" ;; esac ;;
  *"get nodes -o"*) if [ "$(cat "$here/overlay")" = nri ]; then echo "node1 3000"; else echo "node1 "; fi ;;
  *"get pod reclaimed"*phase*) if state spike; then printf Failed; else printf Running; fi ;;
  *"get pod reclaimed"*nodeName*) printf node1 ;;
  *"get node node1"*) printf 4 ;;
  *"get events"*) if state spike; then echo "ReclaimedPodEvicted: suppressed"; fi ;;
esac
"#;

struct Cluster {
    dir: TempDir,
}

impl Cluster {
    /// One whose stand-in fails at calls that hold this text.
    fn broken_at(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stub = dir.path().join("kubectl");
        fs::write(&stub, KUBECTL).unwrap();
        fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("broken"), text).unwrap();
        fs::write(dir.path().join("overlay"), "none").unwrap();
        Self { dir }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    fn script(&self) -> Command {
        let path = format!("{}:{}", self.dir.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(root().join("scripts/e2e"));
        command.env("PATH", path).env("KUBECONFIG", "/nowhere/config").env("GLEANER_IMAGE", "registry.example.com:5000/team/gleaner:1.2");
        command.env("GLEANER_E2E_POLL", "0").env("GLEANER_E2E_TRIES", "3").env("GLEANER_E2E_WORK", self.dir.path().join("work"));
        command.env("REAL", real_kubectl().unwrap_or_else(|| "true".to_owned()));
        command
    }
}

/// Kubectl itself, where there is one, so that what is applied can be composed.
fn real_kubectl() -> Option<String> {
    let output = Command::new("bash").args(["-c", "command -v kubectl"]).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn steps(output: &Output, mark: &str) -> Vec<String> {
    text(output).lines().filter_map(|line| line.strip_prefix(mark)).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn the_script_is_bash() {
    for name in ["e2e", "image"] {
        let output = Command::new("bash").arg("-n").arg(root().join("scripts").join(name)).output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output));
    }
}

#[test]
fn without_a_cluster_it_says_so_in_one_line_and_is_no_failure() {
    let script = root().join("scripts/e2e");
    let output = Command::new(&script).env_remove("KUBECONFIG").output().unwrap();
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), "SKIP e2e: KUBECONFIG names no cluster\n"));
    // The tools that the script needs, without kubectl.
    let tools = tempfile::tempdir().unwrap();
    for tool in ["bash", "dirname"] {
        let found = Command::new("bash").args(["-c", &format!("command -v {tool}")]).output().unwrap();
        std::os::unix::fs::symlink(String::from_utf8(found.stdout).unwrap().trim(), tools.path().join(tool)).unwrap();
    }
    let output = Command::new("/bin/bash").arg(&script).env("PATH", tools.path()).env("KUBECONFIG", "/nowhere").output().unwrap();
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), "SKIP e2e: there is no kubectl\n"));
}

#[test]
fn the_whole_way_is_ok_where_the_cluster_does_what_it_should() {
    let cluster = Cluster::broken_at("nothing of this text");
    let output = cluster.script().output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let ok = steps(&output, "ok");
    assert_eq!(ok.len(), 18, "{}", text(&output));
    assert_eq!((ok[0].as_str(), ok[17].as_str()), ("the cluster answers", "everything is removed"));
    let calls = cluster.read("calls");
    let applied: Vec<&str> = calls.lines().filter(|call| call.starts_with("apply -k")).filter_map(|call| call.rsplit('/').next()).collect();
    assert_eq!(applied, ["shadow", "nri", "restore"]);
    assert!(calls.contains("delete namespace gleaner-e2e") && calls.contains("delete -k"), "{calls}");
    let kustomization = cluster.read("kustomizations");
    assert!(kustomization.contains("newName: registry.example.com:5000/team/gleaner\n    newTag: \"1.2\""), "{kustomization}");
    for pod in serde_saphyr::from_multiple::<serde_json::Value>(&cluster.read("pods").replace("apiVersion", "---\napiVersion")).unwrap() {
        let pod: k8s_openapi::api::core::v1::Pod = serde_json::from_value(pod).unwrap();
        assert_eq!(pod.metadata.namespace.as_deref(), Some("gleaner-e2e"));
    }
}

#[test]
fn a_step_that_fails_ends_the_way_and_everything_is_removed_all_the_same() {
    for (broken, failed) in [
        ("apply -k", "shadow: applied"),
        ("rollout status", "shadow: every agent runs"),
        ("create namespace", "pod: its namespace"),
        ("get events", "spike: an Event says why"),
    ] {
        let cluster = Cluster::broken_at(broken);
        let output = cluster.script().output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{broken}: {}", text(&output));
        assert_eq!(steps(&output, "FAILED"), [failed], "{}", text(&output));
        assert_eq!(steps(&output, "ok").last().unwrap(), "everything is removed", "{}", text(&output));
    }
}

/// The parts of an image's name, as the script takes them apart.
#[test]
fn an_image_may_have_a_port_a_tag_and_a_digest() {
    let fields = |image: &str| {
        let script = format!("source {}; image_fields {image}", shell(&root().join("scripts/e2e")));
        String::from_utf8(Command::new("bash").args(["-c", &script]).output().unwrap().stdout).unwrap()
    };
    assert_eq!(fields("gleaner"), "    newName: gleaner\n");
    assert_eq!(fields("gleaner:1"), "    newName: gleaner\n    newTag: \"1\"\n");
    assert_eq!(fields("h:5000/gleaner"), "    newName: h:5000/gleaner\n");
    assert_eq!(fields("h:5000/gleaner:1"), "    newName: h:5000/gleaner\n    newTag: \"1\"\n");
    assert_eq!(fields("h/gleaner@sha256:ab"), "    newName: h/gleaner\n    digest: sha256:ab\n");
}

fn shell(path: &Path) -> String {
    format!("'{}'", path.display())
}
