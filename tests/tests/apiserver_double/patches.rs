use super::{cnrs, code, nodes, of_cluster, pod, pods, raw};
use gleaner_tests::apiserver::{ApiServer, CNCS, CNRS, NODES};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON: &str = "application/json-patch+json";

fn condition(kind: &str, status: &str) -> Value {
    json!({"type": kind, "status": status})
}

async fn patch(server: &ApiServer, path: &str, content: &str, body: Value) -> Result<Value, kube::Error> {
    raw(&server.client(), "PATCH", path, content, &body).await
}

#[tokio::test]
async fn conditions_are_merged_by_type_and_taints_are_replaced() {
    let server = ApiServer::new();
    server.add_node("n1", &[]);
    let conditions =
        json!({"status": {"conditions": [condition("GleanerReady", "True")], "$setElementOrder/conditions": [{"type": "Ready"}]}});
    let node = patch(&server, "/api/v1/nodes/n1/status", STRATEGIC, conditions).await.unwrap();
    let kinds: Vec<_> = node["status"]["conditions"].as_array().unwrap().iter().map(|each| each["type"].clone()).collect();
    assert_eq!(vec!["Ready", "GleanerReady"], kinds);
    let change = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}, {"$patch": "delete", "type": "GleanerReady"}]}});
    let node = patch(&server, "/api/v1/nodes/n1/status", STRATEGIC, change).await.unwrap();
    assert_eq!((1, &json!("False")), (node["status"]["conditions"].as_array().unwrap().len(), &node["status"]["conditions"][0]["status"]));
    assert_eq!("KubeletReady", node["status"]["conditions"][0]["reason"], "what is not named stays");
    for key in ["a", "b"] {
        let taint = json!({"spec": {"taints": [{"key": key, "effect": "NoSchedule"}]}});
        let node = patch(&server, "/api/v1/nodes/n1", STRATEGIC, taint).await.unwrap();
        assert_eq!(json!([{"key": key, "effect": "NoSchedule"}]), node["spec"]["taints"]);
    }
    let amounts = json!({"status": {"allocatable": {"example.org/x": "3", "pods": null}}});
    let node = patch(&server, "/api/v1/nodes/n1/status", STRATEGIC, amounts).await.unwrap();
    assert_eq!(json!({"cpu": "8", "memory": "32Gi", "example.org/x": "3"}), node["status"]["allocatable"]);
    server.assert_clean();
    let wrong = json!({"status": {"conditions": [{"status": "True"}]}});
    assert_eq!(400, code(patch(&server, "/api/v1/nodes/n1/status", STRATEGIC, wrong).await));
}

#[tokio::test]
async fn a_merge_patch_replaces_lists_and_removes_what_is_null() {
    let server = ApiServer::new();
    server.add_node("n1", &[("a", "1"), ("b", "2")]);
    let change = json!({"metadata": {"labels": {"a": null, "c": "3"}}});
    let node = nodes(&server).patch("n1", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    assert_eq!(json!({"b": "2", "c": "3"}), serde_json::to_value(node.metadata.labels).unwrap());
    let change = json!({"status": {"conditions": [condition("Other", "True")]}});
    let node = nodes(&server).patch_status("n1", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    assert_eq!(1, node.status.unwrap().conditions.unwrap().len());
}

#[tokio::test]
async fn a_json_patch_goes_step_by_step_or_not_at_all() {
    let server = ApiServer::new();
    server.add_node("n1", &[("a", "1")]);
    let steps = json!([
        {"op": "test", "path": "/metadata/labels/a", "value": "1"}, {"op": "add", "path": "/metadata/labels/x~1y", "value": "2"},
        {"op": "move", "from": "/metadata/labels/a", "path": "/metadata/labels/b"}, {"op": "add", "path": "/spec/taints", "value": []},
        {"op": "add", "path": "/spec/taints/-", "value": {"key": "k", "effect": "NoExecute"}},
        {"op": "copy", "from": "/metadata/labels/b", "path": "/metadata/labels/c"}, {"op": "replace", "path": "/metadata/labels/c", "value": "4"},
    ]);
    let node = patch(&server, "/api/v1/nodes/n1", JSON, steps).await.unwrap();
    assert_eq!(json!({"x/y": "2", "b": "1", "c": "4"}), node["metadata"]["labels"]);
    assert_eq!("k", node["spec"]["taints"][0]["key"]);
    let before = server.get(NODES, "", "n1");
    let steps = json!([{"op": "remove", "path": "/metadata/labels/b"}, {"op": "test", "path": "/metadata/labels/c", "value": "5"}]);
    assert_eq!(422, code(patch(&server, "/api/v1/nodes/n1", JSON, steps).await));
    assert_eq!(before, server.get(NODES, "", "n1"));
}

#[tokio::test]
async fn kinds_from_definitions_take_no_strategic_patch_and_nothing_is_applied() {
    let server = ApiServer::new();
    server.set(CNRS, json!({"metadata": {"name": "n1"}}));
    let change = json!({"spec": {}});
    assert_eq!(415, code(cnrs(&server).patch("n1", &PatchParams::default(), &Patch::Strategic(&change)).await));
    let change = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    server.add_node("n1", &[]);
    assert_eq!(415, code(nodes(&server).patch("n1", &PatchParams::apply("me"), &Patch::Apply(&change)).await));
}

#[tokio::test]
async fn the_status_has_a_path_of_its_own() {
    let server = ApiServer::new();
    server.set(CNCS, json!({"metadata": {"name": "n1"}, "spec": {"a": 1}, "status": {"b": 1}}));
    let both = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}, "spec": {"a": 2}, "status": {"b": 2}}));
    let main = of_cluster(&server, CNCS).patch("n1", &PatchParams::default(), &both).await.unwrap();
    assert_eq!((&json!({"a": 2}), &json!({"b": 1})), (&main.data["spec"], &main.data["status"]));
    assert_eq!(Some(2), main.metadata.generation);
    let both = Patch::Merge(json!({"metadata": {"labels": {"x": "z"}}, "spec": {"a": 3}, "status": {"b": 3}}));
    let status = of_cluster(&server, CNCS).patch_status("n1", &PatchParams::default(), &both).await.unwrap();
    assert_eq!((&json!({"a": 2}), &json!({"b": 3})), (&status.data["spec"], &status.data["status"]));
    assert_eq!((Some(2), "y"), (status.metadata.generation, status.metadata.labels.unwrap()["x"].as_str()));
    server.add_node("n1", &[]);
    let both = Patch::Merge(
        json!({"metadata": {"annotations": {"x": "y"}}, "spec": {"unschedulable": true}, "status": {"allocatable": {"cpu": "1"}}}),
    );
    let status = nodes(&server).patch_status("n1", &PatchParams::default(), &both).await.unwrap();
    assert_eq!((None, "1"), (status.spec.unwrap().unschedulable, status.status.unwrap().allocatable.unwrap()["cpu"].0.as_str()));
    assert_eq!("y", status.metadata.annotations.unwrap()["x"], "metadata of a kind that comes with the server");
    let main =
        nodes(&server).patch("n1", &PatchParams::default(), &Patch::Merge(json!({"status": {"allocatable": {"cpu": "2"}}}))).await.unwrap();
    assert_eq!("1", main.status.unwrap().allocatable.unwrap()["cpu"].0);
}

#[tokio::test]
async fn a_write_from_an_old_version_is_a_conflict() {
    let server = ApiServer::new();
    server.add_node("n1", &[]);
    let api = nodes(&server);
    let mut old = api.get("n1").await.unwrap();
    let version = old.metadata.resource_version.clone();
    server.edit(NODES, "", "n1", |node| node["metadata"]["labels"] = json!({"a": "b"}));
    old.spec.get_or_insert_default().unschedulable = Some(true);
    assert_eq!(409, code(api.replace("n1", &PostParams::default(), &old).await));
    let guarded = Patch::Merge(json!({"metadata": {"resourceVersion": version}, "spec": {"unschedulable": true}}));
    assert_eq!(409, code(api.patch("n1", &PatchParams::default(), &guarded).await));
    let mut new = api.get("n1").await.unwrap();
    new.spec.get_or_insert_default().unschedulable = Some(true);
    api.replace("n1", &PostParams::default(), &new).await.unwrap();
    server.set(CNRS, json!({"metadata": {"name": "n1"}}));
    let mut blind = cnrs(&server).get("n1").await.unwrap();
    blind.metadata.resource_version = None;
    assert_eq!(422, code(cnrs(&server).replace("n1", &PostParams::default(), &blind).await), "without a version");
}

#[tokio::test]
async fn a_write_that_changes_nothing_makes_no_version() {
    let server = ApiServer::new();
    server.add_node("n1", &[("a", "b")]);
    let before = server.get(NODES, "", "n1");
    let api = nodes(&server);
    api.patch("n1", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}))).await.unwrap();
    api.patch_status("n1", &PatchParams::default(), &Patch::Merge(json!({"status": {"allocatable": {"memory": "32768Mi"}}})))
        .await
        .unwrap();
    api.patch("n1", &PatchParams::default().dry_run(), &Patch::Merge(json!({"metadata": {"labels": {"a": "c"}}}))).await.unwrap();
    assert_eq!(before, server.get(NODES, "", "n1"));
    server.assert_clean();
}

#[tokio::test]
async fn what_is_not_there_is_not_patched() {
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    let change = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    assert_eq!(404, code(pods(&server, "default").patch("b", &PatchParams::default(), &change).await));
    assert_eq!(404, code(pods(&server, "shop").patch("a", &PatchParams::default(), &change).await));
    let other = Patch::Merge(json!({"metadata": {"uid": "other", "labels": {"a": "b"}}}));
    assert_eq!(409, code(pods(&server, "default").patch("a", &PatchParams::default(), &other).await), "another pod of the name");
}
