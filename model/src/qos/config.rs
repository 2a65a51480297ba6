use super::QosClass;
use serde::{Deserialize, Serialize};

/// An annotation of the cluster's own that selects a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassSelector {
    /// The class that it selects.
    pub class: QosClass,
    /// The annotation's key.
    pub key: String,
    /// The value that it must have.
    pub value: String,
}

/// How pods are classified.
///
/// Precedence: the annotation `katalyst.kubewharf.io/qos_level` decides where it is present. Else all selectors that match must select the same
/// class; selectors of two classes that both match are an error. Else the class is `shared_cores`. The order of the selectors has no meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QosConfig {
    /// Selectors beside the class annotation.
    pub selectors: Vec<ClassSelector>,
}
