//! An API server of one Node and one CustomNodeResource for tests, as a service in the same process. It checks versions, spells amounts in its own
//! way, has a status subresource that ignores all else, and fails when it is told to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use futures_util::stream;
use gleaner_crds::quantity::value;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// What the server holds and saw.
#[derive(Default)]
pub(super) struct State {
    /// The Node; null: there is none.
    pub(super) node: Value,
    /// The CustomNodeResource; null: there is none.
    pub(super) cnr: Value,
    /// Whether the kind is not known.
    pub(super) no_crd: bool,
    /// Requests that contain the text fail with the status, so many times.
    pub(super) faults: Vec<(&'static str, u16, u32)>,
    /// Nobody may patch the Node but for its status.
    pub(super) forbid_taint: bool,
    /// Requests are not answered.
    pub(super) hangs: bool,
    /// Method and path of each request but watches and lists.
    pub(super) log: Vec<String>,
    version: u64,
    watches: Vec<mpsc::UnboundedSender<Value>>,
}

/// What is answered: one text, or events one after another.
type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// See the module.
#[derive(Clone)]
pub(super) struct Server(pub(super) Arc<Mutex<State>>);

impl Server {
    /// With a Node `n` that was never reported about.
    pub(super) fn new() -> Self {
        let node = json!({
            "metadata": {"name": "n", "uid": "uid-n", "labels": {"zone": "a"}, "resourceVersion": "0"},
            "spec": {"taints": [{"key": "other", "effect": "NoExecute"}]},
            "status": {"capacity": {"cpu": "32"}, "allocatable": {"cpu": "32"}, "conditions": [{"type": "Ready", "status": "True"}]},
        });
        Self(Arc::new(Mutex::new(State { node, ..State::default() })))
    }

    /// A client of it.
    pub(super) fn client(&self) -> kube::Client {
        let server = self.clone();
        let answer = move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        };
        kube::Client::new(tower::service_fn(answer), "default")
    }

    /// Looks at or changes the state.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Somebody else changes the Node.
    pub(super) fn change_node(&self, change: impl FnOnce(&mut Value)) {
        self.with(|state| {
            change(&mut state.node);
            state.bump(false);
        });
    }

    /// How many requests contained all these texts.
    pub(super) fn count(&self, text: &str) -> usize {
        self.with(|state| state.log.iter().filter(|line| line.contains(text)).count())
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if self.with(|state| state.hangs) {
            std::future::pending::<()>().await;
        }
        let query = parts.uri.query().unwrap_or_default();
        if query.contains("watch=true") {
            return self.watch();
        }
        let (code, value) = self.with(|state| state.answer(&parts.method, parts.uri.path(), &body));
        Response::builder().status(code).body(Full::from(value.to_string()).boxed_unsync()).unwrap()
    }

    fn watch(&self) -> Answer {
        let (send, receive) = mpsc::unbounded_channel();
        self.with(|state| state.watches.push(send));
        let lines = stream::unfold(receive, |mut receive| async {
            let event = receive.recv().await?;
            let line = Bytes::from(format!("{event}\n"));
            Some((Ok::<_, Infallible>(Frame::data(line)), receive))
        });
        Response::new(BodyExt::boxed_unsync(StreamBody::new(lines)))
    }
}

fn failure(code: u16) -> (u16, Value) {
    let message = format!("scripted {code}");
    (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "Scripted", "message": message}))
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let line = format!("{method} {path}");
        if path == "/api/v1/nodes" {
            let items: Vec<&Value> = [&self.node].into_iter().filter(|node| !node.is_null()).collect();
            return (
                200,
                json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": self.version.to_string()}, "items": items}),
            );
        }
        self.log.push(line.clone());
        if let Some(fault) = self.faults.iter_mut().find(|(text, _, times)| *times > 0 && line.contains(text)) {
            fault.2 -= 1;
            return failure(fault.1);
        }
        if self.forbid_taint && line == "PATCH /api/v1/nodes/n" {
            return failure(403);
        }
        let is_cnr = path.starts_with("/apis/node.katalyst.kubewharf.io/v1alpha1/customnoderesources");
        if is_cnr && self.no_crd {
            return (404, Value::String("404 page not found".to_owned()));
        }
        let old = if is_cnr { self.cnr.clone() } else { self.node.clone() };
        match *method {
            Method::POST if old.is_null() => {
                self.cnr = body.clone();
                self.cnr.as_object_mut().unwrap().remove("status");
                self.bump(true);
            }
            Method::POST => return failure(409),
            _ if old.is_null() => return failure(404),
            Method::GET => {}
            Method::DELETE => self.cnr = Value::Null,
            Method::PATCH => {
                let version = &body["metadata"]["resourceVersion"];
                if version.is_string() && *version != old["metadata"]["resourceVersion"] {
                    return failure(409);
                }
                let object = if is_cnr { &mut self.cnr } else { &mut self.node };
                patch(object, body, path.ends_with("/status"), is_cnr);
                self.bump(is_cnr);
            }
            _ => return failure(405),
        }
        let new = if is_cnr { &self.cnr } else { &self.node };
        (200, if new.is_null() { old } else { new.clone() })
    }

    fn bump(&mut self, is_cnr: bool) {
        self.version += 1;
        let object = if is_cnr { &mut self.cnr } else { &mut self.node };
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if !is_cnr {
            let event = json!({"type": "MODIFIED", "object": object});
            self.watches.retain(|watch| watch.send(event.clone()).is_ok());
        }
    }
}

/// Takes the part of a patch that its path may change.
fn patch(object: &mut Value, body: &Value, status: bool, is_cnr: bool) {
    let parts: &[&str] = if status { &["status"] } else { &["spec", "metadata"] };
    for part in parts {
        if let Some(new) = body.get(*part) {
            let conditions = object[*part].get("conditions").cloned();
            merge(&mut object[*part], new);
            if let (false, Some(old), Some(new)) = (is_cnr, conditions, new.get("conditions")) {
                object[*part]["conditions"] = by_type(&old, new);
            }
        }
    }
    for list in ["capacity", "allocatable"] {
        for (_, amount) in object["status"][list].as_object_mut().into_iter().flatten() {
            let number = value(amount.as_str().unwrap()).unwrap().get();
            let spelled = if number > 0 && number.is_multiple_of(1000) { format!("{}k", number / 1000) } else { number.to_string() };
            *amount = json!(spelled);
        }
    }
}

/// RFC 7396.
fn merge(object: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, new) in fields {
        if new.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut object[name], new);
        }
    }
}

/// The strategic merge of conditions, which have their type as key.
fn by_type(old: &Value, new: &Value) -> Value {
    let (old, new) = (old.as_array().unwrap(), new.as_array().unwrap());
    let kept = old.iter().filter(|old| new.iter().all(|new| new["type"] != old["type"])).cloned();
    let added = new.iter().filter(|new| new.get("$patch").is_none()).cloned();
    kept.chain(added).collect()
}
