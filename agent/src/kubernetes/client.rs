//! The way to the API server and to the kubelet's own port.
//!
//! A client connects when it is first used, so a server that is away is no error here. kube reads a token file and the certificate authority's file
//! anew about once a minute, so both may be replaced while the agent runs.

use super::fault::chain;
use super::settings::{KubernetesSettings, is_node_name};
use crate::error::AgentError;
use hyper::header::{HeaderValue, USER_AGENT};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
const READ: Duration = Duration::from_secs(30);
/// Servers are asked to end a watch after 290 s: one that is silent for longer has lost its server.
const SILENT: Duration = Duration::from_secs(300);

/// The way to the API server.
#[derive(Clone)]
pub(crate) struct Connected {
    /// For calls: an answer that comes to a halt for 30 s is an error.
    pub(crate) client: Client,
    /// For watches, which may be silent for as long as the server is asked to keep them.
    pub(crate) watches: Client,
    /// This node's name in the cluster.
    pub(crate) node: String,
}

/// Finds the API server and this node's name. To be called inside a tokio runtime.
///
/// # Errors
/// When there is neither a kubeconfig file nor a service account, or one of them cannot be used; when the node's name cannot be one.
pub(crate) async fn connect(settings: &KubernetesSettings, hostname: &str) -> Result<Connected, AgentError> {
    let node = node_name(settings, std::env::var("NODE_NAME").ok(), hostname)?;
    let config = config(settings).await?;
    let mut watching = config.clone();
    watching.read_timeout = Some(SILENT);
    Ok(Connected { client: client(config)?, watches: client(watching)?, node })
}

/// A client for the kubelet's own port, with the credentials for the API server. The certificate is checked against the cluster's authority; on the
/// loopback address, which no certificate names, it must be that of the node.
///
/// # Errors
/// As for [`connect`], and when the URL is wrong.
pub(crate) async fn connect_kubelet(settings: &KubernetesSettings, node: &str) -> Result<Client, AgentError> {
    client(kubelet_config(settings, node).await?)
}

async fn kubelet_config(settings: &KubernetesSettings, node: &str) -> Result<Config, AgentError> {
    let (url, loopback) = settings.kubelet_address().map_err(|e| AgentError::NoCluster(format!("kubernetes.kubeletUrl: {e}")))?;
    let mut config = config(settings).await?;
    if url.scheme_str() == Some("http") {
        // The kubelet's read-only port asks for no token, and whoever listens there must not get one.
        config.auth_info = AuthInfo::default();
    }
    config.cluster_url = url;
    config.proxy_url = None;
    config.tls_server_name = loopback.then(|| node.to_owned());
    // What is said of the API server's certificate says nothing of the kubelet's.
    config.accept_invalid_certs = settings.kubelet_insecure_tls && loopback;
    Ok(config)
}

/// The node's name: as configured, else from the environment, else the host's as kubelet writes it.
fn node_name(settings: &KubernetesSettings, environment: Option<String>, hostname: &str) -> Result<String, AgentError> {
    let configured = (!settings.node_name.is_empty()).then(|| settings.node_name.clone());
    let environment = environment.filter(|name| !name.is_empty());
    let name = configured.or(environment).unwrap_or_else(|| hostname.trim().to_ascii_lowercase());
    if is_node_name(&name) {
        return Ok(name);
    }
    Err(AgentError::NoCluster(format!(
        "{name:?} is not the name of a node; kubernetes.nodeName, NODE_NAME in the environment and the host's name were looked at"
    )))
}

async fn config(settings: &KubernetesSettings) -> Result<Config, AgentError> {
    let file = &settings.kubeconfig;
    let mut config = if file.as_os_str().is_empty() {
        Config::incluster().map_err(|error| {
            AgentError::NoCluster(format!(
                "kubernetes.kubeconfig is empty, and there is no service account: {}; KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT were \
                 looked for in the environment, token, ca.crt and namespace in /var/run/secrets/kubernetes.io/serviceaccount",
                chain(&error)
            ))
        })?
    } else {
        let wrong = |error| AgentError::NoCluster(format!("kubernetes.kubeconfig: {}: {}", file.display(), chain(&error)));
        let kubeconfig = Kubeconfig::read_from(file).map_err(wrong)?;
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(wrong)?
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    config.reset_reader_on_write = true;
    // Each caller knows when to try again: kube would repeat an eviction that a budget forbids.
    config.default_retry = false;
    config.headers.push((USER_AGENT, HeaderValue::from_static(concat!("gleaner/", env!("CARGO_PKG_VERSION")))));
    Ok(config)
}

fn client(config: Config) -> Result<Client, AgentError> {
    let url = config.cluster_url.clone();
    Client::try_from(config).map_err(|error| AgentError::NoCluster(format!("{url}: {}", chain(&error))))
}

#[cfg(test)]
mod tests;
