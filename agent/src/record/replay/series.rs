//! The intervals that policies are scored over.

use crate::record::score::Interval;
use gleaner_estimator::Policy;
use gleaner_model::{MilliCpu, QosClass, Reading, Snapshot, Timestamp, Topology};
use std::time::Duration;

/// Nothing is known of what happened in a longer pause. Samples are at most a minute apart.
const LONGEST: Duration = Duration::from_secs(120);

/// Intervals, each the time up to one sample.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) intervals: Vec<Interval>,
    /// When the last sample was taken.
    last: Option<Timestamp>,
    /// This tick ends an interval.
    pub(super) ended: bool,
}

impl Series {
    /// What comes now has nothing to do with what was.
    pub(super) fn interrupt(&mut self) {
        self.last = None;
    }

    /// Adds the interval that the snapshot's sample ends. Several ticks may see one sample, and some none.
    pub(super) fn take(&mut self, snapshot: &Snapshot, topology: &Topology, policy: &Policy) {
        self.ended = false;
        let Reading::Present { value, at } = &snapshot.node.cpu_usage else { return };
        let Some(last) = self.last.replace(*at) else { return };
        let length = at.since(last);
        if length.is_zero() || length > LONGEST {
            return;
        }
        let room = MilliCpu::from_cpus(topology.cpus().count()).minus(policy.cpu_reserve);
        self.intervals.push(Interval { length, demand: value.minus(reclaimed(snapshot)), room });
        self.ended = true;
    }

    pub(super) fn seconds(&self) -> f64 {
        self.intervals.iter().map(|interval| interval.length.as_secs_f64()).sum()
    }
}

/// CPU that reclaimed pods used. One that is not measured counts with the others, as a demand that cannot be lent.
fn reclaimed(snapshot: &Snapshot) -> MilliCpu {
    let of_pod = |uid| snapshot.readings.get(uid).into_iter().flat_map(|readings| readings.containers.values());
    let pods = snapshot.pods.values().filter(|pod| pod.class() == QosClass::Reclaimed);
    pods.flat_map(|pod| of_pod(&pod.uid)).filter_map(|readings| readings.cpu_usage.value().copied()).sum()
}
