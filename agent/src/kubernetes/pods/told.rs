//! What the loop was told of pods, so that it is told what is new and nothing twice.

use super::super::{ApiPod, PodsEvent};
use gleaner_model::PodUid;
use std::collections::{BTreeMap, BTreeSet};
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
    pub(in super::super) async fn listed(&mut self, mut pods: Vec<ApiPod>) -> Result<(), Closed> {
        let ordinary: BTreeSet<PodUid> = pods.iter().filter(|pod| !pod.is_static).map(|pod| pod.pod.uid.clone()).collect();
        let mut taken = BTreeSet::new();
        pods.retain(|pod| {
            let free = !(pod.is_static && ordinary.contains(&pod.pod.uid)) && taken.insert(pod.pod.uid.clone());
            if !free {
                pass_over(pod);
            }
            free
        });
        self.known = pods.iter().map(|pod| (pod.api_uid.clone(), pod.pod.uid.clone())).collect();
        self.tell(PodsEvent::Listed(pods)).await
    }

    /// One pod as it is now.
    pub(super) async fn changed(&mut self, pod: ApiPod) -> Result<(), Closed> {
        let other = self.known.iter().any(|(object, uid)| *uid == pod.pod.uid && *object != pod.api_uid);
        if other {
            pass_over(&pod);
            return Ok(());
        }
        self.known.insert(pod.api_uid.clone(), pod.pod.uid.clone());
        self.tell(PodsEvent::Changed(Box::new(pod))).await
    }

    /// An object is gone.
    pub(super) async fn gone(&mut self, api_uid: &str) -> Result<(), Closed> {
        match self.known.remove(api_uid) {
            Some(uid) => self.tell(PodsEvent::Gone(uid)).await,
            None => Ok(()),
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

/// Whoever may create pods can write the annotations of a mirror, and so claim another pod's cgroup for an object with a class of their choice. So
/// the object that stood for a pod first goes on doing so.
fn pass_over(pod: &ApiPod) {
    tracing::warn!(pod = %pod.pod.name, uid = %pod.pod.uid, "an object is passed over: another one stands for a pod of this uid");
}
