//! What is remembered of a region and of a workload, bounded.

use serde::{Deserialize, Serialize};

/// How much is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HistorySettings {}

/// What a region did before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RegionHistory {}

/// What one container of a workload did before, in this and in earlier pods.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkloadHistory {}
