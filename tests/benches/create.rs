//! What a container runtime waits for: a container's creation on a node with many pods, while they are measured, and what exists after a connection.
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

use gleaner_tests::bench::{Beginning, Series, StockNode, info, within};
use gleaner_tests::pause;
use std::time::Duration;

const PODS: u32 = 500;
const CREATIONS: u32 = 1000;

fn main() {
    let Some(mut stock) = StockNode::new("create", PODS) else { return };
    stock.node.configure_from_source("placement: {overlapShare: true}\n");
    stock.node.spawn(&[]);
    let first = stock.synchronized(0);
    stock.settled();
    // Now it knows the pods and what the kernel has, so its answer says what the runtime is to correct.
    stock.runtime.hang_up();
    let again = stock.synchronized(1);
    for (name, took) in [("at the agent's start", first), ("after a lost connection", again)] {
        within(&format!("create, Synchronize of {PODS} containers {name}"), took / 1e6, 2.0, "s");
    }
    stock.settled();
    // As on a busy node, where a tick follows each; and in a row, where each waits for what the one before left to do.
    let paced = replace_pods(&mut stock, CREATIONS, Duration::from_millis(150));
    print(&format!("create, {PODS} pods, {CREATIONS} replaced, one each 150 ms"), &paced);
    within(&format!("create, {PODS} pods, CreateContainer, p99"), paced.create.quantile(0.99) / 1000.0, 5.0, "ms");
    let in_a_row = replace_pods(&mut stock, CREATIONS / 4, Duration::ZERO);
    print(&format!("create, {PODS} pods, {} replaced in a row", CREATIONS / 4), &in_a_row);
    stock.runtime.assert_clean();
    stock.node.kill();
}

/// How long the calls took, in microseconds.
struct Calls {
    pod: Series,
    create: Series,
    start: Series,
}

/// Replaces the oldest pod again and again, with so long a pause after each.
fn replace_pods(stock: &mut StockNode, times: u32, apart: Duration) -> Calls {
    let mut begun = Vec::new();
    for number in 0..times {
        stock.go();
        // Mostly the API server is first; the runtime may be too.
        begun.push(stock.come(number % 4 > 0));
        pause(apart);
    }
    let series = |of: fn(&Beginning) -> f64| Series::new(begun.iter().map(of).collect());
    Calls { pod: series(|each| each.pod), create: series(|each| each.create), start: series(|each| each.start) }
}

fn print(name: &str, calls: &Calls) {
    for (method, times) in [("RunPodSandbox", &calls.pod), ("CreateContainer", &calls.create), ("StartContainer", &calls.start)] {
        let quantiles =
            [("p50", 0.5), ("p99", 0.99), ("max", 1.0)].map(|(label, share)| format!("{label} {:.2} ms", times.quantile(share) / 1000.0));
        info(&format!("{name}, {method}"), &quantiles.join(", "));
    }
}
