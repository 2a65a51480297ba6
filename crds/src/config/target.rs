//! What all of Katalyst's configuration kinds have in common: which nodes an object is for, and how far it got.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::cnr::ConditionStatus;

/// Nodes by name, for a while.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct EphemeralSelector {
    /// Names of the nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_names: Vec<String>,
    /// How long the object counts after it was created, such as `24h`; must be set if `nodeNames` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_duration: Option<String>,
}

/// How a change reaches the nodes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct UpdateStrategy {
    /// `RollingUpdate`, the only one.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
}

/// Settings of a rolling update.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct RollingUpdate {
    /// How many of the nodes take a change: a percentage, or a number, which only Katalyst's controllers can keep to. All when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::canary")]
    pub canary: Option<IntOrString>,
}

/// How far an object got; written by Katalyst's controllers where they run, and by no node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ConfigStatus {
    /// Nodes that the object is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_nodes: Option<i32>,
    /// Those of them that are to have it by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_nodes: Option<i32>,
    /// Those of them that have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_target_nodes: Option<i32>,
    /// All nodes that have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_nodes: Option<i32>,
    /// Hash of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_hash: Option<String>,
    /// How often two configurations had the same hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// The generation that the rest is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether the object is right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConfigCondition>,
}

/// One statement on an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ConfigCondition {
    /// What it is about; Katalyst writes `Valid`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// One word in camel case on why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The same for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
