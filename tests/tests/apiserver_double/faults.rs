use super::{code, nodes};
use gleaner_tests::apiserver::{ApiServer, Effect, NODES, Rule};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

fn change(value: &str) -> Patch<serde_json::Value> {
    Patch::Merge(json!({"metadata": {"labels": {"a": value}}}))
}

#[tokio::test]
async fn the_next_requests_fail_and_then_none() {
    let server = ApiServer::new();
    server.add_node("n1", &[]);
    let api = nodes(&server);
    server.fail_next(2, 503);
    assert_eq!(503, code(api.get("n1").await));
    assert_eq!(503, code(api.list(&ListParams::default()).await));
    api.get("n1").await.unwrap();
    server.inject(Rule::next(2, Effect::Answer(409)).verb("patch"));
    api.get("n1").await.unwrap();
    for _ in 0..2 {
        assert_eq!(409, code(api.patch("n1", &PatchParams::default(), &change("b")).await));
    }
    api.patch("n1", &PatchParams::default(), &change("b")).await.unwrap();
    server.assert_clean();
}

#[tokio::test]
async fn a_rule_holds_for_what_it_names_until_the_server_is_healed() {
    let server = ApiServer::new();
    ["n1", "n2"].iter().for_each(|name| drop(server.add_node(name, &[])));
    let api = nodes(&server);
    server.inject(Rule::always(Effect::Answer(500)).verb("patch").resource("nodes").named("n1"));
    server.inject(
        Rule::always(Effect::Page(502)).when(|seen| seen.body.as_ref().is_some_and(|body| body["metadata"]["labels"]["a"] == "bad")),
    );
    assert_eq!(500, code(api.patch("n1", &PatchParams::default(), &change("b")).await));
    assert_eq!(502, code(api.patch("n2", &PatchParams::default(), &change("bad")).await));
    api.patch("n2", &PatchParams::default(), &change("good")).await.unwrap();
    api.patch_status("n1", &PatchParams::default(), &Patch::Merge(json!({"status": {"phase": "Running"}}))).await.unwrap();
    server.heal();
    api.patch("n1", &PatchParams::default(), &change("b")).await.unwrap();
}

#[tokio::test]
async fn answers_can_be_late_or_never_come() {
    let server = ApiServer::new();
    server.add_node("n1", &[]);
    let api = nodes(&server);
    let short = Duration::from_millis(50);
    server.inject(Rule::next(1, Effect::Hang));
    assert!(timeout(short, api.get("n1")).await.is_err());
    server.latency(Duration::from_secs(3600));
    assert!(timeout(short, api.get("n1")).await.is_err());
    server.latency(Duration::ZERO);
    server.inject(Rule::next(1, Effect::Delay(Duration::from_millis(1))));
    api.get("n1").await.unwrap();
    let codes: Vec<_> = server.requests().iter().map(|seen| seen.code).collect();
    assert_eq!(vec![None, None, Some(200)], codes);
}

#[tokio::test]
async fn a_lost_connection_is_no_answer_whether_it_was_done_or_not() {
    let server = ApiServer::new();
    server.add_node("n1", &[]);
    let label = || server.get(NODES, "", "n1").unwrap()["metadata"]["labels"]["a"].clone();
    for (effect, done) in [(Effect::HangUp, false), (Effect::LoseAnswer, true)] {
        server.inject(Rule::next(1, effect.clone()));
        let answer = nodes(&server).patch("n1", &PatchParams::default(), &change("b")).await;
        assert!(matches!(answer, Err(kube::Error::Service(_))), "{effect:?}: {answer:?}");
        assert_eq!(done, label() == "b", "{effect:?}");
    }
}
