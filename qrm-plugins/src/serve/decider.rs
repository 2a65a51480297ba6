//! Who decides what the servers are asked.

use crate::{Allocatable, Allocations, ContainerAllocation, Hints, PodIdentity, Refusal, Request, Rule, Told};
use gleaner_model::{ContainerName, PodName, PodUid};
use std::collections::BTreeMap;
use tonic::Status;

/// Why an answer is not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A rule is against it; asking again changes nothing unless the node changes.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is nobody to decide at the moment, with the cause.
    #[error("cannot decide now: {0}")]
    Unavailable(String),
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        let text = denied.to_string();
        match denied {
            Denied::Refused(Refusal { rule: Rule::BadRequest, .. }) => Self::invalid_argument(text),
            Denied::Refused(_) => Self::failed_precondition(text),
            Denied::Unavailable(_) => Self::unavailable(text),
        }
    }
}

/// What a pod was given of all resources.
#[derive(Debug, Clone, PartialEq)]
pub struct PodHoldings {
    /// The pod.
    pub pod: PodIdentity,
    /// Its containers.
    pub containers: BTreeMap<ContainerName, ContainerHoldings>,
}

/// What a container was given of all resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerHoldings {
    /// Whether no other container runs on its CPUs, nor has memory of its NUMA nodes promised in its place.
    pub exclusive: bool,
    /// By resource.
    pub given: ContainerAllocation,
}

/// Decides. One value answers for all resources, from any number of connections at once; `resource` is the name that the asked socket was
/// opened for. An answer that is late is not waited for, and the call is dropped where it waits.
#[tonic::async_trait]
pub trait Decider: Send + Sync + 'static {
    /// Where a container could be placed.
    ///
    /// # Errors
    /// When it can be placed nowhere, or nobody can say.
    async fn hints(&self, resource: &str, request: Request) -> Result<Told<Hints>, Denied>;

    /// Gives a container what it asks for; what it was given, by resource.
    ///
    /// # Errors
    /// When it is given nothing, or nobody can say.
    async fn allocate(&self, resource: &str, request: Request) -> Result<Told<ContainerAllocation>, Denied>;

    /// Frees what a pod holds. A pod that holds nothing is no error.
    ///
    /// # Errors
    /// When nobody can.
    async fn remove_pod(&self, resource: &str, pod: PodUid) -> Result<(), Denied>;

    /// What every container was given.
    ///
    /// # Errors
    /// When nobody can say.
    async fn allocations(&self, resource: &str) -> Result<Allocations, Denied>;

    /// What one container was given, and its pod's name; `None` when it is not known.
    ///
    /// # Errors
    /// When nobody can say.
    async fn container(
        &self,
        resource: &str,
        pod: PodUid,
        container: ContainerName,
    ) -> Result<Option<(PodName, ContainerAllocation)>, Denied>;

    /// What the node has.
    ///
    /// # Errors
    /// When nobody can say.
    async fn allocatable(&self, resource: &str) -> Result<Allocatable, Denied>;

    /// Who has what, over all resources.
    ///
    /// # Errors
    /// When nobody can say.
    async fn pods(&self) -> Result<Vec<PodHoldings>, Denied>;

    /// The watcher of the socket took the plugin in, or did not, with its reason.
    fn registration(&self, resource: &str, problem: Option<String>);
}
