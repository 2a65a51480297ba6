use super::{Events, Evictions, NodeReport};
use std::sync::Arc;
use tokio::sync::watch;

/// How the event loop tells the cluster something. None of it waits.
pub(crate) struct Links {
    /// What the node reports; the newest counts.
    pub(crate) report: watch::Sender<Option<Arc<NodeReport>>>,
    /// Events on objects.
    pub(crate) events: Events,
    /// Evictions.
    pub(crate) evictions: Evictions,
}
