//! Brings what callers ask over gRPC into the event loop, and its answers back.

use crate::engine::Event;
use gleaner_model::{ContainerName, PodName, PodUid};
use gleaner_qrm_plugins::serve::{Decider, Denied, PodHoldings, async_trait};
use gleaner_qrm_plugins::{Allocatable, Allocations, ContainerAllocation, Hints, Request, Told};
use tokio::sync::{mpsc, oneshot};

/// Where an answer goes.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Denied>>;

/// What a caller asks of a plugin.
pub(crate) enum PluginCall {
    /// Where a container could go.
    Hints { resource: String, request: Box<Request>, answer: Answer<Told<Hints>> },
    /// To give a container what it asks for.
    Allocate { resource: String, request: Box<Request>, answer: Answer<Told<ContainerAllocation>> },
    /// To forget a pod.
    RemovePod { pod: PodUid, answer: Answer<()> },
    /// What every container has.
    Allocations { resource: String, answer: Answer<Allocations> },
    /// What one container has, and its pod's name.
    Container { resource: String, pod: PodUid, container: ContainerName, answer: Answer<Option<(PodName, ContainerAllocation)>> },
    /// What the node has.
    Allocatable { resource: String, answer: Answer<Allocatable> },
    /// What every container has of every resource.
    Pods { answer: Answer<Vec<PodHoldings>> },
    /// The kubelet took a plugin, or did not.
    Registration { resource: String, problem: Option<String> },
}

/// The event loop, as the servers see it.
pub(crate) struct LoopDecider(pub(crate) mpsc::Sender<Event>);

impl LoopDecider {
    async fn ask<T>(&self, call: impl FnOnce(Answer<T>) -> PluginCall) -> Result<T, Denied> {
        let (answer, answered) = oneshot::channel();
        let gone = || Denied::Unavailable("the agent is stopping".to_owned());
        self.0.send(Event::PluginCalled(call(answer))).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

#[async_trait]
impl Decider for LoopDecider {
    async fn hints(&self, resource: &str, request: Request) -> Result<Told<Hints>, Denied> {
        let (resource, request) = (resource.to_owned(), Box::new(request));
        self.ask(|answer| PluginCall::Hints { resource, request, answer }).await
    }

    async fn allocate(&self, resource: &str, request: Request) -> Result<Told<ContainerAllocation>, Denied> {
        let (resource, request) = (resource.to_owned(), Box::new(request));
        self.ask(|answer| PluginCall::Allocate { resource, request, answer }).await
    }

    async fn remove_pod(&self, _: &str, pod: PodUid) -> Result<(), Denied> {
        self.ask(|answer| PluginCall::RemovePod { pod, answer }).await
    }

    async fn allocations(&self, resource: &str) -> Result<Allocations, Denied> {
        let resource = resource.to_owned();
        self.ask(|answer| PluginCall::Allocations { resource, answer }).await
    }

    async fn container(
        &self,
        resource: &str,
        pod: PodUid,
        container: ContainerName,
    ) -> Result<Option<(PodName, ContainerAllocation)>, Denied> {
        let resource = resource.to_owned();
        self.ask(|answer| PluginCall::Container { resource, pod, container, answer }).await
    }

    async fn allocatable(&self, resource: &str) -> Result<Allocatable, Denied> {
        let resource = resource.to_owned();
        self.ask(|answer| PluginCall::Allocatable { resource, answer }).await
    }

    async fn pods(&self) -> Result<Vec<PodHoldings>, Denied> {
        self.ask(|answer| PluginCall::Pods { answer }).await
    }

    fn registration(&self, resource: &str, problem: Option<String>) {
        // When the queue is full the note is lost, and the kubelet's next registration brings another.
        let _ = self.0.try_send(Event::PluginCalled(PluginCall::Registration { resource: resource.to_owned(), problem }));
    }
}
