use super::bucket::{Bucket, Rate};
use super::correlator::{ALL, EACH, WINDOW};
use super::object::{LONGEST_NOTE, cut, object};
use super::reason::action_of;
use super::*;
use crate::kubernetes::scripted::{Asked, Log, Reply, scripted, shown};
use crate::kubernetes::{About, EventKind, EvictionOutcome};
use gleaner_model::{CpuSet, MilliCpu, NumaSet, Permille, PodName, Reason, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::sleep;

fn pod(n: usize) -> About {
    About::Pod { name: PodName { namespace: "shop".into(), name: format!("web-{n}") }, api_uid: format!("uid-{n}") }
}

fn note(about: About, text: &str) -> EventNote {
    EventNote { about, kind: EventKind::Warning, reason: "EvictionBlocked", note: text.to_owned() }
}

fn date() -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_700_000_000).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::since_boot(Duration::from_secs(seconds))
}

fn take(correlator: &mut Correlator, note: EventNote, seconds: u64) -> Option<Write> {
    correlator.take(note, at(seconds), &MicroTime(date())).map(|(_, write)| write)
}

fn count(write: &Option<Write>) -> i32 {
    match write {
        Some(Write::Series(event)) => event.series.as_ref().unwrap().count,
        Some(Write::Create(_)) => 1,
        None => 0,
    }
}

#[test]
fn the_same_note_within_ten_minutes_is_one_series() {
    let mut correlator = Correlator::new("n");
    let counts: Vec<i32> = [0, 60, 600, 1199].map(|s| count(&take(&mut correlator, note(pod(1), "a"), s))).into();
    assert_eq!(counts, [1, 2, 3, 4], "each repetition holds the window open");
    assert_eq!(count(&take(&mut correlator, note(pod(1), "a"), 1199 + WINDOW.as_secs())), 1, "later it is a new object");
    for other in [note(pod(2), "a"), note(pod(1), "b"), EventNote { kind: EventKind::Normal, ..note(pod(1), "a") }] {
        assert_eq!(count(&take(&mut correlator, other.clone(), 1199)), 1, "{other:?} is another");
    }
}

#[test]
fn one_object_does_not_use_up_what_others_have_and_repetitions_still_count() {
    let mut correlator = Correlator::new("n");
    let written = (0..40).filter(|_| take(&mut correlator, note(pod(1), "a"), 0).is_some()).count();
    assert_eq!(written, 25, "the burst of one object");
    assert_eq!(count(&take(&mut correlator, note(pod(2), "a"), 0)), 1);
    // One more is allowed after five minutes, and it tells of all that came in between.
    assert_eq!(count(&take(&mut correlator, note(pod(1), "a"), 299)), 0);
    assert_eq!(count(&take(&mut correlator, note(pod(1), "a"), 300)), 42);
}

#[test]
fn a_node_in_trouble_is_not_a_load() {
    let mut correlator = Correlator::new("n");
    let written = (0..1000).filter(|n| take(&mut correlator, note(pod(*n), "a"), 0).is_some()).count();
    assert_eq!(written, 60);
    let later = (0..3600).zip(0..).filter(|(s, n)| take(&mut correlator, note(pod(*n), "b"), *s).is_some()).count();
    assert_eq!(later, 59, "one a minute after that");
}

proptest! {
    #[test]
    fn a_bucket_never_gives_more_than_its_rate(burst in 1u32..9, each in 1u64..50, steps in prop::collection::vec(0u64..30, 1..200)) {
        let rate = Rate { burst, each: Duration::from_secs(each) };
        let (mut bucket, mut now, mut given) = (Bucket::default(), 0, Vec::new());
        for step in steps {
            now += step;
            if bucket.has(rate, at(now)) {
                bucket.take(rate, at(now));
                given.push(now);
            }
        }
        for (i, from) in given.iter().enumerate() {
            for (j, to) in given.iter().enumerate().skip(i) {
                prop_assert!((j - i) as u64 <= u64::from(burst) + (to - from) / each, "{given:?} with {burst} and one each {each} s");
            }
        }
    }

    #[test]
    fn memory_is_bounded(notes in prop::collection::vec((0usize..2000, 0u8..4, 0u64..90), 1..300)) {
        let (mut correlator, mut now) = (Correlator::new("n"), 0);
        let most = u64::from(ALL.burst) + EACH.each.as_secs() * u64::from(EACH.burst) / ALL.each.as_secs() + 1;
        for (about, text, step) in notes {
            now += step;
            take(&mut correlator, note(pod(about), &text.to_string()), now);
            prop_assert!(correlator.kept() as u64 <= most, "{} kept", correlator.kept());
        }
    }

    #[test]
    fn names_and_notes_are_within_the_limits_of_the_api_server(name in "\\PC{0,300}", text in "\\PC{0,1500}", node in "[a-z]([a-z0-9.-]{0,250}[a-z0-9])?") {
        let about = About::Object { api_version: "v1".into(), kind: "K".into(), namespace: None, name, uid: "u".into() };
        let mut correlator = Correlator::new(&node);
        let Some(Write::Create(event)) = take(&mut correlator, note(about, &text), 0) else { panic!("not written") };
        let name = event.metadata.name.unwrap();
        let label = |l: &str| !l.is_empty() && !l.starts_with('-') && !l.ends_with('-') && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        prop_assert!(name.len() <= 253 && name.split('.').all(label), "{name:?}");
        prop_assert!(event.note.unwrap().len() <= LONGEST_NOTE && event.reporting_instance.unwrap().len() <= 128);
    }
}

#[test]
fn a_text_is_cut_between_characters() {
    assert_eq!((cut("aä", 2), cut("aä", 3), cut("aä", 9)), ("a", "aä", "aä"));
}

#[test]
fn an_event_is_found_where_people_look_for_it() {
    let time = MicroTime(date());
    let of = |about| serde_json::to_value(object("n1", &note(about, "sentence"), &time, 1)).unwrap();
    let node = of(About::Node);
    assert_eq!(node["regarding"], json!({"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "n1"}), "as kubelet names it");
    assert_eq!(node["metadata"]["namespace"], "default");
    let mut pod = of(pod(1));
    let name = pod["metadata"]["name"].take();
    assert!(name.as_str().unwrap().starts_with("web-1."), "{name}");
    let expected = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": null, "namespace": "shop"},
        "eventTime": "2023-11-14T22:13:20.000000Z",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "uid-1"},
        "type": "Warning", "reason": "EvictionBlocked", "action": "Evicting", "note": "sentence",
        "reportingController": "gleaner", "reportingInstance": "n1",
    });
    assert_eq!(pod, expected);
}

#[test]
fn names_are_the_same_for_the_same_and_differ_otherwise() {
    let time = MicroTime(date());
    let name = |node: &str, text: &str, serial| object(node, &note(pod(1), text), &time, serial).metadata.name.unwrap();
    assert_eq!(name("n", "a", 1), name("n", "a", 1));
    let others = [name("m", "a", 1), name("n", "b", 1), name("n", "a", 2)];
    assert!(others.iter().all(|other| *other != name("n", "a", 1)), "{others:?}");
}

#[test]
fn decisions_become_events_and_figures_do_not() {
    let placed = |moved| Reason::Placed { cpus: "0-3".parse::<CpuSet>().unwrap(), mems: NumaSet::new(), moved, rule: "whole cores".into() };
    let evicted = Reason::EvictSuppressed {
        promised: MilliCpu::new(700),
        supply: MilliCpu::ZERO,
        tolerated: Permille::new(1000),
        lasted: Duration::from_secs(3),
        frees: MilliCpu::new(600),
    };
    let health = |problem: Option<&str>| Reason::Health { part: "psi".into(), problem: problem.map(str::to_owned) };
    let table = [
        (Reason::Refused { cause: "no CPUs".into() }, Some((EventKind::Warning, "ResourcesRefused", "no CPUs"))),
        (placed(4), Some((EventKind::Normal, "DedicatedCPUsAssigned", "CPUs 0-3 (4 new), memory nodes : whole cores"))),
        (placed(1), Some((EventKind::Normal, "DedicatedCPUsMoved", "CPUs 0-3 (1 new), memory nodes : whole cores"))),
        (placed(0), None),
        (
            evicted,
            Some((
                EventKind::Warning,
                "EvictedCPUSuppressed",
                "evicted (frees 600m CPU): 700m promised to reclaimed pods, 0 left, more than 100% for 3 s",
            )),
        ),
        (health(Some("off")), Some((EventKind::Warning, "AgentDegraded", "psi degraded: off"))),
        (health(None), Some((EventKind::Normal, "AgentRecovered", "psi works again"))),
        (Reason::IdleClass, None),
    ];
    for (reason, event) in table {
        let event = event.map(|(kind, word, note)| (kind, word, note.to_owned()));
        assert_eq!(event_of(&reason), event, "{reason:?}");
    }
}

#[test]
fn a_blocked_eviction_is_the_same_note_at_every_try() {
    let blocked = |seconds| EvictionOutcome::Blocked { cause: "budget b".into(), again_in: Duration::from_secs(seconds) };
    assert_eq!(event_of_outcome(&blocked(5)), event_of_outcome(&blocked(10)));
    assert_eq!(event_of_outcome(&blocked(5)).unwrap().1, "EvictionBlocked");
    assert_eq!(event_of_outcome(&EvictionOutcome::Failed("no".into())).unwrap().1, "EvictionFailed");
    assert_eq!(event_of_outcome(&EvictionOutcome::Accepted), None);
}

#[test]
fn the_list_of_words_is_the_one_in_the_documentation() {
    let page = include_str!("../../../../docs/events.md");
    let section = page.split("## ").find(|section| section.starts_with("Reasons")).unwrap();
    let listed: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let words: Vec<&str> = EventReason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(listed, words, "docs/events.md against EventReason");
    assert!(words.iter().all(|word| word.len() <= 128 && word.starts_with(|c: char| c.is_ascii_uppercase())), "{words:?}");
    assert_eq!((action_of("EvictionBlocked"), action_of("Unheard")), ("Evicting", "Reporting"));
}

type Healths = Arc<Mutex<Vec<Option<String>>>>;

fn start(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> (Events, Log, Healths) {
    let (client, log) = scripted(answer);
    let healths = Healths::default();
    let noted = Arc::clone(&healths);
    (Events::start(client, "n1", date, move |problem| noted.lock().unwrap().push(problem)), log, healths)
}

const PATH: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

#[tokio::test(start_paused = true)]
async fn a_repetition_patches_nothing_but_the_series() {
    let (events, log, _) = start(|_, _| Reply::Json(201, json!({})));
    for _ in 0..3 {
        events.tell(note(pod(1), "a"));
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(events.counts(), EventCounts { created: 1, repeated: 2, ..EventCounts::default() });
    let log = log.lock().unwrap();
    let name = log[0].body["metadata"]["name"].as_str().unwrap();
    assert!(log[0].path.starts_with(&format!("{PATH}?")) && log[0].method == "POST", "{:?}", log[0]);
    assert!(log[2].path.starts_with(&format!("{PATH}/{name}?")) && log[2].method == "PATCH", "{:?}", log[2]);
    assert_eq!(log[2].body, json!({"series": {"count": 3, "lastObservedTime": "2023-11-14T22:13:20.000000Z"}}));
}

#[tokio::test(start_paused = true)]
async fn a_series_whose_object_is_gone_is_made_anew() {
    let (events, log, _) =
        start(|asked, _| if asked.method == "PATCH" { Reply::failure(404, "NotFound", "gone") } else { Reply::Json(201, json!({})) });
    events.tell(note(pod(1), "a"));
    events.tell(note(pod(1), "a"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(log.lock().unwrap().iter().map(|asked| asked.method.clone()).collect::<Vec<_>>(), ["POST", "PATCH", "POST"]);
    assert_eq!(log.lock().unwrap()[2].body["series"]["count"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_tried_a_few_times_then_dropped_and_counted() {
    let (events, log, healths) = start(|_, before| if before < 5 { Reply::Text(503, "down", None) } else { Reply::Json(201, json!({})) });
    events.tell(note(pod(1), "a"));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(events.counts(), EventCounts { failed: 1, ..EventCounts::default() });
    let times: Vec<f64> = log.lock().unwrap().iter().map(|asked| asked.at.as_secs_f64()).collect();
    assert_eq!(times.len(), 5, "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 0.75), "tries are spaced: {times:?}");
    events.tell(note(pod(1), "a"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(events.counts().created, 1, "what could not be written is written as a new object");
    assert_eq!(*healths.lock().unwrap(), [Some("down (HTTP 503), 5 tries".to_owned()), None]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_is_not_asked_before() {
    let (events, log, _) = start(|_, before| if before == 0 { Reply::Text(429, "later", Some(20)) } else { Reply::Json(201, json!({})) });
    events.tell(note(pod(1), "a"));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(shown(&log), [format!("0 POST {PATH}"), format!("20 POST {PATH}")]);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_refuses_is_not_tried_again() {
    let table: [(Reply, usize); 3] = [
        (Reply::failure(403, "Forbidden", "may not"), 1),
        (Reply::failure(404, "NotFound", "namespaces \"shop\" not found"), 0),
        (
            Reply::Json(
                403,
                json!({"status": "Failure", "reason": "Forbidden", "message": "", "details": {"causes": [{"reason": "NamespaceTerminating"}]}}),
            ),
            0,
        ),
    ];
    for (reply, problems) in table {
        let shown_reply = format!("{reply:?}");
        let (events, log, healths) = start(move |_, _| reply.clone());
        events.tell(note(pod(1), "a"));
        sleep(Duration::from_secs(60)).await;
        assert_eq!((shown(&log).len(), events.counts().failed, healths.lock().unwrap().len()), (1, 1, problems), "{shown_reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_does_not_tell_twice() {
    let (events, log, _) = start(|_, before| if before == 0 { Reply::Never } else { Reply::failure(409, "AlreadyExists", "exists") });
    events.tell(note(pod(1), "a"));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(events.counts(), EventCounts { created: 1, ..EventCounts::default() });
    let names: Vec<Value> = log.lock().unwrap().iter().map(|asked| asked.body["metadata"]["name"].clone()).collect();
    assert!(names.len() == 2 && names[0] == names[1], "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn the_newest_is_dropped_and_counted_when_too_many_wait() {
    let (events, log, _) = start(|_, _| Reply::Never);
    for n in 0..300 {
        events.tell(note(pod(n), "a"));
    }
    assert_eq!(events.counts().overflowed, 300 - 256);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(log.lock().unwrap()[0].body["regarding"]["name"], "web-0");
}
