//! One resource on one socket: who it is, and what it decides.

use super::decider::Decider;
use super::gate::Gate;
use super::wire;
use crate::PluginOptions;
use gleaner_crds::keys::{plugin_type, plugin_version};
use gleaner_crds::pluginregistration::registration_server::Registration;
use gleaner_crds::pluginregistration::{InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse};
use gleaner_crds::resourceplugin::resource_plugin_server::ResourcePlugin;
use gleaner_crds::resourceplugin::{
    AssociatedDeviceAllocationResponse, AssociatedDeviceHintsResponse, AssociatedDeviceRequest, Empty, GetResourcesAllocationRequest,
    GetResourcesAllocationResponse, GetTopologyAwareAllocatableResourcesRequest, GetTopologyAwareAllocatableResourcesResponse,
    GetTopologyAwareResourcesRequest, GetTopologyAwareResourcesResponse, PodResourceAllocationResponse, PodResourceHintsResponse,
    PodResourceRequest, PreStartContainerRequest, PreStartContainerResponse, RemovePodRequest, RemovePodResponse,
    ResourceAllocationResponse, ResourceHintsResponse, ResourcePluginOptions, ResourceRequest, UpdateAllocatableAssociatedDevicesRequest,
    UpdateAllocatableAssociatedDevicesResponse,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// Both services of a plugin's socket.
pub(super) struct Plugin {
    pub(super) resource: String,
    /// The socket's path, as the watcher is to dial it.
    pub(super) endpoint: String,
    pub(super) options: PluginOptions,
    pub(super) gate: Gate,
    pub(super) decider: Arc<dyn Decider>,
}

#[tonic::async_trait]
impl Registration for Plugin {
    async fn get_info(&self, _: Request<InfoRequest>) -> Answer<PluginInfo> {
        Ok(Response::new(PluginInfo {
            r#type: plugin_type::RESOURCE.to_owned(),
            name: self.resource.clone(),
            endpoint: self.endpoint.clone(),
            supported_versions: vec![plugin_version::V1ALPHA1.to_owned()],
        }))
    }

    async fn notify_registration_status(&self, request: Request<RegistrationStatus>) -> Answer<RegistrationStatusResponse> {
        let RegistrationStatus { plugin_registered, error } = request.into_inner();
        let cause = || if error.is_empty() { "no reason given".to_owned() } else { super::endpoint::in_words(&error) };
        self.decider.registration(&self.resource, (!plugin_registered).then(cause));
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}

#[tonic::async_trait]
impl ResourcePlugin for Plugin {
    async fn get_topology_hints(&self, request: Request<ResourceRequest>) -> Answer<ResourceHintsResponse> {
        let asked = request.into_inner();
        let hints = self.gate.ask(self.decider.hints(&self.resource, wire::request(&asked)?)).await?;
        Ok(Response::new(wire::hints(&self.resource, asked, &hints)))
    }

    async fn allocate(&self, request: Request<ResourceRequest>) -> Answer<ResourceAllocationResponse> {
        let asked = request.into_inner();
        let given = self.gate.ask(self.decider.allocate(&self.resource, wire::request(&asked)?)).await?;
        Ok(Response::new(wire::given(asked, &given)))
    }

    async fn remove_pod(&self, request: Request<RemovePodRequest>) -> Answer<RemovePodResponse> {
        let pod = wire::pod_uid(&request.into_inner().pod_uid)?;
        self.gate.ask(self.decider.remove_pod(&self.resource, pod)).await?;
        Ok(Response::new(RemovePodResponse {}))
    }

    async fn get_resources_allocation(&self, _: Request<GetResourcesAllocationRequest>) -> Answer<GetResourcesAllocationResponse> {
        let all = self.gate.ask(self.decider.allocations(&self.resource)).await?;
        Ok(Response::new(wire::allocations(&all)))
    }

    async fn get_topology_aware_resources(
        &self,
        request: Request<GetTopologyAwareResourcesRequest>,
    ) -> Answer<GetTopologyAwareResourcesResponse> {
        let asked = request.into_inner();
        let (uid, name) = (wire::pod_uid(&asked.pod_uid)?, wire::container_name(&asked.container_name)?);
        let found = self.gate.ask(self.decider.container(&self.resource, uid, name)).await?;
        Ok(Response::new(wire::container(&self.resource, asked, found)))
    }

    async fn get_topology_aware_allocatable_resources(
        &self,
        _: Request<GetTopologyAwareAllocatableResourcesRequest>,
    ) -> Answer<GetTopologyAwareAllocatableResourcesResponse> {
        let node = self.gate.ask(self.decider.allocatable(&self.resource)).await?;
        Ok(Response::new(wire::allocatable(&self.resource, &node)))
    }

    async fn get_resource_plugin_options(&self, _: Request<Empty>) -> Answer<ResourcePluginOptions> {
        Ok(Response::new(ResourcePluginOptions {
            with_topology_alignment: self.options.with_topology_alignment,
            need_reconcile: self.options.need_reconcile,
            ..Default::default()
        }))
    }

    /// Not asked for in the options; callers that come nevertheless are let go on.
    async fn pre_start_container(&self, _: Request<PreStartContainerRequest>) -> Answer<PreStartContainerResponse> {
        Ok(Response::new(PreStartContainerResponse {}))
    }

    async fn get_pod_topology_hints(&self, _: Request<PodResourceRequest>) -> Answer<PodResourceHintsResponse> {
        Err(pod_scope())
    }

    async fn allocate_for_pod(&self, _: Request<PodResourceRequest>) -> Answer<PodResourceAllocationResponse> {
        Err(pod_scope())
    }

    async fn get_associated_device_topology_hints(&self, _: Request<AssociatedDeviceRequest>) -> Answer<AssociatedDeviceHintsResponse> {
        Err(devices())
    }

    async fn update_allocatable_associated_devices(
        &self,
        _: Request<UpdateAllocatableAssociatedDevicesRequest>,
    ) -> Answer<UpdateAllocatableAssociatedDevicesResponse> {
        Err(devices())
    }

    async fn allocate_associated_device(&self, _: Request<AssociatedDeviceRequest>) -> Answer<AssociatedDeviceAllocationResponse> {
        Err(devices())
    }
}

fn pod_scope() -> Status {
    Status::unimplemented("resources are given container by container; set the topology manager's scope to container")
}

fn devices() -> Status {
    Status::unimplemented("no devices go with this resource")
}
