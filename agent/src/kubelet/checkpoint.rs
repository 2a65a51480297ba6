//! What kubelet's CPU manager and memory manager wrote down. Their checksums are digests of Go's own print of a structure and are not compared: the files are
//! replaced as a whole, by rename.

use super::config::line;
use gleaner_model::{ContainerName, CpuSet, Id, NumaId, NumaSet, PodUid};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// Which CPUs the CPU manager gave to whom (`cpu_manager_state`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Exclusive {
    /// The policy: `none` or `static`.
    pub(crate) policy: String,
    /// CPUs of all other containers; those that are reserved are among them. Empty with policy `none`, which gives nothing away.
    pub(crate) default: CpuSet,
    /// CPUs of one container alone.
    pub(crate) by_pod: BTreeMap<PodUid, BTreeMap<ContainerName, CpuSet>>,
    /// CPUs of one pod alone, those of its containers among them (pod-level resources, Kubernetes 1.36 and newer).
    pub(crate) whole_pods: BTreeMap<PodUid, CpuSet>,
}

impl Exclusive {
    /// All CPUs that one pod has alone.
    pub(crate) fn of_pod(&self, pod: &PodUid) -> CpuSet {
        let containers = self.by_pod.get(pod).into_iter().flat_map(BTreeMap::values);
        containers.chain(self.whole_pods.get(pod)).fold(CpuSet::new(), |all, cpus| all.union(cpus))
    }

    /// All CPUs that any pod has alone.
    #[cfg(test)]
    pub(crate) fn all(&self) -> CpuSet {
        let containers = self.by_pod.values().flat_map(BTreeMap::values);
        containers.chain(self.whole_pods.values()).fold(CpuSet::new(), |all, cpus| all.union(cpus))
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// What is wrong with it, as one line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: File<String> = read(text)?;
        let set = |place: String, text: &str| text.parse::<CpuSet>().map_err(|error| format!("{place}: {error}"));
        Ok(Self {
            policy: file.policy_name,
            default: set("defaultCpuSet".to_owned(), &file.default_cpu_set)?,
            by_pod: containers(file.entries, |place, text: String| set(place, &text))?,
            whole_pods: pods(file.pod_entries, |place, entry: PodCpus| set(place, &entry.cpu_set))?,
        })
    }
}

/// Which NUMA nodes the memory manager bound whom to (`memory_manager_state`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PinnedMemory {
    /// The policy: `None` or `Static`.
    pub(crate) policy: String,
    /// Nodes of a container, all of its memory and huge pages together.
    pub(crate) by_pod: BTreeMap<PodUid, BTreeMap<ContainerName, NumaSet>>,
    /// Nodes of a pod as a whole (pod-level resources, Kubernetes 1.36 and newer).
    pub(crate) whole_pods: BTreeMap<PodUid, NumaSet>,
}

impl PinnedMemory {
    /// Reads the file's text.
    ///
    /// # Errors
    /// What is wrong with it, as one line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: File<Vec<Block>> = read(text)?;
        Ok(Self {
            policy: file.policy_name,
            by_pod: containers(file.entries, |place, blocks: Vec<Block>| nodes(&place, &blocks))?,
            whole_pods: pods(file.pod_entries, |place, entry: PodMemory| nodes(&place, &entry.memory_blocks))?,
        })
    }
}

/// Both files, as far as they are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File<T> {
    policy_name: String,
    #[serde(default)]
    default_cpu_set: String,
    #[serde(default = "BTreeMap::new")]
    entries: BTreeMap<String, BTreeMap<String, T>>,
    #[serde(default)]
    pod_entries: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodCpus {
    #[serde(default)]
    cpu_set: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMemory {
    #[serde(default)]
    memory_blocks: Vec<Block>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    numa_affinity: Vec<u32>,
}

fn read<T: DeserializeOwned>(text: &str) -> Result<File<T>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| line(&error))?;
    if value.get("policyName").and_then(Value::as_str).is_none() {
        return Err("is no checkpoint of kubelet: policyName is missing".to_owned());
    }
    // Before 1.18 the entries were by container id alone, and the pod cannot be told.
    let entries = value.get("entries").and_then(Value::as_object);
    if entries.is_some_and(|entries| entries.values().any(Value::is_string)) {
        return Err("is of the format of Kubernetes before 1.18, which does not name pods".to_owned());
    }
    serde_json::from_value(value).map_err(|error| line(&error))
}

fn containers<T, V>(
    entries: BTreeMap<String, BTreeMap<String, T>>,
    value: impl Fn(String, T) -> Result<V, String>,
) -> Result<BTreeMap<PodUid, BTreeMap<ContainerName, V>>, String> {
    let mut all = BTreeMap::new();
    for (uid, inner) in entries {
        let mut named = BTreeMap::new();
        for (name, entry) in inner {
            let place = format!("entries.{uid}.{name}");
            let name: ContainerName = name.parse().map_err(|error| format!("entries.{uid}: {error}"))?;
            named.insert(name, value(place, entry)?);
        }
        all.insert(uid.parse().map_err(|error| format!("entries: {error}"))?, named);
    }
    Ok(all)
}

fn pods<T: DeserializeOwned, V>(
    entries: BTreeMap<String, Value>,
    value: impl Fn(String, T) -> Result<V, String>,
) -> Result<BTreeMap<PodUid, V>, String> {
    let one = |(uid, entry): (String, Value)| {
        let place = format!("podEntries.{uid}");
        let entry: T = serde_json::from_value(entry).map_err(|error| format!("{place}: {}", line(&error)))?;
        Ok((uid.parse().map_err(|error| format!("podEntries: {error}"))?, value(place, entry)?))
    };
    entries.into_iter().map(one).collect()
}

fn nodes(place: &str, blocks: &[Block]) -> Result<NumaSet, String> {
    let all = blocks.iter().flat_map(|block| block.numa_affinity.iter().copied());
    let legal = |node: u32| if node <= NumaId::MAX { Ok(NumaId::new(node)) } else { Err(format!("{place}: there is no NUMA node {node}")) };
    all.map(legal).collect()
}

#[cfg(test)]
mod tests;
