#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::super::pods::double::{Answer, Asked, connected, pod};
use super::*;
use serde_json::{Value, json};
use tokio::time::Instant;

fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> (mpsc::Receiver<PodsEvent>, Asked) {
    let (connected, asked) = connected(move |path, number| {
        assert_eq!(path, "/pods");
        answer(number)
    });
    let (sender, events) = mpsc::channel(8);
    let (_, qos) = watch::channel(QosConfig::default());
    tokio::spawn(poll_pods(connected.client, connected.node, qos, sender));
    (events, asked)
}

fn pods(pods: &[Value]) -> Answer {
    Answer::Json(200, json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}))
}

async fn listed(events: &mut mpsc::Receiver<PodsEvent>) -> Vec<String> {
    match events.recv().await.unwrap() {
        PodsEvent::Listed(pods) => pods.into_iter().map(|pod| pod.pod.name.name).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_list_is_told_once() {
    let begun = Instant::now();
    let (mut events, asked) = start(|number| match number {
        0 => pods(&[pod("a", 1), pod("b", 1)]),
        // The kubelet's order has no meaning, nor has the version of an object.
        1..=9 => pods(&[pod("b", 2), pod("a", 1)]),
        _ => pods(&[pod("b", 2)]),
    });
    assert_eq!(listed(&mut events).await, ["a", "b"]);
    assert_eq!(events.recv().await, Some(PodsEvent::Reach(None)));
    assert_eq!(listed(&mut events).await, ["b"]);
    assert_eq!(asked.lock().unwrap().len(), 11);
    let each = begun.elapsed() / 10;
    assert!(each >= EVERY && each <= EVERY + JITTER, "{each:?} between two questions");
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_in_the_kubelets_words() {
    let (mut events, _) = start(|number| match number {
        0 => Answer::Text(403, "Forbidden (user=system:serviceaccount:x,\nverb=get, resource=nodes, subresource=proxy)".to_owned()),
        1 => Answer::Refused,
        2 => Answer::Text(200, "pods".to_owned()),
        3 => Answer::Silent,
        _ => Answer::Json(200, json!({"items": null})),
    });
    for expected in [
        "403 Forbidden: Forbidden (user=system:serviceaccount:x, verb=get, resource=nodes, subresource=proxy)",
        "connection refused",
        "its answer is no list of pods: expected value at line 1 column 1",
        "no answer within 30 s",
    ] {
        let event = events.recv().await.unwrap();
        assert_eq!(event, PodsEvent::Reach(Some(format!("ask the kubelet for its pods: {expected}"))));
    }
    assert_eq!(listed(&mut events).await, Vec::<String>::new());
    assert_eq!(events.recv().await, Some(PodsEvent::Reach(None)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let (mut events, _) = start(|_| Answer::Text(200, " ".repeat(LARGEST + 1)));
    let PodsEvent::Reach(Some(trouble)) = events.recv().await.unwrap() else { panic!("no trouble") };
    assert!(trouble.contains("is larger than 64 MiB"), "{trouble}");
}
