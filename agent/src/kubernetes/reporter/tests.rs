#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use super::fixture::{GIB, lending, report};
use super::node_status::TAINT;
use super::scripted::Server;
use super::*;
use crate::kubernetes::Load;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::JoinHandle;

const CPU: &str = "resource.katalyst.kubewharf.io/reclaimed_millicpu";
const STATUS: &str = "PATCH /api/v1/nodes/n/status";
const CNR_STATUS: &str = "PATCH /apis/node.katalyst.kubewharf.io/v1alpha1/customnoderesources/n/status";

/// A reporter at work. Ends when it is dropped.
struct Running {
    server: Server,
    reports: watch::Sender<Option<Arc<NodeReport>>>,
    labels: watch::Receiver<BTreeMap<String, String>>,
    health: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    fn start(server: Server, settings: ReportSettings, first: Option<NodeReport>) -> Self {
        let (reports, receive) = watch::channel(first.map(Arc::new));
        let (labels, told) = watch::channel(BTreeMap::new());
        let health = Arc::new(Mutex::new(BTreeMap::new()));
        let notes = health.clone();
        let reporter = Reporter {
            client: server.client(),
            watches: server.client(),
            node: "n".to_owned(),
            settings,
            reports: receive,
            labels: Some(labels),
            health: Arc::new(move |part, problem| drop(notes.lock().unwrap().insert(part, problem))),
        };
        Self { server, reports, labels: told, health, task: tokio::spawn(reporter.run()) }
    }

    /// With what is built in, after the first writes.
    async fn settled() -> Self {
        let running = Self::start(Server::new(), ReportSettings::default(), Some(report()));
        seconds(1).await;
        running
    }

    fn send(&self, report: NodeReport) {
        self.reports.send_replace(Some(Arc::new(report)));
    }

    fn lent_on_node(&self) -> Value {
        self.server.with(|state| state.node["status"]["allocatable"][CPU].clone())
    }

    fn lent_in_cnr(&self) -> Value {
        self.server.with(|state| state.cnr["status"]["resources"]["allocatable"][CPU].clone())
    }

    fn problem(&self, part: &str) -> Option<String> {
        self.health.lock().unwrap().get(part).cloned().flatten()
    }
}

/// The clock of a test stands still while there is something to do, and jumps otherwise.
async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn both_objects_say_what_is_lent_from_the_first_report_on() {
    let running = Running::settled().await;
    assert_eq!((running.lent_on_node(), running.lent_in_cnr()), (json!("8k"), json!("8000")));
    let cnr = running.server.with(|state| state.cnr.clone());
    assert_eq!(cnr["status"]["topologyZone"][0]["children"][1]["name"], "1");
    assert_eq!(cnr["metadata"]["ownerReferences"][0]["uid"], "uid-n", "{cnr}");
    assert_eq!(*running.labels.borrow(), BTreeMap::from([("zone".to_owned(), "a".to_owned())]));
    assert_eq!((running.problem(NODE_PART), running.problem(CNR_PART)), (None, None));
}

#[tokio::test(start_paused = true)]
async fn before_the_first_report_nothing_is_written() {
    let running = Running::start(Server::new(), ReportSettings::default(), None);
    seconds(3600).await;
    assert_eq!(running.server.with(|state| state.log.clone()), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_news_is_few_writes() {
    let running = Running::settled().await;
    for _ in 0..3600 {
        running.send(report());
        seconds(1).await;
    }
    let counts = (running.server.count(STATUS), running.server.count(CNR_STATUS));
    assert!((5..=8).contains(&counts.0) && (5..=8).contains(&counts.1), "{counts:?}");
    assert_eq!(running.server.with(|state| state.log.iter().filter(|line| line.starts_with("GET")).count()), 1, "the CNR, once");
}

#[tokio::test(start_paused = true)]
async fn what_a_kubelet_set_to_zero_comes_back() {
    let running = Running::settled().await;
    seconds(60).await;
    running.server.change_node(|node| {
        node["status"]["capacity"][CPU] = json!("0");
        node["status"]["allocatable"][CPU] = json!("0");
    });
    seconds(11).await;
    assert_eq!(running.lent_on_node(), "8k");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_any_more_is_withdrawn_at_once_and_rises_slowly() {
    let running = Running::settled().await;
    running.send(NodeReport { lent: None, ..report() });
    seconds(1).await;
    assert_eq!((running.lent_on_node(), running.lent_in_cnr()), (json!("0"), json!("0")));
    running.send(report());
    seconds(100).await;
    assert_eq!(running.lent_on_node(), "0");
    seconds(60).await;
    assert_eq!((running.lent_on_node(), running.lent_in_cnr()), (json!("8k"), json!("8000")));
}

#[tokio::test(start_paused = true)]
async fn a_fall_is_told_after_ten_seconds_a_rise_after_two_minutes() {
    let running = Running::settled().await;
    running.send(lending(4000, 16 * GIB));
    seconds(5).await;
    assert_eq!(running.lent_on_node(), "8k");
    seconds(6).await;
    assert_eq!((running.lent_on_node(), running.lent_in_cnr()), (json!("4k"), json!("4000")));
    running.send(lending(6000, 16 * GIB));
    seconds(110).await;
    assert_eq!(running.lent_on_node(), "4k");
    seconds(60).await;
    assert_eq!((running.lent_on_node(), running.lent_in_cnr()), (json!("6k"), json!("6000")));
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_write_is_said_and_tried_again() {
    let server = Server::new();
    server.with(|state| state.faults.push((STATUS, 403, 5)));
    let running = Running::start(server, ReportSettings::default(), Some(report()));
    seconds(1).await;
    assert_eq!(running.problem(NODE_PART).unwrap(), "patch nodes/status n: forbidden: scripted 403 (status 403)");
    assert_eq!(running.lent_in_cnr(), "8000", "one object waits for the other");
    seconds(120).await;
    assert_eq!((running.problem(NODE_PART), running.lent_on_node()), (None, json!("8k")));
}

#[tokio::test(start_paused = true)]
async fn a_broken_api_server_is_not_beleaguered() {
    let server = Server::new();
    server.with(|state| state.faults.push(("", 500, u32::MAX)));
    let running = Running::start(server, ReportSettings::default(), Some(report()));
    for _ in 0..3600 {
        running.send(report());
        seconds(1).await;
    }
    let calls = running.server.with(|state| state.log.len());
    assert!((60..180).contains(&calls), "{calls} calls in an hour");
    assert!(running.problem(CNR_PART).unwrap().starts_with("get customnoderesources n: "), "{:?}", running.problem(CNR_PART));
}

#[tokio::test(start_paused = true)]
async fn without_the_definition_it_is_looked_for_now_and_then() {
    let server = Server::new();
    server.with(|state| state.no_crd = true);
    let running = Running::start(server, ReportSettings::default(), Some(report()));
    seconds(3600).await;
    assert!(running.problem(CNR_PART).unwrap().starts_with("no CRD, not reported"), "{:?}", running.problem(CNR_PART));
    let tries = running.server.count("POST");
    assert!((10..=13).contains(&tries), "{tries}");
    assert_eq!(running.lent_on_node(), "8k");
    running.server.with(|state| state.no_crd = false);
    seconds(600).await;
    assert_eq!((running.problem(CNR_PART), running.lent_in_cnr()), (None, json!("8000")));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_somebody_deleted_is_made_again() {
    let running = Running::settled().await;
    running.server.with(|state| state.cnr = Value::Null);
    seconds(730).await;
    assert_eq!((running.problem(CNR_PART), running.lent_in_cnr()), (None, json!("8000")));
}

#[tokio::test(start_paused = true)]
async fn the_taint_comes_and_goes_although_others_change_the_node() {
    let settings = ReportSettings { node_taint: true, ..ReportSettings::default() };
    let running = Running::start(Server::new(), settings, Some(report()));
    seconds(30).await;
    running.server.with(|state| state.faults.push(("PATCH /api/v1/nodes/n", 409, 2)));
    let loaded = NodeReport { load: Load { memory_short: true, cpu_suppressed: false }, ..report() };
    let keys = || {
        running.server.with(|state| state.node["spec"]["taints"].as_array().unwrap().iter().map(|t| t["key"].clone()).collect::<Vec<_>>())
    };
    for _ in 0..15 {
        running.send(loaded.clone());
        seconds(1).await;
    }
    assert_eq!(keys(), ["other", TAINT]);
    let told = running.server.with(|state| state.cnr["spec"]["taints"][0]["key"].clone());
    assert_eq!(told, "node.katalyst.kubewharf.io/MemoryPressure");
    for _ in 0..300 {
        running.send(report());
        seconds(1).await;
    }
    assert_eq!(keys(), ["other"]);
    assert_eq!(running.server.with(|state| state.cnr["spec"]["taints"].clone()), json!([]));
}

#[tokio::test(start_paused = true)]
async fn lowering_does_not_wait_for_a_taint_that_is_forbidden() {
    let server = Server::new();
    let settings = ReportSettings { node_taint: true, load_after: gleaner_model::Span::from_secs(0), ..ReportSettings::default() };
    let running = Running::start(server, settings, Some(report()));
    seconds(30).await;
    running.server.with(|state| state.forbid_taint = true);
    let load = Load { memory_short: true, cpu_suppressed: false };
    running.send(NodeReport { load, ..lending(4000, 16 * GIB) });
    seconds(12).await;
    assert_eq!(running.lent_on_node(), "4k");
    assert!(running.problem(NODE_PART).unwrap().starts_with("patch nodes n: forbidden"), "{:?}", running.problem(NODE_PART));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_there_is_said() {
    let server = Server::new();
    server.with(|state| state.node = Value::Null);
    let running = Running::start(server, ReportSettings::default(), Some(report()));
    seconds(5).await;
    assert!(running.problem(NODE_PART).unwrap().contains("no node n"), "{:?}", running.problem(NODE_PART));
}

#[tokio::test(start_paused = true)]
async fn who_stops_withdraws_and_who_restores_removes() {
    let running = Running::settled().await;
    let server = running.server.clone();
    server.change_node(|node| {
        node["spec"]["taints"] = json!([{"key": "other", "effect": "NoExecute"}, {"key": TAINT, "effect": "NoSchedule"}])
    });
    let client = server.client();
    drop(running);
    assert_eq!(Box::pin(withdraw(client.clone(), "n", &ReportSettings::default())).await, Vec::<String>::new());
    let of = |path: &str| server.with(|state| json!({"node": state.node, "cnr": state.cnr}).pointer(path).cloned());
    let cpu = CPU.replace('/', "~1");
    assert_eq!(of(&format!("/node/status/capacity/{cpu}")), Some(json!("0")));
    assert_eq!(of(&format!("/cnr/status/topologyZone/0/children/0/resources/allocatable/{cpu}")), Some(json!("0")));
    assert_eq!(of("/cnr/status/conditions/0/reason"), Some(json!("AgentStopped")));
    assert_eq!(of("/node/spec/taints"), Some(json!([{"key": "other", "effect": "NoExecute"}])));
    assert_eq!(remove(client.clone(), "n").await, Vec::<String>::new());
    assert_eq!(of("/cnr"), Some(Value::Null));
    assert_eq!(of("/node/status/capacity"), Some(json!({"cpu": "32"})));
    assert_eq!(of("/node/status/conditions"), Some(json!([{"type": "Ready", "status": "True"}])));
    assert_eq!(remove(client, "n").await, Vec::<String>::new(), "a second time");
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_two_seconds_at_most() {
    let server = Server::new();
    server.with(|state| state.hangs = true);
    let start = tokio::time::Instant::now();
    let lines = Box::pin(withdraw(server.client(), "n", &ReportSettings::default())).await;
    assert_eq!((start.elapsed(), lines.len()), (Duration::from_secs(2), 1), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_sender_of_reports() {
    let mut running = Running::settled().await;
    running.reports = watch::channel(None).0;
    seconds(1).await;
    assert!(running.task.is_finished());
}
