//! What the double answers, and the rules by which it must be asked.

use super::{Mood, Script};
use gleaner_crds::resourceplugin::resource_plugin_server::ResourcePlugin;
use gleaner_crds::resourceplugin::{
    AssociatedDeviceAllocationResponse, AssociatedDeviceHintsResponse, AssociatedDeviceRequest, ContainerResources, Empty,
    GetResourcesAllocationRequest, GetResourcesAllocationResponse, GetTopologyAwareAllocatableResourcesRequest,
    GetTopologyAwareAllocatableResourcesResponse, GetTopologyAwareResourcesRequest, GetTopologyAwareResourcesResponse, ListOfTopologyHints,
    PodResourceAllocationResponse, PodResourceHintsResponse, PodResourceRequest, PreStartContainerRequest, PreStartContainerResponse,
    RemovePodRequest, RemovePodResponse, ResourceAllocation, ResourceAllocationInfo, ResourceAllocationResponse, ResourceHintsResponse,
    ResourcePluginOptions, ResourceRequest, TopologyHint, UpdateAllocatableAssociatedDevicesRequest,
    UpdateAllocatableAssociatedDevicesResponse,
};
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// What the double's process and its test have in common.
pub(super) struct Shared {
    pub(super) resource: String,
    pub(super) script: Mutex<Script>,
    pub(super) alive: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Service(pub(super) Arc<Shared>);

impl Service {
    /// Notes a call, does it, and answers as the mood is.
    async fn answer<T: Default>(&self, call: String, act: impl FnOnce(&mut Script) -> T) -> Answer<T> {
        let (mood, answer) = {
            let mut script = self.0.script();
            script.calls.push(call);
            let acts = !matches!(script.mood, Mood::Refuses(_));
            (script.mood.clone(), if acts { act(&mut script) } else { T::default() })
        };
        match mood {
            Mood::Good | Mood::Raves => Ok(Response::new(answer)),
            Mood::Refuses(words) => Err(Status::unknown(words)),
            Mood::Hangs => pending().await,
            Mood::Dies => {
                self.0.alive.send_replace(false);
                pending().await
            }
        }
    }

    /// The rules of a request for one container.
    fn check(&self, asked: &ResourceRequest, allocates: bool) {
        let mut script = self.0.script();
        let held = &script.options;
        let amounts: Vec<_> = asked.resource_requests.iter().collect();
        let rules = [
            (asked.resource_name == self.0.resource, "resource_name is another's"),
            (
                matches!(amounts[..], [(name, amount)] if *name == self.0.resource && *amount > 0.0 && amount.fract() == 0.0),
                "not one whole amount",
            ),
            (!asked.pod_uid.is_empty() && !asked.pod_name.is_empty() && !asked.pod_namespace.is_empty(), "a pod without a name"),
            (!asked.container_name.is_empty(), "a container without a name"),
            (!asked.native_qos_class.is_empty(), "no QoS class"),
            (allocates || asked.hint.is_none(), "a hint before hints were given"),
            (allocates || held.with_topology_alignment, "hints asked of a plugin without alignment"),
        ];
        let broken = rules.iter().filter(|(kept, _)| !kept).map(|(_, rule)| format!("{rule}: {asked:?}"));
        script.breaches.extend(broken);
    }
}

#[tonic::async_trait]
impl ResourcePlugin for Service {
    async fn get_topology_hints(&self, request: Request<ResourceRequest>) -> Answer<ResourceHintsResponse> {
        let asked = request.into_inner();
        self.check(&asked, false);
        self.answer(format!("hints {}", asked.pod_name), |script| {
            let far = if script.mood == Mood::Raves { 1 << 40 } else { 0 };
            let hints = script.hints.iter().map(|node| TopologyHint { nodes: vec![*node + far], preferred: true }).collect();
            let resource_hints = BTreeMap::from([(asked.resource_name.clone(), ListOfTopologyHints { hints })]);
            ResourceHintsResponse { resource_name: asked.resource_name, resource_hints, ..Default::default() }
        })
        .await
    }

    async fn allocate(&self, request: Request<ResourceRequest>) -> Answer<ResourceAllocationResponse> {
        let asked = request.into_inner();
        self.check(&asked, true);
        let nodes = asked.hint.as_ref().map_or_else(String::new, |hint| format!(" on {:?}", hint.nodes));
        self.answer(format!("allocate {}{nodes}", asked.pod_name), |script| {
            let amount = asked.resource_requests.values().sum();
            script.held.entry(asked.pod_uid).or_default().insert(asked.container_name, amount);
            let given = resources(&asked.resource_name, amount, script);
            ResourceAllocationResponse { resource_name: asked.resource_name, allocation_result: Some(given), ..Default::default() }
        })
        .await
    }

    async fn remove_pod(&self, request: Request<RemovePodRequest>) -> Answer<RemovePodResponse> {
        let uid = request.into_inner().pod_uid;
        self.answer(format!("remove {uid}"), |script| {
            script.held.remove(&uid);
            RemovePodResponse {}
        })
        .await
    }

    async fn get_resources_allocation(&self, _: Request<GetResourcesAllocationRequest>) -> Answer<GetResourcesAllocationResponse> {
        if !self.0.script().options.need_reconcile {
            self.0.script().breaches.insert("allocations asked of a plugin that wants no reconciling".to_owned());
        }
        self.answer("list".to_owned(), |script| {
            let container = |(name, amount): (&String, &f64)| (name.clone(), resources(&self.0.resource, *amount, script));
            let pod = |of: &BTreeMap<String, f64>| ContainerResources { container_resources: of.iter().map(container).collect() };
            GetResourcesAllocationResponse { pod_resources: script.held.iter().map(|(uid, of)| (uid.clone(), pod(of))).collect() }
        })
        .await
    }

    async fn get_resource_plugin_options(&self, _: Request<Empty>) -> Answer<ResourcePluginOptions> {
        self.answer("options".to_owned(), |script| script.options.clone()).await
    }

    async fn get_topology_aware_resources(
        &self,
        _: Request<GetTopologyAwareResourcesRequest>,
    ) -> Answer<GetTopologyAwareResourcesResponse> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_topology_aware_allocatable_resources(
        &self,
        _: Request<GetTopologyAwareAllocatableResourcesRequest>,
    ) -> Answer<GetTopologyAwareAllocatableResourcesResponse> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn pre_start_container(&self, _: Request<PreStartContainerRequest>) -> Answer<PreStartContainerResponse> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_pod_topology_hints(&self, _: Request<PodResourceRequest>) -> Answer<PodResourceHintsResponse> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn allocate_for_pod(&self, _: Request<PodResourceRequest>) -> Answer<PodResourceAllocationResponse> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_associated_device_topology_hints(&self, _: Request<AssociatedDeviceRequest>) -> Answer<AssociatedDeviceHintsResponse> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn update_allocatable_associated_devices(
        &self,
        _: Request<UpdateAllocatableAssociatedDevicesRequest>,
    ) -> Answer<UpdateAllocatableAssociatedDevicesResponse> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn allocate_associated_device(&self, _: Request<AssociatedDeviceRequest>) -> Answer<AssociatedDeviceAllocationResponse> {
        Err(Status::unimplemented("not asked for"))
    }
}

/// What one container was given.
fn resources(resource: &str, amount: f64, script: &Script) -> ResourceAllocation {
    let quantity = if script.mood == Mood::Raves { f64::NAN } else { amount };
    let info =
        ResourceAllocationInfo { is_scalar_resource: true, allocated_quantity: quantity, envs: script.envs.clone(), ..Default::default() };
    ResourceAllocation { resource_allocation: BTreeMap::from([(resource.to_owned(), info)]) }
}
