use super::follow::Follower;
use super::{pod, pods};
use futures_util::{StreamExt, TryStreamExt};
use gleaner_tests::apiserver::{ApiServer, Cut, Effect, PODS, Push, Rule};
use k8s_openapi::api::core::v1::Pod;
use kube::Error;
use kube::ResourceExt;
use kube::api::{WatchEvent, WatchParams};
use kube::runtime::watcher::Config;
use std::time::Duration;

/// Watches from a version, until the server ends it; a line for each event.
async fn lines(server: &ApiServer, params: WatchParams, version: &str) -> Vec<String> {
    let stream = pods(server, "default").watch(&params, version).await.unwrap();
    let line = |event: Result<WatchEvent<Pod>, Error>| match event {
        Ok(WatchEvent::Added(pod)) => format!("+{}", pod.name_any()),
        Ok(WatchEvent::Modified(pod)) => format!("~{}", pod.name_any()),
        Ok(WatchEvent::Deleted(pod)) => format!("-{}", pod.name_any()),
        Ok(WatchEvent::Bookmark(mark)) => format!("bookmark {:?}", mark.metadata.annotations.keys().collect::<Vec<_>>()),
        Ok(WatchEvent::Error(status)) => format!("error {}", status.code),
        Err(e) => format!("failed: {e}"),
    };
    stream.into_stream().map(line).collect().await
}

fn version(server: &ApiServer) -> String {
    server.all(PODS).iter().map(|pod| pod["metadata"]["resourceVersion"].as_str().unwrap().to_owned()).max().unwrap_or_default()
}

#[tokio::test]
async fn a_watch_tells_what_changed_after_a_version() {
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    let from = version(&server);
    server.add_pod(pod("b"));
    server.add_pod(pod("elsewhere").namespace("shop"));
    server.add_pod(pod("a").phase("Failed"));
    server.delete(PODS, "default", "b");
    let short = WatchParams::default().timeout(1);
    assert_eq!(vec!["+b", "~a", "-b"], lines(&server, short.clone(), &from).await);
    assert_eq!(vec!["+a"], lines(&server, short.clone(), "0").await, "from any version: what is there");
    assert_eq!(vec!["+a", "bookmark [\"k8s.io/initial-events-end\"]"], lines(&server, short.initial_events(), "0").await);
    server.assert_clean();
}

#[tokio::test]
async fn what_begins_or_ceases_to_be_selected_is_new_or_gone() {
    let server = ApiServer::new();
    server.add_pod(pod("a").label("app", "web"));
    let from = version(&server);
    server.add_pod(pod("a").label("app", "db"));
    server.add_pod(pod("a").label("app", "web"));
    server.add_pod(pod("a").label("app", "web").phase("Failed"));
    let params = WatchParams::default().timeout(1).labels("app=web");
    assert_eq!(vec!["-a", "+a", "~a"], lines(&server, params, &from).await);
}

#[tokio::test]
async fn a_version_that_is_gone_is_an_event_or_a_status() {
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    let from = version(&server);
    server.compact();
    assert_eq!(vec!["error 410"], lines(&server, WatchParams::default(), &from).await);
    server.gone_by_status(true);
    let refused = pods(&server, "default").watch(&WatchParams::default(), &from).await;
    assert!(matches!(refused.map(drop), Err(Error::Api(status)) if status.code == 410));
}

#[tokio::test]
async fn a_watch_ends_as_it_is_told() {
    let server = ApiServer::new();
    ["a", "b", "c"].iter().for_each(|name| drop(server.add_pod(pod(name))));
    let half = "failed: Error deserializing response: expected";
    let cases = [
        (Effect::Cut(2, Cut::Clean), vec!["+a", "+b"]),
        (Effect::Cut(1, Cut::Abrupt), vec!["+a"]),
        (Effect::Cut(1, Cut::MidLine), vec!["+a"]),
        (Effect::Garble(0), vec![half, "+a", "+b", "+c"]),
        (Effect::Gone, vec!["+a", "+b", "+c", "error 410"]),
    ];
    for (effect, expected) in cases {
        server.inject(Rule::next(1, effect.clone()));
        let told = lines(&server, WatchParams::default().timeout(1), "0").await;
        let same = told.len() == expected.len() && told.iter().zip(&expected).all(|(told, expected)| told.starts_with(&expected[..2]));
        assert!(same, "{effect:?}: {told:?}, expected {expected:?}");
    }
    assert_eq!(3, lines(&server, WatchParams::default().timeout(1), "0").await.len(), "all rules are used up");
}

#[tokio::test]
async fn a_watcher_goes_on_where_it_was_cut() {
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    let follower = Follower::start(server.client(), Config::default());
    follower.agrees(&server, PODS).await;
    for (at, cut) in [Cut::Clean, Cut::Abrupt, Cut::MidLine].into_iter().enumerate() {
        server.push(Push::Cut(cut));
        server.add_pod(pod(&format!("p{at}")));
        follower.agrees(&server, PODS).await;
    }
    server.push_to(PODS, Push::Garble);
    server.delete(PODS, "default", "a");
    follower.agrees(&server, PODS).await;
    assert_eq!(1, follower.relists(), "{:?}", follower.errors());
    assert_eq!(1, follower.errors().len(), "the garbage: {:?}", follower.errors());
    server.assert_clean();
}

#[tokio::test]
async fn a_watcher_lists_again_when_its_version_is_gone_unless_a_bookmark_came_before() {
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    let follower = Follower::start(server.client(), Config::default());
    follower.agrees(&server, PODS).await;
    let watches = |server: &ApiServer| server.requests().iter().filter(|seen| seen.verb == "watch" && seen.code == Some(200)).count();
    server.eventually("it watches", |server| (watches(server) == 1).then_some(())).await;
    server.compact();
    server.push(Push::Bookmark);
    server.push(Push::Cut(Cut::Clean));
    server.eventually("it watches again", |server| (watches(server) == 2).then_some(())).await;
    server.add_pod(pod("b"));
    follower.agrees(&server, PODS).await;
    assert_eq!(1, follower.relists(), "the bookmark was later than what is gone");
    server.compact();
    server.push(Push::Cut(Cut::Abrupt));
    server.eventually("it lists again", |_| (follower.relists() == 2).then_some(())).await;
    server.push(Push::Gone);
    server.eventually("it lists again", |_| (follower.relists() == 3).then_some(())).await;
    follower.agrees(&server, PODS).await;
}

#[tokio::test]
async fn kubes_watcher_does_not_list_again_when_410_is_a_status() {
    let server = ApiServer::new();
    server.gone_by_status(true);
    server.add_pod(pod("a"));
    let follower = Follower::start(server.client(), Config::default());
    follower.agrees(&server, PODS).await;
    server.compact();
    server.push(Push::Cut(Cut::Clean));
    // It asks for the same version for ever: whoever uses it must begin a new one. When this fails, kube has learnt it.
    server.eventually("it fails again and again", |_| (follower.errors().len() > 4).then_some(())).await;
    assert_eq!(1, follower.relists(), "{:?}", follower.errors());
}

#[tokio::test]
async fn a_watcher_can_begin_without_a_list() {
    let server = ApiServer::new();
    ["a", "b"].iter().for_each(|name| drop(server.add_pod(pod(name))));
    let follower = Follower::start(server.client(), Config::default().streaming_lists());
    follower.agrees(&server, PODS).await;
    server.add_pod(pod("c"));
    follower.agrees(&server, PODS).await;
    assert!(server.requests().iter().all(|seen| seen.verb == "watch"));
    server.assert_clean();
}

#[tokio::test]
async fn a_watcher_gets_an_evicted_pod_ending_and_gone() {
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    let from = version(&server);
    pods(&server, "default").evict("a", &kube::api::EvictParams::default()).await.unwrap();
    assert_eq!(vec!["~a", "-a"], lines(&server, WatchParams::default().timeout(1), &from).await);
}

#[tokio::test]
async fn a_watch_that_is_given_up_does_no_harm() {
    let server = ApiServer::new();
    let stream = pods(&server, "default").watch(&WatchParams::default(), "0").await.unwrap();
    drop(stream);
    server.add_pod(pod("a"));
    server.push(Push::Bookmark);
    tokio::time::timeout(Duration::from_secs(30), pods(&server, "default").get("a")).await.unwrap().unwrap();
}
