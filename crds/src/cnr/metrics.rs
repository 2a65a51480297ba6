//! What is in use, for schedulers that look at it.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{QosLevel, schema};

/// Usage of the node and of the pods of each class, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeMetricStatus {
    /// The moment.
    pub update_time: Time,
    /// The whole node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_metric: Option<NodeMetric>,
    /// The pods of each class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_metric: Vec<GroupMetric>,
}

/// Usage of the whole node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeMetric {
    /// On each NUMA node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numa_usage: Vec<NumaUsage>,
    /// On all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generic_usage: Option<UsedResources>,
}

/// Usage of the pods of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupMetric {
    /// The class. The field's name begins with capitals on the wire, unlike all others.
    #[serde(rename = "QoSLevel")]
    #[schemars(schema_with = "schema::qos_level")]
    pub qos_level: QosLevel,
    /// On each NUMA node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numa_usage: Vec<NumaUsage>,
    /// On all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generic_usage: Option<UsedResources>,
    /// The pods counted, as `namespace/name`; a scheduler estimates those that it placed and does not find here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod_list: Vec<String>,
}

/// Usage on one NUMA node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NumaUsage {
    /// The NUMA node's id.
    pub numa_id: u32,
    /// What is used there.
    pub usage: UsedResources,
}

/// CPU and memory in use; absent is not measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsedResources {
    /// In cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub cpu: Option<Quantity>,
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub memory: Option<Quantity>,
}
