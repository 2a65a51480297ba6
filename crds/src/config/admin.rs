//! `AdminQoSConfiguration`: settings for the nodes that it selects. Declared is what Gleaner follows; the rest is kept.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schema;
use super::target::{ConfigStatus, EphemeralSelector, UpdateStrategy};
use crate::cnr::{ResourceList, schema::resource_list};

/// Which nodes, and their settings. Without any selector: all nodes.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "config.katalyst.kubewharf.io",
    version = "v1alpha1",
    kind = "AdminQoSConfiguration",
    root = "AdminQosConfiguration",
    plural = "adminqosconfigurations",
    singular = "adminqosconfiguration",
    shortname = "aqc",
    namespaced,
    status = "ConfigStatus",
    derive = "PartialEq",
    doc = "Settings for nodes that it selects.",
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Paused","type":"boolean","jsonPath":".spec.paused"}"#,
    printcolumn = r#"{"name":"Selector","type":"string","jsonPath":".spec.nodeLabelSelector"}"#,
    printcolumn = r#"{"name":"Priority","type":"integer","jsonPath":".spec.priority"}"#,
    printcolumn = r#"{"name":"Nodes","type":"string","jsonPath":".spec.ephemeralSelector.nodeNames"}"#,
    printcolumn = r#"{"name":"Duration","type":"string","jsonPath":".spec.ephemeralSelector.lastDuration"}"#,
    printcolumn = r#"{"name":"Target","type":"integer","jsonPath":".status.targetNodes"}"#,
    printcolumn = r#"{"name":"Canary","type":"integer","jsonPath":".status.canaryNodes"}"#,
    printcolumn = r#"{"name":"Updated-Target","type":"integer","jsonPath":".status.updatedTargetNodes"}"#,
    printcolumn = r#"{"name":"Hash","type":"string","jsonPath":".status.currentHash"}"#,
    printcolumn = r#"{"name":"Valid","type":"string","jsonPath":".status.conditions[?(@.type==\"Valid\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Valid\")].reason"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type==\"Valid\")].message"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct AdminQosConfigurationSpec {
    /// Nodes by label, as a selector such as `pool in (a,b),!edge`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node_label_selector: String,
    /// Of several objects whose label selectors fit a node, the one with the highest counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Nodes by name, for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_selector: Option<EphemeralSelector>,
    /// Nodes keep what they have.
    #[serde(default)]
    pub paused: bool,
    /// How a change reaches the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
    /// How many old versions Katalyst's controllers keep; its default is theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 3))]
    pub revision_history_limit: Option<i64>,
    /// The settings.
    pub config: AdminQosConfig,
}

/// Settings. What is absent is as in the node's file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct AdminQosConfig {
    /// What is lent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaimed_resource_config: Option<ReclaimedResourceConfig>,
    /// Who must go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eviction_config: Option<EvictionConfig>,
    /// How pools are sized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisor_config: Option<AdvisorConfig>,
    /// Gleaner's own settings: the sections of its file that can change while it runs, with the same keys. Laid over all of the above.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "schema::object")]
    pub gleaner: Map<String, Value>,
}

/// What is lent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ReclaimedResourceConfig {
    /// `false`: nothing is lent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_reclaim: Option<bool>,
    /// CPU and memory that are never lent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "resource_list")]
    pub reserved_resource_for_allocate: Option<ResourceList>,
}

/// Who must go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct EvictionConfig {
    /// Rules that evict nobody; `*` is all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<String>,
    /// For want of CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_pressure_eviction_config: Option<CpuPressureEvictionConfig>,
    /// For want of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_pressure_eviction_config: Option<MemoryPressureEvictionConfig>,
}

/// Who must go for want of CPU.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct CpuPressureEvictionConfig {
    /// Whether reclaimed pods that run too slowly go at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_suppression_eviction: Option<bool>,
    /// CPU promised to reclaimed pods over CPU that there is for them, up to which they only run slowly; 1 is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ratio")]
    pub max_suppression_tolerance_rate: Option<f64>,
    /// How long more than that must last, such as `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_suppression_tolerance_duration: Option<String>,
}

/// Who must go for want of memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct MemoryPressureEvictionConfig {
    /// Whether reclaimed pods go when memory of the whole node is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_system_level_eviction: Option<bool>,
}

/// How pools are sized.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct AdvisorConfig {
    /// CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_advisor_config: Option<CpuAdvisorConfig>,
}

/// How CPU pools are sized.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct CpuAdvisorConfig {
    /// Whether reclaimed pods run on the CPUs of shared pods, which the kernel then prefers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_shared_cores_overlap_reclaimed_cores: Option<bool>,
}
