//! What of a report is offered to schedulers, and how a whole is divided so that the parts make it up again.

use crate::kubernetes::NodeReport;
use gleaner_model::{Bytes, MilliCpu, NumaId};
use std::collections::BTreeMap;

/// What schedulers may promise to reclaimed pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    /// On the whole node.
    pub(crate) cpu: MilliCpu,
    /// On the whole node.
    pub(crate) memory: Bytes,
    /// On each NUMA node; one that is not named offers nothing. `None`: not known by NUMA node.
    pub(crate) by_node: Option<BTreeMap<NumaId, (MilliCpu, Bytes)>>,
}

/// The offer in a report. In shadow mode, and when it is not known what can be lent, it is nothing.
pub(crate) fn offer(report: &NodeReport) -> Offer {
    match &report.lent {
        Some(lent) if !report.shadow => {
            Offer { cpu: lent.cpu, memory: lent.memory, by_node: Some(lent.by_node.clone()).filter(|by_node| !by_node.is_empty()) }
        }
        _ => Offer { by_node: Some(BTreeMap::new()), ..Offer::default() },
    }
}

/// A hundredth of the node's CPU and memory: a smaller change of what is lent is not worth a write, however little that is.
pub(crate) fn least(report: &NodeReport) -> [u64; 2] {
    [MilliCpu::from_cpus(report.topology.cpus().count()).get() / 100, report.memory.get() / 100]
}

/// Divides a whole by weights, rounded so that the parts make up the whole; evenly where all weights are zero.
pub(crate) fn split(whole: u64, weights: &[u64]) -> Vec<u64> {
    let even = weights.iter().all(|weight| *weight == 0);
    let weights = weights.iter().map(|weight| if even { 1 } else { u128::from(*weight) });
    let total: u128 = weights.clone().sum();
    let (mut seen, mut given) = (0, 0);
    weights
        .map(|weight| {
            seen += weight;
            // The part up to here, rounded down, is at most the whole.
            let upto = u64::try_from(u128::from(whole).saturating_mul(seen) / total.max(1)).unwrap_or(whole);
            let part = upto - given;
            given = upto;
            part
        })
        .collect()
}
