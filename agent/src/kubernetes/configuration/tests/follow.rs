use super::*;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Router, http::StatusCode};
use futures_util::StreamExt;
use gleaner_crds::config::{ADMIN_QOS_CONFIGURATIONS, GROUP, VERSION};
use kube::Client;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Who watches a kind.
type Watcher = (String, mpsc::UnboundedSender<Value>);

/// An API server that has objects, and tells watchers of what is sent into it.
#[derive(Clone, Default)]
struct Server {
    /// Objects by plural name; a kind that is missing is not installed.
    kinds: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    /// What the watchers of a kind wait for.
    watchers: Arc<Mutex<Vec<Watcher>>>,
    /// Everything asked for.
    asked: Arc<Mutex<Vec<String>>>,
    forbidden: bool,
}

impl Server {
    fn with(kinds: [(&str, Vec<Value>); 2]) -> Self {
        let server = Self::default();
        *server.kinds.lock().unwrap() = kinds.into_iter().map(|(kind, all)| (kind.to_owned(), all)).collect();
        server
    }

    /// Changes the objects of a kind, and tells the watchers of one of them.
    fn change(&self, kind: &str, type_: &str, object: &Value, all: Vec<Value>) {
        self.kinds.lock().unwrap().insert(kind.to_owned(), all);
        for (_, watcher) in self.watchers.lock().unwrap().iter().filter(|(of, _)| of == kind) {
            let _ = watcher.send(json!({"type": type_, "object": object}));
        }
    }

    fn client(&self) -> Client {
        Client::new(Router::new().fallback(answer).with_state(self.clone()), "default")
    }
}

fn failure(code: StatusCode, reason: &str) -> Response {
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code.as_u16()});
    (code, status.to_string()).into_response()
}

async fn answer(State(server): State<Server>, Query(query): Query<BTreeMap<String, String>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches(&format!("/apis/{GROUP}/{VERSION}/")).to_owned();
    server.asked.lock().unwrap().push(request.uri().to_string());
    if server.forbidden {
        return failure(StatusCode::FORBIDDEN, "Forbidden");
    }
    let parts: Vec<&str> = path.split('/').collect();
    let (kind, name) = match parts.as_slice() {
        ["namespaces", _, kind, rest @ ..] => (*kind, rest.first()),
        [kind, rest @ ..] => (*kind, rest.first()),
        [] => return failure(StatusCode::NOT_FOUND, "NotFound"),
    };
    let Some(objects) = server.kinds.lock().unwrap().get(kind).cloned() else { return failure(StatusCode::NOT_FOUND, "NotFound") };
    if let Some(name) = name {
        let found = objects.iter().find(|object| object["metadata"]["name"] == **name);
        return found.map_or_else(|| failure(StatusCode::NOT_FOUND, "NotFound"), |object| object.to_string().into_response());
    }
    if query.get("watch").is_some_and(|watch| watch == "true") {
        let (sender, receiver) = mpsc::unbounded_channel();
        server.watchers.lock().unwrap().push((kind.to_owned(), sender));
        let lines = futures_util::stream::unfold(receiver, |mut receiver| async {
            let event: Value = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(Bytes::from(format!("{event}\n"))), receiver))
        });
        return Body::from_stream(lines.boxed()).into_response();
    }
    json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": "List", "metadata": {"resourceVersion": "5"}, "items": objects})
        .to_string()
        .into_response()
}

fn admin(name: &str, spec: Value) -> Value {
    let mut object = serde_json::to_value(raw(name, spec)).unwrap();
    object["metadata"]["resourceVersion"] = json!("7");
    object
}

fn own_config(name: &str, hash: &str) -> Value {
    let config_type = json!({"group": GROUP, "version": VERSION, "resource": ADMIN_QOS_CONFIGURATIONS});
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "CustomNodeConfig", "metadata": {"name": "n1", "resourceVersion": "7"}, "spec": {},
        "status": {"katalystCustomConfigList": [{"configType": config_type, "configNamespace": "ns", "configName": name, "hash": hash}]},
    })
}

struct Running {
    events: mpsc::Receiver<ConfigurationEvent>,
    labels: watch::Sender<BTreeMap<String, String>>,
}

fn run(server: &Server, of_node: &[(&str, &str)]) -> Running {
    let (sender, events) = mpsc::channel(8);
    let (labels, receiver) = watch::channel(labels(of_node));
    let follow = Follow {
        client: server.client(),
        node: "n1".into(),
        namespace: String::new(),
        labels: receiver,
        clock: || at("2026-01-01T12:00:00Z"),
    };
    tokio::spawn(super::super::follow(follow, sender));
    Running { events, labels }
}

impl Running {
    async fn next(&mut self) -> ConfigurationEvent {
        tokio::time::timeout(Duration::from_secs(3600), self.events.recv()).await.expect("an event within an hour").expect("the task runs")
    }

    async fn chosen(&mut self) -> Chosen {
        match self.next().await {
            ConfigurationEvent::Chosen(chosen) => *chosen,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_object_for_the_nodes_labels_is_told_and_its_changes_and_its_end() {
    let spec = |percent: &str| json!({"nodeLabelSelector": "pool=a", "config": {"gleaner": {"estimator": {"usageMargin": percent}}}});
    let server = Server::with([("adminqosconfigurations", vec![admin("a", spec("20%"))]), ("customnodeconfigs", vec![])]);
    let mut running = run(&server, &[("pool", "a")]);
    let first = running.chosen().await;
    assert_eq!(
        (first.source.to_string(), first.content["config"]["gleaner"]["estimator"]["usageMargin"].as_str()),
        ("ns/a".into(), Some("20%"))
    );

    let changed = admin("a", spec("30%"));
    server.change("adminqosconfigurations", "MODIFIED", &changed, vec![changed.clone()]);
    let second = running.chosen().await;
    assert_ne!(second.hash, first.hash);

    running.labels.send(labels(&[("pool", "b")])).unwrap();
    assert_eq!(running.next().await, ConfigurationEvent::NoneChosen);
    running.labels.send(labels(&[("pool", "a")])).unwrap();
    assert_eq!(running.chosen().await, second);
    server.change("adminqosconfigurations", "DELETED", &changed, vec![]);
    assert_eq!(running.next().await, ConfigurationEvent::NoneChosen);

    let asked = server.asked.lock().unwrap().clone();
    let lists: Vec<&String> = asked.iter().filter(|uri| !uri.contains("watch=true")).collect();
    assert!(lists.iter().all(|uri| uri.contains("limit=50")), "{lists:?}");
    assert!(asked.iter().filter(|uri| uri.contains("customnodeconfigs")).all(|uri| uri.contains("metadata.name%3Dn1")), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn kinds_that_are_not_installed_are_no_problem_and_are_found_once_they_are() {
    let server = Server::default();
    let mut running = run(&server, &[("pool", "a")]);
    assert_eq!(running.next().await, ConfigurationEvent::NoneChosen);
    server.change("adminqosconfigurations", "ADDED", &json!({}), vec![admin("a", json!({"config": {}}))]);
    assert_eq!(running.chosen().await.source.name, "a");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_judged_before_the_labels_are_known() {
    let server = Server::with([("adminqosconfigurations", vec![admin("a", json!({"config": {}}))]), ("customnodeconfigs", vec![])]);
    let mut running = run(&server, &[]);
    let early = tokio::time::timeout(Duration::from_secs(60), running.events.recv()).await;
    assert!(early.is_err(), "{early:?}");
    running.labels.send(labels(&[("kubernetes.io/hostname", "n1")])).unwrap();
    assert_eq!(running.chosen().await.source.name, "a");
}

#[tokio::test(start_paused = true)]
async fn a_named_object_is_read_anew_when_the_hash_changes() {
    let object =
        |percent: &str| admin("a", json!({"nodeLabelSelector": "x=y", "config": {"gleaner": {"estimator": {"usageMargin": percent}}}}));
    let server = Server::with([("adminqosconfigurations", vec![object("20%")]), ("customnodeconfigs", vec![own_config("a", "h1")])]);
    let mut running = run(&server, &[("pool", "a")]);
    let first = running.chosen().await;
    assert_eq!((first.source.name.as_str(), first.named.as_deref()), ("a", Some("h1")));
    // The watch of the objects stays behind; the hash does not.
    server.kinds.lock().unwrap().insert("adminqosconfigurations".into(), vec![object("30%")]);
    let own = own_config("a", "h2");
    server.change("customnodeconfigs", "MODIFIED", &own, vec![own.clone()]);
    let second = running.chosen().await;
    assert_eq!(second.named.as_deref(), Some("h2"));
    assert_ne!(second.hash, first.hash, "not the old content under the new hash");

    let own = own_config("gone", "h3");
    server.change("customnodeconfigs", "MODIFIED", &own, vec![own.clone()]);
    let ConfigurationEvent::Refused { source, problems } = running.next().await else { panic!("not refused") };
    assert!(source.name == "gone" && problems[0].contains("not there"), "{problems:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_api_server_is_told_and_asked_about_ever_more_seldom() {
    let server = Server { forbidden: true, ..Server::default() };
    let mut running = run(&server, &[("pool", "a")]);
    let ConfigurationEvent::Reach(Some(problem)) = running.next().await else { panic!("not told") };
    assert!(problem.contains("adminqosconfigurations") || problem.contains("customnodeconfigs"), "{problem}");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let asked = server.asked.lock().unwrap().len();
    assert!((60..300).contains(&asked), "{asked} times in an hour for two kinds, every two minutes in the end");
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_when_nobody_listens() {
    let server = Server::with([("adminqosconfigurations", vec![]), ("customnodeconfigs", vec![])]);
    let mut running = run(&server, &[("pool", "a")]);
    assert_eq!(running.next().await, ConfigurationEvent::NoneChosen);
    drop(running.events);
    tokio::time::timeout(Duration::from_secs(60), running.labels.closed()).await.expect("the task dropped its receiver");
}
