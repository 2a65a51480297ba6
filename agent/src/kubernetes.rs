//! The cluster: what the API server tells of this node and its pods, and what this node tells the cluster. Everything here runs as tasks beside the
//! event loop; what they learn arrives there as events, and what is to be told is handed to them as values. Nothing in the loop waits for any of it.

mod ask;
mod client;
mod configuration;
mod events;
mod evictions;
mod fault;
mod kubelet_pods;
mod links;
mod object;
mod pace;
mod pods;
mod record;
mod report;
mod reporter;
#[cfg(test)]
pub(crate) mod scripted;
mod settings;
mod start;
mod stored;

pub(crate) use ask::{Answer, ask};
pub(crate) use client::{Connected, connect, connect_kubelet};
pub(crate) use configuration::{ConfigurationEvent, Follow, Followed, Outcome, PART as CONFIGURATION_PART, follow};
pub(crate) use events::{EventCounts, EventReason, Events, event_of, event_of_outcome};
pub(crate) use evictions::Evictions;
pub(crate) use kubelet_pods::poll_pods;
pub(crate) use links::Links;
pub(crate) use pace::{Clock, backoff, jitter};
pub(crate) use pods::watch_pods;
pub(crate) use record::{ApiPhase, ApiPod, PodsEvent};
pub(crate) use report::{About, EventKind, EventNote, EvictionOrder, EvictionOutcome, Lent, Load, NodeReport, PodHolding};
pub(crate) use reporter::remove;
pub(crate) use settings::{KubernetesSettings, PodsFrom, ReportSettings};
pub(crate) use start::Cluster;
pub(crate) use stored::{PodsFile, load};
