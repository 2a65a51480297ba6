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
    /// The least time between two writes of one object when what is lent rises, and how long the rise must have lasted.
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

impl ReportSettings {
    /// Everything that is wrong, a line each with the key.
    pub(crate) fn validate(&self) -> Vec<String> {
        const SECOND: Span = Span::from_secs(1);
        const MINUTE: Span = Span::from_secs(60);
        const DAY: Span = Span::from_secs(24 * 3600);
        let mut problems = Vec::new();
        let mut check = |wrong: bool, line: String| problems.extend(wrong.then_some(line));
        check(
            self.threshold > Permille::new(500),
            format!("threshold: {} is above 50%; schedulers would be told next to nothing", self.threshold),
        );
        let (lower, raise, refresh) = (self.lower_after, self.raise_after, self.refresh);
        check(lower < SECOND, format!("lowerAfter: {lower} is less than 1s"));
        check(raise < lower, format!("raiseAfter: {raise} is less than lowerAfter, {lower}"));
        check(refresh < MINUTE || refresh > DAY, format!("refresh: {refresh} is not between 1m and 24h"));
        check(refresh < raise, format!("refresh: {refresh} is less than raiseAfter, {raise}"));
        let (after, over) = (self.load_after, self.load_over_after);
        check(after > over, format!("loadOverAfter: {over} is less than loadAfter, {after}"));
        check(over < SECOND || over > DAY, format!("loadOverAfter: {over} is not between 1s and 24h"));
        problems
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_right() {
        assert_eq!(ReportSettings::default().validate(), Vec::<String>::new());
    }

    #[test]
    fn each_wrong_setting_is_named() {
        let good = ReportSettings::default;
        let cases = [
            (ReportSettings { threshold: Permille::new(501), ..good() }, "threshold:"),
            (ReportSettings { lower_after: Span::from_secs(0), ..good() }, "lowerAfter:"),
            (ReportSettings { raise_after: Span::from_secs(5), ..good() }, "raiseAfter:"),
            (ReportSettings { refresh: Span::from_secs(59), raise_after: Span::from_secs(10), ..good() }, "refresh:"),
            (ReportSettings { refresh: Span::from_secs(100), ..good() }, "refresh:"),
            (ReportSettings { load_over_after: Span::from_secs(5), ..good() }, "loadOverAfter:"),
        ];
        for (settings, key) in cases {
            let problems = settings.validate();
            assert!(problems.len() == 1 && problems.iter().all(|line| line.starts_with(key)), "{key} {problems:?}");
        }
    }
}
