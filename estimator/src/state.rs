use crate::NodeShare;
use crate::clusters::Clusters;
use crate::control::Control;
use crate::headroom::Raised;
use crate::history::Histories;
use crate::pools::{IsolationState, PoolState};
use crate::region::Region;
use crate::regions::Tracks;
use gleaner_model::{Bytes, ContainerName, MilliCpu, NumaId, PodUid, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What one tick leaves to the next. The default is that of an agent that has only just started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The figures of the last tick.
    pub(crate) given: Option<Given>,
    /// Since when pods that are not reclaimed are known.
    pub(crate) seen: BTreeMap<PodUid, Seen>,
    /// How large pools were of late.
    pub(crate) pools: PoolState,
    /// Pods that flood their pool.
    #[serde(default)]
    pub(crate) isolation: IsolationState,
    /// What regions and workloads did before.
    #[serde(default)]
    pub(crate) histories: Histories,
    /// What the regions' policies keep.
    #[serde(default)]
    pub(crate) controls: BTreeMap<Region, Control>,
    /// What is known of live containers.
    #[serde(default)]
    pub(crate) tracks: Tracks,
    /// Workloads by the shape of their day, and when they were learned.
    #[serde(default)]
    pub(crate) clusters: Clusters,
    #[serde(default)]
    pub(crate) clustered: Option<Timestamp>,
}

impl State {
    /// Goes on from what an earlier agent lent: the figure rises from there and not from zero.
    #[must_use]
    pub fn resume(cpu: MilliCpu, memory: Bytes, at: Timestamp) -> Self {
        Self { given: Some(Given { at, cpu, memory, ..Given::default() }), ..Self::default() }
    }

    /// With what an earlier agent remembered.
    #[must_use]
    pub fn remembering(mut self, histories: Histories) -> Self {
        self.histories = histories;
        self
    }

    /// What a later agent should remember.
    #[must_use]
    pub fn histories(&self) -> &Histories {
        &self.histories
    }
}

/// The figures of one tick: what reclaimed pods could really have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) at: Timestamp,
    pub(crate) cpu: MilliCpu,
    pub(crate) memory: Bytes,
    /// On each NUMA node; a node of which nothing was known is not here, and rises from nothing. `None`: the figures are those of an earlier agent,
    /// so that each node goes on from its part of them by its size.
    #[serde(default)]
    pub(crate) by_node: Option<BTreeMap<NumaId, NodeShare>>,
    /// How much more was promised.
    #[serde(default)]
    pub(crate) raised: Raised,
}

/// Since when a pod is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The first tick with this pod.
    pub(crate) first: Timestamp,
    /// The first tick of those in a row in which a container had a cgroup but no reading yet.
    pub(crate) starting: BTreeMap<ContainerName, Timestamp>,
}

/// The sizes that a pool needed of late: those that no later and larger one outlives, so falling, and few.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sizes(Vec<Size>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Size {
    cpus: u32,
    /// The first tick at which less was enough. It, and not the last tick at which this much was needed, begins the wait: what lies
    /// between two ticks is not known to have needed less.
    ended: Option<Timestamp>,
}

impl Sizes {
    /// A pool that has this size, from a time before this state.
    pub(crate) fn from_size(cpus: u32) -> Self {
        if cpus == 0 { Self::default() } else { Self(vec![Size { cpus, ended: None }]) }
    }

    /// The largest size that is not outlived; `None` before any was needed.
    pub(crate) fn current(&self) -> Option<u32> {
        self.0.iter().map(|size| size.cpus).max()
    }

    /// With the size that is needed now.
    pub(crate) fn observe(mut self, now: Timestamp, cpus: u32, shrink_after: Duration) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.ended = last.ended.or(Some(now));
        }
        self.0.retain(|size| size.cpus > cpus && size.ended.is_none_or(|ended| now.since(ended) < shrink_after));
        self.0.push(Size { cpus, ended: None });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::since_boot(Duration::from_secs(second))
    }

    fn after(needs: &[(u64, u32)]) -> Option<u32> {
        let wait = Duration::from_secs(30);
        needs.iter().fold(Sizes::default(), |sizes, (second, cpus)| sizes.observe(at(*second), *cpus, wait)).current()
    }

    #[test]
    fn a_pool_grows_at_once_and_shrinks_to_the_largest_size_of_the_window() {
        type Row = (&'static str, &'static [(u64, u32)], u32);
        let table: [Row; 7] = [
            ("grows at once", &[(0, 2), (1, 5)], 5),
            ("a smaller size must last", &[(0, 5), (1, 2), (30, 2)], 5),
            ("a smaller size lasted", &[(0, 5), (1, 2), (31, 2)], 2),
            ("the largest of the window", &[(0, 5), (1, 2), (10, 3), (20, 1), (31, 1)], 3),
            ("growing inside the window does not prolong the older size", &[(0, 5), (1, 2), (20, 4), (31, 4)], 4),
            ("the older size again starts anew", &[(0, 5), (1, 2), (20, 5), (21, 2), (50, 2)], 5),
            ("a pause of the agent is no proof that less was enough", &[(0, 5), (300, 2)], 5),
        ];
        for (name, needs, expected) in table {
            assert_eq!(after(needs), Some(expected), "{name}: {needs:?}");
        }
        assert_eq!(after(&[]), None);
    }

    proptest! {
        /// Against the definition: the largest need whose end is less than the wait ago.
        #[test]
        fn the_size_is_the_largest_need_of_the_window(needs in prop::collection::vec(0u32..6, 1..60)) {
            let timed: Vec<(u64, u32)> = (0u64..).zip(needs.iter().copied()).collect();
            let now = timed.len() as u64 - 1;
            let plain = timed.iter().filter(|(second, _)| now.saturating_sub(second + 1) < 30 || *second == now).map(|(_, n)| *n).max();
            prop_assert_eq!(after(&timed), plain);
        }
    }
}
