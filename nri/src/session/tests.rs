#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::event::{Adjustment, Update};
use crate::fixture::{self, Seen, about, call, change, container, old_runtime, pod};
use gleaner_model::KnobValue;

const START: Duration = Duration::ZERO;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// All that the session has to send, at this moment.
fn flush(session: &mut Session, at: Duration) -> Result<Vec<Seen>, Cut> {
    let mut bytes = Vec::new();
    while !session.output().is_empty() {
        let now = session.output().to_vec();
        session.sent(now.len(), at)?;
        bytes.extend(now);
    }
    Ok(fixture::take(&mut bytes))
}

/// A session whose registration is out and answered, and that was configured by a runtime.
fn configured(runtime: &wire::ConfigureRequest) -> Session {
    let mut session = Session::new("10", true);
    session.receive(&fixture::registered(), START).unwrap();
    session.receive(&call(1, "Configure", runtime), START).unwrap();
    flush(&mut session, START).unwrap();
    session
}

/// What comes of one call, and what is answered at once.
fn one(session: &mut Session, method: &str, message: &impl prost::Message) -> (Option<Step>, Vec<Seen>) {
    let mut steps = session.receive(&call(3, method, message), START).unwrap();
    assert!(steps.len() <= 1, "{method}: {steps:?}");
    (steps.pop(), flush(session, START).unwrap())
}

fn adjustment(cpus: &str) -> Adjustment {
    Adjustment { knobs: vec![KnobValue::Cpus(cpus.parse().unwrap())] }
}

/// Gives the answer to a question and returns what is sent.
async fn reply(session: &mut Session, question: Question) -> Seen {
    session.answer(question.wait().await);
    flush(session, START).unwrap().pop().unwrap()
}

#[test]
fn a_process_that_stood_still_while_it_was_to_be_told_what_exists_cannot_trust_an_old_runtime() {
    let mut session = configured(&old_runtime());
    assert_eq!(session.due(), Some(BEAT));
    assert_eq!((session.check(ms(500)), session.check(ms(1999))), (Ok(()), Ok(())), "a busy machine");
    assert_eq!(session.check(ms(3499)), Err(Cut::Still(ms(1500))));
    let newer = wire::ConfigureRequest { request_timeout: 2000, registration_timeout: 5000, ..old_runtime() };
    assert_eq!(configured(&newer).check(ms(3000)), Ok(()), "it closes the connection by itself");
}

#[test]
fn it_begins_with_its_registration() {
    let seen = flush(&mut Session::new("07", true), START).unwrap();
    let (service, method, payload) = seen[0].request();
    let who = wire::RegisterPluginRequest::decode(payload.as_slice()).unwrap();
    assert_eq!((seen.len(), seen[0].call, service.as_str(), method.as_str()), (1, 1, "nri.pkg.api.v1alpha1.Runtime", "RegisterPlugin"));
    assert_eq!((who.plugin_name.as_str(), who.plugin_idx.as_str()), ("gleaner", "07"));
}

#[test]
fn it_is_configured_before_its_registration_is_answered() {
    let mut session = Session::new("10", true);
    let steps = session.receive(&call(1, "Configure", &old_runtime()), START).unwrap();
    let [Step::Tell(Event::Connected(runtime))] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((runtime.name.as_str(), runtime.protocol.as_deref(), runtime.shows_unified), ("containerd", None, false));
    let seen = flush(&mut session, START).unwrap();
    let configured: wire::ConfigureResponse = seen.iter().find(|seen| seen.stream == 1).unwrap().payload();
    assert_eq!(configured.events, 0x7af, "all events that are wanted and no others");
    session.receive(&fixture::registered(), ms(5)).unwrap();
    assert_eq!(session.due(), Some(ms(5) + BEAT), "what exists is waited for");
}

#[test]
fn a_runtime_that_tells_its_limits_or_its_protocol_shows_files_of_requests() {
    for (told, protocol) in [
        (wire::ConfigureRequest { request_timeout: 2000, ..old_runtime() }, None),
        (wire::ConfigureRequest { nri_version: "v0.12.1".into(), ..old_runtime() }, Some("v0.12.1")),
    ] {
        let known = call::runtime(told);
        assert_eq!((known.shows_unified, known.protocol.as_deref()), (true, protocol));
    }
}

#[test]
fn a_refused_registration_ends_it() {
    let mut session = Session::new("10", true);
    let cut = session.receive(&fixture::refused("invalid plugin index \"ab\""), START).unwrap_err();
    assert_eq!(cut.to_string(), "the runtime refused the registration: invalid plugin index \"ab\"");
}

#[test]
fn what_does_not_come_in_time_ends_it() {
    let mut session = Session::new("10", true);
    assert_eq!((session.check(ms(5999)), session.check(ms(6000))), (Ok(()), Err(Cut::Unanswered)));
    let mut session = configured(&old_runtime());
    assert!((0..9999).step_by(500).all(|at| session.check(ms(at)).is_ok()), "it is at work all the time");
    assert_eq!((session.check(ms(9999)), session.check(ms(10_000))), (Ok(()), Err(Cut::Untold)));
}

#[tokio::test]
async fn what_exists_comes_in_parts_and_is_asked_about_once() {
    let mut session = configured(&wire::ConfigureRequest { request_timeout: 2000, ..old_runtime() });
    let part = |id: &str, more| wire::SynchronizeRequest { pods: vec![pod(id)], containers: vec![container(id, "0-3")], more };
    for (number, id) in [(3, "a"), (9, "b")] {
        assert!(session.receive(&call(number, "Synchronize", &part(id, true)), START).unwrap().is_empty());
        let answer: wire::SynchronizeResponse = flush(&mut session, START).unwrap()[0].payload();
        assert_eq!((answer.more, answer.update.len()), (true, 0), "the answer to a part repeats that more follows");
    }
    let (Some(Step::Ask(Event::Synchronize(seen, answer), question)), _) = one(&mut session, "Synchronize", &part("c", false)) else {
        panic!("what exists is asked about")
    };
    let ids: Vec<&str> = seen.pods.iter().map(|pod| pod.id.as_str()).collect();
    assert_eq!((ids, seen.containers.len()), (vec!["a", "b", "c"], 3));
    let update = |id: &str, cpus: &str| Update { container: id.to_owned(), adjustment: adjustment(cpus) };
    answer.send(Ok(vec![update("a", "4"), update("b", "0-3"), update("unknown", "4")])).unwrap();
    let sent: wire::SynchronizeResponse = reply(&mut session, question).await.payload();
    let ids: Vec<&str> = sent.update.iter().map(|update| update.container_id.as_str()).collect();
    assert_eq!((ids, sent.more), (vec!["a"], false), "only what differs, and only what was told");
    assert!(session.is_settled() && session.due().is_none());
}

#[tokio::test]
async fn an_answer_about_what_exists_that_is_late_ends_it() {
    let ask = |session: &mut Session| {
        let bytes = call(3, "Synchronize", &wire::SynchronizeRequest::default());
        let Some(Step::Ask(Event::Synchronize(_, answer), question)) = session.receive(&bytes, ms(100)).unwrap().pop() else {
            panic!("a question")
        };
        drop(answer);
        question
    };
    let mut session = configured(&old_runtime());
    let question = ask(&mut session);
    assert_eq!(session.check(ms(1899)), Ok(()));
    assert_eq!(session.check(ms(1900)), Err(Cut::Late(ms(1800))), "nine tenths of the runtime's limit");
    session.answer(question.wait().await);
    assert_eq!(flush(&mut session, ms(1950)), Err(Cut::Late(ms(1850))), "sent too late");
    let mut session = configured(&old_runtime());
    let question = ask(&mut session);
    session.answer(question.wait().await);
    assert!(flush(&mut session, ms(1500)).is_ok() && session.is_settled());
}

#[tokio::test]
async fn a_pod_that_cannot_be_understood_is_left_out() {
    let mut session = configured(&old_runtime());
    let bad = wire::PodSandbox { uid: "../x".into(), ..pod("bad") };
    let request = wire::SynchronizeRequest { pods: vec![bad.clone(), pod("good")], ..Default::default() };
    let (Some(Step::Ask(Event::Synchronize(seen, _), _)), _) = one(&mut session, "Synchronize", &request) else { panic!("a question") };
    assert_eq!(seen.pods.iter().map(|pod| pod.id.as_str()).collect::<Vec<_>>(), ["good"]);
    let create = wire::CreateContainerRequest { pod: Some(bad), container: Some(container("c", "")) };
    let (step, seen) = one(&mut session, "CreateContainer", &create);
    assert!(step.is_none(), "{step:?}");
    assert_eq!(seen[0].outcome(), Ok(Vec::new()), "it is created as kubelet asked for it");
}

#[test]
fn more_objects_than_any_node_has_end_it() {
    let mut session = configured(&old_runtime());
    let many = wire::SynchronizeRequest { pods: vec![wire::PodSandbox::default(); 70_000], ..Default::default() };
    let cut = session.receive(&call(3, "Synchronize", &many), START).unwrap_err();
    assert!(cut.to_string().starts_with("the runtime told of 70000 pods"), "{cut}");
}

#[tokio::test]
async fn a_container_is_created_with_what_was_decided() {
    let mut session = configured(&old_runtime());
    let (Some(Step::Ask(Event::CreateContainer(pod, seen, answer), question)), at_once) =
        one(&mut session, "CreateContainer", &about(container("c", "0-3")))
    else {
        panic!("a question")
    };
    assert!(at_once.is_empty(), "the runtime waits for the answer");
    assert_eq!((pod.name.to_string().as_str(), seen.id.as_str(), seen.sandbox.as_str()), ("shop/web", "c", "s"));
    answer.send(Ok(adjustment("4-5"))).unwrap();
    let sent: wire::CreateContainerResponse = reply(&mut session, question).await.payload();
    assert_eq!(sent.adjust.unwrap().linux.unwrap().resources.unwrap().cpu.unwrap().cpus, "4-5");
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_a_container_is_created_as_asked_for() {
    let mut session = configured(&old_runtime());
    for wait in [true, false] {
        let (Some(Step::Ask(Event::CreateContainer(_, _, answer), question)), _) =
            one(&mut session, "CreateContainer", &about(container("c", "")))
        else {
            panic!("a question")
        };
        let before = tokio::time::Instant::now();
        let held = if wait { Some(answer) } else { None };
        assert_eq!(reply(&mut session, question).await.outcome(), Ok(Vec::new()));
        assert!(before.elapsed() < ms(1900), "{:?}", before.elapsed());
        assert!(held.is_none_or(|answer| answer.send(Ok(Adjustment::default())).is_err()), "the late answer is told to be late");
    }
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_waits_less_is_answered_sooner() {
    let mut session = configured(&old_runtime());
    let bytes = fixture::call_within(3, "CreateContainer", &about(container("c", "")), 400_000_000);
    let Some(Step::Ask(_event, question)) = session.receive(&bytes, START).unwrap().pop() else { panic!("a question") };
    let before = tokio::time::Instant::now();
    question.wait().await;
    assert!(before.elapsed() < ms(350), "{:?} of 400 ms", before.elapsed());
}

#[tokio::test]
async fn a_refusal_reaches_the_runtime_but_never_for_what_exists() {
    let mut session = configured(&old_runtime());
    let change = change(wire::Event::StartContainer, Some(container("c", "")));
    let (Some(Step::Ask(Event::StartContainer(_, _, answer), question)), _) = one(&mut session, "StateChange", &change) else {
        panic!("a question")
    };
    answer.send(Err("no CPU is left".to_owned())).unwrap();
    assert_eq!(reply(&mut session, question).await.outcome(), Err((2, "no CPU is left".to_owned())));
    let (Some(Step::Ask(Event::Synchronize(_, answer), question)), _) =
        one(&mut session, "Synchronize", &wire::SynchronizeRequest::default())
    else {
        panic!("a question")
    };
    answer.send(Err("not now".to_owned())).unwrap();
    assert_eq!(reply(&mut session, question).await.outcome(), Ok(Vec::new()));
}

#[tokio::test]
async fn a_request_to_change_a_container_is_answered_with_what_it_is_to_have() {
    let mut session = configured(&old_runtime());
    let cpu = wire::LinuxCpu { cpus: "0-7".into(), quota: Some(wire::OptionalInt64 { value: 0 }), ..Default::default() };
    let wants = wire::LinuxResources { cpu: Some(cpu), ..Default::default() };
    let request =
        wire::UpdateContainerRequest { pod: Some(pod("s")), container: Some(container("c", "0-3")), linux_resources: Some(wants) };
    let (Some(Step::Ask(Event::UpdateContainer { wants, answer, .. }, question)), _) = one(&mut session, "UpdateContainer", &request)
    else {
        panic!("a question")
    };
    assert_eq!((wants.cpus.map(|cpus| cpus.to_string()).as_deref(), wants.cpu_max), (Some("0-7"), None));
    answer.send(Ok(Some(adjustment("4-5")))).unwrap();
    let sent: wire::UpdateContainerResponse = reply(&mut session, question).await.payload();
    assert_eq!(sent.update[0].linux.as_ref().unwrap().resources.as_ref().unwrap().cpu.as_ref().unwrap().cpus, "4-5");
}

/// What an event is, by name.
fn name(step: Option<&Step>) -> &'static str {
    match step {
        None => "nothing",
        Some(Step::Tell(Event::PodStarted(_))) => "pod started",
        Some(Step::Tell(Event::PodGone { sandbox, pod })) if sandbox == "s" && pod.as_str() == "uid-s" => "pod gone",
        Some(Step::Tell(Event::Updated(_, _))) => "updated",
        Some(Step::Tell(Event::ContainerGone { container })) if container == "c" => "container gone",
        Some(Step::Ask(Event::StartContainer(_, _, _), _)) => "start",
        Some(_) => "another",
    }
}

#[test]
fn an_event_is_the_same_as_a_change_of_state_and_as_a_call_of_its_own() {
    use wire::Event as E;
    for (event, method, expected) in [
        (E::RunPodSandbox, "RunPodSandbox", "pod started"),
        (E::StopPodSandbox, "StopPodSandbox", "pod gone"),
        (E::RemovePodSandbox, "RemovePodSandbox", "pod gone"),
        (E::PostCreateContainer, "PostCreateContainer", "nothing"),
        (E::StartContainer, "StartContainer", "start"),
        (E::PostStartContainer, "PostStartContainer", "nothing"),
        (E::PostUpdateContainer, "PostUpdateContainer", "updated"),
        (E::StopContainer, "StopContainer", "container gone"),
        (E::RemoveContainer, "RemoveContainer", "container gone"),
    ] {
        let mut session = configured(&old_runtime());
        let is_pod = method.ends_with("PodSandbox");
        let one_container = || Some(container("c", "")).filter(|_| !is_pod);
        let changed = one(&mut session, "StateChange", &change(event, one_container()));
        let called = one(&mut session, method, &wire::ContainerEvent { pod: Some(pod("s")), container: one_container() });
        assert_eq!((name(changed.0.as_ref()), name(called.0.as_ref())), (expected, expected), "{method}");
        for (step, seen) in [changed, called] {
            let at_once = usize::from(!matches!(step, Some(Step::Ask(..))));
            assert_eq!(seen.len(), at_once, "{method}: a notice is answered at once");
            assert!(seen.iter().all(|seen| seen.outcome() == Ok(Vec::new())), "{method}: {seen:?}");
        }
    }
}

#[test]
fn a_call_that_is_not_served_says_so_and_a_broken_one_does_no_harm() {
    let mut session = configured(&old_runtime());
    let (_, seen) = one(&mut session, "ValidateContainerAdjustment", &wire::Empty {});
    assert_eq!(seen[0].outcome(), Err((12, "method ValidateContainerAdjustment".to_owned())));
    let (step, seen) = one(&mut session, "Shutdown", &wire::Empty {});
    assert!(step.is_none() && seen[0].outcome() == Ok(Vec::new()));
    // Field 1 as a text where a pod is expected.
    let broken = wire::RegisterPluginRequest { plugin_name: "\u{7f}broken".into(), ..Default::default() };
    for method in ["CreateContainer", "UpdateContainer", "Synchronize", "StateChange", "RunPodSandbox"] {
        let (step, seen) = one(&mut session, method, &broken);
        let answered = step.is_some() || seen[0].outcome() == Ok(Vec::new());
        assert!(answered, "{method}: {seen:?}");
    }
    let unknown = wire::StateChangeEvent { event: 99, ..Default::default() };
    assert_eq!(one(&mut session, "StateChange", &unknown).1[0].outcome(), Ok(Vec::new()), "an event of a later version");
}
