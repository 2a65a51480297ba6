//! How the kubelet is configured.

use super::amounts::{hard_eviction, reserved};
use gleaner_model::{Bytes, CgroupPath, CpuSet, MilliCpu, Permille};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where a configuration was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigSource {
    /// The kubelet's own answer, flags and all.
    Configz,
    /// Its file. Its flags and the files of its `--config-dir` come on top, and are not known.
    File,
}

/// Who makes the cgroups of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CgroupDriver {
    /// Kubelet and the runtime make folders.
    Cgroupfs,
    /// They ask systemd for slices and scopes.
    Systemd,
}

/// What is kept from pods; `None`: nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// CPU.
    pub(crate) cpu: Option<MilliCpu>,
    /// Memory.
    pub(crate) memory: Option<Bytes>,
}

/// When kubelet evicts for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryThreshold {
    /// Below this much available.
    Bytes(Bytes),
    /// Below this share of the node's memory.
    Share(Permille),
}

/// How the kubelet is configured, with its own defaults where nothing is said (`kubelet.config.k8s.io/v1beta1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KubeletConfig {
    /// Where this was read.
    pub(crate) source: ConfigSource,
    /// Keys that the file does not have, so that kubelet's default is taken for them; a flag may say otherwise. Always empty for
    /// [`ConfigSource::Configz`], where what is left out has its default for certain.
    pub(crate) assumed: Vec<&'static str>,
    /// `cgroupDriver`. A runtime that names its driver (Kubernetes 1.31 and newer) overrides it.
    pub(crate) cgroup_driver: CgroupDriver,
    /// `cgroupRoot`: below it lies `kubepods`.
    pub(crate) cgroup_root: CgroupPath,
    /// `cpuManagerPolicy`: `none` or `static`.
    pub(crate) cpu_manager_policy: String,
    /// `cpuManagerPolicyOptions`.
    pub(crate) cpu_manager_policy_options: BTreeMap<String, String>,
    /// `memoryManagerPolicy`: `None` or `Static`.
    pub(crate) memory_manager_policy: String,
    /// `topologyManagerPolicy`: `none`, `best-effort`, `restricted` or `single-numa-node`.
    pub(crate) topology_manager_policy: String,
    /// `topologyManagerScope`: `container` or `pod`.
    pub(crate) topology_manager_scope: String,
    /// `reservedSystemCPUs`; `None`: no CPUs are named.
    pub(crate) reserved_system_cpus: Option<CpuSet>,
    /// `kubeReserved`.
    pub(crate) kube_reserved: Reserved,
    /// `systemReserved`.
    pub(crate) system_reserved: Reserved,
    /// The feature gate `MemoryQoS`: kubelet writes `memory.min` and `memory.high` itself (cgroup v2 only).
    pub(crate) memory_qos: bool,
    /// `evictionHard`, `memory.available`; `None`: off.
    pub(crate) eviction_memory: Option<MemoryThreshold>,
    /// The kubelet's version; not in its configuration, so `None` until somebody knows it.
    pub(crate) version: Option<String>,
}

/// The keys that are read; others are of no interest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    kind: Option<String>,
    cgroup_driver: Option<String>,
    cgroup_root: Option<String>,
    cpu_manager_policy: Option<String>,
    cpu_manager_policy_options: Option<BTreeMap<String, String>>,
    memory_manager_policy: Option<String>,
    topology_manager_policy: Option<String>,
    topology_manager_scope: Option<String>,
    #[serde(rename = "reservedSystemCPUs")]
    reserved_system_cpus: Option<CpuSet>,
    kube_reserved: Option<BTreeMap<String, String>>,
    system_reserved: Option<BTreeMap<String, String>>,
    feature_gates: Option<BTreeMap<String, bool>>,
    eviction_hard: Option<BTreeMap<String, String>>,
    merge_default_eviction_settings: Option<bool>,
}

impl KubeletConfig {
    /// Reads the answer of `/configz`.
    ///
    /// # Errors
    /// What is wrong with it, as one line.
    pub(crate) fn from_configz(text: &str) -> Result<Self, String> {
        let mut answer: Value = serde_json::from_str(text).map_err(|error| line(&error))?;
        let config = answer.get_mut("kubeletconfig").map(Value::take).ok_or("has no key kubeletconfig")?;
        Self::from_value(config, ConfigSource::Configz)
    }

    /// Reads kubelet's configuration file, YAML or JSON.
    ///
    /// # Errors
    /// What is wrong with it, as one line.
    pub(crate) fn from_file(text: &str) -> Result<Self, String> {
        let value: Value = serde_saphyr::from_str(text).map_err(|error| line(&error))?;
        Self::from_value(value, ConfigSource::File)
    }

    fn from_value(value: Value, source: ConfigSource) -> Result<Self, String> {
        if !value.is_object() {
            return Err("is not a mapping of keys to values".to_owned());
        }
        let written: Written = serde_json::from_value(value).map_err(|error| line(&error))?;
        if let Some(kind) = written.kind.as_deref().filter(|kind| *kind != "KubeletConfiguration") {
            return Err(format!("is of kind {kind:?}, not KubeletConfiguration"));
        }
        let assumed = if source == ConfigSource::File { written.missing() } else { Vec::new() };
        let text = |given: Option<String>, default: &str| given.filter(|t| !t.is_empty()).unwrap_or_else(|| default.to_owned());
        let merged = written.merge_default_eviction_settings.unwrap_or_default();
        Ok(Self {
            source,
            assumed,
            cgroup_driver: match text(written.cgroup_driver, "cgroupfs").as_str() {
                "cgroupfs" => CgroupDriver::Cgroupfs,
                "systemd" => CgroupDriver::Systemd,
                other => return Err(format!("cgroupDriver: {other:?} is neither cgroupfs nor systemd")),
            },
            cgroup_root: text(written.cgroup_root, "/").parse().map_err(|error| format!("cgroupRoot: {error}"))?,
            cpu_manager_policy: text(written.cpu_manager_policy, "none"),
            cpu_manager_policy_options: written.cpu_manager_policy_options.unwrap_or_default(),
            memory_manager_policy: text(written.memory_manager_policy, "None"),
            topology_manager_policy: text(written.topology_manager_policy, "none"),
            topology_manager_scope: text(written.topology_manager_scope, "container"),
            reserved_system_cpus: written.reserved_system_cpus.filter(|cpus| !cpus.is_empty()),
            kube_reserved: reserved("kubeReserved", &written.kube_reserved.unwrap_or_default())?,
            system_reserved: reserved("systemReserved", &written.system_reserved.unwrap_or_default())?,
            memory_qos: written.feature_gates.and_then(|gates| gates.get("MemoryQoS").copied()).unwrap_or(false),
            eviction_memory: hard_eviction(written.eviction_hard.as_ref(), merged)?,
            version: None,
        })
    }
}

impl Written {
    fn missing(&self) -> Vec<&'static str> {
        [
            ("cgroupDriver", self.cgroup_driver.is_none()),
            ("cgroupRoot", self.cgroup_root.is_none()),
            ("cpuManagerPolicy", self.cpu_manager_policy.is_none()),
            ("memoryManagerPolicy", self.memory_manager_policy.is_none()),
            ("topologyManagerPolicy", self.topology_manager_policy.is_none()),
            ("topologyManagerScope", self.topology_manager_scope.is_none()),
            ("reservedSystemCPUs", self.reserved_system_cpus.is_none()),
            ("kubeReserved", self.kube_reserved.is_none()),
            ("systemReserved", self.system_reserved.is_none()),
            ("evictionHard", self.eviction_hard.is_none()),
        ]
        .into_iter()
        .filter_map(|(key, missing)| missing.then_some(key))
        .collect()
    }
}

/// The first line of an error: the rest draws the place.
pub(super) fn line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
