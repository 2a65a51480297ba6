#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use super::super::double::{Answer, Asked, End, connected, line, list, pod, refusal};
use super::*;
use gleaner_model::{ClassSelector, QosClass};
use serde_json::json;
use tokio::time::Instant;

const NOW: Duration = Duration::ZERO;

struct Watching {
    events: mpsc::Receiver<PodsEvent>,
    qos: watch::Sender<QosConfig>,
    asked: Asked,
}

fn start(answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Watching {
    let (connected, asked) = connected(answer);
    let (sender, events) = mpsc::channel(8);
    let (qos, seen) = watch::channel(QosConfig::default());
    tokio::spawn(watch_pods(connected, seen, sender));
    Watching { events, qos, asked }
}

impl Watching {
    /// The next event in short: names instead of pods.
    async fn next(&mut self) -> String {
        match self.events.recv().await.unwrap() {
            PodsEvent::Listed(pods) => format!("listed {}", pods.iter().map(|p| p.pod.name.name.as_str()).collect::<Vec<_>>().join(" ")),
            PodsEvent::Changed(pod) => format!("changed {}", pod.pod.name.name),
            PodsEvent::Gone(uid) => format!("gone {uid}"),
            PodsEvent::Reach(None) => "reached".to_owned(),
            PodsEvent::Reach(Some(cause)) => format!("trouble {cause}"),
        }
    }

    async fn expect(&mut self, expected: &[&str]) {
        for (number, each) in expected.iter().enumerate() {
            assert_eq!(self.next().await, *each, "event {number} of {expected:?}; asked: {:#?}", self.asked.lock().unwrap());
        }
    }

    /// Asked until now, without what is the same in all.
    fn asked(&self) -> Vec<String> {
        let short = |asked: &String| {
            let (path, query) = asked.split_once('?').unwrap();
            let kept =
                query.split('&').filter(|part| !part.is_empty() && !part.starts_with("fieldSelector") && !part.starts_with("timeout"));
            assert!(query.contains("fieldSelector=spec.nodeName%3Dnode-1"), "{asked}");
            assert_eq!(path, PODS);
            kept.collect::<Vec<_>>().join("&")
        };
        self.asked.lock().unwrap().iter().map(short).collect()
    }
}

fn is_watch(asked: &str) -> bool {
    asked.contains("watch=true")
}

fn quiet() -> Answer {
    Answer::Watch(Vec::new(), End::Stays)
}

#[tokio::test(start_paused = true)]
async fn a_list_is_read_page_by_page_and_told_as_a_whole() {
    let mut watching = start(|asked, _| match asked {
        asked if is_watch(asked) => quiet(),
        asked if asked.contains("continue=p2") => list(&[pod("c", 3)], 7, ""),
        asked if asked.contains("continue=p1") => list(&[pod("b", 2)], 7, "p2"),
        _ => list(&[pod("a", 1)], 7, "p1"),
    });
    watching.expect(&["listed a b c", "reached"]).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let watch = "watch=true&allowWatchBookmarks=true&resourceVersion=7";
    assert_eq!(watching.asked(), ["limit=50", "limit=50&continue=p1", "limit=50&continue=p2", watch]);
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_one_by_one_and_a_dropped_watch_goes_on_from_the_last() {
    let second = Duration::from_secs(1);
    let mut watching = start(move |asked, number| match number {
        0 => list(&[pod("a", 1)], 5, ""),
        1 => Answer::Watch(
            vec![
                (second * 9, line("ADDED", pod("b", 6))),
                (second, line("MODIFIED", pod("a", 7))),
                (second, line("BOOKMARK", json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "11"}}))),
            ],
            End::Broken,
        ),
        2 => {
            assert!(asked.contains("resourceVersion=11"), "{asked}");
            Answer::Watch(vec![(NOW, line("DELETED", pod("a", 12)))], End::Closed(second * 9))
        }
        _ => {
            assert!(asked.contains("resourceVersion=12"), "{asked}");
            Answer::Watch(vec![(NOW, line("DELETED", pod("never-told", 13)))], End::Stays)
        }
    });
    watching.expect(&["listed a", "reached", "changed b", "changed a"]).await;
    watching.expect(&["trouble watch pods: Error reading events stream: ServiceError: connection reset", "reached", "gone uid-a"]).await;
    tokio::time::sleep(second * 60).await;
    assert_eq!(watching.asked().len(), 4, "a watch that ends in its time is started anew: {:?}", watching.asked());
    assert!(watching.events.try_recv().is_err(), "a pod that was never told of is not told to be gone");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_too_old_leads_to_a_new_list() {
    let expired = || refusal(410, "Expired", "too old resource version: 5 (9)");
    let mut watching = start(move |asked, number| match number {
        0 => list(&[pod("a", 1)], 5, ""),
        1 => Answer::Watch(vec![(NOW, line("ERROR", expired()))], End::Stays),
        2 => list(&[pod("b", 8)], 9, ""),
        // Some servers refuse before the watch begins.
        3 => Answer::Json(410, expired()),
        4 => list(&[pod("c", 10)], 10, ""),
        _ => {
            assert!(asked.contains("resourceVersion=10"), "{asked}");
            quiet()
        }
    });
    watching.expect(&["listed a", "reached", "listed b", "listed c"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_for_an_hour_is_asked_seldom_and_told_of_once() {
    let begun = Instant::now();
    let hour = Duration::from_secs(3600);
    let mut watching = start(move |asked, number| match number {
        0 => list(&[pod("a", 1)], 5, ""),
        1 => Answer::Watch(Vec::new(), End::Broken),
        _ if begun.elapsed() < hour => Answer::Refused,
        _ if is_watch(asked) && asked.contains("resourceVersion=5") => Answer::Json(410, refusal(410, "Expired", "too old")),
        _ if is_watch(asked) => quiet(),
        _ => list(&[pod("b", 9)], 9, ""),
    });
    watching.expect(&["listed a", "reached", "trouble watch pods: Error reading events stream: ServiceError: connection reset"]).await;
    watching.expect(&["trouble watch pods: connection refused", "listed b", "reached"]).await;
    assert!(begun.elapsed() >= hour && begun.elapsed() < hour + Duration::from_secs(65), "{:?}", begun.elapsed());
    let count = watching.asked().len();
    assert!((60..150).contains(&count), "asked {count} times in an hour, which is more or less often than every 30 to 60 s");
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_again_when_its_cause_changes() {
    let mut watching = start(move |_, number| match number {
        0 | 1 => Answer::Refused,
        2 | 3 => Answer::Json(403, refusal(403, "Forbidden", "pods is forbidden: User \"x\" cannot list")),
        4 => Answer::Text(503, "upstream\nis away".to_owned()),
        5 => Answer::Text(200, "<html>".to_owned()),
        6 => Answer::Json(200, json!({"items": null})),
        7 => Answer::Silent,
        8 => list(&[], 1, ""),
        _ => quiet(),
    });
    watching.expect(&["trouble list pods: connection refused"]).await;
    watching
        .expect(&["trouble list pods: pods is forbidden: User \"x\" cannot list (403)", "trouble list pods: upstream is away (503)"])
        .await;
    watching.expect(&["trouble list pods: the answer is no list of pods: expected value at line 1 column 1"]).await;
    watching.expect(&["trouble list pods: the answer has no resourceVersion", "trouble list pods: no answer within 30 s"]).await;
    watching.expect(&["listed ", "reached"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_middle_of_a_watch_leads_to_a_new_list() {
    let mut watching = start(move |_, number| match number {
        0 | 2 | 4 => list(&[], 5, ""),
        1 => Answer::Watch(vec![(NOW, line("ERROR", refusal(500, "InternalError", "etcd")))], End::Stays),
        3 => Answer::Watch(vec![(NOW, line("ADDED", json!({"metadata": {"name": 7}})))], End::Stays),
        _ => quiet(),
    });
    watching.expect(&["listed ", "reached", "trouble watch pods: etcd (500)", "listed ", "reached"]).await;
    watching.expect(&["trouble watch pods: an event cannot be read", "listed ", "reached"]).await;
}

#[tokio::test(start_paused = true)]
async fn watches_that_end_at_once_are_not_started_at_once_again() {
    let watching = start(move |_, number| match number {
        0 => list(&[], 5, ""),
        _ => Answer::Watch(Vec::new(), End::Closed(NOW)),
    });
    tokio::time::sleep(Duration::from_secs(600)).await;
    let count = watching.asked().len();
    assert!((12..40).contains(&count), "asked {count} times in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_forgets_at_once_is_not_asked_for_lists_without_end() {
    let mut watching = start(move |asked, _| match asked {
        asked if is_watch(asked) => Answer::Json(410, refusal(410, "Expired", "too old")),
        _ => list(&[], 5, ""),
    });
    let listens = async { while watching.events.recv().await.is_some() {} };
    assert!(timeout(Duration::from_secs(600), listens).await.is_err(), "it goes on");
    let count = watching.asked().len();
    assert!((24..80).contains(&count), "asked {count} times in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_server_fell_silent_is_started_anew() {
    let mut watching = start(move |_, number| match number {
        0 => list(&[], 5, ""),
        1 => quiet(),
        2 => Answer::Silent,
        _ => Answer::Watch(vec![(NOW, line("ADDED", pod("a", 6)))], End::Stays),
    });
    let begun = Instant::now();
    watching.expect(&["listed ", "reached", "trouble watch pods: no answer within 30 s", "reached", "changed a"]).await;
    assert!(begun.elapsed() >= SILENT + ANSWER && begun.elapsed() < SILENT + ANSWER * 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_object_cannot_claim_to_be_the_mirror_of_another_pod() {
    let mirror = |object: &str, of: &str, version: u64| {
        let mut pod = pod(object, version);
        pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": of, "kubernetes.io/config.hash": of});
        pod
    };
    let listed = [mirror("claim", "uid-db", 1), pod("db", 2), mirror("proxy", "hash", 3), mirror("second", "hash", 4)];
    let mut watching = start(move |_, number| match number {
        0 => list(&listed, 5, ""),
        1 => Answer::Watch(
            vec![
                (NOW, line("ADDED", mirror("late", "uid-db", 6))),
                (NOW, line("MODIFIED", mirror("second", "hash", 7))),
                (NOW, line("DELETED", mirror("late", "uid-db", 8))),
                (NOW, line("MODIFIED", mirror("proxy", "hash", 9))),
                (NOW, line("DELETED", mirror("proxy", "hash", 10))),
                // The kubelet makes it anew.
                (NOW, line("ADDED", mirror("proxy-2", "hash", 11))),
            ],
            End::Stays,
        ),
        _ => quiet(),
    });
    watching.expect(&["listed db proxy", "reached", "changed proxy", "gone hash", "changed proxy-2"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_configuration_of_classes_lists_the_pods_anew() {
    let mut batch = pod("a", 1);
    batch["metadata"]["annotations"] = json!({"team": "batch"});
    let mut watching = start(move |asked, _| if is_watch(asked) { quiet() } else { list(std::slice::from_ref(&batch), 5, "") });
    watching.expect(&["listed a", "reached"]).await;
    let selector = ClassSelector { class: QosClass::Reclaimed, key: "team".to_owned(), value: "batch".to_owned() };
    watching.qos.send(QosConfig { selectors: vec![selector] }).unwrap();
    let PodsEvent::Listed(pods) = watching.events.recv().await.unwrap() else { panic!("not listed") };
    assert_eq!(pods[0].pod.class(), QosClass::Reclaimed);
    drop(watching.qos);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(watching.asked.lock().unwrap().len() < 10, "nobody can change it any more, and that is no change: {:?}", watching.asked);
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_its_listener_even_while_nobody_answers() {
    for answer in [|| Answer::Silent, || Answer::Refused, || Answer::Watch(Vec::new(), End::Stays)] {
        let (connected, _) = connected(move |_, _| answer());
        let (sender, events) = mpsc::channel::<PodsEvent>(8);
        let (_qos, seen) = watch::channel(QosConfig::default());
        let task = tokio::spawn(watch_pods(connected, seen, sender));
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(events);
        timeout(Duration::from_secs(1), task).await.unwrap().unwrap();
    }
}
