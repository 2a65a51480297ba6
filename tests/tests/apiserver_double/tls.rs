use super::follow::Follower;
use super::{code, pod};
use gleaner_tests::apiserver::{ApiServer, Cut, Effect, PODS, Push, Rule, Served};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Api, Client, Config};
use serde_json::json;
use std::net::TcpStream;

async fn client(served: &Served, user: Option<&str>) -> Client {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    user.map_or_else(|| served.kubeconfig(&path), |user| served.kubeconfig_with(&path, user));
    let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(&path).unwrap(), &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn a_client_with_the_kubeconfig_is_let_in_and_another_is_not() {
    let server = ApiServer::new();
    server.add_node("n1", &[]);
    let served = server.serve();
    let api: Api<Node> = Api::all(client(&served, None).await);
    let change = Patch::Merge(json!({"status": {"allocatable": {"example.org/x": "2000"}}}));
    let node = api.patch_status("n1", &PatchParams::default(), &change).await.unwrap();
    assert_eq!("2k", node.status.unwrap().allocatable.unwrap()["example.org/x"].0);
    let stranger: Api<Node> = Api::all(client(&served, Some("token: wrong")).await);
    assert_eq!(401, code(stranger.get("n1").await));
    let nobody: Api<Node> = Api::all(client(&served, Some("{}")).await);
    assert_eq!(401, code(nobody.get("n1").await));
    let codes: Vec<_> = server.requests().iter().map(|seen| seen.code).collect();
    assert_eq!(vec![Some(200), Some(401), Some(401)], codes);
    served.rotate("another");
    assert_eq!(401, code(api.get("n1").await));
    let again: Api<Node> = Api::all(client(&served, None).await);
    again.get("n1").await.unwrap();
    server.assert_clean();
}

#[tokio::test]
async fn a_client_that_does_not_know_the_certificate_goes_away() {
    let (one, other) = (ApiServer::new().serve(), ApiServer::new().serve());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    other.kubeconfig(&path);
    let mut kubeconfig = Kubeconfig::read_from(&path).unwrap();
    kubeconfig.clusters[0].cluster.as_mut().unwrap().server = Some(one.url());
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let api: Api<Node> = Api::all(Client::try_from(config).unwrap());
    let refused = api.list(&ListParams::default()).await;
    assert!(matches!(refused, Err(ref e) if !matches!(e, kube::Error::Api(_))), "{refused:?}");
}

#[tokio::test]
async fn a_watcher_comes_through_cuts_and_an_absence() {
    let server = ApiServer::new();
    (0..5).for_each(|at| drop(server.add_pod(pod(&format!("p{at}")))));
    let served = server.serve();
    let follower = Follower::start(client(&served, None).await, watcher::Config::default().page_size(2));
    follower.agrees(&server, PODS).await;
    for cut in [Cut::Clean, Cut::Abrupt, Cut::MidLine] {
        server.push(Push::Cut(cut));
        server.add_pod(pod(&format!("{cut:?}").to_lowercase()));
        follower.agrees(&server, PODS).await;
    }
    assert_eq!(1, follower.relists(), "{:?}", follower.errors());
    served.go_away();
    assert!(TcpStream::connect(served.address()).is_err(), "nobody listens");
    server.add_pod(pod("late"));
    server.delete(PODS, "default", "p0");
    served.come_back();
    follower.agrees(&server, PODS).await;
    server.compact();
    server.push(Push::Gone);
    server.add_pod(pod("later"));
    follower.agrees(&server, PODS).await;
    server.assert_clean();
}

#[tokio::test]
async fn kube_asks_again_by_itself_after_some_refusals() {
    let server = ApiServer::new();
    server.add_pod(pod("a"));
    let served = server.serve();
    let api: Api<Pod> = Api::namespaced(client(&served, None).await, "default");
    server.inject(Rule::next(1, Effect::Answer(503)));
    api.get("a").await.unwrap();
    server.inject(Rule::next(1, Effect::HangUp));
    assert!(api.get("a").await.is_err(), "a lost connection is told");
    server.inject(Rule::next(1, Effect::Answer(500)));
    assert_eq!(500, code(api.get("a").await));
    let codes: Vec<_> = server.requests().iter().map(|seen| seen.code).collect();
    assert_eq!(vec![Some(503), Some(200), None, Some(500)], codes);
}

#[test]
fn a_server_stops_with_its_handle_and_needs_no_runtime() {
    let server = ApiServer::new();
    let served = server.serve();
    let address = served.address();
    assert!(TcpStream::connect(address).is_ok());
    drop(served);
    assert!(TcpStream::connect(address).is_err());
    server.add_node("n1", &[]);
    assert_eq!("n1", server.until("the node is there", |server| server.all(gleaner_tests::apiserver::NODES).pop())["metadata"]["name"]);
}
