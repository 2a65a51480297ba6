use super::*;
use crate::kubernetes::scripted::{Log, Reply, scripted, shown};
use gleaner_model::{PodName, Reason};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::time::timeout;

fn uid(n: usize) -> PodUid {
    format!("u{n}").parse().unwrap()
}

fn order(n: usize) -> EvictionOrder {
    let name = PodName { namespace: "batch".into(), name: format!("p{n}") };
    EvictionOrder { pod: uid(n), name, api_uid: format!("api-{n}"), grace: Duration::from_millis(4200), reason: Reason::IdleClass }
}

type Told = (PodUid, EvictionOutcome);
type Healths = Arc<Mutex<Vec<Option<String>>>>;

fn start(
    answer: impl Fn(&crate::kubernetes::scripted::Asked, usize) -> Reply + Send + Sync + 'static,
) -> (Evictions, mpsc::Receiver<Told>, Log, Healths) {
    let (client, log) = scripted(answer);
    let (tell, told) = mpsc::channel(64);
    let healths = Healths::default();
    let noted = Arc::clone(&healths);
    let evictions = Evictions::start::<Told>(client, "n", tell, move |problem| noted.lock().unwrap().push(problem));
    (evictions, told, log, healths)
}

async fn next(told: &mut mpsc::Receiver<Told>) -> Told {
    timeout(Duration::from_secs(3600), told.recv()).await.expect("nothing was told within an hour").expect("the task ended")
}

#[tokio::test(start_paused = true)]
async fn an_eviction_names_the_pod_its_uid_and_its_grace() {
    let (evictions, mut told, log, _) = start(|_, _| Reply::success());
    assert!(evictions.order(order(1)));
    assert_eq!(next(&mut told).await, (uid(1), EvictionOutcome::Accepted));
    let asked = log.lock().unwrap()[0].clone();
    assert_eq!((asked.method.as_str(), asked.path.trim_end_matches('?')), ("POST", "/api/v1/namespaces/batch/pods/p1/eviction"));
    let expected = json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": "p1", "namespace": "batch"},
        "deleteOptions": {"gracePeriodSeconds": 5, "preconditions": {"uid": "api-1"}},
    });
    assert_eq!(asked.body, expected);
}

#[tokio::test(start_paused = true)]
async fn a_grace_of_nothing_still_lets_kubelet_end_the_pod() {
    let (evictions, mut told, log, _) = start(|_, _| Reply::success());
    assert!(evictions.order(EvictionOrder { grace: Duration::ZERO, ..order(1) }));
    next(&mut told).await;
    assert_eq!(log.lock().unwrap()[0].body["deleteOptions"]["gracePeriodSeconds"], 1);
}

#[test]
fn every_answer_has_its_meaning() {
    let table = [
        (Reply::success(), "Accepted"),
        (Reply::failure(404, "NotFound", "pods \"p1\" not found"), "Gone"),
        (Reply::failure(409, "Conflict", "Precondition failed: UID in precondition: a, UID in object meta: b"), "Gone"),
        (Reply::failure(409, "Conflict", "the object has been modified"), "Busy"),
        (Reply::failure(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget."), "Blocked"),
        (Reply::Text(429, "Too many requests, please try again later.", Some(1)), "Busy"),
        (Reply::failure(401, "Unauthorized", "Unauthorized"), "Busy"),
        (Reply::failure(503, "ServiceUnavailable", "down"), "Busy"),
        (Reply::Text(404, "404 page not found", None), "Busy"),
        (Reply::Text(502, "<html>", None), "Busy"),
        // As the API server tells of a pod that several budgets cover.
        (Reply::Json(201, json!({"kind": "Status", "status": "Failure", "message": "more than one", "code": 500})), "Busy"),
        (Reply::failure(403, "Forbidden", "may not"), "Refused"),
        (Reply::failure(422, "Invalid", "wrong"), "Refused"),
        (Reply::failure(400, "BadRequest", "bad"), "Refused"),
    ];
    for (reply, meaning) in table {
        let answer = match reply.clone() {
            Reply::Json(code, body) => crate::kubernetes::Answer { code, retry_after: None, body: body.to_string() },
            Reply::Text(code, body, _) => crate::kubernetes::Answer { code, retry_after: None, body: body.into() },
            other => panic!("{other:?} is no answer"),
        };
        let judged = format!("{:?}", request::judge(Ok(answer)));
        assert!(judged.starts_with(meaning), "{reply:?} is {judged}, not {meaning}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_told_and_tried_again_when_the_server_says() {
    let (evictions, mut told, log, _) = start(|_, before| match before {
        0 | 1 => {
            let details = json!({"causes": [{"reason": "DisruptionBudget", "message": "The disruption budget b needs 2 healthy pods and has 2 currently"}], "retryAfterSeconds": 10});
            Reply::Json(429, json!({"kind": "Status", "status": "Failure", "message": "no", "code": 429, "details": details}))
        }
        _ => Reply::success(),
    });
    assert!(evictions.order(order(1)));
    for _ in 0..2 {
        let (_, outcome) = next(&mut told).await;
        let EvictionOutcome::Blocked { cause, again_in } = &outcome else { panic!("{outcome:?}") };
        assert_eq!(cause, "The disruption budget b needs 2 healthy pods and has 2 currently");
        assert!((10.0..=12.5).contains(&again_in.as_secs_f64()), "{again_in:?}");
    }
    assert_eq!(next(&mut told).await.1, EvictionOutcome::Accepted);
    let times: Vec<f64> = log.lock().unwrap().iter().map(|asked| asked.at.as_secs_f64()).collect();
    assert!(times.windows(2).all(|pair| (10.0..=12.6).contains(&(pair[1] - pair[0]))), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_taken_back_while_blocked_is_not_tried_again() {
    let (evictions, mut told, log, _) = start(|_, _| Reply::failure(429, "TooManyRequests", "budget"));
    assert!(evictions.order(order(1)));
    next(&mut told).await;
    assert!(evictions.withdraw(&uid(1)));
    tokio::time::sleep(Duration::from_secs(3000)).await;
    assert_eq!(shown(&log).len(), 1);
    assert!(told.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn eight_at_once_and_one_of_each_pod() {
    let (evictions, mut told, log, _) = start(|_, _| Reply::After(Duration::from_secs(10), Box::new(Reply::success())));
    for n in 0..20 {
        assert!(evictions.order(order(n)) && evictions.order(order(n)));
    }
    let mut outcomes = BTreeMap::new();
    for _ in 0..20 {
        let (pod, outcome) = next(&mut told).await;
        assert_eq!(outcomes.insert(pod.clone(), outcome), None, "{pod} was told twice");
    }
    let mut at: BTreeMap<u64, usize> = BTreeMap::new();
    log.lock().unwrap().iter().for_each(|asked| *at.entry(asked.at.as_secs()).or_default() += 1);
    assert_eq!(at, BTreeMap::from([(0, 8), (10, 8), (20, 4)]));
}

#[tokio::test(start_paused = true)]
async fn orders_wait_while_the_server_is_away_and_its_return_is_noted() {
    let (evictions, mut told, log, healths) = start(|asked, before| match before {
        0 => Reply::Never,
        _ if asked.at < Duration::from_secs(100) => Reply::Text(503, "starting", None),
        _ => Reply::success(),
    });
    assert!(evictions.order(order(1)));
    assert_eq!(next(&mut told).await, (uid(1), EvictionOutcome::Accepted));
    let healths = healths.lock().unwrap().clone();
    assert_eq!(healths, [Some("no answer within 30 s".to_owned()), None]);
    let count = shown(&log).len();
    assert!((4..8).contains(&count), "tries are spaced: {:?}", shown(&log));
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_cause_is_long_over_fails() {
    let (evictions, mut told, _, _) = start(|_, _| Reply::failure(500, "InternalError", "etcd"));
    assert!(evictions.order(order(1)));
    assert_eq!(next(&mut told).await.1, EvictionOutcome::Failed("not possible within 600 s: etcd (HTTP 500)".into()));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told_in_the_servers_words() {
    let (evictions, mut told, _, _) = start(|_, _| Reply::failure(403, "Forbidden", "pods \"p1\" is forbidden"));
    assert!(evictions.order(order(1)));
    assert_eq!(next(&mut told).await.1, EvictionOutcome::Failed("pods \"p1\" is forbidden (HTTP 403)".into()));
}
