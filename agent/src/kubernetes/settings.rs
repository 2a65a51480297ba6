use gleaner_model::{Permille, Span};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The section `kubernetes`: how the API server is reached and what comes from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct KubernetesSettings {
    /// A kubeconfig file; empty: the service account of the pod that the agent runs in.
    pub(crate) kubeconfig: PathBuf,
    /// The node's name in the cluster; empty: `NODE_NAME` of the environment, else the host's name.
    pub(crate) node_name: String,
    /// Where pods come from.
    pub(crate) pods_from: PodsFrom,
    /// The kubelet's own port, for `podsFrom: kubelet` and for its configuration.
    pub(crate) kubelet_url: String,
    /// The kubelet's folder, for its checkpoints and where its configuration cannot be asked for.
    pub(crate) kubelet_dir: PathBuf,
    /// Whether configuration objects of the cluster are followed.
    pub(crate) follow_configuration: bool,
    /// The namespace whose `AdminQoSConfiguration`s count; empty: those of all namespaces.
    pub(crate) configuration_namespace: String,
}

/// Where the pods of this node come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PodsFrom {
    /// A watch of the API server.
    #[default]
    Api,
    /// The kubelet's `/pods`, asked again and again.
    Kubelet,
}

impl Default for KubernetesSettings {
    fn default() -> Self {
        Self {
            kubeconfig: PathBuf::new(),
            node_name: String::new(),
            pods_from: PodsFrom::Api,
            kubelet_url: "https://127.0.0.1:10250".to_owned(),
            kubelet_dir: PathBuf::from("/var/lib/kubelet"),
            follow_configuration: true,
            configuration_namespace: String::new(),
        }
    }
}

/// The section `report`: what is told to the cluster, and how often at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ReportSettings {
    /// Whether reclaimed resources are written into the status of the Node, where the default scheduler finds them.
    pub(crate) node_status: bool,
    /// Whether a CustomNodeResource is written, where Katalyst's scheduler finds it.
    pub(crate) custom_node_resource: bool,
    /// A change of what is lent below this share of what was told last, is not told before the refresh.
    pub(crate) threshold: Permille,
    /// The least time between two writes of one object when what is lent falls.
    pub(crate) lower_after: Span,
    /// The least time between two writes of one object when what is lent rises.
    pub(crate) raise_after: Span,
    /// An object is written after this time even if nothing changed; each node adds up to a fifth of it.
    pub(crate) refresh: Span,
    /// Whether what is lent is withdrawn when the agent is told to stop.
    pub(crate) withdraw_on_stop: bool,
    /// How long a load lasts before the node tells of it, and how long it must be over before it is taken back.
    pub(crate) load_after: Span,
    /// See `load_after`.
    pub(crate) load_over_after: Span,
    /// Whether the Node gets a taint while it is loaded; it holds for all pods that do not tolerate it. The CustomNodeResource gets one for reclaimed
    /// pods in any case.
    pub(crate) node_taint: bool,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self {
            node_status: true,
            custom_node_resource: true,
            threshold: Permille::new(50),
            lower_after: Span::from_secs(10),
            raise_after: Span::from_secs(120),
            refresh: Span::from_secs(600),
            withdraw_on_stop: true,
            load_after: Span::from_secs(10),
            load_over_after: Span::from_secs(120),
            node_taint: false,
        }
    }
}
