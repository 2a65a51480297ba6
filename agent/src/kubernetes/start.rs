//! Starts everything that talks with the cluster.

use super::reporter::{Reporter, withdraw};
use super::{
    Connected, Events, Evictions, Follow, KubernetesSettings, Links, NodeReport, PodsFrom, connect, connect_kubelet,
    follow as follow_configuration, poll_pods, watch_pods,
};
use crate::config::{Config, Mode};
use crate::engine::Event;
use crate::error::AgentError;
use crate::kubelet::{self, FollowKubelet};
use k8s_openapi::jiff;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Everything that talks with the cluster, to be stopped at the end.
pub(crate) struct Cluster {
    connected: Connected,
    settings: super::ReportSettings,
    reporter: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl Cluster {
    /// Finds the cluster and starts what the mode needs of it. Whoever tells of pods sends into the loop, and so does every part whose health changes.
    ///
    /// # Errors
    /// When there is no way to a cluster; a server that is away is none.
    pub(crate) async fn start(config: &Config, hostname: &str, sender: &mpsc::Sender<Event>) -> Result<(Self, Links), AgentError> {
        let connected = connect_in_time(config.kubernetes.clone(), hostname.to_owned()).await?;
        let (qos, qos_now) = watch::channel(config.qos.clone());
        let mut others = Vec::new();
        if matches!(config.mode, Mode::Nri | Mode::Reconcile) {
            others.push(match config.kubernetes.pods_from {
                PodsFrom::Api => tokio::spawn(watch_pods(connected.clone(), qos_now, sender.clone())),
                PodsFrom::Kubelet => {
                    let kubelet = connect_kubelet(&config.kubernetes, &connected.node).await?;
                    tokio::spawn(poll_pods(kubelet, connected.node.clone(), qos_now, sender.clone()))
                }
            });
            let client = Some(connected.client.clone());
            let what = FollowKubelet { client, node: connected.node.clone(), dir: config.kubernetes.kubelet_dir.clone() };
            others.push(tokio::spawn(kubelet::follow(what, sender.clone())));
        }
        let (labels, labels_now) = watch::channel(BTreeMap::new());
        if config.kubernetes.follow_configuration {
            let follow = Follow {
                client: connected.watches.clone(),
                node: connected.node.clone(),
                namespace: config.kubernetes.configuration_namespace.clone(),
                labels: labels_now,
                clock: jiff::Timestamp::now,
            };
            others.push(tokio::spawn(follow_configuration(follow, sender.clone())));
        }
        let (report, reports) = watch::channel::<Option<Arc<NodeReport>>>(None);
        let reporter = config.report.is_on().then(|| {
            let health = sender.clone();
            let reporter = Reporter {
                client: connected.client.clone(),
                watches: connected.watches.clone(),
                node: connected.node.clone(),
                settings: config.report.clone(),
                reports,
                labels: Some(labels),
                health: Arc::new(move |part, problem| tell(&health, part, problem)),
            };
            tokio::spawn(reporter.run())
        });
        let (for_events, for_evictions) = (sender.clone(), sender.clone());
        let events = Events::start(connected.client.clone(), &connected.node, jiff::Timestamp::now, move |problem| {
            tell(&for_events, "events", problem);
        });
        let evictions = Evictions::start(connected.client.clone(), &connected.node, sender.clone(), move |problem| {
            tell(&for_evictions, "evictions", problem);
        });
        let links = Links { node: connected.node.clone(), report, qos, events, evictions };
        Ok((Self { connected, settings: config.report.clone(), reporter, others }, links))
    }

    /// Stops everything, and takes back what was offered. Returns what did not work, a line each.
    pub(crate) async fn stop(self) -> Vec<String> {
        for task in self.others.iter().chain(&self.reporter) {
            task.abort();
        }
        match self.reporter {
            Some(reporter) => {
                // What it was writing must not come after what is written now.
                let _ = reporter.await;
                withdraw(self.connected.client, &self.connected.node, &self.settings).await
            }
            None => Vec::new(),
        }
    }
}

fn tell(sender: &mpsc::Sender<Event>, part: &'static str, problem: Option<String>) {
    // When the queue is full a later change is told.
    let _ = sender.try_send(Event::PartDoes { part: part.into(), problem });
}

/// How long the way to the cluster is looked for: a kubeconfig may name a program that gives credentials, which is run and waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// As [`connect`], on a thread of its own, which is left behind when it takes too long.
async fn connect_in_time(settings: KubernetesSettings, hostname: String) -> Result<Connected, AgentError> {
    let handle = Handle::current();
    let looked = tokio::task::spawn_blocking(move || handle.block_on(connect(&settings, &hostname)));
    match tokio::time::timeout(PATIENCE, looked).await {
        Ok(Ok(connected)) => connected,
        Ok(Err(error)) => Err(AgentError::NoCluster(error.to_string())),
        Err(_) => Err(AgentError::NoCluster(format!("the kubeconfig's program gave no credentials within {} s", PATIENCE.as_secs()))),
    }
}
