//! Servers on real sockets, before a decider that is played.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr, reason = "tests")]

mod calls;
mod load;
mod looked_after;
mod raw;

use super::*;
use crate::{
    Allocatable, Allocation, Allocations, Amount, ContainerAllocation, Hint, Hints, OciProperty, PodIdentity, Refusal, Request, Rule, Told,
};
use gleaner_crds::podresources::pod_resources_lister_client::PodResourcesListerClient;
use gleaner_crds::resourceplugin::ResourceRequest;
use gleaner_crds::resourceplugin::resource_plugin_client::ResourcePluginClient;
use gleaner_model::{ContainerName, KubeQos, NumaId, PodName, PodUid, QosClass};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tonic::transport::{Channel, Endpoint};

const RESOURCE: &str = "cpu";
const SOCKET: &str = "qrm_x.sock";
const OPTIONS: PluginOptions = PluginOptions { with_topology_alignment: true, need_reconcile: true };

/// Answers at once, unless the pod's name says otherwise.
struct Played {
    /// What the watcher told.
    registrations: Mutex<Vec<(String, Option<String>)>>,
    removed: Mutex<Vec<PodUid>>,
    /// Pods called `slow` wait for one of these.
    turns: Semaphore,
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
}

impl Played {
    fn new() -> Arc<Self> {
        let turns = Semaphore::new(0);
        let (waiting, most_waiting) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { registrations: Mutex::default(), removed: Mutex::default(), turns, waiting, most_waiting })
    }

    async fn decide(&self, pod: &str) -> Result<(), Denied> {
        match pod {
            "refused" => Err(Refusal::by(Rule::Capacity, "2 asked, 1 free").into()),
            "senseless" => Err(Refusal::by(Rule::BadRequest, "numa_ids: 9 is no node").into()),
            "nobody" => Err(Denied::Unavailable("the loop hangs".to_owned())),
            "slow" => {
                let waiting = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
                self.most_waiting.fetch_max(waiting, Ordering::SeqCst);
                let _gone = Gone(&self.waiting);
                self.turns.acquire().await.unwrap().forget();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Counts a caller out, whether it was answered or dropped.
struct Gone<'a>(&'a AtomicUsize);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn allocation() -> ContainerAllocation {
    let given = Allocation {
        oci_property: Some(OciProperty::CpusetCpus),
        quantity: Amount::new(2.0).unwrap(),
        result: "0-1".to_owned(),
        hint: Some(Hint::on("0".parse().unwrap(), true)),
        by_node: BTreeMap::from([(NumaId::new(0), Amount::new(2.0).unwrap())]),
        envs: BTreeMap::new(),
        annotations: BTreeMap::new(),
    };
    BTreeMap::from([(RESOURCE.to_owned(), given)])
}

fn name() -> PodName {
    PodName { namespace: "space".to_owned(), name: "pod".to_owned() }
}

#[tonic::async_trait]
impl Decider for Played {
    async fn hints(&self, resource: &str, request: Request) -> Result<Told<Hints>, Denied> {
        assert_eq!(resource, RESOURCE);
        self.decide(&request.pod.name.name).await?;
        Ok(Told { class: QosClass::Shared, answer: Hints::List(vec![Hint::on("0".parse().unwrap(), true)]) })
    }

    async fn allocate(&self, resource: &str, request: Request) -> Result<Told<ContainerAllocation>, Denied> {
        assert_eq!(resource, RESOURCE);
        self.decide(&request.pod.name.name).await?;
        Ok(Told { class: QosClass::Shared, answer: allocation() })
    }

    async fn remove_pod(&self, _: &str, pod: PodUid) -> Result<(), Denied> {
        self.removed.lock().unwrap().push(pod);
        Ok(())
    }

    async fn allocations(&self, _: &str) -> Result<Allocations, Denied> {
        let containers = BTreeMap::from([("main".parse().unwrap(), allocation())]);
        Ok(BTreeMap::from([("uid-1".parse().unwrap(), containers)]))
    }

    async fn container(&self, _: &str, pod: PodUid, container: ContainerName) -> Result<Option<(PodName, ContainerAllocation)>, Denied> {
        Ok((pod.as_str() == "uid-1" && container.as_str() == "main").then(|| (name(), allocation())))
    }

    async fn allocatable(&self, resource: &str) -> Result<Allocatable, Denied> {
        let amount = if resource == "memory" { 4096.0 } else { 8.0 };
        let all = BTreeMap::from([(NumaId::new(0), Amount::new(amount).unwrap())]);
        Ok(Allocatable { capacity: all.clone(), allocatable: all })
    }

    async fn pods(&self) -> Result<Vec<PodHoldings>, Denied> {
        let pod = PodIdentity {
            uid: "uid-1".parse().unwrap(),
            name: name(),
            role: String::new(),
            kind: String::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            kube_qos: KubeQos::Burstable,
        };
        let held = ContainerHoldings { exclusive: true, given: allocation() };
        Ok(vec![PodHoldings { pod, containers: BTreeMap::from([("main".parse().unwrap(), held)]) }])
    }

    fn registration(&self, resource: &str, problem: Option<String>) {
        self.registrations.lock().unwrap().push((resource.to_owned(), problem));
    }
}

/// A served plugin, its decider, and the folder that everything is in.
struct Stage {
    serving: Serving,
    played: Arc<Played>,
    path: PathBuf,
    folder: TempDir,
}

/// Looks after the socket often, so that nobody waits long for it.
fn bounds() -> Bounds {
    Bounds { look: Duration::from_millis(20), ..Bounds::default() }
}

async fn stage(bounds: Bounds) -> Stage {
    let folder = TempDir::new().unwrap();
    let played = Played::new();
    let decider: Arc<dyn Decider> = Arc::clone(&played) as _;
    // One folder below, which can be wiped and removed.
    let inner = folder.path().join("plugins");
    let serving = serve_within(bounds, &inner, SOCKET, RESOURCE, OPTIONS, decider).await.unwrap();
    Stage { path: serving.path().to_owned(), serving, played, folder }
}

async fn channel(path: &Path) -> Channel {
    let endpoint = Endpoint::try_from(format!("unix://{}", path.display())).unwrap();
    endpoint.connect().await.unwrap()
}

async fn client(path: &Path) -> ResourcePluginClient<Channel> {
    ResourcePluginClient::new(channel(path).await)
}

/// A request of the pod with this name.
fn asked(pod: &str) -> ResourceRequest {
    ResourceRequest {
        pod_uid: "uid-1".to_owned(),
        pod_namespace: "space".to_owned(),
        pod_name: pod.to_owned(),
        container_name: "main".to_owned(),
        container_type: 1,
        resource_name: RESOURCE.to_owned(),
        resource_requests: BTreeMap::from([(RESOURCE.to_owned(), 2.0)]),
        ..Default::default()
    }
}

/// Waits until it holds, for as long as a busy machine may take.
async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let held = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), held).await.is_ok(), "never: {what}");
}

/// Whether a new caller is answered there.
async fn answers(path: &Path) -> bool {
    let endpoint = Endpoint::try_from(format!("unix://{}", path.display())).unwrap();
    let Ok(channel) = endpoint.connect().await else { return false };
    ResourcePluginClient::new(channel).get_topology_hints(asked("pod")).await.is_ok()
}
