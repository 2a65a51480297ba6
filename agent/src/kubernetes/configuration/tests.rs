mod follow;
mod followed;
mod merging;
mod properties;
mod selecting;

use super::merge::{Merged, merge};
use super::select::{Verdict, select};
use super::*;
use crate::config::Config;
use k8s_openapi::jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::json;
use std::collections::BTreeMap;

/// An object of namespace `ns`, created at the beginning of 2026, with this `spec`.
fn object(name: &str, spec: Value) -> ConfigObject {
    ConfigObject::read(raw(name, spec))
}

fn raw(name: &str, spec: Value) -> DynamicObject {
    let metadata = json!({"namespace": "ns", "name": name, "uid": format!("uid-{name}"), "creationTimestamp": "2026-01-01T00:00:00Z"});
    let kind = ("config.katalyst.kubewharf.io/v1alpha1", "AdminQoSConfiguration");
    serde_json::from_value(json!({"apiVersion": kind.0, "kind": kind.1, "metadata": metadata, "spec": spec})).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn labels(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn chosen(name: &str, config: Value) -> Chosen {
    let object = object(name, json!({"config": config}));
    Chosen { source: object.source, hash: object.hash, named: None, why: "test".into(), hold: None, content: object.content.unwrap() }
}

fn own(sections: Value) -> Value {
    json!({"gleaner": sections})
}

fn merged(config: Value) -> Result<Merged, Vec<String>> {
    merge(&Config::default(), &chosen("a", config))
}
