//! What the runtime tells and asks, in the words of the model.

use gleaner_model::{Bytes, MilliCpu};
use gleaner_model::{CgroupPath, ContainerName, CpuMax, CpuSet, CpuShares, KnobValue, Limit, NumaSet, PodName, PodUid};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Where an answer goes. A refusal makes the runtime fail what it was about to do, with this text for the pod's owner; kubelet tries again. One of
/// [`Event::Synchronize`] is only logged, since it would cost the connection.
///
/// Sending fails when it is too late: the runtime was answered as if there were no opinion, or the connection is gone. A container then has what kubelet
/// gave it, and is to be written directly.
pub type Answer<T> = oneshot::Sender<Result<T, String>>;

/// The runtime at the other end, as it tells of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownRuntime {
    /// Its name: `containerd`, `cri-o`.
    pub name: String,
    /// Its version, as it writes it.
    pub version: String,
    /// The version of the protocol inside it; runtimes before 0.12 do not tell.
    pub protocol: Option<String>,
    /// Whether it is 0.7 or newer, which tells its time limits: requests then show the files of cgroup v2 that a caller asks for, and an answer does
    /// not lose them.
    pub shows_unified: bool,
}

/// A pod, as the runtime knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The runtime's id of it; a pod may be given another while it lives.
    pub id: String,
    /// Its uid; of a static pod the one that kubelet's cgroups are named by.
    pub uid: PodUid,
    /// Namespace and name.
    pub name: PodName,
    /// Its annotations, whole.
    pub annotations: BTreeMap<String, String>,
    /// Its labels, whole.
    pub labels: BTreeMap<String, String>,
    /// The pod's cgroup, expanded from what kubelet wrote; `None` where the message lacks it.
    pub cgroup: Option<CgroupPath>,
    /// What its containers ask for together, where kubelet told the runtime.
    pub resources: Resources,
}

/// A container, as the runtime knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenContainer {
    /// The runtime's id of it.
    pub id: String,
    /// The id of its sandbox.
    pub sandbox: String,
    /// Its name in the pod.
    pub name: ContainerName,
    /// Its cgroup, which may not exist yet.
    pub cgroup: Option<CgroupPath>,
    /// What its specification has now; of one that is to be created, what kubelet asked for.
    pub resources: Resources,
    /// Whether its first process runs, or waits to.
    pub running: bool,
}

/// Amounts in a message. What is not given is `None`, also where the wire carries a zero for that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPUs that it may run on.
    pub cpus: Option<CpuSet>,
    /// Memory nodes.
    pub mems: Option<NumaSet>,
    /// Its weight.
    pub shares: Option<CpuShares>,
    /// CPU time per period.
    pub cpu_max: Option<CpuMax>,
    /// Memory at most.
    pub memory: Option<Limit<Bytes>>,
    /// Files of cgroup v2, by name.
    pub unified: BTreeMap<String, String>,
}

impl Resources {
    /// The CPU that kubelet asked for, told by the weight that it made of it; the weight of nothing is nothing.
    #[must_use]
    pub fn cpu_request(&self) -> Option<MilliCpu> {
        let shares = u64::from(self.shares.filter(|shares| *shares != CpuShares::MIN)?.get());
        Some(MilliCpu::new(shares.saturating_mul(1000).div_ceil(1024)))
    }
}

/// What a container is to have, as far as somebody has an opinion. Of the values that a runtime can set at creation (CPUs, memory nodes, weight,
/// quota, memory and on cgroup v2 its other bounds) those that it has already are not sent: two plugins must not set the same field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adjustment {
    /// The values.
    pub knobs: Vec<KnobValue>,
}

/// Another container to be changed with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The runtime's id of it.
    pub container: String,
    /// What it is to have.
    pub adjustment: Adjustment,
}

/// Everything that exists when the connection is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synchronized {
    /// Pods, stopped ones among them.
    pub pods: Vec<Sandbox>,
    /// Containers that were created or run; those that ended are not there.
    pub containers: Vec<SeenContainer>,
}

/// What the runtime tells or asks. Every answer is due in less than two seconds, else the runtime closes the connection and goes on without it; what
/// comes too late or is dropped is answered as if there were no opinion.
#[derive(Debug)]
pub enum Event {
    /// A runtime is at the other end.
    Connected(KnownRuntime),
    /// The connection is gone or could not be made, and why. It is tried again for ever; the same cause is not told twice. What happened in between is in
    /// the next [`Event::Synchronize`].
    Lost(String),
    /// What exists, and which of it is to be changed.
    Synchronize(Synchronized, Answer<Vec<Update>>),
    /// A pod's sandbox runs; its containers come next.
    PodStarted(Sandbox),
    /// A sandbox has stopped or is gone; told at both. A pod that lives on gets another.
    PodGone {
        /// The sandbox.
        sandbox: String,
        /// Its pod.
        pod: PodUid,
    },
    /// A container is about to be created.
    CreateContainer(Sandbox, SeenContainer, Answer<Adjustment>),
    /// A container's first process waits in its cgroup: the last moment to write files before the user's code runs.
    StartContainer(Sandbox, SeenContainer, Answer<()>),
    /// Somebody, mostly kubelet, wants to change a container. With `None` the request passes as it is.
    UpdateContainer {
        /// Its pod.
        pod: Sandbox,
        /// The container.
        container: SeenContainer,
        /// What is asked for.
        wants: Resources,
        /// What it is to have instead, of the fields that are not as asked for.
        answer: Answer<Option<Adjustment>>,
    },
    /// A container was changed: all of its files that its specification knows were written anew by the runtime.
    Updated(Sandbox, SeenContainer),
    /// A container has ended, or is removed; told at both. It may be one that was never created.
    ContainerGone {
        /// The container.
        container: String,
    },
}
