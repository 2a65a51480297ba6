use super::{code, pod, pods, raw};
use gleaner_tests::apiserver::{ApiServer, Effect, Grace, PODS, Rule};
use hyper::Request;
use kube::api::{DeleteParams, EvictParams, Preconditions};
use serde_json::{Value, json};
use std::time::Duration;

async fn evict(server: &ApiServer, name: &str, options: Value) -> Result<Value, kube::Error> {
    let body = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}, "deleteOptions": options,
    });
    raw(&server.client(), "POST", &format!("/api/v1/namespaces/default/pods/{name}/eviction"), "application/json", &body).await
}

fn ending(server: &ApiServer) -> Option<Value> {
    server.get(PODS, "default", "a").map(|pod| pod["metadata"]["deletionTimestamp"].clone())
}

#[tokio::test]
async fn an_evicted_pod_ends_when_the_test_says_so() {
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    let done = evict(&server, "a", Value::Null).await.unwrap();
    assert_eq!((&json!("Success"), &json!(201)), (&done["status"], &done["code"]));
    assert_eq!(None, ending(&server), "at once");
    server.grace(Grace::Held);
    server.add_pod(pod("a"));
    evict(&server, "a", json!({"gracePeriodSeconds": 7})).await.unwrap();
    let held = server.get(PODS, "default", "a").unwrap();
    assert_eq!(json!(7), held["metadata"]["deletionGracePeriodSeconds"]);
    evict(&server, "a", Value::Null).await.unwrap();
    assert_eq!(Some(held), server.get(PODS, "default", "a"), "again changes nothing");
    assert!(server.finish("default", "a") && !server.finish("default", "a"));
    server.grace(Grace::After(Duration::from_millis(20)));
    server.add_pod(pod("a"));
    evict(&server, "a", Value::Null).await.unwrap();
    assert!(ending(&server).is_some_and(|time| time.is_string()));
    server.eventually("the pod is gone", |server| ending(server).is_none().then_some(())).await;
    server.assert_clean();
}

#[tokio::test]
async fn a_budget_allows_so_many_and_then_none() {
    let server = ApiServer::new();
    server.grace(Grace::Held);
    ["a", "b", "c"].iter().for_each(|name| drop(server.add_pod(pod(name).label("app", "web"))));
    server.add_pod(pod("other"));
    server.budget("default", "web", "app=web", 1);
    evict(&server, "a", json!({"dryRun": ["All"]})).await.unwrap();
    evict(&server, "a", Value::Null).await.unwrap();
    let Err(kube::Error::Api(refusal)) = evict(&server, "b", Value::Null).await else { panic!("allowed") };
    let details = refusal.details.clone().unwrap();
    assert_eq!((429, "DisruptionBudget"), (refusal.code, details.causes[0].reason.as_str()), "{refusal:?}");
    assert_eq!(10, details.retry_after_seconds);
    evict(&server, "a", Value::Null).await.unwrap();
    evict(&server, "other", Value::Null).await.unwrap();
    server.add_pod(pod("c").label("app", "web").phase("Failed"));
    evict(&server, "c", Value::Null).await.unwrap();
    assert_eq!(None, server.get(PODS, "default", "c"), "what has ended needs no grace");
    server.remove_budget("default", "web");
    evict(&server, "b", Value::Null).await.unwrap();
    server.assert_clean();
}

#[tokio::test]
async fn a_refusal_for_now_has_a_header_that_says_when_again() {
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    server.budget("default", "all", "", 0);
    let body = json!({"metadata": {"name": "a"}}).to_string().into_bytes();
    let request = Request::post("/api/v1/namespaces/default/pods/a/eviction").header("content-type", "application/json");
    let answer = server.client().send(request.body(kube::client::Body::from(body)).unwrap()).await.unwrap();
    assert_eq!((429, "10"), (answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()));
}

#[tokio::test]
async fn only_the_pod_that_is_meant_is_evicted() {
    let server = ApiServer::new();
    server.add_pod(pod("a").uid("u1"));
    let version = server.get(PODS, "default", "a").unwrap()["metadata"]["resourceVersion"].clone();
    assert_eq!(409, code(evict(&server, "a", json!({"preconditions": {"uid": "u2"}})).await));
    assert_eq!(409, code(evict(&server, "a", json!({"preconditions": {"resourceVersion": "1"}})).await));
    assert_eq!(404, code(evict(&server, "b", json!({"preconditions": {"uid": "u1"}})).await));
    server.deny("create", "pods/eviction");
    assert_eq!(403, code(evict(&server, "a", Value::Null).await));
    server.allow("create", "pods/eviction");
    server.inject(Rule::next(1, Effect::LoseAnswer).resource("pods/eviction"));
    assert!(evict(&server, "a", json!({"preconditions": {"uid": "u1", "resourceVersion": version}})).await.is_err());
    assert_eq!(None, ending(&server), "the answer is lost, the pod too");
    assert_eq!(4, server.writes_of("pods/eviction") - 1, "{:?}", server.writes());
    server.assert_clean();
    assert_eq!(400, code(evict(&server, "a", json!({"gracePeriodSeconds": -1})).await));
}

#[tokio::test]
async fn a_precondition_that_no_server_reads_is_written_down() {
    let server = ApiServer::new();
    server.add_pod(pod("a").uid("u1"));
    let options = DeleteParams::default().preconditions(Preconditions { uid: Some("u2".to_owned()), ..Preconditions::default() });
    // kube spells the field in a way that servers do not know.
    let params = EvictParams { delete_options: Some(options), ..EvictParams::default() };
    pods(&server, "default").evict("a", &params).await.unwrap();
    assert_eq!(None, ending(&server), "evicted all the same");
    assert!(server.violations()[0].contains("delete_options"), "{:?}", server.violations());
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    pods(&server, "default").evict("a", &EvictParams::default()).await.unwrap();
    server.assert_clean();
}
