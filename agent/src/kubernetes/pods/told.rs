//! What the loop was told of pods, so that it is told what is new and nothing twice.

use super::super::{ApiPod, PodsEvent};
use gleaner_model::PodUid;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Nobody listens any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Closed;

/// The way to the loop.
pub(in super::super) struct Told<E> {
    sender: mpsc::Sender<E>,
    /// What each object that was told of stands for.
    known: BTreeMap<String, PodUid>,
    trouble: Option<String>,
    reached: bool,
}

impl<E: From<PodsEvent>> Told<E> {
    pub(in super::super) fn new(sender: mpsc::Sender<E>) -> Self {
        Self { sender, known: BTreeMap::new(), trouble: None, reached: false }
    }

    /// All pods there are.
    pub(in super::super) async fn listed(&mut self, pods: Vec<ApiPod>) -> Result<(), Closed> {
        self.known = pods.iter().map(|pod| (pod.api_uid.clone(), pod.pod.uid.clone())).collect();
        self.tell(PodsEvent::Listed(pods)).await
    }

    /// One pod as it is now.
    pub(super) async fn changed(&mut self, pod: ApiPod) -> Result<(), Closed> {
        self.known.insert(pod.api_uid.clone(), pod.pod.uid.clone());
        self.tell(PodsEvent::Changed(Box::new(pod))).await
    }

    /// An object is gone. A static pod whose mirror was made anew has another object by now, and is not gone.
    pub(super) async fn gone(&mut self, api_uid: &str) -> Result<(), Closed> {
        match self.known.remove(api_uid) {
            Some(uid) if !self.known.values().any(|other| *other == uid) => self.tell(PodsEvent::Gone(uid)).await,
            _ => Ok(()),
        }
    }

    /// What is wrong with the source, or that it works: told when it is news.
    pub(in super::super) async fn reach(&mut self, trouble: Option<String>) -> Result<(), Closed> {
        if self.trouble == trouble && (self.reached || trouble.is_some()) {
            return Ok(());
        }
        self.reached |= trouble.is_none();
        self.trouble.clone_from(&trouble);
        self.tell(PodsEvent::Reach(trouble)).await
    }

    /// Until nobody listens any more.
    pub(in super::super) async fn closed(&self) -> Closed {
        self.sender.closed().await;
        Closed
    }

    async fn tell(&self, event: PodsEvent) -> Result<(), Closed> {
        self.sender.send(event.into()).await.map_err(|_| Closed)
    }
}
