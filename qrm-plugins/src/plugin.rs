//! What a resource plugin is: questions and answers as values, and the trait that stands between them.
//!
//! A resource is one implementation of [`ResourcePlugin`], in one file. It decides over a [`Ledger`] and holds nothing itself, so that several
//! resources can be decided together, and a decision can be taken back as a whole.

use crate::{Hint, Hints, Ledger, MemoryPolicy, PlacePolicy, Refusal};
use gleaner_model::{
    Bytes, ContainerName, KubeQos, MilliCpu, NumaId, PodName, PodUid, PoolName, QosClass, QosSpec, Reason, ResourceCount, Subject, Topology,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An amount in a resource's own unit (cores, bytes): finite and not negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Amount(f64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0.0);

    /// The amount; `None` for what is no amount: negative, infinite, not a number.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        (value.is_finite() && value >= 0.0).then_some(Self(value))
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// As CPU time of a resource counted in cores, rounded up to the next milli-core. What rounding errors of the wire add (0.3 times 1000
    /// is 300.00000000000006) does not count.
    #[must_use]
    pub fn cpu(self) -> MilliCpu {
        MilliCpu::new(whole(self.0 * 1000.0))
    }

    /// As bytes, rounded up.
    #[must_use]
    pub fn bytes(self) -> Bytes {
        Bytes::new(whole(self.0))
    }
}

/// The next whole number; at most 2^53, up to which every whole number is a double.
fn whole(value: f64) -> u64 {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let nearest = value.round();
    let up = if (value - nearest).abs() < 1e-6 { nearest } else { value.ceil() };
    // In range and whole by now, so the conversion loses nothing.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=2^53 just before")]
    let number = up.clamp(0.0, EXACT) as u64;
    number
}

impl From<MilliCpu> for Amount {
    fn from(cpu: MilliCpu) -> Self {
        Self(precise(cpu.get()) / 1000.0)
    }
}

impl From<ResourceCount> for Amount {
    fn from(count: ResourceCount) -> Self {
        Self(precise(count.get()))
    }
}

impl From<Bytes> for Amount {
    fn from(bytes: Bytes) -> Self {
        Self(precise(bytes.get()))
    }
}

/// The wire has only doubles. What is above 2^53 is rounded, which is 8 PiB or nine trillion CPUs.
#[allow(clippy::cast_precision_loss, reason = "the wire's own type; see above")]
const fn precise(number: u64) -> f64 {
    number as f64
}

impl TryFrom<f64> for Amount {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        Self::new(value).ok_or_else(|| format!("{value} is no amount"))
    }
}

impl From<Amount> for f64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

/// Who a pod is, as its caller tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodIdentity {
    /// Its uid.
    pub uid: PodUid,
    /// Namespace and name.
    pub name: PodName,
    /// Its role, for schedulers that know roles; empty when it has none.
    pub role: String,
    /// Its type, likewise.
    pub kind: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, as on the pod.
    pub annotations: BTreeMap<String, String>,
    /// Kubernetes' own class.
    pub kube_qos: KubeQos,
}

/// The part that a container plays, as its caller tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerType {
    /// Runs to its end before the others start.
    Init,
    /// The one that the pod is for.
    Main,
    /// Any other.
    Sidecar,
    /// Added to a running pod by hand.
    Ephemeral,
}

/// What is asked for one container.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its pod.
    pub pod: PodIdentity,
    /// The container.
    pub container: ContainerName,
    /// The part it plays.
    pub kind: ContainerType,
    /// Its place among the pod's containers.
    pub index: u64,
    /// The resource by the name that the caller used: `cpu`, or the name of lent CPU.
    pub resource: String,
    /// How much, in cores or bytes, whatever unit the name of the resource counts in.
    pub amount: Amount,
    /// What the whole pod asks for, where its author says so.
    pub whole_pod: Option<Amount>,
    /// The placement that the caller chose among the hints.
    pub hint: Option<Hint>,
    /// Whether a running container is to become larger or smaller.
    pub resizing: bool,
}

/// The fields of the runtime interface's `LinuxContainerResources` that plugins fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OciProperty {
    /// List of CPUs.
    CpusetCpus,
    /// List of NUMA nodes that memory may come from.
    CpusetMems,
    /// Memory limit in bytes.
    MemoryLimitInBytes,
}

/// What a container was given of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocation {
    /// Where the runtime puts `result`; `None`: nowhere.
    pub oci_property: Option<OciProperty>,
    /// How much.
    pub quantity: Amount,
    /// The text for the runtime.
    pub result: String,
    /// The placement that it follows.
    pub hint: Option<Hint>,
    /// How much of it comes from which node.
    pub by_node: BTreeMap<NumaId, Amount>,
    /// Environment variables for the container.
    pub envs: BTreeMap<String, String>,
    /// Annotations for the container.
    pub annotations: BTreeMap<String, String>,
}

/// What one container was given, by resource, or by the name of a knob that goes with a resource.
pub type ContainerAllocation = BTreeMap<String, Allocation>;

/// What every container was given.
pub type Allocations = BTreeMap<PodUid, BTreeMap<ContainerName, ContainerAllocation>>;

/// What the node has of a resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allocatable {
    /// All of it, by NUMA node.
    pub capacity: BTreeMap<NumaId, Amount>,
    /// What containers may be given, by NUMA node.
    pub allocatable: BTreeMap<NumaId, Amount>,
}

/// What a plugin wants of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginOptions {
    /// Whether hints are to be asked for before allocating.
    pub with_topology_alignment: bool,
    /// Whether allocations are to be asked for, and applied, again and again.
    pub need_reconcile: bool,
}

/// What a decision rests on beside the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The machine.
    pub topology: &'a Topology,
    /// How CPUs are given out.
    pub place: &'a PlacePolicy,
    /// How memory is accounted for.
    pub memory: &'a MemoryPolicy,
    /// How large pools must be, as far as it is measured.
    pub pool_sizes: &'a BTreeMap<PoolName, u32>,
    /// CPU that can be lent on each node; `None` where it is not known by node.
    pub headroom: Option<&'a BTreeMap<NumaId, MilliCpu>>,
}

/// A request whose annotations were understood.
#[derive(Debug, Clone, Copy)]
pub struct Parsed<'a> {
    /// What was asked.
    pub request: &'a Request,
    /// What the annotations say.
    pub qos: &'a QosSpec,
}

/// An answer to a request, and the class that its pod has: by an annotation, a selector of the configuration, or for want of both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told<T> {
    /// The class.
    pub class: QosClass,
    /// The answer.
    pub answer: T,
}

/// What was decided, about whom, and why.
pub type Decisions = Vec<(Subject, Reason)>;

/// One resource that containers are given.
pub trait ResourcePlugin {
    /// The resource's name: what the plugin registers for.
    fn resource(&self) -> &str;

    /// The names by which containers ask for it: its own, and that of what is lent of it.
    fn names(&self) -> Vec<&str> {
        vec![self.resource()]
    }

    /// The name of its socket in the folder of plugins.
    fn socket(&self) -> &str;

    /// What it wants of its caller.
    fn options(&self) -> PluginOptions {
        PluginOptions { with_topology_alignment: true, need_reconcile: true }
    }

    /// Where the container could be placed.
    ///
    /// # Errors
    /// When it can be placed nowhere, with the rule that stops it.
    fn hints(&self, context: &Context<'_>, ledger: &Ledger, asked: &Parsed<'_>) -> Result<Hints, Refusal>;

    /// Notes in the ledger what the container is given, and tells what was decided on the way. Whatever it did to the ledger is taken back
    /// when it fails.
    ///
    /// # Errors
    /// With the rule that stops the request.
    fn allocate(&self, context: &Context<'_>, ledger: &mut Ledger, asked: &Parsed<'_>) -> Result<Decisions, Refusal>;

    /// Takes back what only this plugin knows of a pod that is gone; its entry leaves the ledger afterwards, so that what it noted there can still be read.
    fn release(&self, _context: &Context<'_>, _ledger: &mut Ledger, _pod: &PodUid) {}

    /// What a container has now; empty when it has nothing of this resource.
    fn allocation(&self, context: &Context<'_>, ledger: &Ledger, pod: &PodUid, container: &ContainerName) -> ContainerAllocation;

    /// What the node has.
    fn allocatable(&self, context: &Context<'_>, ledger: &Ledger) -> Allocatable;
}
