//! What the agent itself costs: memory, threads and CPU time of the release binary in standalone mode with few and with many pods, and its
//! size on disk. Needs root, and the release build of the agent beside the benches.
#![allow(clippy::print_stdout, reason = "printing is what a bench is for")]

use gleaner_host::clock;
use gleaner_tests::bench::{info, pending, within};
use gleaner_tests::{Node, Pod, pause, program};
use nix::sys::signal::Signal;
use nix::unistd::{SysconfVar, sysconf};
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
    for pods in [4, 110, 500] {
        match run(pods) {
            Ok(cost) => cost.print(pods),
            Err(error) => pending(&format!("footprint, {pods} pods"), "15 MiB, with 500 pods 25 MiB; 0.5 % of a core", &error.to_string()),
        }
    }
}

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
    fn print(&self, pods: u32) {
        info(&format!("footprint, {pods} pods, all running after"), &format!("{:.1} s", self.ready));
        within(&format!("footprint, {pods} pods, resident memory"), self.rss_mib, if pods > 110 { 25.0 } else { 15.0 }, "MiB");
        info(&format!("footprint, {pods} pods, anonymous memory"), &format!("{:.2} MiB", self.anon_mib));
        info(&format!("footprint, {pods} pods, threads"), &self.threads.to_string());
        let name = format!("footprint, {pods} pods, cpu of one core");
        if pods > 110 {
            info(&name, &format!("{:.2} %", self.cpu));
        } else {
            within(&name, self.cpu, 0.5, "%");
        }
    }
}

fn run(pods: u32) -> Result<Cost, Box<dyn Error>> {
    let mut node = Node::new("footprint").ok_or("this machine cannot have a node of its own")?;
    node.configure(CONFIG);
    (0..pods).for_each(|number| node.add(&pod(number)));
    let begun = clock::now();
    node.start();
    let names: Vec<String> = (0..pods).map(name).collect();
    node.running(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let ready = clock::now().since(begun).as_secs_f64();
    pause(SETTLING);
    let (from, before) = (clock::now(), cpu_seconds(&node)?);
    pause(WATCHED);
    let (to, after) = (clock::now(), cpu_seconds(&node)?);
    let cost = Cost {
        ready,
        rss_mib: status(&node, "VmRSS:")? / 1024.0,
        anon_mib: status(&node, "RssAnon:")? / 1024.0,
        threads: status(&node, "Threads:")?,
        cpu: (after - before) / to.since(from).as_secs_f64() * 100.0,
    };
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

fn proc(node: &Node, file: &str) -> Result<String, Box<dyn Error>> {
    let path = format!("/proc/{}/{file}", node.agent_pid());
    std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}\n{}", node.log()).into())
}

/// A number of `/proc/<pid>/status`; memory is in KiB.
fn status(node: &Node, key: &str) -> Result<f64, Box<dyn Error>> {
    let text = proc(node, "status")?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)).and_then(|rest| rest.split_whitespace().next());
    Ok(value.ok_or_else(|| format!("no {key}"))?.parse()?)
}

/// User and system time of all threads of the agent.
fn cpu_seconds(node: &Node) -> Result<f64, Box<dyn Error>> {
    let text = proc(node, "stat")?;
    // The name may hold spaces; after it come the state as field 3, and utime and stime as fields 14 and 15 (proc_pid_stat(5)).
    let (_, fields) = text.rsplit_once(')').ok_or("no name in stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.ok_or("the clock tick is not known")?;
    Ok(f64::from(ticks) / f64::from(u32::try_from(per_second)?))
}
