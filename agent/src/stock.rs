//! The pods of a stock Kubernetes node: what the API server, the container runtime, kubelet's checkpoint and the kernel tell of them, put together.

mod exclusive;
mod provisional;

pub(crate) use exclusive::{give_exclusive, lowered};

use crate::error::AgentError;
use crate::kubernetes::{self, ApiPhase, ApiPod, PodsEvent, PodsFile};
use crate::presence::Presence;
use gleaner_host::cgroup::pod_uid;
use gleaner_model::{CgroupPath, ContainerName, CpuSet, Pod, PodName, PodUid, QosConfig, Timestamp};
use gleaner_nri::{KnownRuntime, Sandbox, SeenContainer, Synchronized};
use gleaner_qrm_plugins::PodCgroups;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What is known of the pods of this node.
pub(crate) struct Stock {
    /// The cgroup that all pods live below.
    root: CgroupPath,
    /// Where what the API server tells is stored.
    file: PodsFile,
    /// As the API server or the kubelet tells.
    api: BTreeMap<PodUid, ApiPod>,
    /// Told to be gone, or missing in a later list. They hold what they have as long as they have a cgroup: one that was deleted by force runs on.
    gone: BTreeSet<PodUid>,
    /// Sandboxes of the runtime, by its id.
    sandboxes: BTreeMap<String, Sandbox>,
    /// Containers of the runtime, by its id.
    containers: BTreeMap<String, SeenContainer>,
    /// CPUs that the kubelet's static policy gave to containers of a pod alone.
    exclusive: BTreeMap<PodUid, CpuSet>,
    /// Where pods live.
    pub(crate) presence: Presence,
    /// The runtime at the other end, while it is connected.
    pub(crate) runtime: Option<KnownRuntime>,
    /// Pods that run without the CPUs that they ask for, and why.
    pub(crate) lowered: BTreeMap<PodUid, String>,
    /// Somebody told of all pods: until then those that run are unknown, and what is unknown lends nothing.
    pub(crate) known: bool,
    /// The kubelet gives CPUs to containers by itself (`cpuManagerPolicy: static`).
    pub(crate) static_policy: bool,
    /// The pods as solvers see them.
    pods: BTreeMap<PodUid, Pod>,
    /// Pods of which only the runtime has told: what they were promised is not known.
    provisional: BTreeSet<PodUid>,
}

impl Stock {
    /// Goes on with the pods that an earlier agent knew, and stores what is told from now on in the same file. Also tells what is wrong with that.
    pub(crate) fn open(root: CgroupPath, file: PathBuf, qos: &QosConfig) -> (Self, Option<String>) {
        let (stored, warning) = kubernetes::load(&file);
        let mut own = Self {
            root,
            file: PodsFile::new(file),
            known: !stored.is_empty(),
            api: stored.into_iter().map(|pod| (pod.pod.uid.clone(), pod)).collect(),
            gone: BTreeSet::new(),
            sandboxes: BTreeMap::new(),
            containers: BTreeMap::new(),
            exclusive: BTreeMap::new(),
            presence: Presence::default(),
            runtime: None,
            lowered: BTreeMap::new(),
            static_policy: false,
            pods: BTreeMap::new(),
            provisional: BTreeSet::new(),
        };
        own.put_together(qos);
        (own, warning)
    }

    /// Stores what the API server told, when that is due.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn save(&mut self, now: Timestamp) -> Result<(), AgentError> {
        let holds = |pod: &&ApiPod| pod.phase != ApiPhase::Ended;
        self.file.save(self.api.values().filter(holds), now)
    }

    /// Takes what the source of pods tells. True when a pod is another than before, as solvers see it.
    pub(crate) fn told(&mut self, event: PodsEvent, qos: &QosConfig) -> bool {
        match event {
            PodsEvent::Listed(pods) => {
                self.known = true;
                let listed: BTreeMap<PodUid, ApiPod> = pods.into_iter().map(|pod| (pod.pod.uid.clone(), pod)).collect();
                self.gone.retain(|uid| !listed.contains_key(uid));
                self.gone.extend(self.api.keys().filter(|uid| !listed.contains_key(*uid)).cloned());
                self.api.extend(listed);
            }
            PodsEvent::Changed(pod) => {
                self.gone.remove(&pod.pod.uid);
                self.api.insert(pod.pod.uid.clone(), *pod);
            }
            PodsEvent::Gone(uid) => drop(self.gone.insert(uid)),
            PodsEvent::Reach(_) => return false,
        }
        self.file.change();
        self.put_together(qos)
    }

    /// Takes over what the runtime has, and forgets what it has no longer.
    pub(crate) fn synchronize(&mut self, seen: &Synchronized, qos: &QosConfig) -> bool {
        self.known = true;
        self.sandboxes = seen.pods.iter().filter(|pod| self.is_ours(pod)).map(|pod| (pod.id.clone(), pod.clone())).collect();
        self.containers.clear();
        for container in &seen.containers {
            self.note_container(container.clone());
        }
        self.put_together(qos)
    }

    /// Whether a sandbox is of a pod of this node: others can be made by whoever may ask the runtime, and name any cgroup as theirs. What is not below
    /// the tree of pods, under the name of its own uid, is nobody's to write.
    pub(crate) fn is_ours(&self, sandbox: &Sandbox) -> bool {
        let own = |cgroup: &CgroupPath| {
            *cgroup != self.root && cgroup.is_within(&self.root) && pod_uid(cgroup.name()).as_ref() == Some(&sandbox.uid)
        };
        sandbox.cgroup.as_ref().is_none_or(own)
    }

    /// Notes a pod of the runtime.
    pub(crate) fn see_pod(&mut self, sandbox: Sandbox, qos: &QosConfig) -> bool {
        // Messages at the end of a pod's life are shorter; what was seen before counts.
        let known = self.sandboxes.get(&sandbox.id).is_some_and(|old| *old == sandbox || sandbox.cgroup.is_none());
        if known || !self.is_ours(&sandbox) {
            return false;
        }
        self.sandboxes.insert(sandbox.id.clone(), sandbox);
        self.put_together(qos)
    }

    /// Notes a container of the runtime. It may change what a pod of which only the runtime has told is known to ask for.
    pub(crate) fn see_container(&mut self, container: SeenContainer, qos: &QosConfig) -> bool {
        let pod = self.sandboxes.get(&container.sandbox).map(|sandbox| sandbox.uid.clone());
        self.note_container(container);
        pod.is_some_and(|uid| !self.api.contains_key(&uid)) && self.put_together(qos)
    }

    /// One whose cgroup is not in that of its pod is not written.
    fn note_container(&mut self, mut container: SeenContainer) {
        let Some(sandbox) = self.sandboxes.get(&container.sandbox) else { return };
        let inside = |own: &CgroupPath| sandbox.cgroup.as_ref().is_some_and(|pod| own != pod && own.is_within(pod));
        container.cgroup = container.cgroup.filter(inside);
        self.containers.insert(container.id.clone(), container);
    }

    /// Forgets a sandbox. The pod may live on with another.
    pub(crate) fn sandbox_gone(&mut self, sandbox: &str, qos: &QosConfig) -> bool {
        self.containers.retain(|_, container| container.sandbox != sandbox);
        self.sandboxes.remove(sandbox).is_some() && self.put_together(qos)
    }

    /// Forgets a container.
    pub(crate) fn container_gone(&mut self, container: &str) {
        self.containers.remove(container);
    }

    /// Takes what the kubelet's checkpoint says of exclusive CPUs.
    pub(crate) fn set_exclusive(&mut self, exclusive: BTreeMap<PodUid, CpuSet>, qos: &QosConfig) -> bool {
        let news = self.exclusive != exclusive;
        self.exclusive = exclusive;
        self.put_together(qos) || news
    }

    /// CPUs that kubelet gave to pods alone.
    pub(crate) fn exclusive(&self) -> &BTreeMap<PodUid, CpuSet> {
        &self.exclusive
    }

    /// Forgets pods that are gone and have no cgroup any more. To be asked after each look at the cgroups.
    pub(crate) fn forget_gone(&mut self, qos: &QosConfig) -> bool {
        let over: Vec<PodUid> = self.gone.iter().filter(|uid| self.presence.cgroup(uid).is_none()).cloned().collect();
        for uid in &over {
            self.gone.remove(uid);
            self.api.remove(uid);
            self.file.change();
        }
        // Of those that only the runtime has told of nobody tells any more while it is away.
        let lost = self.runtime.is_none() && self.provisional.iter().any(|uid| self.presence.cgroup(uid).is_none());
        (lost || !over.is_empty()) && self.put_together(qos)
    }

    /// Pods that hold CPUs and memory, or are about to.
    pub(crate) fn pods(&self) -> &BTreeMap<PodUid, Pod> {
        &self.pods
    }

    /// Pods of which only the runtime has told.
    pub(crate) fn provisional(&self) -> &BTreeSet<PodUid> {
        &self.provisional
    }

    /// A pod as the API server knows it.
    pub(crate) fn record(&self, uid: &PodUid) -> Option<&ApiPod> {
        self.api.get(uid)
    }

    /// The record of the pod of this name that is not over; of two the one that is not being deleted.
    pub(crate) fn named(&self, name: &PodName) -> Option<&ApiPod> {
        let of_name = self.api.values().filter(|pod| pod.pod.name == *name && pod.phase != ApiPhase::Ended);
        of_name.min_by_key(|pod| (pod.deleting, self.gone.contains(&pod.pod.uid)))
    }

    /// Pods that somebody deletes or has deleted already, and static ones, which the API server cannot end.
    pub(crate) fn no_victims(&self) -> impl Iterator<Item = &PodUid> {
        self.api.values().filter(|pod| pod.deleting || pod.is_static).map(|pod| &pod.pod.uid).chain(&self.gone)
    }

    /// Where a pod lives: as the kernel shows it, or as the runtime says before that was looked at.
    pub(crate) fn cgroup_of(&self, uid: &PodUid) -> Option<&CgroupPath> {
        let told = || self.sandboxes.values().find(|sandbox| sandbox.uid == *uid).and_then(|sandbox| sandbox.cgroup.as_ref());
        self.presence.cgroup(uid).or_else(told)
    }

    /// Where the pods and their containers live: what the kernel shows, and what the runtime says it is about to make. As with every kubelet,
    /// containers stand under their ids: pause containers have no other name.
    pub(crate) fn cgroups(&self) -> BTreeMap<PodUid, PodCgroups> {
        let mut all = self.presence.pod_cgroups();
        for container in self.containers.values().filter(|container| container.running) {
            let Some(sandbox) = self.sandboxes.get(&container.sandbox) else { continue };
            let (Some(pod), Some(own), Ok(id)) = (&sandbox.cgroup, &container.cgroup, container.id.parse::<ContainerName>()) else {
                continue;
            };
            let of_pod = all.entry(sandbox.uid.clone()).or_insert_with(|| no_containers(pod));
            of_pod.containers.insert(id, own.clone());
        }
        all
    }

    /// Puts together what is known. True when solvers see something else than before.
    fn put_together(&mut self, qos: &QosConfig) -> bool {
        let holds = |pod: &&ApiPod| pod.phase != ApiPhase::Ended;
        let mut pods: BTreeMap<PodUid, Pod> = self.api.values().filter(holds).map(|pod| (pod.pod.uid.clone(), pod.pod.clone())).collect();
        self.provisional.clear();
        for sandbox in self.sandboxes.values().filter(|sandbox| !self.api.contains_key(&sandbox.uid)) {
            let containers: Vec<&SeenContainer> = self.containers.values().filter(|container| container.sandbox == sandbox.id).collect();
            // The sandbox of a pod that is over stays for a while, and is told of again whenever the runtime is asked. While there is no runtime
            // what it told may be over too.
            if (containers.is_empty() || self.runtime.is_none()) && self.presence.cgroup(&sandbox.uid).is_none() {
                continue;
            }
            // Of two sandboxes of one pod the one with containers is the newer.
            if containers.is_empty() && pods.contains_key(&sandbox.uid) {
                continue;
            }
            let Some(pod) = provisional::pod(sandbox, containers.into_iter(), qos) else { continue };
            self.provisional.insert(pod.uid.clone());
            pods.insert(pod.uid.clone(), pod);
        }
        for (uid, cpus) in &self.exclusive {
            if let Some(pod) = pods.get_mut(uid) {
                exclusive::alone(pod, cpus);
            }
        }
        let news = pods != self.pods;
        self.pods = pods;
        self.lowered.retain(|uid, _| self.pods.contains_key(uid));
        news
    }
}

fn no_containers(pod: &CgroupPath) -> PodCgroups {
    PodCgroups { pod: pod.clone(), containers: BTreeMap::new() }
}

#[cfg(test)]
mod tests;
