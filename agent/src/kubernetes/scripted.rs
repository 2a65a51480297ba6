//! An API server of a few scripted answers, in the test's own process.

use axum::body::Body;
use axum::http::header::RETRY_AFTER;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// One question that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Value,
    /// Since the start.
    pub(crate) at: Duration,
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Json(u16, Value),
    /// Plain text, with the header `Retry-After`.
    Text(u16, &'static str, Option<u64>),
    /// None at all.
    Never,
    /// The second, after this time.
    After(Duration, Box<Reply>),
}

impl Reply {
    /// A `Status` that something failed.
    pub(crate) fn failure(code: u16, reason: &str, message: &str) -> Self {
        Self::Json(code, json!({"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code}))
    }

    /// What the API server says when it did it.
    pub(crate) fn success() -> Self {
        Self::Json(201, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}))
    }
}

/// Everything that was asked so far.
pub(crate) type Log = Arc<Mutex<Vec<Asked>>>;

/// A client of a server that answers as told: `answer` gets the question and how many came before it.
pub(crate) fn scripted(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> (Client, Log) {
    let (log, answer, begun) = (Log::default(), Arc::new(answer), Instant::now());
    let seen = Arc::clone(&log);
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let asked = Asked { method: head.method.to_string(), path: head.uri.to_string(), body, at: begun.elapsed() };
            let before = {
                let mut log = log.lock().unwrap();
                log.push(asked.clone());
                log.len() - 1
            };
            Ok::<_, Infallible>(respond(answer(&asked, before)).await)
        }
    });
    (Client::new(service, "default"), seen)
}

async fn respond(mut reply: Reply) -> Response<Body> {
    loop {
        let (code, text, after) = match reply {
            Reply::Json(code, value) => (code, value.to_string(), None),
            Reply::Text(code, text, after) => (code, text.to_owned(), after),
            Reply::Never => std::future::pending().await,
            Reply::After(wait, then) => {
                tokio::time::sleep(wait).await;
                reply = *then;
                continue;
            }
        };
        let mut response = Response::builder().status(code);
        if let Some(seconds) = after {
            response = response.header(RETRY_AFTER, seconds);
        }
        return response.body(Body::from(text)).unwrap();
    }
}

/// What was asked: method, path without query, whole seconds.
pub(crate) fn shown(log: &Log) -> Vec<String> {
    let path = |asked: &Asked| asked.path.split('?').next().unwrap_or_default().to_owned();
    log.lock().unwrap().iter().map(|asked| format!("{} {} {}", asked.at.as_secs(), asked.method, path(asked))).collect()
}
