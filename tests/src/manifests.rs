//! The objects of `manifests/`, as a cluster gets them.

use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of manifests: `GLEANER_MANIFESTS`, else that of the workspace.
///
/// # Panics
/// When the workspace has no folder.
#[must_use]
pub fn folder() -> PathBuf {
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("manifests");
    std::env::var_os("GLEANER_MANIFESTS").map_or_else(ours, PathBuf::from)
}

/// All documents of a file.
///
/// # Panics
/// When it cannot be read, or is no YAML.
#[must_use]
pub fn documents(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The one document of a file.
///
/// # Panics
/// When there are none or several.
#[must_use]
pub fn document(file: &Path) -> Value {
    let mut all = documents(file);
    assert_eq!(all.len(), 1, "{}: documents", file.display());
    all.remove(0)
}

/// What `kubectl apply -k manifests/FOLDER` would apply: as much of kustomize as the manifests use, which is resources, components, and
/// strategic-merge patches from files.
///
/// # Panics
/// When they use more than that, or are not whole.
#[must_use]
pub fn compose(below: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    build(&folder().join(below), &mut objects);
    objects
}

/// The one object of a kind and name.
///
/// # Panics
/// When there are none or several.
#[must_use]
pub fn object(objects: &[Value], kind: &str, name: &str) -> Value {
    let found: Vec<&Value> = objects.iter().filter(|o| o["kind"] == kind && o["metadata"]["name"] == name).collect();
    assert_eq!(found.len(), 1, "{kind} {name} in {:?}", objects.iter().map(identity).collect::<Vec<_>>());
    found[0].clone()
}

/// Version, kind, namespace and name of an object.
#[must_use]
pub fn identity(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    [&object["apiVersion"], &object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]].map(text).join(" ")
}

/// The names in a list of a kustomization.
///
/// # Panics
/// When one of them is no text.
#[must_use]
pub fn names(kustomization: &Value, list: &str) -> Vec<String> {
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
