//! The cluster: what the API server tells of this node and its pods, and what this node tells the cluster. Everything here runs as tasks beside the
//! event loop; what they learn arrives there as events, and what is to be told is handed to them as values. Nothing in the loop waits for any of it.
#![allow(dead_code, unused_imports, reason = "wired up piece by piece")]

mod configuration;
mod record;
mod report;
mod settings;

pub(crate) use configuration::{Chosen, ConfigurationEvent, Follow, Followed, Outcome, PART as CONFIGURATION_PART, follow};
pub(crate) use record::{ApiPhase, ApiPod, PodsEvent};
pub(crate) use report::{About, EventKind, EventNote, EvictionOrder, EvictionOutcome, Lent, Load, NodeReport, PodHolding};
pub(crate) use settings::{KubernetesSettings, ReportSettings};
