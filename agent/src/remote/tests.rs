#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::*;
use crate::manifest::{PodSpecification, read_folder};
use gleaner_crds::resourceplugin::RegisterRequest;
use gleaner_crds::resourceplugin::registration_client::RegistrationClient;
use gleaner_host::clock;
use gleaner_model::{QosConfig, Span};
use gleaner_qrm_plugins::ContainerType;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::transport::Endpoint;

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: p, uid: p, labels: {app: x}, annotations: {a/b: c}}
spec:
  initContainers:
  - {name: first, command: [x]}
  - {name: beside, command: [x], restartPolicy: Always, resources: {limits: {example.com/fpga: 1}}}
  containers:
  - {name: main, command: [x], resources: {limits: {cpu: 1, example.com/fpga: 2}}}
"#;

fn pod(text: &str) -> Arc<PodSpecification> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::File::create(dir.path().join("p.yaml")).and_then(|mut f| std::io::Write::write_all(&mut f, text.as_bytes())).unwrap();
    read_folder(dir.path(), &QosConfig::default()).unwrap().remove(0).pod.unwrap()
}

/// A merge that leaves every choice to the plugins.
fn anywhere(_: &Offers) -> Result<Chosen, String> {
    Ok(Chosen::new())
}

fn settings(dir: &Path) -> RemoteSettings {
    RemoteSettings { registry_dir: dir.to_owned(), deadline: Span::new(Duration::from_millis(100)) }
}

#[test]
fn what_a_pod_wants_is_told_as_kubelet_tells_it() {
    let wanting = wanting::of(&pod(POD), true).unwrap();
    let told: Vec<String> =
        wanting.containers.iter().map(|c| format!("{} {:?} {} {:?}", c.container, c.kind, c.index, c.amounts.values())).collect();
    assert_eq!(told, ["first Init 0 []", "beside Sidecar 1 [ResourceCount(1)]", "main Main 0 [ResourceCount(2)]"]);
    assert_eq!((wanting.pod.labels["app"].as_str(), wanting.pod.annotations["a/b"].as_str(), wanting.running), ("x", "c", true));
    assert_eq!(wanting.containers[2].kind, ContainerType::Main);
    assert_eq!(wanting::of(&pod(&POD.replace("example.com/fpga", "kubernetes.io/other")), false), None);
}

#[test]
fn without_a_registry_a_pod_that_wants_something_is_told_what_is_missing() {
    let mut plugins = RemotePlugins::new(&RemoteSettings::default());
    let (spec, now) = (pod(POD), clock::now());
    plugins.tick([(spec.as_ref(), false)], now);
    let why = plugins.admit(&spec.pod.uid, anywhere, now).unwrap_err();
    assert_eq!(why, "resource example.com/fpga: its plugin is not registered, and cannot be, since plugins.registryDir is empty");
    assert_eq!(plugins.admit(&"other".parse().unwrap(), anywhere, now), Ok(()), "who wants nothing is not held up");
    assert_eq!(plugins.envs(&spec.pod.uid, &"main".parse().unwrap()), None, "a container that would lack its variables cannot start");
    assert_eq!(plugins.envs(&spec.pod.uid, &"first".parse().unwrap()), Some(BTreeMap::new()));
}

#[test]
fn settings_are_checked() {
    assert_eq!(RemoteSettings::default().validate(), Vec::<String>::new());
    let wrong = RemoteSettings { registry_dir: "a".into(), deadline: Span::default() };
    assert_eq!(wrong.validate(), ["registryDir: a is not an absolute path", "deadline: 0s is not between 10ms and 60s"]);
}

#[tokio::test]
async fn a_plugin_that_registers_and_does_not_answer_is_told_of_and_nobody_waits() {
    let dir = tempfile::tempdir().unwrap();
    let _deaf = std::os::unix::net::UnixListener::bind(dir.path().join("deaf.sock")).unwrap();
    let (events, mut happened) = mpsc::channel::<RemoteEvent>(4);
    let registry = serve(&settings(dir.path()), events).unwrap();
    assert!(matches!(happened.recv().await.unwrap(), RemoteEvent::Registry(None)), "it works");
    let uri = format!("unix://{}", dir.path().join("kubelet.sock").display());
    let channel = Endpoint::from_shared(uri).unwrap().connect().await.unwrap();
    let (version, endpoint, resource_name) = ("v1alpha1".to_owned(), "deaf.sock".to_owned(), "example.com/fpga".to_owned());
    RegistrationClient::new(channel).register(RegisterRequest { version, endpoint, resource_name, options: None }).await.unwrap();
    let (mut plugins, spec) = (RemotePlugins::new(&settings(dir.path())), pod(POD));
    plugins.tick([(spec.as_ref(), false)], clock::now());
    for _ in 0..2 {
        let RemoteEvent::Plugin(event) = happened.recv().await.unwrap() else { panic!("the registry works") };
        assert!(!plugins.happened(event, clock::now()), "no pod comes closer to its admission");
    }
    let why = plugins.admit(&spec.pod.uid, anywhere, clock::now()).unwrap_err();
    assert_eq!(why, "resource example.com/fpga: its plugin does not answer since 0 s: no answer within 100ms");
    let health = plugins.health(clock::now());
    assert_eq!(health[0].0, "plugin example.com/fpga");
    assert!(health[0].1.is_some());
    let main: ContainerName = "main".parse().unwrap();
    assert_eq!(plugins.envs(&spec.pod.uid, &main), None);
    plugins.tick([], clock::now());
    assert_eq!(plugins.envs(&spec.pod.uid, &main), Some(BTreeMap::new()), "a pod that is gone wants nothing");
    registry.stop().await;
    assert!(!dir.path().join("kubelet.sock").exists());
}
