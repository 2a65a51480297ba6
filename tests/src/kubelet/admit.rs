//! Admission: hints of every resource, one placement, an allocation of every resource, container by container.

use super::check;
use super::core::Core;
use super::endpoint::Plugin;
use super::merge::merge;
use super::pod::{QrmContainer, QrmPod, Wanted};
use super::status::Status;
use gleaner_crds::resourceplugin::{
    ContainerType, ResourceAllocationInfo, ResourceAllocationResponse, ResourceHintsResponse, ResourceRequest, TopologyHint,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tonic::Code;

/// What a pod got.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// In the order of admission: init containers first.
    pub containers: Vec<AdmittedContainer>,
}

/// What a container got.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmittedContainer {
    /// The container.
    pub name: String,
    /// Its kind.
    pub kind: ContainerType,
    /// The placement that all plugins were told.
    pub hint: TopologyHint,
    /// Values for the container runtime by property: `CpusetCpus`, `CpusetMems`, `MemoryLimitInBytes`.
    pub oci: BTreeMap<String, String>,
    /// Environment variables.
    pub envs: BTreeMap<String, String>,
    /// Annotations for the container runtime.
    pub annotations: BTreeMap<String, String>,
    /// The answers themselves, by resource.
    pub allocations: BTreeMap<String, ResourceAllocationInfo>,
}

/// Why a pod is not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The container at which it ended.
    pub container: String,
    /// The plugin's resource; empty when all of them together were the reason.
    pub resource: String,
    /// Where it ended.
    pub stage: Stage,
    /// The plugin's code; `FailedPrecondition` of a placement that the policy refuses, `Internal` of a wrong answer.
    pub code: Code,
    /// The reason.
    pub message: String,
}

/// A step of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `GetTopologyHints` failed.
    Hints,
    /// The topology manager's policy refused the placement.
    Merge,
    /// `Allocate` failed.
    Allocate,
    /// A plugin gave an answer that the kubelet cannot use.
    Answer,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?} for container {:?}: {:?}: {}", self.stage, self.resource, self.container, self.code, self.message)
    }
}

impl std::error::Error for Rejection {}

/// What the kubelet remembers of an admitted pod.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    pub(super) pod: QrmPod,
    pub(super) admitted: Admitted,
    /// What the runtime was told last: container, property, value.
    pub(super) applied: BTreeMap<(String, String), String>,
}

impl AdmittedContainer {
    fn new(container: &QrmContainer, hint: TopologyHint) -> Self {
        let (name, kind) = (container.name.clone(), container.kind);
        Self { name, kind, hint, oci: BTreeMap::new(), envs: BTreeMap::new(), annotations: BTreeMap::new(), allocations: BTreeMap::new() }
    }

    /// Takes allocations in, in place of older ones.
    pub(super) fn take(&mut self, allocations: BTreeMap<String, ResourceAllocationInfo>) {
        for (resource, info) in allocations {
            if !info.oci_property_name.is_empty() {
                self.oci.insert(info.oci_property_name.clone(), info.allocation_result.clone());
            }
            self.envs.extend(info.envs.clone());
            self.annotations.extend(info.annotations.clone());
            self.allocations.insert(resource, info);
        }
    }
}

impl Admission {
    fn new(pod: QrmPod, admitted: Admitted) -> Self {
        let each = |container: &AdmittedContainer| {
            let name = container.name.clone();
            container.oci.clone().into_iter().map(move |(property, value)| ((name.clone(), property), value))
        };
        let applied = admitted.containers.iter().flat_map(each).collect();
        Self { pod, admitted, applied }
    }
}

/// One container of a pod in admission, and the place of it.
struct Case<'a> {
    core: &'a Core,
    pod: &'a QrmPod,
    index: u64,
    container: &'a QrmContainer,
    /// What it asks for and a registered plugin serves.
    wanted: Vec<(Wanted, Arc<Plugin>)>,
}

impl Case<'_> {
    fn reject(&self, resource: &str, stage: Stage, code: Code, message: impl Into<String>) -> Rejection {
        Rejection { container: self.container.name.clone(), resource: resource.to_owned(), stage, code, message: message.into() }
    }

    fn hints(&self, wanted: &Wanted, plugin: &Plugin) -> Result<Vec<TopologyHint>, Rejection> {
        let asked = self.pod.request(self.index, self.container, wanted, None);
        let answer: Result<ResourceHintsResponse, Status> = plugin.call("GetTopologyHints", &asked);
        let answer = answer.map_err(|status| self.reject(&wanted.resource, Stage::Hints, status.code, status.message))?;
        check::hints(&asked, &self.core.nodes, answer)
            .map_err(|wrong| self.reject(&wanted.resource, Stage::Answer, Code::Internal, format!("GetTopologyHints: {wrong}")))
    }

    fn placement(&self) -> Result<TopologyHint, Rejection> {
        let asks = self.core.policy != super::TopologyPolicy::None;
        let aligned = self.wanted.iter().filter(|(_, plugin)| asks && plugin.options.with_topology_alignment);
        let lists = aligned.map(|(wanted, plugin)| self.hints(wanted, plugin)).collect::<Result<Vec<_>, _>>()?;
        merge(self.core.policy, &self.core.nodes, &lists).ok_or_else(|| {
            let message = format!("{:?} finds no placement in {lists:?}", self.core.policy);
            self.reject("", Stage::Merge, Code::FailedPrecondition, message)
        })
    }

    fn allocate(&self) -> Result<AdmittedContainer, Rejection> {
        let mut got = AdmittedContainer::new(self.container, self.placement()?);
        for (wanted, plugin) in &self.wanted {
            let asked = self.pod.request(self.index, self.container, wanted, Some(got.hint.clone()));
            got.take(allocate(plugin, &asked).map_err(|failed| match failed {
                Failed::Call(status) => self.reject(&wanted.resource, Stage::Allocate, status.code, status.message),
                Failed::Answer(wrong) => self.reject(&wanted.resource, Stage::Answer, Code::Internal, format!("Allocate: {wrong}")),
            })?);
        }
        Ok(got)
    }
}

/// Why there is no allocation.
pub(super) enum Failed {
    Call(Status),
    Answer(String),
}

/// One `Allocate`.
pub(super) fn allocate(plugin: &Plugin, asked: &ResourceRequest) -> Result<BTreeMap<String, ResourceAllocationInfo>, Failed> {
    let answer: ResourceAllocationResponse = plugin.call("Allocate", asked).map_err(Failed::Call)?;
    check::allocation(asked, answer).map_err(Failed::Answer)
}

/// Admits a pod, or stops at the first thing that goes wrong. What plugins gave until then stays theirs to take back, as with the fork:
/// it tells them when the pod is deleted.
pub(super) fn admit(core: &Core, pod: &QrmPod) -> Result<Admitted, Rejection> {
    let mut containers = Vec::new();
    for (index, container) in pod.in_order() {
        let served = |wanted: Wanted| core.plugin(&wanted.resource).map(|plugin| (wanted, plugin));
        let wanted = container.wanted().into_iter().filter_map(served).collect();
        containers.push(Case { core, pod, index, container, wanted }.allocate()?);
    }
    let admitted = Admitted { containers };
    core.pods.lock().unwrap().insert(pod.uid.clone(), Admission::new(pod.clone(), admitted.clone()));
    Ok(admitted)
}
