//! What those need that are not reclaimed, as the headroom wants to hear it.

use crate::need::{Need, PodNeed};
use crate::pools::pool_of;
use crate::region::Region;
use gleaner_model::{Assignment, Bytes, MilliCpu, PodUid, QosClass, Snapshot};
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
    /// The sum of the needs of pods, by the region that each is in. A system pod that joins pools by the beginning of their names counts in the
    /// first of them.
    pub(crate) fn of_pods(snapshot: &Snapshot, assignment: &Assignment, needs: &BTreeMap<PodUid, PodNeed>) -> Self {
        let mut demand = Self::default();
        let mut system = Vec::new();
        for (uid, need) in needs {
            demand.memory.add(&need.memory);
            let Some(pod) = snapshot.pods.get(uid) else { continue };
            match pod.class() {
                QosClass::Dedicated => demand.unread.extend(need.cpu.missing.iter().cloned()),
                QosClass::System => system.push((pod, need)),
                QosClass::Shared | QosClass::Reclaimed => {
                    demand.cpu.entry(Region::Pool(pool_of(pod, assignment))).or_default().add(&need.cpu);
                }
            }
        }
        for (pod, need) in system {
            let joins = |region: &&Region| match (region, &pod.qos.cpu.pool) {
                (Region::Pool(name), Some(prefix)) => name.as_str().starts_with(prefix.as_str()),
                _ => false,
            };
            let region = demand.cpu.keys().find(joins).cloned().unwrap_or(Region::System);
            demand.cpu.entry(region).or_default().add(&need.cpu);
        }
        demand
    }
}
