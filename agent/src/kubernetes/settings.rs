use gleaner_model::{Permille, Span};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
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
    /// Whether the kubelet's certificate is not checked; only for a `kubeletUrl` on the loopback address, where nobody else can answer.
    pub(crate) kubelet_insecure_tls: bool,
    /// The kubelet's folder, for its checkpoints and where its configuration cannot be asked for.
    pub(crate) kubelet_dir: PathBuf,
    /// Whether configuration objects of the cluster are followed.
    pub(crate) follow_configuration: bool,
    /// The namespace whose `AdminQoSConfiguration`s count; empty: those of all namespaces.
    pub(crate) configuration_namespace: String,
}

impl KubernetesSettings {
    /// Everything that is wrong, a line each, beginning with the key.
    pub(crate) fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.node_name.is_empty() && !is_node_name(&self.node_name) {
            problems.push(format!("nodeName: {:?} is not the name of a node (small letters, digits, '-' and '.')", self.node_name));
        }
        if !self.kubeconfig.as_os_str().is_empty() && !self.kubeconfig.is_absolute() {
            problems.push(format!("kubeconfig: {} is not an absolute path", self.kubeconfig.display()));
        }
        if !self.kubelet_dir.is_absolute() {
            problems.push(format!("kubeletDir: {:?} is not an absolute path", self.kubelet_dir.display().to_string()));
        }
        match self.kubelet_address() {
            Err(problem) => problems.push(format!("kubeletUrl: {problem}")),
            Ok((_, false)) if self.kubelet_insecure_tls => {
                problems.push(format!("kubeletInsecureTls: is only for a loopback address, not for {}", self.kubelet_url));
            }
            Ok(_) => {}
        }
        problems
    }

    /// Where the kubelet's port is, and whether that is on the loopback address.
    ///
    /// # Errors
    /// When it is no URL, or the token would be sent for all to read.
    pub(super) fn kubelet_address(&self) -> Result<(hyper::Uri, bool), String> {
        let url: hyper::Uri = self.kubelet_url.parse().map_err(|error| format!("{:?}: {error}", self.kubelet_url))?;
        let host = url.host().ok_or_else(|| format!("{url} names no host"))?;
        let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        match url.scheme_str() {
            Some("https") => Ok((url, loopback)),
            Some("http") if loopback => Ok((url, loopback)),
            _ => Err(format!("{url} is not https; http is only for the loopback address")),
        }
    }
}

/// Whether the API server could have a node of this name (RFC 1123, as for `metadata.name`). It also becomes part of a selector.
pub(super) fn is_node_name(name: &str) -> bool {
    let legal = |part: &str| {
        let inner = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        inner && !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(legal)
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
            kubelet_insecure_tls: false,
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

impl ReportSettings {
    /// Whether anything is told.
    pub(crate) fn is_on(&self) -> bool {
        self.node_status || self.custom_node_resource
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

    #[test]
    fn what_is_wrong_is_said_by_its_key() {
        let set = |change: fn(&mut KubernetesSettings)| {
            let mut settings = KubernetesSettings::default();
            change(&mut settings);
            settings.validate().join(" | ")
        };
        assert_eq!(set(|_| ()), "");
        assert_eq!(set(|s| s.kubelet_insecure_tls = true), "");
        assert_eq!(set(|s| s.kubelet_url = "https://[::1]:10250".to_owned()), "");
        assert_eq!(set(|s| s.kubelet_url = "http://localhost:10255".to_owned()), "");
        assert_eq!(set(|s| s.node_name = "node-1.example".to_owned()), "");
        for (found, part) in [
            (set(|s| s.node_name = "a,metadata.name=b".to_owned()), "nodeName: \"a,metadata.name=b\" is not"),
            (set(|s| s.node_name = "Node".to_owned()), "nodeName: \"Node\""),
            (set(|s| s.node_name = "a..b".to_owned()), "nodeName: \"a..b\""),
            (set(|s| s.kubeconfig = PathBuf::from("config")), "kubeconfig: config is not an absolute path"),
            (set(|s| s.kubelet_dir = PathBuf::new()), "kubeletDir: \"\" is not an absolute path"),
            (set(|s| s.kubelet_url = "10250".to_owned()), "kubeletUrl: "),
            (set(|s| s.kubelet_url = "/pods".to_owned()), "kubeletUrl: /pods names no host"),
            (set(|s| s.kubelet_url = "http://node:10255".to_owned()), "kubeletUrl: http://node:10255/ is not https"),
            (
                set(|s| {
                    s.kubelet_url = "https://10.0.0.1:10250".to_owned();
                    s.kubelet_insecure_tls = true;
                }),
                "kubeletInsecureTls: is only for a loopback address",
            ),
        ] {
            assert!(found.contains(part), "{part:?} is not in {found:?}");
        }
    }
}
