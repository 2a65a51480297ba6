use super::reserve::reserve;
use crate::layout::Layout;
use gleaner_model::{CpuSet, Topology};
use serde::{Deserialize, Serialize};

/// Which CPUs are kept for the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReserveRule {
    /// This many: the lowest, by whole cores.
    Count(u32),
    /// These very CPUs.
    Cpus(CpuSet),
}

/// How CPUs are given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PlacePolicy {
    /// CPUs that no pod but system pods gets.
    pub reserve: ReserveRule,
    /// Whether reclaimed pods run on the CPUs of shared pools too; then only the idle class and quotas protect shared pods.
    pub overlap_share: bool,
    /// CPUs that each shared pool with pods keeps at least when a dedicated pod asks for CPUs.
    pub min_share_cpus: u32,
}

impl Default for PlacePolicy {
    fn default() -> Self {
        Self { reserve: ReserveRule::Count(0), overlap_share: false, min_share_cpus: 1 }
    }
}

impl PlacePolicy {
    /// What is wrong with the policy on this machine, one line each; empty when nothing is.
    #[must_use]
    pub fn validate(&self, topology: &Topology) -> Vec<String> {
        let layout = Layout::new(topology);
        let mut problems = Vec::new();
        let online = layout.online.count();
        if let ReserveRule::Cpus(cpus) = &self.reserve {
            let offline = cpus.difference(&layout.online);
            if !offline.is_empty() {
                problems.push(format!("reserve: CPUs {offline} are not online, the node has {}", layout.online));
            }
        }
        let reserved = match &self.reserve {
            ReserveRule::Count(count) => *count,
            ReserveRule::Cpus(_) => reserve(&layout, &self.reserve).count(),
        };
        if reserved >= online {
            problems.push(format!("reserve: {reserved} CPUs are reserved, but the node has {online}; at least 1 must be left for pods"));
        } else if self.min_share_cpus > online - reserved {
            problems.push(format!(
                "minShareCpus: {} is more than the {} CPUs that are not reserved",
                self.min_share_cpus,
                online - reserved
            ));
        }
        if self.min_share_cpus == 0 {
            problems.push("minShareCpus: 0 would leave running pods without a CPU; at least 1".to_owned());
        }
        problems
    }
}
