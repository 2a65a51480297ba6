//! How nodes are configured by objects of the cluster: `AdminQoSConfiguration`, which an administrator writes, and `CustomNodeConfig`, by which
//! Katalyst's controllers tell a node which of them is its own.
//!
//! Names follow katalyst-api's `config/v1alpha1`. Only what Gleaner reads is declared. Every declared object keeps what is not
//! declared (`x-kubernetes-preserve-unknown-fields`), so that installing these definitions over Katalyst's prunes nothing.

mod admin;
mod node;
mod schema;
mod target;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use admin::{
    AdminQosConfig, AdminQosConfiguration, AdminQosConfigurationSpec, AdvisorConfig, CpuAdvisorConfig, CpuPressureEvictionConfig,
    EvictionConfig, MemoryPressureEvictionConfig, ReclaimedResourceConfig,
};
pub use node::{CustomNodeConfig, CustomNodeConfigSpec, CustomNodeConfigStatus, ResourceName, TargetConfig};
pub use target::{ConfigCondition, ConfigStatus, EphemeralSelector, RollingUpdate, UpdateStrategy};

/// The API group of both kinds.
pub const GROUP: &str = "config.katalyst.kubewharf.io";
/// The version of both kinds.
pub const VERSION: &str = "v1alpha1";
/// The name of [`AdminQosConfiguration`] in paths, and in a [`TargetConfig`].
pub const ADMIN_QOS_CONFIGURATIONS: &str = "adminqosconfigurations";

/// The definitions of both kinds. Unlike the derived ones they take an object without `spec`, as Katalyst's do.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut all = vec![AdminQosConfiguration::crd(), CustomNodeConfig::crd()];
    for version in all.iter_mut().flat_map(|definition| &mut definition.spec.versions) {
        if let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            root.required = None;
        }
    }
    all
}

#[cfg(test)]
mod tests;
