//! As much of kustomize as the manifests use: resources, components, and strategic-merge patches from files.

use crate::files::{below, document, documents, root};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `kubectl apply -k FOLDER` would apply.
pub(crate) fn compose(folder: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    build(&root().join("manifests").join(folder), &mut objects);
    objects
}

/// The one object of a kind and name.
pub(crate) fn object(objects: &[Value], kind: &str, name: &str) -> Value {
    let found: Vec<&Value> = objects.iter().filter(|o| o["kind"] == kind && o["metadata"]["name"] == name).collect();
    assert_eq!(found.len(), 1, "{kind} {name} in {:?}", objects.iter().map(identity).collect::<Vec<_>>());
    found[0].clone()
}

fn identity(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    [&object["apiVersion"], &object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]].map(text).join(" ")
}

fn names(kustomization: &Value, list: &str) -> Vec<String> {
    kustomization[list].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn build(folder: &Path, objects: &mut Vec<Value>) {
    let file = folder.join("kustomization.yaml");
    let kustomization = document(&file);
    let keys: BTreeSet<&str> = kustomization.as_object().unwrap().keys().map(String::as_str).collect();
    let known = BTreeSet::from(["apiVersion", "kind", "resources", "components", "patches"]);
    assert!(keys.is_subset(&known), "{}: this composer knows {known:?}, not all of {keys:?}", file.display());
    for name in names(&kustomization, "resources") {
        let path = folder.join(&name);
        if path.is_dir() {
            build(&path, objects);
        } else {
            objects.extend(documents(&path));
        }
    }
    for name in names(&kustomization, "components") {
        build(&folder.join(name), objects);
    }
    for patch in kustomization["patches"].as_array().into_iter().flatten() {
        assert_eq!(patch.as_object().unwrap().keys().collect::<Vec<_>>(), ["path"], "{}: a patch is a file", file.display());
        let patch = document(&folder.join(patch["path"].as_str().unwrap()));
        let target = objects.iter_mut().find(|o| identity(o) == identity(&patch));
        merge(target.unwrap_or_else(|| panic!("{}: {} is not there", file.display(), identity(&patch))), patch);
    }
}

/// Kubernetes' strategic merge, for the lists that we patch.
fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                match (value, merge_key(&key)) {
                    (Value::Null, _) => drop(into.remove(&key)),
                    (Value::Array(items), Some(by)) => merge_list(into.entry(&key).or_insert_with(|| Value::Array(vec![])), items, by),
                    (value, _) => merge(into.entry(&key).or_insert(Value::Object(Map::new())), value),
                }
            }
        }
        (into, patch) => *into = patch,
    }
}

fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "volumes" | "env" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        _ => None,
    }
}

fn merge_list(into: &mut Value, items: Vec<Value>, by: &str) {
    let list = into.as_array_mut().unwrap();
    for item in items {
        match list.iter_mut().find(|old| old[by] == item[by]) {
            Some(old) => merge(old, item),
            None => list.push(item),
        }
    }
}

/// Every folder with a kustomization, by its path below `manifests`.
pub(crate) fn folders() -> Vec<String> {
    let manifests = root().join("manifests");
    let all = below(&manifests).into_iter().filter(|file| file.ends_with("kustomization.yaml"));
    all.map(|file| file.parent().unwrap().strip_prefix(&manifests).unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_file_beside_a_kustomization_is_named_by_it_and_the_others_are_there() {
    for folder in folders() {
        let folder = root().join("manifests").join(folder);
        let kustomization = document(&folder.join("kustomization.yaml"));
        let patches = kustomization["patches"].as_array().into_iter().flatten().map(|patch| patch["path"].as_str().unwrap().to_owned());
        let named: BTreeSet<String> = names(&kustomization, "resources").into_iter().chain(patches).collect();
        for name in named.iter().chain(&names(&kustomization, "components")) {
            assert!(folder.join(name).exists(), "{}/kustomization.yaml names {name}, which is not there", folder.display());
        }
        let here = below(&folder).into_iter().filter(|file| file.parent() == Some(&folder) && !file.ends_with("kustomization.yaml"));
        for file in here.map(|file| file.file_name().unwrap().to_string_lossy().into_owned()) {
            assert!(named.contains(&file), "{}/kustomization.yaml does not name {file}", folder.display());
        }
    }
}

#[test]
fn the_folder_of_manifests_is_the_overlay_nri() {
    assert_eq!(compose(""), compose("overlays/nri"));
}

/// The composer above, compared with the real thing.
#[test]
fn kubectl_composes_the_same() {
    for folder in folders().into_iter().filter(|folder| !folder.starts_with("components")) {
        let path: PathBuf = root().join("manifests").join(&folder);
        let Ok(output) = Command::new("kubectl").arg("kustomize").arg(&path).output() else {
            gleaner_tests::skip("kubectl_composes_the_same", "there is no kubectl");
            return;
        };
        assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
        let sorted = |mut objects: Vec<Value>| {
            objects.sort_by_key(identity);
            objects
        };
        let theirs: Vec<Value> = serde_saphyr::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap();
        assert_same(&folder, &sorted(compose(&folder)), &sorted(theirs));
    }
}

fn assert_same(folder: &str, ours: &[Value], theirs: &[Value]) {
    assert_eq!(ours.len(), theirs.len(), "{folder}: objects");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!(by_name(ours) == by_name(theirs), "{folder}: {}\nours:   {ours}\ntheirs: {theirs}", identity(ours));
    }
}

/// Lists of objects in one order: a merge may add at either end.
fn by_name(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), by_name(value))).collect()),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(by_name).collect();
            if items.iter().all(Value::is_object) {
                items.sort_by_key(Value::to_string);
            }
            Value::Array(items)
        }
        // 0 and 0.0 are one number in YAML.
        Value::Number(number) => number.as_f64().into(),
        plain => plain.clone(),
    }
}
