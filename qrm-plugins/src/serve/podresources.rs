use super::decider::{Decider, Denied};
use super::gate::Gate;
use super::wire;
use crate::Allocatable;
use gleaner_crds::keys::resource;
use gleaner_crds::podresources::pod_resources_lister_server::PodResourcesLister;
use gleaner_crds::podresources::{
    AllocatableResourcesRequest, AllocatableResourcesResponse, GetPodResourcesRequest, GetPodResourcesResponse, ListPodResourcesRequest,
    ListPodResourcesResponse,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// Who has what on this node, for reporters and agents of schedulers.
pub(super) struct PodResources {
    /// What the node is asked for.
    pub(super) resources: Vec<String>,
    pub(super) gate: Gate,
    pub(super) decider: Arc<dyn Decider>,
}

#[tonic::async_trait]
impl PodResourcesLister for PodResources {
    async fn list(&self, _: Request<ListPodResourcesRequest>) -> Answer<ListPodResourcesResponse> {
        let pods = self.gate.ask(self.decider.pods()).await?;
        Ok(Response::new(ListPodResourcesResponse { pod_resources: pods.into_iter().map(wire::pod).collect() }))
    }

    async fn get(&self, request: Request<GetPodResourcesRequest>) -> Answer<GetPodResourcesResponse> {
        let asked = request.into_inner();
        let pods = self.gate.ask(self.decider.pods()).await?;
        let same = |name: &gleaner_model::PodName| name.name == asked.pod_name && name.namespace == asked.pod_namespace;
        let found = pods.into_iter().find(|holdings| same(&holdings.pod.name));
        let unknown = || Status::not_found(format!("pod {}/{} has nothing here", asked.pod_namespace, asked.pod_name));
        Ok(Response::new(GetPodResourcesResponse { pod_resources: Some(wire::pod(found.ok_or_else(unknown)?)) }))
    }

    async fn get_allocatable_resources(&self, _: Request<AllocatableResourcesRequest>) -> Answer<AllocatableResourcesResponse> {
        let all = self.gate.ask(self.allocatable()).await?;
        let memory = all.iter().find(|(name, _)| name == resource::MEMORY);
        Ok(Response::new(AllocatableResourcesResponse {
            memory: memory.map(|(_, node)| wire::memory_by_node(&node.allocatable)).unwrap_or_default(),
            resources: all.iter().map(|(name, node)| wire::allocatable_of(name, node)).collect(),
            ..Default::default()
        }))
    }
}

impl PodResources {
    async fn allocatable(&self) -> Result<Vec<(String, Allocatable)>, Denied> {
        let mut all = Vec::new();
        for name in &self.resources {
            all.push((name.clone(), self.decider.allocatable(name).await?));
        }
        Ok(all)
    }
}
