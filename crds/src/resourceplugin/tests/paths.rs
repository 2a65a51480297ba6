//! Paths of the calls, as a server sees them.

use super::super::*;
use crate::wire::{poll_once, recorder};

#[test]
fn calls_go_to_kubewharfs_paths() {
    let (service, paths) = recorder();
    let mut client = resource_plugin_client::ResourcePluginClient::new(service);
    poll_once(client.get_topology_hints(ResourceRequest::default()));
    poll_once(client.get_pod_topology_hints(PodResourceRequest::default()));
    poll_once(client.remove_pod(RemovePodRequest::default()));
    poll_once(client.get_resources_allocation(GetResourcesAllocationRequest::default()));
    poll_once(client.get_topology_aware_resources(GetTopologyAwareResourcesRequest::default()));
    poll_once(client.get_topology_aware_allocatable_resources(GetTopologyAwareAllocatableResourcesRequest::default()));
    poll_once(client.get_resource_plugin_options(Empty::default()));
    poll_once(client.allocate(ResourceRequest::default()));
    poll_once(client.allocate_for_pod(PodResourceRequest::default()));
    poll_once(client.pre_start_container(PreStartContainerRequest::default()));
    poll_once(client.get_associated_device_topology_hints(AssociatedDeviceRequest::default()));
    poll_once(client.update_allocatable_associated_devices(UpdateAllocatableAssociatedDevicesRequest::default()));
    poll_once(client.allocate_associated_device(AssociatedDeviceRequest::default()));
    let expected = [
        "GetTopologyHints",
        "GetPodTopologyHints",
        "RemovePod",
        "GetResourcesAllocation",
        "GetTopologyAwareResources",
        "GetTopologyAwareAllocatableResources",
        "GetResourcePluginOptions",
        "Allocate",
        "AllocateForPod",
        "PreStartContainer",
        "GetAssociatedDeviceTopologyHints",
        "UpdateAllocatableAssociatedDevices",
        "AllocateAssociatedDevice",
    ]
    .map(|method| format!("/resourceplugin.v1alpha1.ResourcePlugin/{method}"));
    assert_eq!(*paths.lock().unwrap(), expected);
}

#[test]
fn registration_in_the_old_manner_is_in_the_same_package() {
    let (service, paths) = recorder();
    let mut client = registration_client::RegistrationClient::new(service);
    poll_once(client.register(RegisterRequest::default()));
    assert_eq!(*paths.lock().unwrap(), ["/resourceplugin.v1alpha1.Registration/Register"]);
}

#[test]
fn servers_carry_the_services_names() {
    assert_eq!(resource_plugin_server::SERVICE_NAME, "resourceplugin.v1alpha1.ResourcePlugin");
    assert_eq!(registration_server::SERVICE_NAME, "resourceplugin.v1alpha1.Registration");
}
