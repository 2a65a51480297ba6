use super::{Events, Evictions, NodeReport};
use gleaner_model::QosConfig;
use std::sync::Arc;
use tokio::sync::watch;

/// How the event loop tells the cluster something. None of it waits.
pub(crate) struct Links {
    /// The node's name in the cluster.
    pub(crate) node: String,
    /// What the node reports; the newest counts.
    pub(crate) report: watch::Sender<Option<Arc<NodeReport>>>,
    /// How pods are classified, for whoever reads them.
    pub(crate) qos: watch::Sender<QosConfig>,
    /// Events on objects.
    pub(crate) events: Events,
    /// Evictions.
    pub(crate) evictions: Evictions,
}
