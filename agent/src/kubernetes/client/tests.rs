#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use super::*;
use std::io::Write;
use std::path::PathBuf;

const TOKEN: &str = "very-secret";

fn named(node_name: &str) -> KubernetesSettings {
    KubernetesSettings { node_name: node_name.to_owned(), ..KubernetesSettings::default() }
}

#[test]
fn the_node_is_named_by_the_settings_then_the_environment_then_the_host() {
    for (settings, environment, expected) in
        [("a", Some("b"), "a"), ("", Some("b"), "b"), ("", Some(""), "host.example"), ("", None, "host.example")]
    {
        let name = node_name(&named(settings), environment.map(str::to_owned), " Host.example\n").unwrap();
        assert_eq!(name, expected, "{settings:?} {environment:?}");
    }
    let error = node_name(&named(""), Some("a,b".to_owned()), "host").unwrap_err().to_string();
    assert!(error.contains("\"a,b\" is not the name of a node"), "{error}");
}

fn settings(dir: &tempfile::TempDir, kubeconfig: &str) -> KubernetesSettings {
    let file = dir.path().join("config");
    std::fs::File::create(&file).unwrap().write_all(kubeconfig.as_bytes()).unwrap();
    KubernetesSettings { kubeconfig: file, node_name: "node-1".to_owned(), ..KubernetesSettings::default() }
}

fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: k, user: u}}}}], \
         clusters: [{{name: k, cluster: {{server: \"{server}\"}}}}], users: [{{name: u, user: {user}}}]}}"
    )
}

#[tokio::test]
async fn an_api_server_that_is_away_is_no_error_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir, &kubeconfig("https://127.0.0.1:1", &format!("{{token: {TOKEN}}}")));
    let connected = connect(&settings, "host").await.unwrap();
    assert_eq!(connected.node, "node-1");
    let error = super::super::fault::cause(&connected.client.apiserver_version().await.unwrap_err());
    assert!(error.contains("refused") && !error.contains(TOKEN), "{error}");
    let config = config(&settings).await.unwrap();
    assert_eq!((config.connect_timeout, config.read_timeout, config.default_retry), (Some(CONNECT), Some(READ), false));
    assert_eq!(config.headers.first().unwrap().1, concat!("gleaner/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_named_with_the_cause_and_without_the_token() {
    let user = format!("{{token: {TOKEN}}}");
    for (content, part) in [
        ("a: [".to_owned(), "parse kubeconfig YAML"),
        (kubeconfig("https://h", &user).replace("current-context: c", "current-context: d"), "context: d"),
        (kubeconfig("::", &user), "parse cluster url"),
        (kubeconfig("https://h", "{tokenFile: /no/such/token}"), "/no/such/token"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(&dir, &content);
        let error = connect(&settings, "host").await.err().unwrap().to_string();
        assert!(error.starts_with("no way to the cluster: ") && error.contains(part), "{part:?} is not in {error:?}");
        assert!(!error.contains(TOKEN), "{error}");
    }
    let missing = KubernetesSettings { kubeconfig: PathBuf::from("/no/such/kubeconfig"), ..named("n") };
    let error = connect(&missing, "host").await.err().unwrap().to_string();
    assert!(error.contains("kubernetes.kubeconfig: /no/such/kubeconfig: ") && error.contains("No such file"), "{error}");
}

#[tokio::test]
async fn what_was_looked_for_is_said_where_there_is_neither_kubeconfig_nor_service_account() {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        eprintln!("SKIP what_was_looked_for_is_said_where_there_is_neither_kubeconfig_nor_service_account: this is a pod of a cluster");
        return;
    }
    let error = connect(&named("n"), "host").await.err().unwrap().to_string();
    for part in ["kubernetes.kubeconfig is empty", "KUBERNETES_SERVICE_HOST", "/var/run/secrets/kubernetes.io/serviceaccount"] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[tokio::test]
async fn the_kubelet_gets_the_token_and_trust_that_its_address_allows() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir, &kubeconfig("https://10.0.0.1", &format!("{{token: {TOKEN}}}")));
    for (url, insecure, name, accepts, token) in [
        ("https://127.0.0.1:10250", false, Some("node-1"), false, true),
        ("https://127.0.0.1:10250", true, Some("node-1"), true, true),
        ("https://node.example:10250", false, None, false, true),
        ("https://node.example:10250", true, None, false, true),
        ("http://127.0.0.1:10255", false, Some("node-1"), false, false),
    ] {
        let settings = KubernetesSettings { kubelet_url: url.to_owned(), kubelet_insecure_tls: insecure, ..settings.clone() };
        let config = kubelet_config(&settings, "node-1").await.unwrap();
        let found = (config.tls_server_name.as_deref(), config.accept_invalid_certs, config.auth_info.token.is_some());
        assert_eq!(found, (name, accepts, token), "{url}, insecure: {insecure}");
        assert!(connect_kubelet(&settings, "node-1").await.is_ok());
    }
    let plain = KubernetesSettings { kubelet_url: "http://10.0.0.2:10255".to_owned(), ..settings };
    let error = connect_kubelet(&plain, "node-1").await.err().unwrap().to_string();
    assert!(error.contains("kubernetes.kubeletUrl: http://10.0.0.2:10255/ is not https"), "{error}");
}
