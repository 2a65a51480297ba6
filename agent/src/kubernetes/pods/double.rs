//! A server in the test's own process that answers from a script, and keeps what it was asked.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::super::client::Connected;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

/// One answer.
pub(in super::super) enum Answer {
    /// A whole body.
    Json(u16, Value),
    /// A whole body that is no JSON.
    Text(u16, String),
    /// The lines of a watch, each after a time, and how it ends.
    Watch(Vec<(Duration, Value)>, End),
    /// Nobody listens.
    Refused,
    /// Taken, and never answered.
    Silent,
}

/// How a watch ends.
#[derive(Clone, Copy)]
pub(in super::super) enum End {
    /// As the server does after its time.
    Closed(Duration),
    /// In the middle of something.
    Broken,
    /// Not at all.
    Stays,
}

/// What was asked: path and query, in order.
pub(in super::super) type Asked = Arc<Mutex<Vec<String>>>;

type Stream = BoxStream<'static, Result<Frame<Bytes>, io::Error>>;

/// A way to a server that answers by this function of path and query, and the number of the question.
pub(in super::super) fn connected(answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> (Connected, Asked) {
    let asked = Asked::default();
    let (log, answer) = (asked.clone(), Arc::new(answer));
    let service = tower::service_fn(move |request: Request<Body>| -> BoxFuture<'static, Result<_, io::Error>> {
        let asked = request.uri().path_and_query().unwrap().to_string();
        let number = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            log.len() - 1
        };
        let answer = answer(&asked, number);
        Box::pin(give(answer))
    });
    let client = Client::new(service, "default");
    (Connected { client: client.clone(), watches: client, node: "node-1".to_owned() }, asked)
}

async fn give(answer: Answer) -> Result<Response<StreamBody<Stream>>, io::Error> {
    let whole = |text: String| stream::iter([Ok(Frame::data(Bytes::from(text)))]).boxed();
    let (status, body): (u16, Stream) = match answer {
        Answer::Json(status, value) => (status, whole(value.to_string())),
        Answer::Text(status, text) => (status, whole(text)),
        Answer::Watch(lines, end) => (200, watch(lines, end)),
        Answer::Refused => return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused")),
        Answer::Silent => std::future::pending().await,
    };
    Ok(Response::builder().status(status).body(StreamBody::new(body)).unwrap())
}

fn watch(lines: Vec<(Duration, Value)>, end: End) -> Stream {
    let lines = stream::iter(lines).then(|(after, line)| async move {
        sleep(after).await;
        Ok(Frame::data(Bytes::from(format!("{line}\n"))))
    });
    let last = stream::once(async move {
        match end {
            End::Closed(after) => {
                sleep(after).await;
                None
            }
            End::Broken => Some(Err(io::Error::new(io::ErrorKind::ConnectionReset, "connection reset"))),
            End::Stays => std::future::pending().await,
        }
    });
    lines.chain(last.filter_map(|item| async { item })).boxed()
}

/// A pod of one container.
pub(in super::super) fn pod(name: &str, version: u64) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "ns", "uid": format!("uid-{name}"), "resourceVersion": version.to_string(),
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
        },
        "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running"},
    })
}

/// A list, with what to ask for the next page with.
pub(in super::super) fn list(pods: &[Value], version: u64, more: &str) -> Answer {
    Answer::Json(200, json!({"kind": "PodList", "metadata": {"resourceVersion": version.to_string(), "continue": more}, "items": pods}))
}

/// What the API server says when it refuses.
pub(in super::super) fn refusal(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message, "metadata": {}})
}

/// A line of a watch.
pub(in super::super) fn line(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}
