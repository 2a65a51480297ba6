//! Readings that are fresh enough, and words for those that are not.

use crate::need::gap;
use crate::policy::Policy;
use gleaner_model::{ContainerReadings, Pod, QosClass, Reading, Snapshot, Timestamp};

/// The value of a reading of the node, or a line on why there is none.
pub(super) fn fresh<T: Copy>(reading: &Reading<T>, what: &str, now: Timestamp, policy: &Policy, missing: &mut Vec<String>) -> Option<T> {
    let value = reading.fresh(now, policy.stale_after.get()).copied();
    if value.is_none() {
        missing.push(format!("node {what}: {}", gap(reading, now)));
    }
    value
}

/// The fresh readings of one kind that containers of reclaimed pods have.
pub(super) fn reclaimed<'a, T: 'a>(
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    of: impl Fn(&'a ContainerReadings) -> &'a Reading<T> + 'a,
) -> impl Iterator<Item = (&'a Pod, &'a T)> {
    let pods = snapshot.pods.values().filter(|pod| pod.class() == QosClass::Reclaimed);
    let containers = pods.filter_map(|pod| Some((pod, snapshot.readings.get(&pod.uid)?)));
    let containers = containers.flat_map(|(pod, readings)| readings.containers.values().map(move |container| (pod, container)));
    containers.filter_map(move |(pod, container)| Some((pod, of(container).fresh(snapshot.at, policy.stale_after.get())?)))
}

/// What is missing, short enough for one line: on a node whose sampling fails it is every container.
pub(super) fn shorten(missing: &[String]) -> Option<String> {
    const SHOWN: usize = 3;
    let shown = missing.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    match missing.len() {
        0 => None,
        all if all <= SHOWN => Some(shown),
        all => Some(format!("{shown}; and {} more", all - SHOWN)),
    }
}
