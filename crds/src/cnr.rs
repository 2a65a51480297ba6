//! `CustomNodeResource`, through which a node shows what it lends and how it is built. Katalyst's scheduler reads it.
//!
//! Field names, and which of them are always present, follow katalyst-api's `node/v1alpha1`. What Gleaner does not fill in (resource
//! packages, resource pools) is declared all the same, so that installing this definition over Katalyst's prunes nothing.

mod metrics;
pub(crate) mod schema;
mod zone;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::open_enum::open_enum;

pub use metrics::{GroupMetric, NodeMetric, NodeMetricStatus, NumaUsage, UsedResources};
pub use zone::{Allocation, Attribute, Sibling, TopologyZone, ZoneType};

/// Amounts by resource name, as everywhere in Kubernetes.
pub type ResourceList = BTreeMap<String, Quantity>;

/// What is known of a node beyond its Node object: named properties and taints that depend on the class of a pod.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "node.katalyst.kubewharf.io",
    version = "v1alpha1",
    kind = "CustomNodeResource",
    plural = "customnoderesources",
    singular = "customnoderesource",
    shortname = "kcnr",
    status = "CustomNodeResourceStatus",
    derive = "PartialEq",
    doc = "What one node lends and how it is built; named like the node.",
    printcolumn = r#"{"name":"Reclaimed-mCPU","type":"string","jsonPath":".status.resources.allocatable.resource\\.katalyst\\.kubewharf\\.io/reclaimed_millicpu"}"#,
    printcolumn = r#"{"name":"Reclaimed-Memory","type":"string","jsonPath":".status.resources.allocatable.resource\\.katalyst\\.kubewharf\\.io/reclaimed_memory"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct CustomNodeResourceSpec {
    /// Named facts, such as a network card's speed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_resource_properties: Vec<Property>,
    /// Taints for pods of one class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<QosTaint>,
}

/// A named fact about a node: texts or an amount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// Its name.
    pub property_name: String,
    /// Its value, when that is texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub property_values: Vec<String>,
    /// Its value, when that is an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub property_quantity: Option<Quantity>,
}

/// A Kubernetes taint that holds for pods of one class only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QosTaint {
    /// Key, value, effect and time, as on a Node.
    #[serde(flatten)]
    pub taint: Taint,
    /// The class of the pods it holds for.
    #[schemars(schema_with = "schema::qos_level")]
    pub qos_level: QosLevel,
}

/// What changes: amounts, places, conditions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomNodeResourceStatus {
    /// Amounts of the whole node, among them what it lends.
    #[serde(default)]
    pub resources: Resources,
    /// The node's sockets, with what is inside each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology_zone: Vec<TopologyZone>,
    /// How a scheduler is to place pods on NUMA nodes.
    #[serde(default)]
    pub topology_policy: TopologyPolicy,
    /// How the agent is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<CnrCondition>,
    /// What is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_metric_status: Option<NodeMetricStatus>,
}

/// Amounts of a node or of a zone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What pods may be promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_list")]
    pub allocatable: Option<ResourceList>,
    /// What there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_list")]
    pub capacity: Option<ResourceList>,
    /// Shapes that the node is divided into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_packages: Vec<ResourcePackage>,
    /// Amounts kept for kinds of work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_pools: Vec<ResourcePool>,
}

/// A part of a node with a fixed ratio between its resources.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourcePackage {
    /// Its name, such as `x2` for two GiB a core.
    pub package_name: String,
    /// What it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_list")]
    pub allocatable: Option<ResourceList>,
}

/// Amounts kept for one kind of work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourcePool {
    /// Its name.
    pub pool_name: String,
    /// What it has for sure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_list")]
    pub min_allocatable: Option<ResourceList>,
    /// What it may grow to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_list")]
    pub max_allocatable: Option<ResourceList>,
}

/// One statement on the state of the node, with its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CnrCondition {
    /// What the statement is about.
    #[serde(rename = "type")]
    pub type_: CnrConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// When it was last confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_time: Option<Time>,
    /// One word in camel case on why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The same for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

open_enum! {
    /// What a condition is about.
    CnrConditionType {
        /// The agent runs and is well.
        AgentReady = "AgentReady",
        /// No agent runs.
        AgentNotFound = "AgentNotFound",
    }
}

open_enum! {
    /// Whether a condition holds.
    ConditionStatus {
        /// It does.
        True = "True",
        /// It does not.
        False = "False",
        /// Nobody can tell.
        Unknown = "Unknown",
    }
}

open_enum! {
    /// The class of a pod, as text; what it means is the model's matter.
    QosLevel {
        /// Own CPUs.
        DedicatedCores = "dedicated_cores",
        /// CPUs shared with its like.
        SharedCores = "shared_cores",
        /// What the others leave.
        ReclaimedCores = "reclaimed_cores",
        /// Agents.
        SystemCores = "system_cores",
    }
}

open_enum! {
    /// How pods are aligned to NUMA nodes, and whether that is done for each container or for the pod.
    #[derive(Default)]
    TopologyPolicy {
        /// Not at all.
        #[default]
        None = "None",
        /// Each container on one NUMA node.
        SingleNumaNodeContainerLevel = "SingleNUMANodeContainerLevel",
        /// Each pod on one NUMA node.
        SingleNumaNodePodLevel = "SingleNUMANodePodLevel",
        /// Each container on as few NUMA nodes as possible, or not admitted.
        RestrictedContainerLevel = "RestrictedContainerLevel",
        /// Each pod on as few NUMA nodes as possible, or not admitted.
        RestrictedPodLevel = "RestrictedPodLevel",
        /// Each container on as few NUMA nodes as possible, if possible.
        BestEffortContainerLevel = "BestEffortContainerLevel",
        /// Each pod on as few NUMA nodes as possible, if possible.
        BestEffortPodLevel = "BestEffortPodLevel",
        /// CPU and memory of each container on the same NUMA nodes.
        NumericContainerLevel = "NumericContainerLevel",
        /// CPU and memory of each pod on the same NUMA nodes.
        NumericPodLevel = "NumericPodLevel",
    }
}

#[cfg(test)]
mod tests;
