//! What the cluster sees of the node.

use crate::{MEMORY, MILLICPU, Stock, lent};
use gleaner_tests::NODE;
use gleaner_tests::apiserver::{CNRS, NODES};
use gleaner_tests::runtime::Version;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Tells at once what changed.
const QUICK: &str = "report: {lowerAfter: 1s, raiseAfter: 1s, refresh: 10m, threshold: 50%}\n";

/// An amount of an object, as a number.
fn amount(amounts: &Value, resource: &str) -> Option<u64> {
    let text = amounts[resource].as_str()?;
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let times = match &text[digits.len()..] {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        other => panic!("{text:?}: what is {other:?}?"),
    };
    Some(digits.parse::<u64>().unwrap() * times)
}

/// What the Node offers: CPU and memory.
pub(crate) fn offered(stock: &Stock) -> (Option<u64>, Option<u64>) {
    let node = stock.server.get(NODES, "", NODE).unwrap();
    let allocatable = &node["status"]["allocatable"];
    assert_eq!(allocatable["cpu"], "8", "what is kubelet's stays: {allocatable}");
    (amount(allocatable, MILLICPU), amount(allocatable, MEMORY))
}

/// Status and reason of a condition of the Node.
pub(crate) fn condition(stock: &Stock, kind: &str) -> Option<(String, String)> {
    let node = stock.server.get(NODES, "", NODE)?;
    let all = node["status"]["conditions"].as_array()?;
    let found = all.iter().find(|condition| condition["type"] == kind)?;
    Some((found["status"].as_str()?.to_owned(), found["reason"].as_str()?.to_owned()))
}

/// Lends memory, and no CPU: what is lent of that depends on what else the machine does.
fn lending_memory(test: &str, more: &str) -> Option<Stock> {
    let stock = Stock::prepared(test, Version::V0_8, &format!("{QUICK}{more}"))?;
    stock.keep_back(100_000);
    Some(stock)
}

/// Waits until the Node offers memory. Returns how much.
pub(crate) fn offers_memory(stock: &Stock) -> u64 {
    stock.server.until("memory is offered", |_| offered(stock).1.filter(|memory| *memory > 0))
}

#[test]
fn node_and_custom_node_resource_show_what_the_agent_can_lend() {
    let test = "node_and_custom_node_resource_show_what_the_agent_can_lend";
    let Some(mut stock) = lending_memory(test, "") else { return };
    stock.start();
    stock.run("web", "shared_cores", 100);
    let Stock { node, server, .. } = &stock;
    let close = |told: Option<u64>, is: u64| {
        let told = told.unwrap_or(0);
        told.abs_diff(is) * 2 <= told.max(is)
    };
    let same = server.until("both objects show what the agent says", |server| {
        let (cpu, memory) = lent(&node.state()?)?;
        let cnr = server.get(CNRS, "", NODE)?;
        let told = &cnr["status"]["resources"]["allocatable"];
        let all = [offered(&stock), (amount(told, MILLICPU), amount(told, MEMORY))];
        (memory > 0 && all.iter().all(|told| close(told.0, cpu) && close(told.1, memory))).then_some(cnr)
    });
    assert_eq!(same["metadata"]["ownerReferences"][0]["name"], NODE, "it goes with the Node: {}", same["metadata"]);
    let zones = same["status"]["topologyZone"].as_array().unwrap();
    assert!(!zones.is_empty() && zones.iter().all(|zone| zone["type"] == "Socket"), "{zones:?}");
    assert_eq!(condition(&stock, "GleanerConfigured"), Some(("True".to_owned(), "Configured".to_owned())));
    stock.assert_clean();
}

#[test]
fn in_calm_nothing_is_written() {
    let test = "in_calm_nothing_is_written";
    let Some(mut stock) = lending_memory(test, "") else { return };
    stock.start();
    stock.run("web", "shared_cores", 100);
    offers_memory(&stock);
    let Stock { node, server, .. } = &mut stock;
    // What the start brings comes within some ticks; then there is a while without any write.
    for _ in 0..6 {
        server.forget_requests();
        node.ticks(10);
        if server.writes().is_empty() {
            break;
        }
    }
    assert!(server.writes().is_empty(), "in ten ticks: {:#?}", server.writes());
    stock.assert_clean();
}

#[test]
fn what_somebody_else_sets_to_zero_is_put_back() {
    let test = "what_somebody_else_sets_to_zero_is_put_back";
    let Some(mut stock) = lending_memory(test, "") else { return };
    stock.start();
    let before = offers_memory(&stock);
    // As a kubelet that is started anew.
    stock.server.edit(NODES, "", NODE, |node| {
        for list in ["capacity", "allocatable"] {
            node["status"][list][MEMORY] = json!("0");
        }
    });
    let after = offers_memory(&stock);
    assert!(before.abs_diff(after) * 2 <= before, "{before} before, {after} after");
    stock.assert_clean();
}

#[test]
fn in_shadow_mode_nothing_is_offered_and_no_container_is_changed() {
    let test = "in_shadow_mode_nothing_is_offered_and_no_container_is_changed";
    let Some(mut stock) = lending_memory(test, "") else { return };
    stock.node.start_with(&["--shadow"]);
    stock.connected();
    stock.server.until("it says so", |server| {
        let cnr = server.get(CNRS, "", NODE)?;
        let properties = cnr["spec"]["nodeResourceProperties"].as_array()?;
        properties
            .iter()
            .any(|property| property["propertyName"] == "gleaner/shadow" && property.to_string().contains("true"))
            .then_some(())
    });
    let db = stock.run("db", "dedicated_cores", 1000);
    assert!(db.container.resources.cpus.is_empty(), "{:?}", db.container.resources);
    stock.node.ticks(3);
    assert_eq!(stock.cpus(&db), crate::online());
    let (cpu, memory) = offered(&stock);
    assert_eq!((cpu.unwrap_or(0), memory.unwrap_or(0)), (0, 0));
    stock.assert_clean();
}

#[test]
fn an_agent_that_is_told_to_stop_takes_back_what_it_offers_and_one_that_is_killed_does_not() {
    let test = "an_agent_that_is_told_to_stop_takes_back_what_it_offers_and_one_that_is_killed_does_not";
    let Some(mut stock) = lending_memory(test, "") else { return };
    stock.start();
    let before = offers_memory(&stock);
    stock.node.kill();
    assert_eq!(offered(&stock).1, Some(before), "the next agent knows better");
    stock.start();
    let ended = stock.node.stop(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!((offered(&stock).0.unwrap_or(0), offered(&stock).1), (0, Some(0)));
    assert_eq!(condition(&stock, "GleanerReady"), Some(("False".to_owned(), "AgentStopped".to_owned())));
    let cnr = stock.server.get(CNRS, "", NODE).unwrap();
    assert_eq!(amount(&cnr["status"]["resources"]["allocatable"], MEMORY), Some(0), "{cnr}");
    stock.start();
    offers_memory(&stock);
    stock.assert_clean();
}

fn taints(stock: &Stock) -> Vec<String> {
    let node = stock.server.get(NODES, "", NODE).unwrap();
    let keys = |taint: &Value| taint["key"].as_str().unwrap().to_owned();
    node["spec"]["taints"].as_array().map(|taints| taints.iter().map(keys).collect()).unwrap_or_default()
}

#[test]
fn a_node_whose_reclaimed_pods_are_suppressed_is_tainted_when_that_is_asked_for() {
    let test = "a_node_whose_reclaimed_pods_are_suppressed_is_tainted_when_that_is_asked_for";
    let report = "report: {lowerAfter: 1s, raiseAfter: 1s, loadAfter: 1s, loadOverAfter: 1s, nodeTaint: true}\n";
    let rest = "eviction: {suppressionAfter: 1h, suppressionTolerance: 150%}\nplacement: {overlapShare: true}\n";
    let Some(mut stock) = Stock::prepared(test, Version::V0_8, &format!("{report}{rest}")) else { return };
    stock.keep_back(100_000);
    let own = json!([{"key": "example.com/kept", "effect": "NoSchedule"}]);
    stock.server.edit(NODES, "", NODE, |node| node["spec"]["taints"] = own);
    stock.start();
    let batch = stock.run("batch", "reclaimed_cores", 5);
    stock.server.until("the Node is tainted", |_| (taints(&stock) == ["example.com/kept", "gleaner/reclaimed-pressure"]).then_some(()));
    stock.server.until("so is the CustomNodeResource", |server| {
        let cnr = server.get(CNRS, "", NODE)?;
        cnr["spec"]["taints"].to_string().contains("node.katalyst.kubewharf.io/CPUPressure").then_some(())
    });
    stock.remove(&batch);
    stock.server.until("the taint is taken away", |_| (taints(&stock) == ["example.com/kept"]).then_some(()));
    stock.assert_clean();
}
