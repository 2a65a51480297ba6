//! From a request of HTTP to an answer, whatever brought it.

use super::failure::Failure;
use super::fault::Effect;
use super::query::Query;
use super::seen::Seen;
use super::state::{Call, State};
use super::target::{Place, Target, place};
use super::{ApiServer, about, delete, watch};
use axum::body::{Body, Bytes};
use gleaner_host::clock;
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, header};
use serde_json::Value;
use std::fmt::Display;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::sleep;

/// What all clones of a server share.
#[derive(Debug)]
pub(super) struct Core {
    state: Mutex<State>,
    /// Tells that something changed.
    changed: Sender<u64>,
}

impl Core {
    pub(super) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), changed: Sender::new(0) }
    }

    pub(super) fn subscribe(&self) -> Receiver<u64> {
        self.changed.subscribe()
    }

    /// Looks at the state.
    pub(super) fn with<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap())
    }

    /// Changes the state, and wakes all who wait for a change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state.lock().unwrap());
        self.changed.send_modify(|count| *count += 1);
        done
    }
}

impl<B> tower::Service<Request<B>> for ApiServer
where
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Display,
{
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let core = Arc::clone(&self.core);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(|e| io::Error::other(e.to_string()))?.to_bytes();
            let (number, effect) = core.change(|state| note(state, &head, &body));
            let answer = suffer(&core, effect, &head, body).await?;
            core.change(|state| state.answered(number, answer.status().as_u16()));
            Ok(answer)
        })
    }
}

impl ApiServer {
    /// Refuses one whom the server does not know.
    pub(super) fn turn_away(&self, head: &Parts) -> Response<Body> {
        let failure = Failure::unauthorized();
        self.core.change(|state| {
            let seen = Seen { code: Some(failure.code), ..seen(state, head, &Bytes::new()) };
            state.note(seen);
        });
        refusal(&failure)
    }
}

/// Writes a request down, and says what goes wrong with it.
fn note(state: &mut State, head: &Parts, body: &Bytes) -> (u64, Option<Effect>) {
    let seen = seen(state, head, body);
    let effect = state.faults.of(&seen);
    (state.note(seen), effect)
}

fn seen(state: &State, head: &Parts, body: &Bytes) -> Seen {
    let target = match place(head.uri.path(), &state.defined) {
        Ok(Place::Target(target)) => Some(target),
        _ => None,
    };
    let body = serde_json::from_slice::<Value>(body).ok();
    let named = body.as_ref().and_then(|body| body["metadata"]["name"].as_str()).map(str::to_owned);
    Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        verb: target.as_ref().map_or("", |target| verb(head, target)),
        resource: target.as_ref().map_or_else(String::new, |target| target.resource.plural.to_owned()),
        subresource: target.as_ref().and_then(|target| target.subresource.clone()),
        namespace: target.as_ref().and_then(|target| target.namespace.clone()),
        name: target.and_then(|target| target.name).or(named),
        body,
        at: clock::now(),
        code: None,
    }
}

fn verb(head: &Parts, target: &Target) -> &'static str {
    let watches = Query::parse(&head.uri).and_then(|query| query.flag("watch")).unwrap_or(false);
    match (&head.method, &target.name) {
        (&Method::GET, Some(_)) => "get",
        (&Method::GET, None) if watches => "watch",
        (&Method::GET, None) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, Some(_)) => "update",
        (&Method::PATCH, Some(_)) => "patch",
        (&Method::DELETE, Some(_)) => "delete",
        (&Method::DELETE, None) => "deletecollection",
        _ => "",
    }
}

/// Answers, but as badly as the effect wants it.
async fn suffer(core: &Arc<Core>, effect: Option<Effect>, head: &Parts, body: Bytes) -> io::Result<Response<Body>> {
    let latency = core.with(|state| state.faults.latency);
    if !latency.is_zero() {
        sleep(latency).await;
    }
    let hung_up = || Err(io::Error::new(io::ErrorKind::ConnectionReset, "the server hung up"));
    match effect {
        None => Ok(answer(core, head, body, None)),
        Some(Effect::Answer(code)) => Ok(refusal(&Failure::made(code))),
        Some(Effect::Page(code)) => Ok(respond(code, "text/html", format!("<html><h1>{code}</h1></html>").into())),
        Some(Effect::Delay(time)) => {
            sleep(time).await;
            Ok(answer(core, head, body, None))
        }
        Some(Effect::HangUp) => hung_up(),
        Some(Effect::LoseAnswer) => {
            drop(answer(core, head, body, None));
            hung_up()
        }
        Some(Effect::Hang) => pending().await,
        Some(of_watch) => Ok(answer(core, head, body, Some(of_watch))),
    }
}

/// Answers, and writes down what a real server would have refused.
fn answer(core: &Arc<Core>, head: &Parts, body: Bytes, fault: Option<Effect>) -> Response<Body> {
    let (answer, ending) = core.change(|state| {
        let answer = route(core, state, head, body, fault);
        if let Err(failure) = &answer
            && matches!(failure.code, 400 | 405 | 415 | 422)
        {
            let text = format!("{} {}: {}", head.method, head.uri, failure.body().1);
            state.violations.push(text);
        }
        (answer, std::mem::take(&mut state.ending))
    });
    for (time, key, uid) in ending {
        let core = Arc::clone(core);
        tokio::spawn(async move {
            sleep(time).await;
            core.change(|state| delete::finish(state, &key, &uid));
        });
    }
    answer.unwrap_or_else(|failure| refusal(&failure))
}

fn route(core: &Arc<Core>, state: &mut State, head: &Parts, body: Bytes, fault: Option<Effect>) -> Result<Response<Body>, Failure> {
    let target = match place(head.uri.path(), &state.defined)? {
        Place::Target(target) => target,
        Place::About(path) => return about::page(&path, &state.defined).map(|(content, text)| respond(200, content, text.into())),
    };
    let verb = verb(head, &target);
    state.access.permit(verb, &target)?;
    let text = |name: header::HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let accept = text(header::ACCEPT);
    if !accept.is_empty() && !["json", "*/*"].iter().any(|good| accept.contains(good)) {
        return Err(Failure::media(format!("only JSON is served, not {accept:?}")));
    }
    let content = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_owned();
    let partial = accept.contains("as=PartialObjectMetadata");
    let call = Call { verb, target, query: Query::parse(&head.uri)?, content, partial, body };
    if verb == "watch" {
        return watch::open(core, state, &call, fault).map(|body| respond(200, "application/json", body));
    }
    let (code, body) = state.answer(&call)?;
    Ok(respond(code, "application/json", body.to_string().into()))
}

fn refusal(failure: &Failure) -> Response<Body> {
    let (content, text) = failure.body();
    let mut response = respond(failure.code, content, text.into());
    if let Some(seconds) = failure.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn respond(code: u16, content: &'static str, body: Body) -> Response<Body> {
    Response::builder().status(code).header(header::CONTENT_TYPE, content).body(body).unwrap()
}
