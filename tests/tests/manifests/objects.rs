//! Every object is of a type that the API server knows, with no field that it would drop.

use crate::files::{below, documents, root};
use gleaner_crds::cnr::CustomNodeResource;
use gleaner_crds::config::AdminQosConfiguration;
use k8s_openapi::api::admissionregistration::{v1 as admission, v1alpha1 as admission_alpha};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What of `written` the type `T` does not keep.
fn lost<T: DeserializeOwned + Serialize>(written: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match serde_json::from_value::<T>(written.clone()) {
        Ok(object) => compare("", written, &serde_json::to_value(object).unwrap(), &mut found),
        Err(error) => found.push(error.to_string()),
    }
    found
}

fn compare(path: &str, written: &Value, kept: &Value, found: &mut Vec<String>) {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            for (key, value) in written {
                match kept.get(key) {
                    Some(kept) => compare(&format!("{path}.{key}"), value, kept, found),
                    None => found.push(format!("{path}.{key} is no field")),
                }
            }
        }
        (Value::Array(written), Value::Array(kept)) if written.len() == kept.len() => {
            for (index, (written, kept)) in written.iter().zip(kept).enumerate() {
                compare(&format!("{path}[{index}]"), written, kept, found);
            }
        }
        // 3 and 3.0 are one number.
        (Value::Number(written), Value::Number(kept)) if written.as_f64() == kept.as_f64() => {}
        (written, kept) if written != kept => found.push(format!("{path}: {written} became {kept}")),
        _ => {}
    }
}

/// What is wrong with an object, by its kind.
fn problems(object: &Value) -> Vec<String> {
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("v1", "Namespace") => lost::<Namespace>(object),
        ("v1", "ServiceAccount") => lost::<ServiceAccount>(object),
        ("v1", "ConfigMap") => lost::<ConfigMap>(object),
        ("v1", "Pod") => lost::<Pod>(object),
        ("apps/v1", "DaemonSet") => lost::<DaemonSet>(object),
        ("apps/v1", "Deployment") => lost::<Deployment>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => lost::<ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => lost::<ClusterRoleBinding>(object),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => lost::<CustomResourceDefinition>(object),
        ("node.katalyst.kubewharf.io/v1alpha1", "CustomNodeResource") => lost::<CustomNodeResource>(object),
        ("config.katalyst.kubewharf.io/v1alpha1", "AdminQoSConfiguration") => lost::<AdminQosConfiguration>(object),
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy") => lost::<admission::ValidatingAdmissionPolicy>(object),
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding") => {
            lost::<admission::ValidatingAdmissionPolicyBinding>(object)
        }
        // The later versions have the same fields; that they say the same is tested beside the policy.
        ("admissionregistration.k8s.io/v1alpha1" | "admissionregistration.k8s.io/v1beta1" | "admissionregistration.k8s.io/v1", kind) => {
            let mut object = object.clone();
            object["apiVersion"] = "admissionregistration.k8s.io/v1alpha1".into();
            match kind {
                "MutatingAdmissionPolicy" => lost::<admission_alpha::MutatingAdmissionPolicy>(&object),
                "MutatingAdmissionPolicyBinding" => lost::<admission_alpha::MutatingAdmissionPolicyBinding>(&object),
                _ => vec![format!("{kind} is not known to this test")],
            }
        }
        (version, kind) => vec![format!("{version} {kind} is not known to this test")],
    }
}

#[test]
fn every_object_is_of_its_type_with_no_field_too_many() {
    let manifests = root().join("manifests");
    let not_objects = |file: &std::path::PathBuf| file.ends_with("kustomization.yaml") || file.ends_with("samples/gleaner.yaml");
    let mut wrong = Vec::new();
    for file in below(&manifests).into_iter().filter(|file| !not_objects(file)) {
        for object in documents(&file) {
            // A patch is a part of its object, and is checked with it by the test of overlays.
            if !file.ends_with("base/daemonset.yaml") && file.ends_with("daemonset.yaml") {
                continue;
            }
            wrong.extend(problems(&object).into_iter().map(|problem| format!("{}: {problem}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_overlays_make_is_of_its_type_too() {
    for folder in crate::compose::folders().into_iter().filter(|folder| !folder.starts_with("components")) {
        for object in crate::compose::compose(&folder) {
            assert_eq!(problems(&object), Vec::<String>::new(), "{folder}");
        }
    }
}

#[test]
fn a_field_that_the_type_does_not_have_is_found() {
    let mut object = documents(&root().join("manifests/base/daemonset.yaml")).remove(0);
    object["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = true.into();
    assert_eq!(problems(&object), [".spec.template.spec.containers[0].securityContext.readOnlyRootFileSystem is no field"]);
}
