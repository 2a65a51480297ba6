//! An estimator in another process rules what a region needs while it answers, and the agent's own policy when it does not.

use gleaner_tests::estimator::{Opinion, RunningEstimator};
use gleaner_tests::{Node, Pod, program};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A node that asks an estimator at this socket, and runs one shared pod that does next to nothing.
fn node(test: &str) -> Option<(Node, PathBuf)> {
    let mut node = Node::new(test)?;
    let socket = node.path("forecast.sock");
    let entry = format!("{{socket: {}, period: 1s, deadline: 300ms, validFor: 3s}}", socket.display());
    node.configure_more(&format!("placement: {{overlapShare: true}}\nestimators: {{forecast: {entry}}}\n"));
    node.start();
    node.add(&Pod::shared("web"));
    node.running(&["web"]);
    Some((node, socket))
}

/// What rules the requirement of the pool `share`, and how much it is.
fn ruled(state: &Value) -> Option<(&str, &str)> {
    let requirement = &state["estimate"]["regions"]["share"]["requirement"];
    Some((requirement["rule"].as_str()?, requirement["cpu"].as_str()?))
}

fn problem(state: &Value) -> Option<&str> {
    state["health"]["estimator forecast"]["problem"].as_str()
}

fn external_rules(node: &mut Node) {
    node.until("what it says rules, and nothing is wrong", |state| {
        (ruled(state)? == ("external", "777m") && problem(state).is_none()).then_some(())
    });
}

fn own_policy_rules(node: &mut Node, words: &str) {
    node.until(&format!("the own policy rules, and why is told: {words}"), |state| {
        (ruled(state)?.0 != "external" && problem(state)?.contains(words)).then_some(())
    });
}

/// What this command prints.
fn page(node: &Node, name: &str, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&node.run(name, arguments).stdout).into_owned()
}

#[test]
fn an_estimator_in_another_process_rules_while_it_answers() {
    let Some((mut node, socket)) = node("an_estimator_in_another_process_rules_while_it_answers") else { return };
    own_policy_rules(&mut node, "forecast.sock");
    let mut estimator = RunningEstimator::start(&socket, Opinion::Flat(777));
    external_rules(&mut node);
    let asked = estimator.asked();
    let report = asked.last().and_then(|request| request.regions.iter().find(|report| report.region == "share")).unwrap();
    assert!(report.usage_milli_cpu.is_some() && report.capacity_milli_cpu > 0, "{report:?}");
    estimator.die();
    own_policy_rules(&mut node, "forecast.sock");
    estimator.restart();
    external_rules(&mut node);
}

#[test]
fn an_estimator_that_hangs_refuses_or_raves_is_told_of_and_stands_aside() {
    let Some((mut node, socket)) = node("an_estimator_that_hangs_refuses_or_raves_is_told_of_and_stands_aside") else { return };
    let estimator = RunningEstimator::start(&socket, Opinion::Flat(777));
    external_rules(&mut node);
    let table = [
        (Opinion::Hangs, "no answer within 300ms"),
        (Opinion::Refuses("the model is not trained".to_owned()), "the model is not trained"),
        (Opinion::Raves, "is more than the node's"),
    ];
    for (opinion, words) in table {
        estimator.think(opinion);
        own_policy_rules(&mut node, words);
        estimator.think(Opinion::Flat(777));
        external_rules(&mut node);
    }
}

#[test]
fn status_and_explain_name_the_estimator_that_rules_a_pool() {
    let Some((mut node, socket)) = node("status_and_explain_name_the_estimator_that_rules_a_pool") else { return };
    let estimator = RunningEstimator::start(&socket, Opinion::Flat(777));
    external_rules(&mut node);
    let line = "needs 1 CPU: demand 777m (external estimator), requested 0";
    for (name, arguments) in [("status", vec![]), ("explain", vec!["web"])] {
        let printed = page(&node, name, &arguments);
        assert!(printed.contains(line), "{line:?} is not in what {name} prints:\n{printed}");
    }
    estimator.think(Opinion::Refuses("too hot".to_owned()));
    own_policy_rules(&mut node, "too hot");
    let printed = page(&node, "status", &[]);
    let line = "DEGRADED estimator forecast: too hot; the own policies stand in";
    assert!(printed.contains(line), "{line:?} is not in what status prints:\n{printed}");
}

/// The sample, run as its documentation says. Dropped, it ends.
struct Sample(Child);

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_sample_is_an_estimator() {
    let Some((mut node, socket)) = node("the_sample_is_an_estimator") else { return };
    let child = Command::new(program("sample-estimator")).arg(&socket).arg("150").stdin(Stdio::null()).spawn().unwrap();
    let sample = Sample(child);
    node.until("what it says rules", |state| (ruled(state)?.0 == "external" && problem(state).is_none()).then_some(()));
    drop(sample);
    own_policy_rules(&mut node, "forecast.sock");
}

#[test]
fn a_wrong_estimator_is_no_configuration() {
    let Some(node) = Node::new("a_wrong_estimator_is_no_configuration") else { return };
    node.configure_more("estimators: {Bad: {socket: relative, period: 1ms, deadline: 1h}}\n");
    let output = node.second_agent(&[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{text}");
    let problems = [
        "estimators.\"Bad\" is no name",
        "estimators.Bad.socket: \"relative\" is not an absolute path",
        "estimators.Bad.period: 1ms is not between 1s and 1h",
        "estimators.Bad.deadline: 1h is longer than the period of 1ms",
    ];
    for part in problems {
        assert!(text.contains(part), "{part} is not told:\n{text}");
    }
}
