//! Each call once, and each way to be denied.

use super::*;
use gleaner_crds::pluginregistration::registration_client::RegistrationClient;
use gleaner_crds::pluginregistration::{InfoRequest, PluginInfo, RegistrationStatus};
use gleaner_crds::podresources::{AllocatableResourcesRequest, GetPodResourcesRequest, ListPodResourcesRequest};
use gleaner_crds::resourceplugin::*;
use tonic::Code;

#[tokio::test]
async fn a_plugin_introduces_itself_and_hears_how_it_was_received() {
    let stage = stage(bounds()).await;
    let mut client = RegistrationClient::new(channel(&stage.path).await);
    let found = client.get_info(InfoRequest {}).await.unwrap().into_inner();
    let expected = PluginInfo {
        r#type: "ResourcePlugin".to_owned(),
        name: "cpu".to_owned(),
        endpoint: stage.path.display().to_string(),
        supported_versions: vec!["v1alpha1".to_owned()],
    };
    assert_eq!(found, expected);
    for (plugin_registered, error) in [(true, ""), (false, "no such resource"), (false, "")] {
        client.notify_registration_status(RegistrationStatus { plugin_registered, error: error.to_owned() }).await.unwrap();
    }
    let expected = [None, Some("no such resource"), Some("no reason given")].map(|problem| ("cpu".to_owned(), problem.map(str::to_owned)));
    assert_eq!(*stage.played.registrations.lock().unwrap(), expected);
}

#[tokio::test]
async fn what_is_decided_is_answered() {
    let stage = stage(bounds()).await;
    let mut client = client(&stage.path).await;
    let hints = client.get_topology_hints(asked("pod")).await.unwrap().into_inner();
    assert_eq!(hints.resource_hints["cpu"].hints, [TopologyHint { nodes: vec![0], preferred: true }]);
    assert_eq!((hints.pod_name.as_str(), hints.container_name.as_str()), ("pod", "main"));
    let given = client.allocate(asked("pod")).await.unwrap().into_inner();
    assert_eq!(given.allocation_result.unwrap().resource_allocation["cpu"].allocation_result, "0-1");
    client.remove_pod(RemovePodRequest { pod_uid: "uid-1".to_owned() }).await.unwrap();
    assert_eq!(stage.played.removed.lock().unwrap().iter().map(PodUid::as_str).collect::<Vec<_>>(), ["uid-1"]);
    let all = client.get_resources_allocation(GetResourcesAllocationRequest {}).await.unwrap().into_inner();
    assert_eq!(all.pod_resources["uid-1"].container_resources["main"].resource_allocation["cpu"].allocation_result, "0-1");
    let one = GetTopologyAwareResourcesRequest { pod_uid: "uid-1".to_owned(), container_name: "main".to_owned() };
    let aware = client.get_topology_aware_resources(one).await.unwrap().into_inner();
    assert_eq!((aware.pod_namespace.as_str(), aware.pod_name.as_str()), ("space", "pod"));
    let other = GetTopologyAwareResourcesRequest { pod_uid: "uid-2".to_owned(), container_name: "main".to_owned() };
    let nothing = client.get_topology_aware_resources(other).await.unwrap().into_inner();
    assert_eq!(nothing, GetTopologyAwareResourcesResponse { pod_uid: "uid-2".to_owned(), ..Default::default() });
    let request = GetTopologyAwareAllocatableResourcesRequest {};
    let node = client.get_topology_aware_allocatable_resources(request).await.unwrap().into_inner();
    assert_eq!(node.allocatable_resources.into_keys().collect::<Vec<_>>(), ["cpu"]);
    let options = client.get_resource_plugin_options(Empty {}).await.unwrap().into_inner();
    assert_eq!(options, ResourcePluginOptions { with_topology_alignment: true, need_reconcile: true, ..Default::default() });
    client.pre_start_container(PreStartContainerRequest::default()).await.unwrap();
}

#[tokio::test]
async fn what_is_denied_has_a_code_and_a_cause() {
    let stage = stage(bounds()).await;
    let mut client = client(&stage.path).await;
    for (pod, code, cause) in [
        ("refused", Code::FailedPrecondition, "capacity: 2 asked, 1 free"),
        ("senseless", Code::InvalidArgument, "bad request: numa_ids: 9 is no node"),
        ("nobody", Code::Unavailable, "cannot decide now: the loop hangs"),
        ("", Code::InvalidArgument, "pod_name: is empty"),
    ] {
        let hints = client.get_topology_hints(asked(pod)).await.unwrap_err();
        assert_eq!((hints.code(), hints.message()), (code, cause), "hints of {pod:?}");
        let given = client.allocate(asked(pod)).await.unwrap_err();
        assert_eq!((given.code(), given.message()), (code, cause), "allocation of {pod:?}");
    }
    let removed = client.remove_pod(RemovePodRequest { pod_uid: "..".to_owned() }).await.unwrap_err();
    assert_eq!(removed.code(), Code::InvalidArgument, "{removed}");
    let senseless = GetTopologyAwareResourcesRequest { pod_uid: "uid-1".to_owned(), container_name: "/".to_owned() };
    let found = client.get_topology_aware_resources(senseless).await.unwrap_err();
    assert!(found.code() == Code::InvalidArgument && found.message().starts_with("container_name: "), "{found}");
}

#[tokio::test]
async fn what_is_not_implemented_says_so() {
    let stage = stage(bounds()).await;
    let mut client = client(&stage.path).await;
    let found = [
        client.get_pod_topology_hints(PodResourceRequest::default()).await.unwrap_err(),
        client.allocate_for_pod(PodResourceRequest::default()).await.unwrap_err(),
        client.get_associated_device_topology_hints(AssociatedDeviceRequest::default()).await.unwrap_err(),
        client.update_allocatable_associated_devices(UpdateAllocatableAssociatedDevicesRequest::default()).await.unwrap_err(),
        client.allocate_associated_device(AssociatedDeviceRequest::default()).await.unwrap_err(),
    ];
    for status in found {
        assert!(status.code() == Code::Unimplemented && !status.message().is_empty(), "{status:?}");
    }
}

#[tokio::test]
async fn pod_resources_are_listed_under_the_name_that_readers_know() {
    let folder = TempDir::new().unwrap();
    let resources = ["cpu", "memory"].map(str::to_owned).to_vec();
    let serving = serve_pod_resources(folder.path(), resources, Played::new()).await.unwrap();
    assert_eq!(serving.path(), folder.path().join("kubelet.sock"));
    let mut client = PodResourcesListerClient::new(channel(serving.path()).await);
    let pods = client.list(ListPodResourcesRequest {}).await.unwrap().into_inner().pod_resources;
    assert_eq!((pods[0].name.as_str(), &pods[0].containers[0].cpu_ids), ("pod", &vec![0, 1]));
    let ask = |name: &str| GetPodResourcesRequest { pod_name: name.to_owned(), pod_namespace: "space".to_owned() };
    let one = client.get(ask("pod")).await.unwrap().into_inner().pod_resources;
    assert_eq!(one, Some(pods[0].clone()));
    let other = client.get(ask("other")).await.unwrap_err();
    assert_eq!((other.code(), other.message()), (Code::NotFound, "pod space/other has nothing here"));
    let node = client.get_allocatable_resources(AllocatableResourcesRequest {}).await.unwrap().into_inner();
    assert_eq!(node.resources.iter().map(|each| each.resource_name.as_str()).collect::<Vec<_>>(), ["cpu", "memory"]);
    assert_eq!((node.memory[0].size, &node.cpu_ids), (4096, &vec![]));
    serving.stop().await;
    assert!(!folder.path().join("kubelet.sock").exists());
}
