#![allow(clippy::panic, reason = "tests")]

use super::*;

#[test]
fn waits_double_and_end_at_a_minute_and_a_half() {
    let mut backoff = Backoff::new("node-1", "write");
    for (failures, expected) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60), (99, 60)] {
        let wait = backoff.next(Duration::ZERO);
        let (least, most) = (Duration::from_secs(expected), Duration::from_millis(expected * 1500));
        assert!(least <= wait && wait <= most, "failure {failures}: {wait:?}");
    }
    backoff.reset();
    assert!(backoff.next(Duration::ZERO) < Duration::from_secs(2));
}

#[test]
fn an_api_server_that_asks_to_be_left_alone_is() {
    let asked = Duration::from_secs(40);
    assert_eq!(Backoff::new("node-1", "write").next(asked), asked);
}

#[test]
fn nodes_wait_for_different_times() {
    let waits: std::collections::BTreeSet<Duration> =
        (0..100).map(|node| Backoff::new(&format!("worker-{node}"), "write").next(Duration::ZERO)).collect();
    assert!(waits.len() > 80, "{}", waits.len());
}

#[test]
fn what_is_forbidden_is_said_with_verb_and_resource() {
    let status = kube::core::Status::failure("cannot patch", "Forbidden").with_code(403);
    let trouble = trouble("patch nodes/status n", &kube::Error::Api(status.boxed()));
    assert_eq!(trouble.line, "patch nodes/status n: forbidden: cannot patch (status 403)");
    assert_eq!(trouble.kind, Kind::Other);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends() {
    let result: Result<(), Trouble> = call("get nodes n", std::future::pending()).await;
    assert_eq!(result.map_err(|trouble| trouble.line), Err("get nodes n: no answer in 10s".to_owned()));
}
