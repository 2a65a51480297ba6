//! `CustomNodeConfig`: Katalyst's controllers tell a node which configuration objects are its own. Named like the node.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Nothing; everything is in the status.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "config.katalyst.kubewharf.io",
    version = "v1alpha1",
    kind = "CustomNodeConfig",
    plural = "customnodeconfigs",
    singular = "customnodeconfig",
    shortname = "cnc",
    status = "CustomNodeConfigStatus",
    derive = "PartialEq",
    doc = "Which configuration objects are one node's; named like the node."
)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct CustomNodeConfigSpec {
    /// What others may have written.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: BTreeMap<String, Value>,
}

/// Which objects are the node's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct CustomNodeConfigStatus {
    /// Configuration objects, at most one of each resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub katalyst_custom_config_list: Vec<TargetConfig>,
    /// Profiles of the services whose pods run on the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_profile_config_list: Vec<TargetConfig>,
}

/// One object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct TargetConfig {
    /// Its resource.
    pub config_type: ResourceName,
    /// Its namespace.
    pub config_namespace: String,
    /// Its name.
    pub config_name: String,
    /// Hash of the configuration that the node is to have: another one says that the object is to be read again.
    pub hash: String,
}

/// A resource of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ResourceName {
    /// The group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The plural name.
    pub resource: String,
}
