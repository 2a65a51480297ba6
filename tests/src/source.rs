//! Where the agent of a test has its pods from, and what it must be told for that.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The node's name in a cluster.
pub const NODE: &str = "node-1";

/// Where the agent's pods come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The folder of manifests.
    Manifests,
    /// An enhanced kubelet.
    Kubelet,
    /// A container runtime whose plugins' socket this is, and the API server of a kubeconfig in the node's folder, if there is one.
    Runtime(PathBuf),
    /// That API server alone.
    Cluster,
}

impl Source {
    /// The lines of the configuration, for a node in this folder.
    pub(crate) fn configuration(&self, dir: &Path) -> String {
        let path = |name: &str| dir.join(name).display().to_string();
        let cluster = || format!("kubernetes: {{kubeconfig: {}, nodeName: {NODE}, kubeletDir: {}}}\n", path("kubeconfig"), path("kubelet"));
        match self {
            Self::Manifests => String::new(),
            Self::Kubelet => format!("qrm: {{socketDir: {}, podResourcesDir: {}}}\n", path("plugins"), path("lists")),
            Self::Runtime(socket) => format!("{}nri: {{socket: {}}}\n", cluster(), socket.display()),
            Self::Cluster => cluster(),
        }
    }

    /// The flags of the agent.
    pub(crate) fn flags(&self, dir: &Path) -> Vec<OsString> {
        match self {
            Self::Manifests => vec!["--standalone".into(), "--manifests".into(), dir.join("manifests").into()],
            Self::Kubelet => vec!["--qrm".into()],
            Self::Runtime(_) => vec!["--nri".into()],
            Self::Cluster => vec!["--reconcile".into()],
        }
    }
}
