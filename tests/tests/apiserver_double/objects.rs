use super::{cnrs, code, nodes, pod, pods, raw};
use gleaner_tests::apiserver::{ApiServer, CNRS, NODES, PODS, Resource, canonical};
use k8s_openapi::api::core::v1::{Event as CoreEvent, Node};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};

#[tokio::test]
async fn a_new_object_gets_what_the_server_gives() {
    let server = ApiServer::new();
    let api = nodes(&server);
    let node: Node = serde_json::from_value(json!({"metadata": {"name": "n1", "labels": {"a": "b"}}})).unwrap();
    let made = api.create(&PostParams::default(), &node).await.unwrap();
    let meta = &made.metadata;
    assert!(meta.uid.is_some() && meta.creation_timestamp.is_some() && meta.resource_version.is_some(), "{meta:?}");
    assert_eq!(409, code(api.create(&PostParams::default(), &node).await), "the same name twice");
    let second = api.create(&PostParams::default(), &Node { metadata: named("n2"), ..Node::default() }).await.unwrap();
    assert_ne!(meta.uid, second.metadata.uid);
    let version = |node: &Node| node.metadata.resource_version.clone().unwrap().parse::<u64>().unwrap();
    assert!(version(&second) > version(&made));
    server.assert_clean();
}

fn named(name: &str) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
    serde_json::from_value(json!({"name": name})).unwrap()
}

#[tokio::test]
async fn a_name_is_made_from_its_beginning() {
    let server = ApiServer::new();
    let made = |number: u32| {
        let event = json!({"metadata": {"generateName": "gleaner-"}, "involvedObject": {"namespace": "default"}, "count": number});
        let api: Api<CoreEvent> = Api::namespaced(server.client(), "default");
        async move { api.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await.unwrap().metadata.name.unwrap() }
    };
    let (first, second) = (made(1).await, made(2).await);
    assert!(first.starts_with("gleaner-") && first.len() > 8 && first != second, "{first} {second}");
}

#[tokio::test]
async fn a_kind_without_a_definition_is_a_page_that_is_not_there() {
    let server = ApiServer::stock();
    let api = cnrs(&server);
    assert_eq!(404, code(api.get("n1").await));
    assert_eq!(404, code(api.list(&kube::api::ListParams::default()).await));
    server.define(CNRS);
    assert!(api.list(&kube::api::ListParams::default()).await.unwrap().items.is_empty());
    let own =
        Resource { group: "example.org", version: "v1", plural: "things", kind: "Thing", namespaced: true, status_subresource: false };
    server.define(own);
    let body = json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"}, "anything": [1, 2]});
    let made = raw(&server.client(), "POST", "/apis/example.org/v1/namespaces/x/things", "application/json", &body).await.unwrap();
    assert_eq!((&made["metadata"]["generation"], &made["anything"]), (&json!(1), &json!([1, 2])));
    server.undefine(own);
    assert_eq!(404, code(raw(&server.client(), "GET", "/apis/example.org/v1/namespaces/x/things/a", "", &Value::Null).await));
    server.assert_clean();
}

#[test]
fn amounts_have_one_form() {
    let forms = [
        ("3000", "3k"),
        ("1024Mi", "1Gi"),
        ("1500m", "1500m"),
        ("2000m", "2"),
        ("0.5", "500m"),
        ("1.5Gi", "1536Mi"),
        ("100", "100"),
        ("0", "0"),
        ("0Gi", "0"),
        ("1000Ki", "1000Ki"),
        ("8388608Ki", "8Gi"),
        ("1e3", "1e3"),
        ("1500000", "1500k"),
        ("12345", "12345"),
        ("512Ki", "512Ki"),
        ("1Ki", "1Ki"),
        ("0.5Ki", "512"),
        ("1.0001Ki", "1024102400u"),
        ("-3000", "-3k"),
        ("+1", "1"),
        ("34359738368", "34359738368"),
        ("1000G", "1T"),
        ("0.1n", "1n"),
        ("12e6", "12e6"),
        ("100e-1", "10"),
    ];
    for (written, given) in forms {
        assert_eq!(Some(given.to_owned()), canonical(written), "{written}");
    }
    for wrong in ["", "x", "1x", "1 Gi", "1..2", "Gi", "1e", "--1", "1ki"] {
        assert_eq!(None, canonical(wrong), "{wrong:?}");
    }
}

#[tokio::test]
async fn amounts_come_back_in_their_form() {
    let server = ApiServer::new();
    server.add_node("n1", &[]);
    server.set(CNRS, json!({"metadata": {"name": "n1"}, "spec": {}}));
    let amounts = json!({"cpu": "7910m", "memory": "2048Mi", "resource.katalyst.kubewharf.io/reclaimed_millicpu": "3000"});
    let expected = json!({"cpu": "7910m", "memory": "2Gi", "resource.katalyst.kubewharf.io/reclaimed_millicpu": "3k"});
    let patch = Patch::Strategic(json!({"status": {"allocatable": amounts}}));
    let node = nodes(&server).patch_status("n1", &PatchParams::default(), &patch).await.unwrap();
    let mut given = serde_json::to_value(node.status.unwrap().allocatable).unwrap();
    given.as_object_mut().unwrap().remove("pods");
    assert_eq!(expected, given);
    let zone = json!({"type": "Socket", "name": "0", "resources": {"capacity": amounts}});
    let patch = Patch::Merge(json!({"status": {"resources": {"allocatable": amounts}, "topologyZone": [zone]}}));
    let cnr = cnrs(&server).patch_status("n1", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(expected, cnr.data["status"]["resources"]["allocatable"]);
    assert_eq!(expected, cnr.data["status"]["topologyZone"][0]["resources"]["capacity"]);
    let part = Patch::Merge(json!({"status": {"allocatable": {"resource.katalyst.kubewharf.io/reclaimed_millicpu": "1500m"}}}));
    assert_eq!(422, code(nodes(&server).patch_status("n1", &PatchParams::default(), &part).await), "a part of an extended resource");
    let wrong = Patch::Merge(json!({"status": {"allocatable": {"cpu": "much"}}}));
    assert_eq!(400, code(nodes(&server).patch_status("n1", &PatchParams::default(), &wrong).await));
}

#[tokio::test]
async fn what_a_server_refuses_is_written_down() {
    let server = ApiServer::new();
    server.add_node("n1", &[]);
    let client = server.client();
    let asked = [
        ("GET", "/api/v1/nodes?limits=3", "", Value::Null),
        ("GET", "/api/v1/nodes/n1?labelSelector=a", "", Value::Null),
        ("GET", "/api/v1/nodes?fieldSelector=status.phase%3DRunning", "", Value::Null),
        ("PATCH", "/api/v1/nodes/n1", "application/merge-patch+json", json!({"metadata": {"labels": {"a": "not a label"}}})),
        ("PATCH", "/api/v1/nodes/n1", "application/merge-patch+json", json!({"metadata": {"name": "n2"}})),
        ("PATCH", "/api/v1/nodes/n1", "application/json", json!({"metadata": {}})),
        ("PATCH", "/api/v1/nodes/n1", "application/merge-patch+json", json!({"spec": {"taints": [{"key": "a", "effect": "Maybe"}]}})),
        ("PATCH", "/api/v1/nodes/n1", "application/merge-patch+json", json!({"spec": {"unschedulable": "yes"}})),
        ("POST", "/api/v1/nodes", "application/json", json!({"kind": "Pod", "metadata": {"name": "n2"}})),
        ("POST", "/api/v1/nodes", "application/json", json!({"metadata": {"name": "N 2"}})),
        ("DELETE", "/api/v1/nodes", "application/json", Value::Null),
    ];
    for (at, (method, path, content, body)) in asked.iter().enumerate() {
        let refused = raw(&client, method, path, content, body).await;
        assert!([400, 405, 415, 422].contains(&code(refused)), "{method} {path} {body}");
        assert_eq!(at + 1, server.violations().len(), "{:?}", server.violations());
    }
    // A field that is not known is no refusal: it is dropped, and that is what nobody wants.
    let lost = Patch::Merge(json!({"status": {"alocatable": {"cpu": "1"}}}));
    nodes(&server).patch_status("n1", &PatchParams::default(), &lost).await.unwrap();
    assert!(server.violations().last().unwrap().contains("status.alocatable"), "{:?}", server.violations());
    assert!(std::panic::catch_unwind(|| server.assert_clean()).is_err());
}

fn event(namespace: &str, name: &str) -> Value {
    json!({
        "metadata": {"name": name}, "regarding": {"kind": "Pod", "name": "a", "namespace": namespace}, "type": "Normal", "reason": "Evicted",
        "note": "short", "action": "Evict", "reportingController": "gleaner.io/agent", "reportingInstance": "n1",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    })
}

async fn tell(server: &ApiServer, event: Value) -> Result<Event, kube::Error> {
    let api: Api<Event> = Api::namespaced(server.client(), "shop");
    api.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await
}

#[tokio::test]
async fn events_need_what_they_need() {
    let server = ApiServer::new();
    tell(&server, event("shop", "good")).await.unwrap();
    server.assert_clean();
    assert_eq!(409, code(tell(&server, event("shop", "good")).await));
    for field in ["reportingController", "reportingInstance", "action", "eventTime", "type", "reason"] {
        let mut event = event("shop", "bad");
        event.as_object_mut().unwrap().remove(field);
        assert_eq!(422, code(tell(&server, event).await), "without {field}");
    }
    let changed = |field: &str, value: Value| {
        let mut event = event("shop", "bad");
        event[field] = value;
        event
    };
    for (field, value) in [
        ("note", json!("x".repeat(1025))),
        ("note", json!("ä".repeat(513))),
        ("reportingInstance", json!("x".repeat(129))),
        ("reportingController", json!("no good/name/at all")),
        ("series", json!({"count": 1, "lastObservedTime": "2026-01-01T00:00:00.000000Z"})),
        ("deprecatedCount", json!(1)),
        ("regarding", json!({"namespace": "elsewhere"})),
    ] {
        assert_eq!(422, code(tell(&server, changed(field, value.clone())).await), "{field} {value}");
    }
    tell(&server, changed("note", json!("x".repeat(1024)))).await.unwrap();
    let api: Api<Event> = Api::namespaced(server.client(), "shop");
    let again = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}});
    api.patch("good", &PatchParams::default(), &Patch::Merge(again)).await.unwrap();
    let other = Patch::Merge(json!({"note": "other"}));
    assert_eq!(422, code(api.patch("good", &PatchParams::default(), &other).await), "a note is for ever");
}

#[tokio::test]
async fn an_old_event_is_in_the_namespace_of_what_it_is_about() {
    let server = ApiServer::new();
    let api: Api<CoreEvent> = Api::namespaced(server.client(), "shop");
    for (about, taken) in [("shop", true), ("elsewhere", false), ("", false)] {
        let event =
            json!({"metadata": {"name": format!("e-{about}x")}, "involvedObject": {"namespace": about}, "message": "x".repeat(2000)});
        let answer = api.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await;
        assert_eq!(taken, answer.is_ok(), "about {about:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_pod_ends_before_it_is_gone_and_another_object_is_gone_at_once() {
    let server = ApiServer::new();
    server.grace(gleaner_tests::apiserver::Grace::Held);
    server.add_pod(pod("a").uid("u1"));
    server.set(CNRS, json!({"metadata": {"name": "n1"}}));
    let wrong = DeleteParams::default().preconditions(Preconditions { uid: Some("u2".to_owned()), ..Preconditions::default() });
    assert_eq!(409, code(pods(&server, "default").delete("a", &wrong).await));
    pods(&server, "default").delete("a", &DeleteParams::default()).await.unwrap();
    let ending = server.get(PODS, "default", "a").unwrap();
    assert_eq!(json!(30), ending["metadata"]["deletionGracePeriodSeconds"]);
    assert!(server.finish("default", "a") && server.get(PODS, "default", "a").is_none());
    cnrs(&server).delete("n1", &DeleteParams::default()).await.unwrap();
    assert_eq!(None, server.get(CNRS, "", "n1"));
    server.add_pod(pod("a"));
    pods(&server, "default").delete("a", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert_eq!(None, server.get(PODS, "default", "a"), "no grace");
    server.assert_clean();
}

#[tokio::test]
async fn an_object_with_a_finalizer_stays_until_that_is_gone() {
    let server = ApiServer::new();
    server.set(CNRS, json!({"metadata": {"name": "n1", "finalizers": ["example.org/hold"]}, "spec": {}}));
    let api: Api<DynamicObject> = cnrs(&server);
    api.delete("n1", &DeleteParams::default()).await.unwrap();
    assert!(!server.get(CNRS, "", "n1").unwrap()["metadata"]["deletionTimestamp"].is_null());
    api.patch("n1", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"finalizers": null}}))).await.unwrap();
    assert_eq!(None, server.get(CNRS, "", "n1"));
}

#[tokio::test]
async fn the_kubelets_configuration_comes_through_the_node() {
    let server = ApiServer::new();
    let ask = || async { raw(&server.client(), "GET", "/api/v1/nodes/n1/proxy/configz", "", &Value::Null).await };
    assert_eq!(404, code(ask().await), "no node");
    server.add_node("n1", &[]);
    assert_eq!(404, code(ask().await), "no kubelet");
    server.configz("n1", json!({"kubeletconfig": {"cpuManagerPolicy": "none"}}));
    assert_eq!("none", ask().await.unwrap()["kubeletconfig"]["cpuManagerPolicy"]);
    server.deny("get", "nodes/proxy");
    assert_eq!(403, code(ask().await));
}

#[tokio::test]
async fn what_is_denied_is_forbidden_and_what_was_asked_is_known() {
    let server = ApiServer::new();
    server.add_node("n1", &[]);
    server.deny("patch", "nodes/status");
    let patch = Patch::Merge(json!({"status": {"allocatable": {"cpu": "7"}}}));
    assert_eq!(403, code(nodes(&server).patch_status("n1", &PatchParams::default(), &patch).await));
    server.allow("patch", "nodes/status");
    nodes(&server).patch_status("n1", &PatchParams::default(), &patch).await.unwrap();
    nodes(&server).get("n1").await.unwrap();
    let seen: Vec<_> = server.requests().into_iter().map(|seen| (seen.verb, seen.rule(), seen.name, seen.code)).collect();
    let of = |verb, rule: &str, code| (verb, rule.to_owned(), Some("n1".to_owned()), Some(code));
    assert_eq!(vec![of("patch", "nodes/status", 403), of("patch", "nodes/status", 200), of("get", "nodes", 200)], seen);
    assert_eq!(2, server.writes_of("nodes/status"));
    assert_eq!(vec![2], server.writes().into_values().collect::<Vec<_>>());
    server.forget_requests();
    assert!(server.requests().is_empty() && server.writes().is_empty());
    assert!(server.get(NODES, "", "n1").is_some());
}

#[tokio::test]
async fn a_server_says_what_it_serves() {
    let client = ApiServer::new().client();
    assert_eq!("33", client.apiserver_version().await.unwrap().minor);
    let own = client.list_api_group_resources("node.katalyst.kubewharf.io/v1alpha1").await.unwrap();
    let names: Vec<_> = own.resources.iter().map(|each| each.name.as_str()).collect();
    assert_eq!(vec!["customnoderesources", "customnoderesources/status"], names);
    assert_eq!(404, code(client.list_api_group_resources("example.org/v1").await));
    assert!(client.list_api_groups().await.unwrap().groups.iter().any(|group| group.name == "events.k8s.io"));
}

#[tokio::test]
async fn a_definition_with_a_schema_drops_what_it_does_not_know_and_refuses_what_is_wrong() {
    let server = ApiServer::new();
    let made = json!({
        "apiVersion": "node.katalyst.kubewharf.io/v1alpha1", "kind": "CustomNodeResource", "metadata": {"name": "n1"},
        "spec": {"taints": [{"key": "a", "effect": "NoSchedule", "qosLevel": "reclaimed_cores"}]},
    });
    let path = "/apis/node.katalyst.kubewharf.io/v1alpha1/customnoderesources";
    raw(&server.client(), "POST", path, "application/json", &made).await.unwrap();
    let status = |status: Value| {
        let api = cnrs(&server);
        async move { api.patch_status("n1", &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await }
    };
    let zone = |zone: &str| json!({"type": zone, "name": "0", "children": [{"type": "Numa", "name": "0", "anything": 1}]});
    status(json!({"topologyZone": [zone("Socket")], "resources": {"allocatable": {"x": "1"}}})).await.unwrap();
    server.assert_clean();
    for wrong in
        [json!({"topologyZone": {}}), json!({"resources": {"allocatable": {"x": true}}}), json!({"topologyZone": [{"type": "Socket"}]})]
    {
        let refused = status(wrong.clone()).await;
        assert!([400, 422].contains(&code(refused)), "{wrong}");
    }
    let kept = status(json!({"resources": {"alocatable": {"x": "1"}}})).await.unwrap();
    assert_eq!(json!({"allocatable": {"x": "1"}}), kept.data["status"]["resources"]);
    assert!(server.violations().last().unwrap().contains("status.resources.alocatable"), "{:?}", server.violations());
    let wrong = Patch::Merge(json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule", "qosLevel": "reclaimed"}]}}));
    assert_eq!(422, code(cnrs(&server).patch("n1", &PatchParams::default(), &wrong).await));
}

#[tokio::test]
async fn a_role_allows_what_it_names() {
    let server = ApiServer::new();
    ["n1", "n2"].iter().for_each(|name| drop(server.add_node(name, &[])));
    let role = json!({"rules": [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"], "resourceNames": ["n1"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["*"], "verbs": ["*"]},
    ]});
    server.role(&serde_json::from_value(role).unwrap());
    nodes(&server).get("n1").await.unwrap();
    let change = Patch::Merge(json!({"status": {"allocatable": {"cpu": "1"}}}));
    nodes(&server).patch_status("n1", &PatchParams::default(), &change).await.unwrap();
    assert_eq!(403, code(nodes(&server).patch_status("n2", &PatchParams::default(), &change).await));
    assert_eq!(403, code(nodes(&server).patch("n1", &PatchParams::default(), &change).await));
    assert_eq!(403, code(nodes(&server).list(&kube::api::ListParams::default()).await));
    assert_eq!(403, code(pods(&server, "default").get("a").await));
    tell(&server, event("shop", "good")).await.unwrap();
}
