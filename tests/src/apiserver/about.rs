//! Pages about the server: its version, its health and what it serves.

use super::failure::Failure;
use super::resource::Resource;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The type of the content, and the content.
pub(super) fn page(path: &str, defined: &BTreeSet<Resource>) -> Result<(&'static str, String), Failure> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let object = match parts.as_slice() {
        ["healthz" | "livez" | "readyz"] => return Ok(("text/plain; charset=utf-8", "ok".to_owned())),
        ["version"] => version(),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ["apis"] => groups(defined),
        ["api", version] => resources("", version, defined)?,
        ["apis", group, version] => resources(group, version, defined)?,
        _ => return Err(Failure::no_page()),
    };
    Ok(("application/json", object.to_string()))
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "", "gitTreeState": "clean", "buildDate": "2025-01-01T00:00:00Z",
        "goVersion": "go1.24", "compiler": "gc", "platform": "linux/amd64",
    })
}

fn groups(defined: &BTreeSet<Resource>) -> Value {
    let all: BTreeSet<(&str, &str)> =
        defined.iter().map(|each| (each.group, each.version)).filter(|(group, _)| !group.is_empty()).collect();
    let groups = all.iter().map(|(group, version)| {
        let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
        json!({"name": group, "versions": [version], "preferredVersion": version})
    });
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.collect::<Vec<_>>()})
}

fn resources(group: &str, version: &str, defined: &BTreeSet<Resource>) -> Result<Value, Failure> {
    let own: Vec<&Resource> = defined.iter().filter(|each| each.group == group && each.version == version).collect();
    let first = own.first().ok_or_else(Failure::no_page)?;
    let entry = |name: String, each: &Resource, verbs: &[&str]| json!({"name": name, "singularName": "", "namespaced": each.namespaced, "kind": each.kind, "verbs": verbs});
    let entries = own.iter().flat_map(|each| {
        let whole = entry(each.plural.to_owned(), each, &["create", "delete", "get", "list", "patch", "update", "watch"]);
        let status = each.status_subresource.then(|| entry(format!("{}/status", each.plural), each, &["get", "patch", "update"]));
        [Some(whole), status].into_iter().flatten()
    });
    Ok(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(), "resources": entries.collect::<Vec<_>>(),
    }))
}
