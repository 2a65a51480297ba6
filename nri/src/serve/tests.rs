#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use super::double::{Peer, Plugin};
use super::*;
use crate::event::{Adjustment, Update};
use crate::fixture::{about, call, change, container, old_runtime, pod, refused, registered};
use gleaner_crds::nri as wire;
use gleaner_model::KnobValue;
use tokio::net::UnixListener;
use tokio::time::Instant;

fn adjustment(cpus: &str) -> Adjustment {
    Adjustment { knobs: vec![KnobValue::Cpus(cpus.parse().unwrap())] }
}

/// A plugin whose connection is whole.
async fn settled() -> (Plugin, UnixListener, Peer) {
    let mut plugin = Plugin::start(16);
    let listener = plugin.listen();
    let mut peer = Peer::greet(&listener).await;
    peer.send(&call(3, "Synchronize", &wire::SynchronizeRequest::default())).await;
    plugin.synchronized().await;
    assert_eq!(peer.next().await.outcome(), Ok(Vec::new()));
    (plugin, listener, peer)
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_configures_first_is_served() {
    let mut plugin = Plugin::start(16);
    let listener = plugin.listen();
    let mut peer = Peer::accept(&listener).await;
    let (_, method, _) = peer.next().await.request();
    assert_eq!(method, "RegisterPlugin", "it registers at once");
    peer.send(&call(1, "Configure", &old_runtime())).await;
    assert_eq!(peer.next().await.payload::<wire::ConfigureResponse>().events, 0x7af);
    peer.send(&registered()).await;
    assert!(matches!(plugin.event().await, Event::Connected(_)));
    peer.send(&call(3, "Synchronize", &wire::SynchronizeRequest { pods: vec![pod("s")], ..Default::default() })).await;
    let Event::Synchronize(seen, answer) = plugin.event().await else { panic!("what exists comes next") };
    assert_eq!(seen.pods.len(), 1);
    answer.send(Ok(Vec::new())).unwrap();
    peer.next().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_any_length_goes_in_frames_that_the_runtime_survives() {
    let mut plugin = Plugin::start(16);
    let listener = plugin.listen();
    let mut peer = Peer::greet(&listener).await;
    let containers: Vec<_> = (0..2000).map(|number| container(&format!("c{number}"), "0-3")).collect();
    peer.send(&call(3, "Synchronize", &wire::SynchronizeRequest { containers, ..Default::default() })).await;
    plugin.event().await;
    let Event::Synchronize(seen, answer) = plugin.event().await else { panic!("what exists") };
    let updates = seen.containers.into_iter().map(|one| Update { container: one.id, adjustment: adjustment("4-5") });
    answer.send(Ok(updates.collect())).unwrap();
    // The double fails on a frame that a runtime would hang on.
    assert_eq!(peer.next().await.payload::<wire::SynchronizeResponse>().update.len(), 2000);
}

#[tokio::test(start_paused = true)]
async fn events_keep_their_order_while_a_question_waits() {
    let (mut plugin, _listener, mut peer) = settled().await;
    peer.send(&call(5, "StateChange", &change(wire::Event::RunPodSandbox, None))).await;
    peer.send(&call(7, "CreateContainer", &about(container("c", "0-3")))).await;
    peer.send(&call(9, "StateChange", &change(wire::Event::RemoveContainer, Some(container("d", ""))))).await;
    let (first, second, third) = (plugin.event().await, plugin.event().await, plugin.event().await);
    let (Event::PodStarted(_), Event::CreateContainer(_, _, answer), Event::ContainerGone { container }) = (first, second, third) else {
        panic!("another order")
    };
    assert_eq!(container, "d");
    assert_eq!((peer.next().await.call, peer.next().await.call), (5, 9), "notices are answered at once");
    answer.send(Ok(adjustment("4-5"))).unwrap();
    let seen = peer.next().await;
    let adjust = seen.payload::<wire::CreateContainerResponse>().adjust.unwrap();
    assert_eq!((seen.call, adjust.linux.unwrap().resources.unwrap().cpu.unwrap().cpus.as_str()), (7, "4-5"));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_does_not_answer_costs_no_connection() {
    let (mut plugin, _listener, mut peer) = settled().await;
    peer.send(&call(5, "CreateContainer", &about(container("c", "0-3")))).await;
    let Event::CreateContainer(_, _, answer) = plugin.event().await else { panic!("a question") };
    let before = Instant::now();
    assert_eq!(peer.next().await.outcome(), Ok(Vec::new()));
    assert!(before.elapsed() < Duration::from_secs(2), "the runtime closes after 2 s; it took {:?}", before.elapsed());
    assert!(answer.send(Ok(adjustment("4-5"))).is_err(), "the loop learns that it was late");
    peer.send(&call(7, "StateChange", &change(wire::Event::RunPodSandbox, None))).await;
    assert!(matches!(plugin.event().await, Event::PodStarted(_)));
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_not_there_is_told_once_and_dialled_until_it_is() {
    let mut plugin = Plugin::start(16);
    let text = plugin.lost().await;
    assert!(text.starts_with("there is no socket") && text.contains("switched off"), "{text}");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(plugin.events.try_recv().is_err(), "the same cause is told once");
    let stale = plugin.listen();
    drop(stale);
    let text = plugin.lost().await;
    assert!(text.starts_with("nobody answers"), "{text}");
    std::fs::remove_file(plugin.socket()).unwrap();
    let listener = plugin.listen();
    // In between it may have found no socket again.
    let _peer = Peer::greet(&listener).await;
    while !matches!(plugin.event().await, Event::Connected(_)) {}
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_restarts_is_dialled_again_soon() {
    let (mut plugin, listener, peer) = settled().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(peer);
    assert_eq!(plugin.lost().await, "the runtime closed the connection");
    let before = Instant::now();
    let mut peer = Peer::greet(&listener).await;
    assert!(before.elapsed() < Duration::from_millis(300), "{:?}", before.elapsed());
    peer.send(&call(3, "Synchronize", &wire::SynchronizeRequest::default())).await;
    plugin.synchronized().await;
}

#[tokio::test(start_paused = true)]
async fn a_question_of_a_connection_that_is_gone_is_withdrawn() {
    let (mut plugin, _listener, mut peer) = settled().await;
    peer.send(&call(5, "CreateContainer", &about(container("c", "0-3")))).await;
    let Event::CreateContainer(_, _, answer) = plugin.event().await else { panic!("a question") };
    drop(peer);
    plugin.lost().await;
    assert!(answer.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_registration_without_an_answer_or_an_outcome_is_made_anew_on_another_connection() {
    let mut plugin = Plugin::start(16);
    let listener = plugin.listen();
    let mut silent = Peer::accept(&listener).await;
    silent.end().await;
    assert_eq!(plugin.lost().await, "the runtime did not answer the registration within 6 s");
    let mut idle = Peer::accept(&listener).await;
    idle.next().await;
    idle.send(&registered()).await;
    idle.end().await;
    let text = plugin.lost().await;
    assert_eq!(text, "the runtime took the registration, but did not tell what exists within 10 s");
    Peer::greet(&listener).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_registration_closes_the_connection_and_is_tried_ever_more_seldom() {
    let mut plugin = Plugin::start(16);
    let listener = plugin.listen();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let before = Instant::now();
        let mut peer = Peer::accept(&listener).await;
        pauses.push(before.elapsed());
        peer.next().await;
        peer.send(&refused("invalid plugin index")).await;
        peer.end().await;
    }
    assert_eq!(plugin.lost().await, "the runtime refused the registration: invalid plugin index");
    assert!(plugin.events.try_recv().is_err(), "the same refusal is told once");
    let last = *pauses.last().unwrap();
    assert!(last > Duration::from_secs(20) && last <= Duration::from_secs(31), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_cannot_tell_what_exists_is_named_and_asked_seldom() {
    let mut plugin = Plugin::start(64);
    let listener = plugin.listen();
    let mut texts = Vec::new();
    for round in 0..4 {
        let before = Instant::now();
        let mut peer = Peer::greet(&listener).await;
        // The fourth comes after the third was understood.
        let is_seldom = before.elapsed() > Duration::from_secs(25);
        assert_eq!(is_seldom, round == 3, "round {round} came after {:?}", before.elapsed());
        for number in 0..5 {
            peer.send(&call(3 + 2 * number, "Synchronize", &wire::SynchronizeRequest { more: true, ..Default::default() })).await;
            assert!(peer.next().await.payload::<wire::SynchronizeResponse>().more);
        }
        drop(peer);
        assert!(matches!(plugin.event().await, Event::Connected(_)));
        texts.push(plugin.lost().await);
    }
    assert_eq!(texts[..2], ["the runtime closed the connection"; 2]);
    assert!(texts[2].starts_with("the runtime ended the connection 3 times in a row when it was to tell what exists"), "{}", texts[2]);
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_takes_no_events_gets_everything_anew() {
    let mut plugin = Plugin::start(1);
    let listener = plugin.listen();
    let mut peer = Peer::greet(&listener).await;
    for number in 0..300 {
        peer.send(&call(3 + 2 * number, "StateChange", &change(wire::Event::RunPodSandbox, None))).await;
    }
    peer.end().await;
    assert!(matches!(plugin.event().await, Event::Connected(_)));
    let text = plugin.lost().await;
    assert!(text.starts_with("the agent did not take what the runtime told"), "{text}");
    let mut peer = Peer::greet(&listener).await;
    peer.send(&call(3, "Synchronize", &wire::SynchronizeRequest::default())).await;
    plugin.synchronized().await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_long_ends_the_connection() {
    let (mut plugin, listener, mut peer) = settled().await;
    peer.send(&[0, 0, 0, 1, 4, 0, 0, 0]).await;
    peer.end().await;
    let text = plugin.lost().await;
    assert!(text.contains("a frame of 67108864 bytes"), "{text}");
    Peer::greet(&listener).await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_takes_events() {
    let (mut plugin, _listener, mut peer) = settled().await;
    plugin.events.close();
    peer.end().await;
    (&mut plugin.serving).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_a_socket_of_root_or_our_own_user_is_dialled() {
    let mut plugin = Plugin::start(16);
    std::fs::File::create(plugin.socket()).unwrap();
    let text = plugin.lost().await;
    assert!(text.ends_with("is no socket"), "{text}");
    std::fs::remove_file(plugin.socket()).unwrap();
    let _listener = plugin.listen();
    if std::os::unix::fs::chown(plugin.socket(), Some(12_345), None).is_err() {
        eprintln!("SKIP only_a_socket_of_root_or_our_own_user_is_dialled: only root can give a socket away");
        return;
    }
    loop {
        // Before it was given away it may have been dialled once.
        let Event::Lost(text) = plugin.event().await else { continue };
        if text.contains("belongs to user 12345") {
            break;
        }
    }
}
