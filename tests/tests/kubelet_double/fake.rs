//! A resource plugin that does as it is told and writes down what it is asked.

use gleaner_crds::pluginregistration::registration_server::{Registration, RegistrationServer};
use gleaner_crds::pluginregistration::{InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse};
use gleaner_crds::resourceplugin::resource_plugin_server::{ResourcePlugin, ResourcePluginServer};
use gleaner_crds::resourceplugin::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;
use tonic::codegen::tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, Status};

/// What a plugin was asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Info,
    Verdict(RegistrationStatus),
    Options,
    Hints(ResourceRequest),
    Allocate(ResourceRequest),
    All,
    Remove(String),
}

/// Calls of one plugin or several, with the plugin's resource.
pub(crate) type Journal = Arc<Mutex<Vec<(String, Call)>>>;

/// How a plugin behaves.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) info: PluginInfo,
    pub(crate) options: ResourcePluginOptions,
    /// An empty list is "no preference".
    pub(crate) hints: Vec<TopologyHint>,
    pub(crate) allocation: ResourceAllocationInfo,
    /// Methods that fail.
    pub(crate) failing: BTreeMap<&'static str, (Code, &'static str)>,
    /// A method that never answers.
    pub(crate) hanging: Option<&'static str>,
    pub(crate) twist_hints: fn(&mut ResourceHintsResponse),
    pub(crate) twist_allocation: fn(&mut ResourceAllocationResponse),
    /// What it holds: pod, container, allocation.
    pub(crate) held: BTreeMap<String, BTreeMap<String, ResourceAllocationInfo>>,
}

/// An allocation with this property, text and quantity.
pub(crate) fn given(property: &str, text: &str, quantity: f64) -> ResourceAllocationInfo {
    let (oci_property_name, allocation_result) = (property.to_owned(), text.to_owned());
    ResourceAllocationInfo { oci_property_name, allocation_result, allocated_quantity: quantity, ..Default::default() }
}

impl Plan {
    fn of(resource: &str, allocation: ResourceAllocationInfo) -> Self {
        Self {
            info: PluginInfo {
                r#type: "ResourcePlugin".to_owned(),
                name: resource.to_owned(),
                endpoint: String::new(),
                supported_versions: vec!["v1alpha1".to_owned()],
            },
            options: ResourcePluginOptions { with_topology_alignment: true, need_reconcile: true, ..Default::default() },
            hints: vec![],
            allocation,
            failing: BTreeMap::new(),
            hanging: None,
            twist_hints: |_| {},
            twist_allocation: |_| {},
            held: BTreeMap::new(),
        }
    }

    pub(crate) fn cpu() -> Self {
        Self::of("cpu", given("CpusetCpus", "0-1", 2.0))
    }

    pub(crate) fn memory() -> Self {
        Self::of("memory", given("CpusetMems", "0", 1e9))
    }
}

#[derive(Debug, Clone)]
struct Service {
    plan: Arc<Mutex<Plan>>,
    journal: Journal,
}

impl Service {
    /// Writes the call down, and fails or hangs when told to.
    async fn enter(&self, method: &'static str, call: Call) -> Result<Plan, Status> {
        let plan = self.plan.lock().unwrap().clone();
        self.journal.lock().unwrap().push((plan.info.name.clone(), call));
        if plan.hanging == Some(method) {
            std::future::pending::<()>().await;
        }
        match plan.failing.get(method) {
            Some((code, message)) => Err(Status::new(*code, *message)),
            None => Ok(plan),
        }
    }
}

#[tonic::async_trait]
impl Registration for Service {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(self.enter("GetInfo", Call::Info).await?.info))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        self.enter("NotifyRegistrationStatus", Call::Verdict(request.into_inner())).await?;
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}

macro_rules! not_here {
    ($($name:ident($request:ty) -> $response:ty;)*) => {
        $(
            #[allow(clippy::type_complexity, reason = "the shape that async_trait gives it")]
            fn $name<'a, 'b>(
                &'a self,
                _: Request<$request>,
            ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<$response>, Status>> + Send + 'b>>
            where
                'a: 'b,
                Self: 'b,
            {
                Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
            }
        )*
    };
}

#[tonic::async_trait]
impl ResourcePlugin for Service {
    async fn get_resource_plugin_options(&self, _: Request<Empty>) -> Result<Response<ResourcePluginOptions>, Status> {
        Ok(Response::new(self.enter("GetResourcePluginOptions", Call::Options).await?.options))
    }

    async fn get_topology_hints(&self, request: Request<ResourceRequest>) -> Result<Response<ResourceHintsResponse>, Status> {
        let asked = request.into_inner();
        let plan = self.enter("GetTopologyHints", Call::Hints(asked.clone())).await?;
        let list = ListOfTopologyHints { hints: plan.hints.clone() };
        let mut answer = ResourceHintsResponse {
            pod_uid: asked.pod_uid,
            pod_namespace: asked.pod_namespace,
            pod_name: asked.pod_name,
            container_name: asked.container_name,
            container_type: asked.container_type,
            container_index: asked.container_index,
            pod_role: asked.pod_role,
            pod_type: asked.pod_type,
            resource_hints: BTreeMap::from([(asked.resource_name.clone(), list)]),
            resource_name: asked.resource_name,
            labels: asked.labels,
            annotations: asked.annotations,
            native_qos_class: asked.native_qos_class,
        };
        if plan.hints.is_empty() {
            answer.resource_hints.clear();
        }
        (plan.twist_hints)(&mut answer);
        Ok(Response::new(answer))
    }

    async fn allocate(&self, request: Request<ResourceRequest>) -> Result<Response<ResourceAllocationResponse>, Status> {
        let asked = request.into_inner();
        let plan = self.enter("Allocate", Call::Allocate(asked.clone())).await?;
        let held = plan.allocation.clone();
        self.plan.lock().unwrap().held.entry(asked.pod_uid.clone()).or_default().insert(asked.container_name.clone(), held);
        let result = ResourceAllocation { resource_allocation: BTreeMap::from([(asked.resource_name.clone(), plan.allocation)]) };
        let mut answer = ResourceAllocationResponse {
            pod_uid: asked.pod_uid,
            pod_namespace: asked.pod_namespace,
            pod_name: asked.pod_name,
            container_name: asked.container_name,
            container_type: asked.container_type,
            container_index: asked.container_index,
            pod_role: asked.pod_role,
            pod_type: asked.pod_type,
            resource_name: asked.resource_name,
            allocation_result: Some(result),
            labels: asked.labels,
            annotations: asked.annotations,
            native_qos_class: asked.native_qos_class,
        };
        (plan.twist_allocation)(&mut answer);
        Ok(Response::new(answer))
    }

    async fn get_resources_allocation(
        &self,
        _: Request<GetResourcesAllocationRequest>,
    ) -> Result<Response<GetResourcesAllocationResponse>, Status> {
        let plan = self.enter("GetResourcesAllocation", Call::All).await?;
        let resource = plan.info.name;
        let one = |info| ResourceAllocation { resource_allocation: BTreeMap::from([(resource.clone(), info)]) };
        let pod = |(uid, containers): (String, BTreeMap<_, _>)| {
            (uid, ContainerResources { container_resources: containers.into_iter().map(|(name, info)| (name, one(info))).collect() })
        };
        Ok(Response::new(GetResourcesAllocationResponse { pod_resources: plan.held.into_iter().map(pod).collect() }))
    }

    async fn remove_pod(&self, request: Request<RemovePodRequest>) -> Result<Response<RemovePodResponse>, Status> {
        let uid = request.into_inner().pod_uid;
        self.enter("RemovePod", Call::Remove(uid.clone())).await?;
        self.plan.lock().unwrap().held.remove(&uid);
        Ok(Response::new(RemovePodResponse {}))
    }

    not_here! {
        get_pod_topology_hints(PodResourceRequest) -> PodResourceHintsResponse;
        get_topology_aware_resources(GetTopologyAwareResourcesRequest) -> GetTopologyAwareResourcesResponse;
        get_topology_aware_allocatable_resources(GetTopologyAwareAllocatableResourcesRequest)
            -> GetTopologyAwareAllocatableResourcesResponse;
        allocate_for_pod(PodResourceRequest) -> PodResourceAllocationResponse;
        pre_start_container(PreStartContainerRequest) -> PreStartContainerResponse;
        get_associated_device_topology_hints(AssociatedDeviceRequest) -> AssociatedDeviceHintsResponse;
        update_allocatable_associated_devices(UpdateAllocatableAssociatedDevicesRequest)
            -> UpdateAllocatableAssociatedDevicesResponse;
        allocate_associated_device(AssociatedDeviceRequest) -> AssociatedDeviceAllocationResponse;
    }
}

/// A running plugin. Dropping it cuts its connections and takes its socket away.
#[derive(Debug)]
pub(crate) struct Fake {
    plan: Arc<Mutex<Plan>>,
    pub(crate) journal: Journal,
    socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Fake {
    pub(crate) fn start(socket: &Path, plan: Plan) -> Self {
        Self::with_journal(socket, plan, Journal::default())
    }

    pub(crate) fn with_journal(socket: &Path, plan: Plan, journal: Journal) -> Self {
        let listener = UnixListener::bind(socket).unwrap_or_else(|e| panic!("{}: {e}", socket.display()));
        listener.set_nonblocking(true).unwrap();
        let plan = Arc::new(Mutex::new(plan));
        let service = Service { plan: Arc::clone(&plan), journal: Arc::clone(&journal) };
        let (stop, stopped) = oneshot::channel();
        let server = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming = UnixListenerStream::new(tokio::net::UnixListener::from_std(listener).unwrap());
                let router = tonic::transport::Server::builder()
                    .add_service(RegistrationServer::new(service.clone()))
                    .add_service(ResourcePluginServer::new(service));
                tokio::select! {
                    served = router.serve_with_incoming(incoming) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { plan, journal, socket: socket.to_owned(), stop: Some(stop), server: Some(server) }
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.journal.lock().unwrap().iter().map(|(_, call)| call.clone()).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
        drop(self.stop.take());
        let ended = self.server.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))) || thread::panicking(), "the fake plugin panicked");
    }
}
