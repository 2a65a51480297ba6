//! The lines of a recording, as they are written.

use crate::config::Mode;
use gleaner_estimator::{Advice, Region};
use gleaner_model::{Decision, PodUid, PoolName, Timestamp, Topology, WallTime};
use gleaner_qrm_plugins::PlacePolicy;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The format that is written, and the only one that is read.
pub(crate) const FORMAT: u32 = 1;

/// The longest line that is read. That of 500 pods with their histories takes a few MiB.
pub(super) const LONGEST: u64 = 64 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Line {
    /// Begins each file, and each run of an agent in it.
    Header(Box<Header>),
    /// This many ticks are missing here. The next tick is a whole one.
    Gap(u64),
    /// One tick.
    Tick(Box<TickLine>),
}

/// What does not change while an agent runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    /// The format, [`FORMAT`].
    pub(crate) record: u32,
    /// The version of the agent.
    pub(crate) gleaner: String,
    /// The node.
    pub(crate) node: String,
    /// The kernel's name for this boot: moments of another boot cannot be compared with it.
    pub(crate) boot: String,
    /// When the agent began to record; with the boot it tells one run from another.
    pub(crate) begun: Timestamp,
    /// When this line was written.
    pub(crate) wall: Option<WallTime>,
    /// Where pods come from.
    pub(crate) mode: Mode,
    /// Nothing was written to the kernel.
    pub(crate) shadow: bool,
    /// The machine.
    pub(crate) topology: Topology,
}

/// What the two pure functions that are replayed carried from earlier ticks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct States {
    pub(crate) estimator: gleaner_estimator::State,
    pub(crate) eviction: gleaner_eviction::State,
}

/// The sections of the configuration that they use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Policies {
    pub(crate) estimator: gleaner_estimator::Policy,
    pub(crate) eviction: gleaner_eviction::Policy,
}

/// One tick. With `states` it is whole and can be read without any other; without, it says what changed since the tick before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TickLine {
    /// Before the tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) states: Option<States>,
    /// Where they changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policies: Option<Policies>,
    /// What other processes supplied, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<BTreeMap<Region, Advice>>,
    /// When its readings were taken, those whose time is written as `=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sampled: Option<Value>,
    /// The snapshot, or the merge patch from that of the tick before.
    pub(crate) snapshot: Value,
    /// The assignment that the estimate was made with, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assignment: Option<Value>,
    /// What the estimator answered.
    pub(crate) estimate: Value,
    /// Questions to the solver since the last tick.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) placements: Vec<PlacementLine>,
    /// Who had to go; absent where nobody asked, since the agent was about to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) eviction: Option<EvictionLine>,
    /// What was decided since the last tick, with reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) decisions: Vec<Decision>,
}

/// One question to the solver that cuts the machine into pools, and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlacementLine {
    /// Where it started, as a patch of the tick's assignment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<Value>,
    /// The pods, as a patch of the snapshot's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pods: Option<Value>,
    /// The sizes of the shared pools.
    pub(crate) sizes: BTreeMap<PoolName, u32>,
    /// How CPUs are given out.
    pub(crate) policy: PlacePolicy,
    /// The assignment that it answered, as a patch of the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Value>,
}

/// What was asked and answered on who must go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EvictionLine {
    /// Pods that were on their way out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) leaving: BTreeSet<PodUid>,
    /// A pressure trigger woke the agent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) fired: bool,
    /// The answer.
    pub(crate) round: Value,
}
