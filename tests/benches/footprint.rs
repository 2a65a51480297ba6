//! What the agent itself costs: memory, threads and CPU time of the release binary with few and with many pods, standalone and on a stock node (API
//! server over TLS, runtime over its socket), and its size on disk. Needs root, and the release build of the agent beside the benches. `stock` or
//! `standalone` as an argument runs only those.
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

use gleaner_host::clock;
use gleaner_model::Timestamp;
use gleaner_tests::bench::{StockNode, cpu_seconds, info, pending, status, within};
use gleaner_tests::{Node, Pod, pause, program};
use nix::sys::signal::Signal;
use std::error::Error;
use std::time::Duration;

const WATCHED: Duration = Duration::from_secs(30);
/// After the last pod runs: the first estimates and placements are no steady state.
const SETTLING: Duration = Duration::from_secs(10);
/// As by default, but for a small machine: reclaimed pods share CPUs, and need not wait for long.
const CONFIG: &str = "placement: {overlapShare: true}\nestimator: {risePerSecond: 20%}\n";

fn main() {
    if let Ok(file) = std::fs::metadata(program("gleaner")) {
        within("footprint, binary", f64::from(u32::try_from(file.len()).unwrap_or(u32::MAX)) / 1e6, 12.0, "MB");
    }
    let kinds: [(&str, &str, Measure); 2] = [("standalone", "footprint", standalone), ("stock", "footprint, stock node", stock)];
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    for (_, name, run) in kinds.into_iter().filter(|(kind, ..)| only.is_empty() || only.iter().any(|one| one == kind)) {
        for pods in [4, 110, 500] {
            print(&format!("{name}, {pods} pods"), pods, run(pods));
        }
    }
}

fn print(name: &str, pods: u32, cost: Result<Cost, Box<dyn Error>>) {
    match cost {
        Ok(cost) => cost.print(name, pods),
        Err(error) => pending(name, "15 MiB, with 500 pods 25 MiB; 0.5 % of a core", &error.to_string()),
    }
}

/// Runs an agent with so many pods.
type Measure = fn(u32) -> Result<Cost, Box<dyn Error>>;

/// What was seen of one agent.
struct Cost {
    /// Seconds from its start to the last pod's.
    ready: f64,
    rss_mib: f64,
    anon_mib: f64,
    threads: f64,
    /// Share of one core, in hundredths.
    cpu: f64,
}

impl Cost {
    /// Lets the agent settle, and watches it. To be asked when all its pods run; `begun` is when it started.
    fn watch(node: &Node, begun: Timestamp) -> Result<Self, Box<dyn Error>> {
        let ready = clock::now().since(begun).as_secs_f64();
        pause(SETTLING);
        let (from, before) = (clock::now(), cpu_seconds(node)?);
        pause(WATCHED);
        let (to, after) = (clock::now(), cpu_seconds(node)?);
        Ok(Self {
            ready,
            rss_mib: status(node, "VmRSS:")? / 1024.0,
            anon_mib: status(node, "RssAnon:")? / 1024.0,
            threads: status(node, "Threads:")?,
            cpu: (after - before) / to.since(from).as_secs_f64() * 100.0,
        })
    }

    fn print(&self, name: &str, pods: u32) {
        info(&format!("{name}, all running after"), &format!("{:.1} s", self.ready));
        within(&format!("{name}, resident memory"), self.rss_mib, if pods > 110 { 25.0 } else { 15.0 }, "MiB");
        info(&format!("{name}, anonymous memory"), &format!("{:.2} MiB", self.anon_mib));
        info(&format!("{name}, threads"), &self.threads.to_string());
        let name = format!("{name}, cpu of one core");
        if pods > 110 {
            info(&name, &format!("{:.2} %", self.cpu));
        } else {
            within(&name, self.cpu, 0.5, "%");
        }
    }
}

fn standalone(pods: u32) -> Result<Cost, Box<dyn Error>> {
    let mut node = Node::new("footprint").ok_or("this machine cannot have a node of its own")?;
    node.configure(CONFIG);
    (0..pods).for_each(|number| node.add(&pod(number)));
    let begun = clock::now();
    node.start();
    let names: Vec<String> = (0..pods).map(name).collect();
    node.running(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let cost = Cost::watch(&node, begun)?;
    ended(node, cost)
}

/// The containers' cgroups are real, and without processes.
fn stock(pods: u32) -> Result<Cost, Box<dyn Error>> {
    let mut stock = StockNode::new("footprint", pods).ok_or("this machine cannot have a node of its own")?;
    stock.node.configure_from_source(CONFIG);
    let begun = clock::now();
    stock.node.start();
    stock.settled();
    let cost = Cost::watch(&stock.node, begun)?;
    ended(stock.node, cost)
}

fn ended(mut node: Node, cost: Cost) -> Result<Cost, Box<dyn Error>> {
    match node.stop(Signal::SIGTERM).code {
        Some(0) => Ok(cost),
        code => Err(format!("the agent ended with {code:?}\n{}", node.log()).into()),
    }
}

/// Sleepers; every tenth is a low tide, every fifth is reclaimed.
fn pod(number: u32) -> Pod {
    let name = name(number);
    let pod = match number % 5 {
        2 => Pod::reclaimed(&name, 5),
        _ => Pod::shared(&name).request("cpu", "2m").request("memory", "8Mi"),
    };
    let command = if number % 10 == 1 { "workload tide --period 20 --low 2 --high 10" } else { "workload sleep" };
    pod.runs(command).grace(2)
}

fn name(number: u32) -> String {
    format!("pod-{number:03}")
}
