//! The cluster's configuration of the node.

use crate::reporting::{condition, offered, offers_memory};
use crate::{Stock, lent};
use gleaner_tests::NODE;
use gleaner_tests::apiserver::{ADMIN_QOS, NODES};
use gleaner_tests::runtime::Version;
use serde_json::{Value, json};

const QUICK: &str = "report: {lowerAfter: 1s, raiseAfter: 1s, refresh: 10m}\n";

fn object(config: &Value) -> Value {
    json!({
        "metadata": {"name": "batch", "namespace": "kube-system"},
        "spec": {"nodeLabelSelector": "pool in (batch)", "config": config},
    })
}

fn no_lending() -> Value {
    json!({"reclaimedResourceConfig": {"enableReclaim": false}})
}

/// Waits until the agent lends memory, or none.
fn lends(stock: &mut Stock, something: bool) {
    stock.node.until(&format!("memory is lent: {something}"), |state| {
        let (_, memory) = lent(state)?;
        ((memory > 0) == something).then_some(())
    });
}

fn prepared(test: &str) -> Option<Stock> {
    let mut stock = Stock::prepared(test, Version::V0_8, QUICK)?;
    stock.keep_back(100_000);
    stock.start();
    Some(stock)
}

#[test]
fn an_object_for_the_nodes_labels_decides_whether_anything_is_lent() {
    let test = "an_object_for_the_nodes_labels_decides_whether_anything_is_lent";
    let Some(mut stock) = prepared(test) else { return };
    stock.run("web", "shared_cores", 100);
    offers_memory(&stock);
    stock.server.set(ADMIN_QOS, object(&no_lending()));
    lends(&mut stock, false);
    stock.server.until("the Node offers nothing", |_| (offered(&stock).1 == Some(0)).then_some(()));
    // Of another pool of nodes from now on.
    stock.server.edit(NODES, "", NODE, |node| node["metadata"]["labels"]["pool"] = json!("web"));
    lends(&mut stock, true);
    offers_memory(&stock);
    stock.server.edit(NODES, "", NODE, |node| node["metadata"]["labels"]["pool"] = json!("batch"));
    lends(&mut stock, false);
    assert!(stock.server.delete(ADMIN_QOS, "kube-system", "batch"));
    lends(&mut stock, true);
    stock.assert_clean();
}

#[test]
fn a_wrong_object_is_refused_as_a_whole_and_the_last_good_one_stays_in_force_also_without_the_api_server() {
    let test = "a_wrong_object_is_refused_as_a_whole_and_the_last_good_one_stays_in_force_also_without_the_api_server";
    let Some(mut stock) = prepared(test) else { return };
    stock.run("web", "shared_cores", 100);
    stock.server.set(ADMIN_QOS, object(&no_lending()));
    lends(&mut stock, false);
    // Half of it is right, and would lend again.
    let wrong = json!({"reclaimedResourceConfig": {"enableReclaim": true}, "gleaner": {"estimator": {"usageMargin": "lots"}}});
    stock.server.edit(ADMIN_QOS, "kube-system", "batch", |object| object["spec"]["config"] = wrong);
    let told = stock.event("batch", "ConfigurationRefused");
    assert!(told["note"].as_str().unwrap().contains("spec.config.gleaner.estimator.usageMargin"), "{told}");
    assert_eq!(
        (&told["regarding"]["kind"], &told["regarding"]["namespace"]),
        (&"AdminQoSConfiguration".into(), &"kube-system".into()),
        "{told}"
    );
    let refused = Some(("False".to_owned(), "ConfigurationRefused".to_owned()));
    stock.server.until("the Node says so", |_| (condition(&stock, "GleanerConfigured") == refused).then_some(()));
    stock.node.ticks(2);
    lends(&mut stock, false);
    stock.node.kill();
    stock.served.go_away();
    stock.start();
    stock.node.ticks(3);
    lends(&mut stock, false);
    stock.served.come_back();
    stock.server.edit(ADMIN_QOS, "kube-system", "batch", |object| object["spec"]["config"] = json!({}));
    lends(&mut stock, true);
    let good = Some(("True".to_owned(), "Configured".to_owned()));
    stock.server.until("the Node says so", |_| (condition(&stock, "GleanerConfigured") == good).then_some(()));
    stock.assert_clean();
}
