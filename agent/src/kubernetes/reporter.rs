//! Tells the cluster what this node lends and how the agent does: extended resources, conditions and a taint on the Node, and a CustomNodeResource.
//!
//! What should be said is made by pure functions ([`cnr`], [`node_status`]), and so is the decision when ([`pacer`], [`load`]). Around them run two
//! loops, one for each object, as one task: none waits for the other, and nothing waits for them. [`leave`] is for the end.

mod allocations;
mod calls;
mod cnr;
mod cnr_gap;
mod cnr_task;
mod faults;
mod leave;
mod load;
mod node_status;
mod node_task;
mod node_view;
mod offer;
mod pacer;
mod saying;
mod shell;
mod zones;

use crate::kubernetes::{NodeReport, ReportSettings};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

pub(crate) use leave::{remove, withdraw};
pub(crate) use shell::HealthLine;

/// The health line of what is written to the Node.
pub(crate) const NODE_PART: &str = "report, node status";
/// The health line of the CustomNodeResource.
pub(crate) const CNR_PART: &str = "report, custom node resource";

/// All that reporting needs.
pub(crate) struct Reporter {
    /// The API server.
    pub(crate) client: kube::Client,
    /// The same for a watch, which may be silent for long.
    pub(crate) watches: kube::Client,
    /// The node's name in the cluster.
    pub(crate) node: String,
    /// What is told, and how often at most.
    pub(crate) settings: ReportSettings,
    /// The newest report. `None` until there is a first one: what an earlier agent told stays until then. A report that lends `None` takes it back.
    pub(crate) reports: watch::Receiver<Option<Arc<NodeReport>>>,
    /// Where the Node's labels go, for whoever selects by them.
    pub(crate) labels: Option<watch::Sender<BTreeMap<String, String>>>,
    /// Called when a part begins to fail, fails otherwise, or works again.
    pub(crate) health: HealthLine,
}

impl Reporter {
    /// Reports until the sender of reports is gone. To be stopped by dropping it; [`withdraw`] comes after that.
    pub(crate) async fn run(self) {
        let (owner, owners) = watch::channel(None);
        let shared = shell::Shared {
            node: self.node,
            settings: self.settings,
            reports: self.reports,
            clock: shell::Clock::start(),
            wall: k8s_openapi::jiff::Timestamp::now,
        };
        let whole = shared.settings.custom_node_resource;
        let cnr = cnr_task::CnrTask::new(self.client.clone(), shared.clone(), owners, shell::Line::new(CNR_PART, self.health.clone()));
        let told = node_task::Told { owner, labels: self.labels };
        let node = node_task::NodeTask::new(self.client, self.watches, shared, told, shell::Line::new(NODE_PART, self.health));
        if whole {
            // Boxed: each holds the futures of all its calls.
            tokio::join!(Box::pin(node.run()), Box::pin(cnr.run()));
        } else {
            Box::pin(node.run()).await;
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
