//! Lists this node's pods and watches them.
//!
//! Over kube's client, but not over kube's own watcher: that one says nothing when a watch works again after a failure, asks for ever when a watch is
//! refused with 410 at its start, and starts a watch anew without a pause when a server ends it at once.

use super::super::client::Connected;
use super::super::fault::{cause, said};
use super::super::object::{ListMeta, PodList, PodObject};
use super::super::pace::{FIRST_WAIT, LONGEST_WAIT, backoff};
use super::super::{ApiPod, PodsEvent};
use super::convert::{Source, record, records};
use super::{Closed, Told};
use futures_util::StreamExt;
use gleaner_model::QosConfig;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// The version is older than what the server remembers (`Expired`, `Gone`).
const EXPIRED: u16 = 410;
const PODS: &str = "/api/v1/pods";
/// Pods in one answer. The largest answer decides how much memory the agent keeps: 500 pods of 10 kB each add 1.5 MiB like this, and 7 MiB in one
/// answer.
const PAGE: u32 = 50;
/// More than a node can have: a list that does not end is not kept.
const MOST: usize = 10_000;
/// An answer takes no longer, or it is tried again.
const ANSWER: Duration = Duration::from_secs(30);
/// The server is asked to end a watch after this many seconds, so that one which nobody serves any more is noticed.
const WATCH_SECONDS: u32 = 290;
/// A watch that is silent for longer has lost its server.
const SILENT: Duration = Duration::from_secs(295);
/// A watch that lived this long works; one that ended before is a failure.
const SETTLED: Duration = Duration::from_secs(5);

/// Tells of this node's pods until nobody listens. Any failure is told of and tried again. A new configuration of classes lists the pods anew.
pub(crate) async fn watch_pods<E>(connected: Connected, qos: watch::Receiver<QosConfig>, sender: mpsc::Sender<E>)
where
    E: From<PodsEvent> + Send + 'static,
{
    let selector = format!("spec.nodeName={}", connected.node);
    let mut follower = Follower { connected, selector, qos, told: Told::new(sender), failures: 0, outdated: 0 };
    // It ends only with its listener.
    let Err(Closed) = follower.run().await;
}

struct Follower<E> {
    connected: Connected,
    selector: String,
    qos: watch::Receiver<QosConfig>,
    told: Told<E>,
    /// Failures since a watch last lived.
    failures: u32,
    /// How often a version was too old since then. Counted by itself: after a long failure the server that answers so is back.
    outdated: u32,
}

/// How a watch ended.
enum End {
    /// The server ended it in its time.
    Over,
    /// The server ended it at once.
    Hasty,
    /// What happened in between is not known.
    Outdated,
    /// Classes are given in another way.
    Reclassed,
    /// It broke; it can go on from where it was.
    Broken(String),
    /// It told something that cannot be gone on from.
    Wrong(String),
}

impl<E: From<PodsEvent>> Follower<E> {
    async fn run(&mut self) -> Result<Infallible, Closed> {
        loop {
            self.qos.borrow_and_update();
            let listed = tokio::select! {
                closed = self.told.closed() => return Err(closed),
                listed = self.list() => listed,
            };
            match listed {
                Ok((pods, version)) => {
                    self.told.listed(pods).await?;
                    self.told.reach(None).await?;
                    self.watch(version).await?;
                }
                Err(trouble) => {
                    self.told.reach(Some(trouble)).await?;
                    self.pause().await?;
                }
            }
        }
    }

    /// All pods, and the version to watch them from.
    async fn list(&self) -> Result<(Vec<ApiPod>, String), String> {
        let mut params = ListParams::default().fields(&self.selector).limit(PAGE);
        let mut pods = Vec::new();
        loop {
            let page = self.page(&params).await.map_err(|cause| format!("list pods: {cause}"))?;
            pods.extend(records(page.items, Source::Api, &self.qos.borrow()));
            if pods.len() > MOST {
                return Err(format!("list pods: there are more than {MOST}"));
            }
            let ListMeta { resource_version, more } = page.metadata;
            match (more.is_empty(), resource_version.is_empty()) {
                (false, _) => params = params.continue_token(&more),
                (true, false) => return Ok((pods, resource_version)),
                (true, true) => return Err("list pods: the answer has no resourceVersion".to_owned()),
            }
        }
    }

    async fn page(&self, params: &ListParams) -> Result<PodList, String> {
        let request = Request::new(PODS).list(params).map_err(|error| error.to_string())?;
        // As text, since kube's own reader would log all of an answer that it cannot read.
        let answer = timeout(ANSWER, self.connected.client.request_text(request)).await;
        let text = answer.map_err(|_| no_answer())?.map_err(|error| cause(&error))?;
        serde_json::from_str(&text).map_err(|error| format!("the answer is no list of pods: {error}"))
    }

    /// Watches until the pods must be listed again.
    async fn watch(&mut self, mut version: String) -> Result<(), Closed> {
        loop {
            match self.watch_once(&mut version).await? {
                End::Over => {}
                End::Hasty => self.pause().await?,
                End::Reclassed => return Ok(()),
                End::Outdated => {
                    self.outdated = self.outdated.saturating_add(1);
                    return self.rest(self.outdated).await;
                }
                End::Broken(cause) => {
                    self.told.reach(Some(format!("watch pods: {cause}"))).await?;
                    self.pause().await?;
                }
                End::Wrong(cause) => {
                    self.told.reach(Some(format!("watch pods: {cause}"))).await?;
                    return self.pause().await;
                }
            }
        }
    }

    async fn watch_once(&mut self, version: &mut String) -> Result<End, Closed> {
        let params = WatchParams::default().fields(&self.selector).timeout(WATCH_SECONDS);
        let request = match Request::new(PODS).watch(&params, version) {
            Ok(request) => request,
            Err(error) => return Ok(End::Wrong(error.to_string())),
        };
        let started = tokio::select! {
            closed = self.told.closed() => return Err(closed),
            started = timeout(ANSWER, self.connected.watches.request_events::<PodObject>(request)) => started,
        };
        let stream = match started {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Ok(ended(&error)),
            Err(_) => return Ok(End::Broken(no_answer())),
        };
        self.told.reach(None).await?;
        let (mut stream, mut settled, mut lived) = (pin!(stream), pin!(sleep(SETTLED)), false);
        loop {
            let item = tokio::select! {
                biased;
                closed = self.told.closed() => return Err(closed),
                () = changed(&mut self.qos) => return Ok(End::Reclassed),
                () = &mut settled, if !lived => {
                    lived = true;
                    (self.failures, self.outdated) = (0, 0);
                    continue;
                }
                item = timeout(SILENT, stream.next()) => item,
            };
            match item {
                Ok(Some(Ok(event))) => {
                    if let Some(end) = self.happened(event, version).await? {
                        return Ok(end);
                    }
                }
                Ok(Some(Err(error))) => return Ok(ended(&error)),
                Ok(None) | Err(_) => return Ok(if lived { End::Over } else { End::Hasty }),
            }
        }
    }

    /// Passes on what a watch tells; the end of the watch, where that is what it tells.
    async fn happened(&mut self, event: WatchEvent<PodObject>, version: &mut String) -> Result<Option<End>, Closed> {
        let object = match &event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => object,
            WatchEvent::Bookmark(bookmark) => {
                version.clone_from(&bookmark.metadata.resource_version);
                return Ok(None);
            }
            WatchEvent::Error(status) if status.code == EXPIRED => return Ok(Some(End::Outdated)),
            WatchEvent::Error(status) => return Ok(Some(End::Wrong(said(status)))),
        };
        if object.metadata.resource_version.is_empty() {
            return Ok(Some(End::Wrong("an object has no resourceVersion".to_owned())));
        }
        version.clone_from(&object.metadata.resource_version);
        if matches!(event, WatchEvent::Deleted(_)) {
            self.told.gone(&object.metadata.uid).await?;
            return Ok(None);
        }
        let pod = record(object, Source::Api, &self.qos.borrow());
        if let Some(pod) = pod {
            self.told.changed(pod).await?;
        }
        Ok(None)
    }

    /// One failure more, and the wait that it costs.
    async fn pause(&mut self) -> Result<(), Closed> {
        self.failures = self.failures.saturating_add(1);
        self.rest(self.failures).await
    }

    async fn rest(&self, failures: u32) -> Result<(), Closed> {
        tokio::select! {
            closed = self.told.closed() => Err(closed),
            () = sleep(backoff(FIRST_WAIT, LONGEST_WAIT, failures, &self.connected.node, failures.into())) => Ok(()),
        }
    }
}

/// Until the configuration of classes is another; never, when nobody can change it any more.
pub(in super::super) async fn changed(qos: &mut watch::Receiver<QosConfig>) {
    if qos.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn ended(error: &kube::Error) -> End {
    match error {
        kube::Error::Api(status) if status.code == EXPIRED => End::Outdated,
        // Going on from there would only repeat it. kube takes a line that it cannot read for a status of which nothing is known.
        kube::Error::Api(status) if status.code == 0 => End::Wrong("an event cannot be read".to_owned()),
        kube::Error::SerdeError(_) => End::Wrong(cause(error)),
        _ => End::Broken(cause(error)),
    }
}

fn no_answer() -> String {
    format!("no answer within {} s", ANSWER.as_secs())
}

#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;
