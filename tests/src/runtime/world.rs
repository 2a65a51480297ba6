//! The pods and containers that the runtime has.

use super::amounts::Amounts;
use super::message;
use super::options::Version;
use super::pod::{ContainerSpec, ContainerState, PodSpec};
use super::writer::Writer;
use gleaner_crds::nri::{Container, PodSandbox};
use gleaner_model::CgroupPath;
use std::collections::BTreeMap;

/// A pod's sandbox.
#[derive(Debug, Clone)]
pub(super) struct Sandbox {
    pub(super) id: String,
    pub(super) spec: PodSpec,
    pub(super) cgroup: CgroupPath,
    /// Of the pause process; zero when it has ended.
    pub(super) pid: u32,
}

/// A container, with the specification that the runtime writes in whole whenever something in it changes.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) id: String,
    pub(super) sandbox: String,
    pub(super) spec: ContainerSpec,
    pub(super) cgroup: CgroupPath,
    pub(super) cgroups_path: String,
    /// Those of the specification: its own, the runtime's, and what plugins made of them.
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) amounts: Amounts,
    /// `None` before it is created.
    pub(super) state: Option<ContainerState>,
    pub(super) pid: u32,
    /// Whether plugins know that it stopped.
    pub(super) stop_told: bool,
}

impl Held {
    pub(super) fn new(id: String, sandbox: &Sandbox, spec: ContainerSpec) -> Result<Self, String> {
        let cgroup = container_cgroup(sandbox, &id)?;
        let parent = &sandbox.spec.cgroup_parent;
        let cgroups_path =
            if is_slice(parent) { format!("{parent}:cri-containerd:{id}") } else { format!("{}/{id}", parent.trim_end_matches('/')) };
        let annotations = message::container_annotations(sandbox, &spec);
        let (sandbox, amounts) = (sandbox.id.clone(), spec.resources.clone());
        Ok(Self {
            id,
            sandbox,
            spec,
            cgroup,
            cgroups_path,
            annotations,
            env: BTreeMap::new(),
            amounts,
            state: None,
            pid: 0,
            stop_told: false,
        })
    }
}

/// Everything that the lock of the runtime is over.
#[derive(Debug)]
pub(super) struct World {
    pub(super) pods: BTreeMap<String, Sandbox>,
    pub(super) containers: BTreeMap<String, Held>,
    pub(super) writer: Box<dyn Writer>,
    made: u32,
}

impl World {
    pub(super) fn new(writer: Box<dyn Writer>) -> Self {
        Self { pods: BTreeMap::new(), containers: BTreeMap::new(), writer, made: 0 }
    }

    /// A new id. Ids look like chance, so that the order of lists means nothing.
    pub(super) fn id(&mut self) -> String {
        self.made += 1;
        let mut seed = u64::from(self.made);
        let mut word = || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb)
        };
        format!("{:016x}{:016x}{:016x}{:016x}", word(), word(), word(), word())
    }

    /// A process id that no process of any machine has: they are below 2^22.
    pub(super) fn pid(&mut self) -> u32 {
        self.made += 1;
        5_000_000 + self.made
    }

    /// What Synchronize tells: all pods, and containers that did not end.
    pub(super) fn existing(&self, version: Version) -> (Vec<PodSandbox>, Vec<Container>) {
        let pods = self.pods.values().map(|pod| message::pod(version, pod)).collect();
        let lives = |held: &&Held| held.state != Some(ContainerState::Exited);
        (pods, self.containers.values().filter(lives).map(message::container).collect())
    }

    pub(super) fn container(&mut self, id: &str) -> Result<&mut Held, String> {
        self.containers.get_mut(id).ok_or_else(|| format!("container {id:?} not found"))
    }

    pub(super) fn pod(&self, id: &str) -> Result<Sandbox, String> {
        self.pods.get(id).cloned().ok_or_else(|| format!("sandbox {id:?} not found"))
    }
}

pub(super) fn is_slice(parent: &str) -> bool {
    parent.ends_with(".slice")
}

/// The cgroup that kubelet's string means: a path, or the last of slices that each have one dash more than the one above.
pub(super) fn pod_cgroup(parent: &str) -> Result<CgroupPath, String> {
    let wrong = |error: gleaner_model::ValueError| format!("cgroup parent {parent:?}: {error}");
    let Some(name) = parent.strip_suffix(".slice") else { return parent.parse().map_err(wrong) };
    let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
    ends.map(|end| format!("{}.slice", &name[..end])).try_fold(CgroupPath::root(), |above, slice| above.join(&slice)).map_err(wrong)
}

fn container_cgroup(sandbox: &Sandbox, id: &str) -> Result<CgroupPath, String> {
    let name = if is_slice(&sandbox.spec.cgroup_parent) { format!("cri-containerd-{id}.scope") } else { id.to_owned() };
    sandbox.cgroup.join(&name).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_lies_in_the_slices_that_its_name_begins_with() {
        let of = |parent| pod_cgroup(parent).map(|cgroup| cgroup.as_str().to_owned());
        assert_eq!(of("/kubepods/burstable/podu").as_deref(), Ok("/kubepods/burstable/podu"));
        let slices = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podu_1.slice";
        assert_eq!(of("kubepods-burstable-podu_1.slice").as_deref(), Ok(slices));
        assert!(of("no/path").is_err(), "a path begins with a slash");
    }
}
