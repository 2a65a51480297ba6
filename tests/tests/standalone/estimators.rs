//! An estimator in another process rules what a region needs while it answers, and the agent's own policy when it does not.

use gleaner_tests::estimator::{Opinion, RunningEstimator};
use gleaner_tests::{Node, Pod};
use serde_json::Value;

fn node(test: &str) -> Option<(Node, RunningEstimator)> {
    let mut node = Node::new(test)?;
    let socket = node.path("forecast.sock");
    let entry = format!("{{socket: {}, period: 1s, deadline: 300ms, validFor: 3s}}", socket.display());
    node.configure_more_of_estimator("", &format!("estimators: {{forecast: {entry}}}\n"));
    let estimator = RunningEstimator::start(&socket, Opinion::Flat(777));
    node.start();
    node.add(&Pod::shared("web"));
    node.running(&["web"]);
    Some((node, estimator))
}

/// What rules the requirement of the pool `share`, and how much it is.
fn ruled(state: &Value) -> Option<(&str, u64)> {
    let requirement = &state["estimate"]["regions"]["share"]["requirement"];
    Some((requirement["rule"].as_str()?, requirement["cpu"].as_u64().or_else(|| requirement["cpu"].as_str()?.strip_suffix('m')?.parse().ok())?))
}

fn problem(state: &Value) -> Option<&str> {
    state["health"]["estimator forecast"]["problem"].as_str()
}

fn external_rules(node: &Node) {
    node.until("what it says rules", |state| (ruled(state)? == ("external", 777)).then_some(()));
}

fn own_policy_rules(node: &Node, words: &str) {
    node.until("the own policy rules, and why is told", |state| {
        (ruled(state)?.0 != "external" && problem(state)?.contains(words)).then_some(())
    });
}

#[test]
fn an_estimator_in_another_process_rules_while_it_answers() {
    let Some((node, mut estimator)) = node("an_estimator_in_another_process_rules_while_it_answers") else { return };
    external_rules(&node);
    let asked = estimator.asked();
    let report = asked.last().and_then(|request| request.regions.iter().find(|report| report.region == "share")).unwrap();
    assert!(report.usage_milli_cpu.is_some() && report.capacity_milli_cpu > 0, "{report:?}");
    estimator.die();
    own_policy_rules(&node, "forecast.sock");
    estimator.restart();
    external_rules(&node);
    node.until("all is well", |state| problem(state).is_none().then_some(()));
}

#[test]
fn an_estimator_that_hangs_refuses_or_raves_is_told_of_and_stands_aside() {
    let Some((node, estimator)) = node("an_estimator_that_hangs_refuses_or_raves_is_told_of_and_stands_aside") else { return };
    external_rules(&node);
    let table = [
        (Opinion::Hangs, "no answer within 300ms"),
        (Opinion::Refuses("the model is not trained".to_owned()), "the model is not trained"),
        (Opinion::Raves, "is more than the node's"),
    ];
    for (opinion, words) in table {
        estimator.think(opinion);
        own_policy_rules(&node, words);
        estimator.think(Opinion::Flat(777));
        external_rules(&node);
    }
}

#[test]
fn a_wrong_estimator_is_no_configuration() {
    let Some(mut node) = Node::new("a_wrong_estimator_is_no_configuration") else { return };
    node.configure_more("estimators: {Bad: {socket: relative, period: 1ms, deadline: 1h}}\n");
    let (code, output) = node.start_expecting_exit();
    assert_eq!(code, Some(64), "{output}");
    for part in ["estimators.\"Bad\" is no name", "estimators.Bad.socket: \"relative\" is not an absolute path", "estimators.Bad.period: 1ms is not between"] {
        assert!(output.contains(part), "{part}: {output}");
    }
}
