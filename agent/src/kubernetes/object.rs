//! A Pod as it is read from the wire: only the fields that are used. All others, `managedFields` above all, are passed over while parsing and never
//! held. What is `null` or missing is empty, as for the API server's own reader.

use k8s_openapi::api::core::v1::ResourceRequirements;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// `v1.PodList`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodList {
    /// Where the list ends.
    #[serde(deserialize_with = "or_default")]
    pub(super) metadata: ListMeta,
    /// The pods of this page.
    #[serde(deserialize_with = "or_default")]
    pub(super) items: Vec<PodObject>,
}

/// `metav1.ListMeta`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListMeta {
    /// The version that a watch goes on from.
    #[serde(deserialize_with = "or_default")]
    pub(super) resource_version: String,
    /// What to ask for the next page with; empty: this was the last.
    #[serde(rename = "continue", deserialize_with = "or_default")]
    pub(super) more: String,
}

/// `v1.Pod`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodObject {
    #[serde(deserialize_with = "or_default")]
    pub(super) metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    pub(super) spec: Spec,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: Status,
}

/// `metav1.ObjectMeta`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) uid: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) resource_version: String,
    pub(super) deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: Labels,
    #[serde(deserialize_with = "or_default")]
    pub(super) owner_references: Vec<OwnerReference>,
}

/// The one label that is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Labels {
    #[serde(rename = "pod-template-hash")]
    pub(super) pod_template_hash: Option<String>,
}

/// `metav1.OwnerReference`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct OwnerReference {
    #[serde(deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    pub(super) controller: Option<bool>,
}

/// `v1.PodSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) priority: Option<i32>,
    pub(super) termination_grace_period_seconds: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub(super) init_containers: Vec<ContainerObject>,
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<ContainerObject>,
}

/// `v1.Container`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerObject {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) resources: ResourceRequirements,
    pub(super) restart_policy: Option<String>,
}

/// `v1.PodStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub(super) phase: Option<String>,
    pub(super) qos_class: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) init_container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    pub(super) container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    pub(super) ephemeral_container_statuses: Vec<ContainerStatus>,
}

/// `v1.ContainerStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerStatus {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    /// With the runtime's name before it: `containerd://ID`, `cri-o://ID`.
    #[serde(rename = "containerID")]
    pub(super) container_id: Option<String>,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
