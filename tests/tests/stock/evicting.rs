//! Pods that must go are evicted through the API server.

use crate::{MILLICPU, Stock};
use gleaner_tests::apiserver::{Effect, PODS, PodBuilder, Rule, Seen};
use gleaner_tests::runtime::Version;
use gleaner_tests::{NODE, pod_state, poll_until};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;

/// Evicts two seconds after it lends nothing, which it does from the start.
fn lending_nothing(test: &str) -> Option<Stock> {
    let rest = "eviction: {suppressionAfter: 2s, suppressionTolerance: 150%, coolDown: 1s}\n";
    let stock = Stock::prepared(test, Version::V0_8, &format!("{rest}{}", crate::OVERLAP))?;
    stock.keep_back(100_000);
    Some(stock)
}

/// Evictions that were asked for so far.
fn evictions(stock: &Stock) -> Vec<Seen> {
    stock.server.requests().into_iter().filter(|seen| seen.rule() == "pods/eviction").collect()
}

fn is_deleted(stock: &Stock, pod: &str) -> bool {
    stock.server.get(PODS, "default", pod).is_none_or(|pod| !pod["metadata"]["deletionTimestamp"].is_null())
}

#[test]
fn a_suppressed_pod_is_evicted_with_its_grace_and_uid_and_nobody_else_is() {
    let test = "a_suppressed_pod_is_evicted_with_its_grace_and_uid_and_nobody_else_is";
    let Some(mut stock) = lending_nothing(test) else { return };
    // Nobody can end a static pod through the API server.
    let mirror = PodBuilder::new("fixed-node-1").uid("uid-mirror").node(NODE).class("reclaimed_cores");
    let mirror = mirror.annotation("kubernetes.io/config.mirror", "fixed1").annotation("kubernetes.io/config.hash", "fixed1");
    stock.server.add_pod(mirror.container("main", &[(MILLICPU, "50")]));
    let _ = stock.node.make_container("fixed1", &"f".repeat(64));
    stock.start();
    stock.server.add_pod(stock.api_pod("batch", "reclaimed_cores", 20).field("/spec/terminationGracePeriodSeconds", json!(7)));
    stock.run_unknown("batch", "reclaimed_cores", 20).unwrap();
    stock.run("web", "shared_cores", 100);
    poll_until("batch is evicted", || is_deleted(&stock, "batch").then_some(()));
    let told = stock.event("batch", "EvictedCPUSuppressed");
    assert_eq!((&told["type"], &told["regarding"]["uid"]), (&"Warning".into(), &"uid-batch".into()), "{told}");
    assert!(told["note"].as_str().unwrap().contains("20m"), "{told}");
    stock.node.ticks(6);
    let asked = evictions(&stock);
    let body = |seen: &Seen| seen.body.clone().unwrap();
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert_eq!(asked[0].path, "/api/v1/namespaces/default/pods/batch/eviction");
    let options = &body(&asked[0])["deleteOptions"];
    assert_eq!((&options["gracePeriodSeconds"], &options["preconditions"]["uid"]), (&json!(7), &json!("uid-batch")), "{options}");
    assert_eq!(body(&asked[0])["apiVersion"], "policy/v1");
    assert!(!is_deleted(&stock, "web") && !is_deleted(&stock, "fixed-node-1"));
    stock.assert_clean();
}

#[test]
fn a_budget_is_respected_and_the_pod_goes_when_it_allows() {
    let test = "a_budget_is_respected_and_the_pod_goes_when_it_allows";
    let Some(mut stock) = lending_nothing(test) else { return };
    stock.start();
    stock.server.budget("default", "keep", "app=batch", 0);
    stock.server.add_pod(stock.api_pod("batch", "reclaimed_cores", 20).label("app", "batch"));
    stock.run_unknown("batch", "reclaimed_cores", 20).unwrap();
    let told = stock.event("batch", "EvictionBlocked");
    assert!(told["note"].as_str().unwrap().contains("disruption budget keep"), "{told}");
    stock.server.budget("default", "keep", "app=batch", 1);
    poll_until("it is evicted when the server wants to be asked again", || is_deleted(&stock, "batch").then_some(()));
    let asked = evictions(&stock);
    let waited = asked[1].at.since(asked[0].at);
    assert!(asked.len() == 2 && waited >= Duration::from_secs(10), "asked {} times, the second after {waited:?}", asked.len());
    stock.assert_clean();
}

#[test]
fn an_eviction_whose_cause_is_over_is_not_asked_for_again() {
    let test = "an_eviction_whose_cause_is_over_is_not_asked_for_again";
    let Some(mut stock) = lending_nothing(test) else { return };
    stock.start();
    stock.server.budget("default", "keep", "app=batch", 0);
    stock.server.add_pod(stock.api_pod("batch", "reclaimed_cores", 20).label("app", "batch"));
    let batch = stock.run_unknown("batch", "reclaimed_cores", 20).unwrap();
    stock.event("batch", "EvictionBlocked");
    // It is promised nothing any more, so nothing is missing.
    stock.server.edit(PODS, "default", "batch", |pod| {
        for amounts in ["requests", "limits"] {
            pod["spec"]["containers"][0]["resources"][amounts][MILLICPU] = json!("0");
        }
    });
    stock.server.budget("default", "keep", "app=batch", 1);
    // Longer than the server wanted to be left alone.
    stock.node.ticks(28);
    assert_eq!(evictions(&stock).len(), 1, "and it runs on");
    assert!(!is_deleted(&stock, "batch"));
    assert!(!stock.cpus(&batch).is_empty());
    stock.assert_clean();
}

#[test]
fn a_pod_that_the_server_does_not_know_any_more_is_gone() {
    let test = "a_pod_that_the_server_does_not_know_any_more_is_gone";
    let Some(mut stock) = lending_nothing(test) else { return };
    stock.server.inject(Rule::next(1, Effect::Answer(404)).resource("pods/eviction"));
    stock.start();
    stock.run("batch", "reclaimed_cores", 20);
    stock.node.until("it is said", |state| {
        let decisions = pod_state(state, "batch")?["decisions"].as_array()?;
        decisions.iter().any(|decision| decision.to_string().contains("is gone already")).then_some(())
    });
    // As long as it is there it is chosen again.
    poll_until("it is evicted", || is_deleted(&stock, "batch").then_some(()));
    assert_eq!(evictions(&stock).len(), 2);
    stock.assert_clean();
}

#[test]
fn an_eviction_that_is_forbidden_is_told_of_and_a_restart_of_the_server_only_delays_one() {
    let test = "an_eviction_that_is_forbidden_is_told_of_and_a_restart_of_the_server_only_delays_one";
    let Some(mut stock) = lending_nothing(test) else { return };
    stock.server.deny("create", "pods/eviction");
    stock.start();
    stock.run("batch", "reclaimed_cores", 20);
    let told = stock.event("batch", "EvictionFailed");
    assert!(told["note"].as_str().unwrap().contains("pods/eviction"), "{told}");
    stock.server.inject(Rule::next(1, Effect::HangUp).resource("pods/eviction"));
    stock.server.allow("create", "pods/eviction");
    poll_until("it is evicted", || is_deleted(&stock, "batch").then_some(()));
    stock.node.signal(Signal::SIGHUP);
    stock.assert_clean();
}

#[test]
fn a_pod_that_cannot_be_evicted_does_not_keep_others_from_it() {
    let test = "a_pod_that_cannot_be_evicted_does_not_keep_others_from_it";
    let Some(mut stock) = lending_nothing(test) else { return };
    stock.server.inject(Rule::always(Effect::Answer(403)).resource("pods/eviction").named("first"));
    stock.start();
    stock.run("first", "reclaimed_cores", 30);
    stock.run("second", "reclaimed_cores", 20);
    poll_until("the other is evicted", || is_deleted(&stock, "second").then_some(()));
    stock.node.ticks(6);
    let asked: Vec<Seen> = evictions(&stock).into_iter().filter(|seen| seen.path.contains("/first/")).collect();
    assert!(asked.len() <= 1, "it is left alone for a while: {asked:#?}");
    assert!(!is_deleted(&stock, "first"));
}
