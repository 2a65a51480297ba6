//! The composer of the manifests, held against the files and against kubectl.

use crate::files::{below, root};
pub(crate) use gleaner_tests::manifests::{compose, object};
use gleaner_tests::manifests::{document, identity, names};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

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
