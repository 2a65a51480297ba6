//! What readers of pod resources find: reporters and scheduler agents of that world.

use crate::{Behind, dedicated, online, shared};
use gleaner_crds::podresources::{
    AllocatableResourcesRequest, AllocatableResourcesResponse, ListPodResourcesRequest, ListPodResourcesResponse,
};
use gleaner_model::{CpuId, CpuSet};
use gleaner_tests::kubelet::{Authority, Caller, raw_call};
use prost::Message;
use std::time::Duration;

fn ask<A: Message + Default>(behind: &Behind, method: &str, question: &impl Message) -> A {
    let socket = behind.node.path("lists/kubelet.sock");
    let method = format!("/v1.PodResourcesLister/{method}");
    for authority in [Authority::RawPath, Authority::Localhost] {
        let caller = Caller { authority, ..Caller::default() };
        let answer = raw_call(&socket, caller, &method, &question.encode_to_vec(), Duration::from_secs(10));
        let answer = answer.unwrap_or_else(|status| panic!("{method} with {authority:?}: {status:?}"));
        if authority == Authority::Localhost {
            return A::decode(answer.as_slice()).unwrap();
        }
    }
    unreachable!("the last one returns")
}

#[test]
fn readers_find_what_each_container_has_and_what_the_node_has() {
    let test = "readers_find_what_each_container_has_and_what_the_node_has";
    let Some(behind) = Behind::new(test) else { return };
    let web = shared("web", 250).label("app", "web");
    behind.admit(&web);
    let own = if online().count() > 1 { Some(behind.admit(&dedicated("db", 1))) } else { None };
    let listed: ListPodResourcesResponse = ask(&behind, "List", &ListPodResourcesRequest {});
    let pod = |name: &str| listed.pod_resources.iter().find(|pod| pod.name == name).unwrap_or_else(|| panic!("no {name} in {listed:?}"));
    let of_web = pod("web");
    assert_eq!((of_web.namespace.as_str(), of_web.labels.get("app").map(String::as_str)), ("default", Some("web")));
    assert_eq!(of_web.annotations["katalyst.kubewharf.io/qos_level"], "shared_cores");
    assert!(of_web.containers[0].cpu_ids.is_empty(), "as kubelet, it lists CPUs that a container has for itself");
    let amounts: Vec<&str> = of_web.containers[0].resources.iter().map(|r| r.resource_name.as_str()).collect();
    assert!(amounts.contains(&"cpu") && amounts.contains(&"memory"), "{amounts:?}");
    if let Some(own) = own {
        let ids: CpuSet = pod("db").containers[0].cpu_ids.iter().map(|id| CpuId::new(u32::try_from(*id).unwrap())).collect();
        assert_eq!(ids, crate::cpus_of(&own));
    }
    let all: AllocatableResourcesResponse = ask(&behind, "GetAllocatableResources", &AllocatableResourcesRequest {});
    let cpu = all.resources.iter().find(|r| r.resource_name == "cpu").unwrap_or_else(|| panic!("no cpu in {all:?}"));
    let count = f64::from(online().count());
    assert!((cpu.aggregated_capacity_quantity - count).abs() < 1e-9, "{cpu:?}");
    behind.kubelet.remove(&web.uid).unwrap();
    let listed: ListPodResourcesResponse = ask(&behind, "List", &ListPodResourcesRequest {});
    assert!(listed.pod_resources.iter().all(|pod| pod.name != "web"), "{listed:?}");
}
