use super::reserve::kept;
use crate::layout::Layout;
use crate::take::TakePolicy;
use gleaner_model::{CpuSet, Id, NumaId, Permille, Topology};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Which CPUs are kept for the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReserveRule {
    /// This many: the lowest, by whole cores, without those kept for interrupts.
    Count(u32),
    /// These very CPUs.
    Cpus(CpuSet),
    /// This many, on every NUMA node a part by its CPUs: of each the lowest, by whole cores.
    Spread(u32),
    /// So many on each of these NUMA nodes, likewise.
    ByNode(BTreeMap<NumaId, u32>),
}

/// Which CPUs of shared pools reclaimed pods run on too. In a configuration it is the value of `overlapShare`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReclaimMode {
    /// On none: they have CPUs of their own. As text `false`.
    #[default]
    Cpuset,
    /// On those that the pools do not need now; what they need they have for themselves. As text `unneeded`.
    Overlap,
    /// On all: only the idle class and quotas protect shared pods. As text `true`.
    Quota,
}

const UNNEEDED: &str = "unneeded";

impl From<bool> for ReclaimMode {
    fn from(overlap: bool) -> Self {
        if overlap { Self::Quota } else { Self::Cpuset }
    }
}

impl Serialize for ReclaimMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Cpuset => serializer.serialize_bool(false),
            Self::Overlap => serializer.serialize_str(UNNEEDED),
            Self::Quota => serializer.serialize_bool(true),
        }
    }
}

impl<'de> Deserialize<'de> for ReclaimMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = ReclaimMode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "false, true or {UNNEEDED}")
            }

            fn visit_bool<E: Error>(self, overlap: bool) -> Result<ReclaimMode, E> {
                Ok(overlap.into())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ReclaimMode, E> {
                if text == UNNEEDED { Ok(ReclaimMode::Overlap) } else { Err(E::invalid_value(Unexpected::Str(text), &self)) }
            }
        }
        deserializer.deserialize_any(Words)
    }
}

/// Which of the NUMA nodes that fit a shared pod with `numa_binding` is preferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HintPreference {
    /// The node of which most is left.
    #[default]
    Spreading,
    /// The node of which least is left.
    Packing,
    /// Packing among the nodes of which enough is left; spreading when there are none.
    #[serde(rename_all = "camelCase")]
    DynamicPacking {
        /// The share of a node's CPUs for pods that must be left after the request.
        low_threshold: Permille,
    },
}

/// How CPUs are given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PlacePolicy {
    /// CPUs that no pod but system pods gets.
    pub reserve: ReserveRule,
    /// CPUs that interrupts have for themselves: no pod gets any, of whatever class.
    pub interrupt: CpuSet,
    /// Which CPUs of shared pools reclaimed pods run on too.
    #[serde(rename = "overlapShare")]
    pub mode: ReclaimMode,
    /// Whether reclaimed pods run on the CPUs of dedicated pods too, but for pods with `numa_exclusive` or without `numa_share`.
    pub overlap_dedicated: bool,
    /// CPUs that each shared pool with pods keeps at least when a dedicated pod asks for CPUs.
    pub min_share_cpus: u32,
    /// Where shared pods with `numa_binding` would rather go.
    pub hint_preference: HintPreference,
    /// Which CPUs dedicated pods get of those that they may have.
    pub cpu_take: TakePolicy,
}

impl Default for PlacePolicy {
    fn default() -> Self {
        Self {
            reserve: ReserveRule::Count(0),
            interrupt: CpuSet::new(),
            mode: ReclaimMode::default(),
            overlap_dedicated: false,
            min_share_cpus: 1,
            hint_preference: HintPreference::default(),
            cpu_take: TakePolicy::default(),
        }
    }
}

impl PlacePolicy {
    /// What is wrong with the policy on this machine, one line each; empty when nothing is.
    #[must_use]
    pub fn validate(&self, topology: &Topology) -> Vec<String> {
        let layout = Layout::new(topology);
        let mut problems = Vec::new();
        let mut offline = |key: &str, cpus: &CpuSet| {
            let offline = cpus.difference(&layout.online);
            if !offline.is_empty() {
                problems.push(format!("{key}: CPUs {offline} are not online, the node has {}", layout.online));
            }
        };
        offline("interrupt", &self.interrupt);
        if let ReserveRule::Cpus(cpus) = &self.reserve {
            offline("reserve", cpus);
            let both = cpus.intersection(&self.interrupt);
            if !both.is_empty() {
                problems.push(format!("interrupt: CPUs {both} are in reserve too; a CPU is kept for one of them"));
            }
        }
        if let ReserveRule::ByNode(counts) = &self.reserve {
            for (node, count) in counts {
                let has = layout.nodes.get(node).map_or(0, |cpus| cpus.difference(&self.interrupt).count());
                if *count > has {
                    problems.push(format!("reserve: {count} CPUs are reserved on NUMA node {}, which has {has}", node.index()));
                }
            }
        }
        self.validate_rest(&layout, &mut problems);
        problems
    }

    /// What is left for pods.
    fn validate_rest(&self, layout: &Layout<'_>, problems: &mut Vec<String>) {
        let online = layout.online.count();
        let kept = kept(layout, self);
        let reserved = match &self.reserve {
            ReserveRule::Count(count) | ReserveRule::Spread(count) => *count,
            ReserveRule::Cpus(_) | ReserveRule::ByNode(_) => kept.reserve.count(),
        };
        let interrupt = kept.interrupt.count();
        let also = if interrupt == 0 { String::new() } else { format!(" and {interrupt} kept for interrupts") };
        match online.checked_sub(reserved.saturating_add(interrupt)) {
            None | Some(0) if reserved == 0 => {
                problems.push(format!("interrupt: {interrupt} CPUs are kept, but the node has {online}; at least 1 must be left for pods"));
            }
            None | Some(0) => {
                problems.push(format!(
                    "reserve: {reserved} CPUs are reserved{also}, but the node has {online}; at least 1 must be left for pods"
                ));
            }
            Some(left) if self.min_share_cpus > left => {
                let neither = if interrupt == 0 { "not reserved" } else { "neither reserved nor kept for interrupts" };
                problems.push(format!("minShareCpus: {} is more than the {left} CPUs that are {neither}", self.min_share_cpus));
            }
            Some(_) => {}
        }
        if self.min_share_cpus == 0 {
            problems.push("minShareCpus: 0 would leave running pods without a CPU; at least 1".to_owned());
        }
        if let HintPreference::DynamicPacking { low_threshold } = self.hint_preference
            && low_threshold > Permille::new(1000)
        {
            problems.push(format!("hintPreference: lowThreshold {low_threshold} is more than the whole node"));
        }
        if let TakePolicy::Static(options) = self.cpu_take {
            problems.extend(options.validate().into_iter().map(|problem| format!("cpuTake: {problem}")));
        }
    }
}
