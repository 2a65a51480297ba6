//! What those need that are not reclaimed, as the headroom wants to hear it.

use crate::need::{Need, PodNeed};
use crate::region::Region;
use crate::regions::RegionNeed;
use gleaner_model::{Bytes, MilliCpu, PodUid, QosClass, Snapshot};
use std::collections::BTreeMap;

/// What all pods need that are not reclaimed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// CPU that each region needs.
    pub(crate) cpu: BTreeMap<Region, Need<MilliCpu>>,
    /// Readings of dedicated pods that are missing. Their CPUs are taken off whole; still, a node on which one is missing is not understood.
    pub(crate) unread: Vec<String>,
    /// Memory that all of them need, dedicated pods too.
    pub(crate) memory: Need<Bytes>,
}

impl Demand {
    /// From what pods and regions need.
    pub(crate) fn of(snapshot: &Snapshot, pods: &BTreeMap<PodUid, PodNeed>, regions: &BTreeMap<Region, RegionNeed>) -> Self {
        let mut demand = Self { cpu: regions.iter().map(|(region, found)| (region.clone(), found.need())).collect(), ..Self::default() };
        for (uid, need) in pods {
            demand.memory.add(&need.memory);
            if snapshot.pods.get(uid).is_some_and(|pod| pod.class() == QosClass::Dedicated) {
                demand.unread.extend(need.cpu.missing.iter().cloned());
            }
        }
        demand
    }
}
