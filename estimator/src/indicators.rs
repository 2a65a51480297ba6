//! What tells whether a region has enough CPU: figures with targets, from the kernel and from other processes.
//!
//! A figure without a fresh reading is left out: missing is never zero. So is one without a target.

use crate::advice::Advice;
use crate::requirement::Indicator;
use crate::requirement::feedback::FeedbackSettings;
use gleaner_model::{ContainerReadings, CpuSet, Permille, PodReadings, Snapshot, Timestamp};
use std::time::Duration;

/// Another process can supply no more figures for one region; what comes after them is not looked at.
const MOST_SUPPLIED: usize = 16;

/// The indicators of a region from its pods' readings, in a fixed order: `cpu_pressure`, `throttled`, `cpu_sched_wait`, those of `advice` as they were supplied (a
/// latency, or `cpi` from whoever reads performance counters).
///
/// - `cpu_pressure`, thousandths: of the container that is worst off, the lesser of the kernel's average over 10 s and the share of the last
///   interval. One bad second among many containers is chance and does not reach the average; a wait that is over is still in the average,
///   and acting on it would ask for ever more. A container that was throttled in the interval is left out: the kernel counts tasks
///   that their own limit stops as waiting, and more CPU for the region does not help them.
/// - `throttled`, thousandths: of the container that is worst off.
/// - `cpu_sched_wait`, thousandths: mean over `cpus` as far as they have readings. These are the region's CPUs on which no reclaimed pod runs: tasks
///   of the idle class wait by design, and the kernel counts them like any other.
///
/// A reading older than `stale_after`, advice that no longer holds, and a target of zero count as not there.
#[must_use]
pub fn indicators<'a>(
    snapshot: &Snapshot,
    pods: impl IntoIterator<Item = &'a PodReadings>,
    cpus: &CpuSet,
    settings: &FeedbackSettings,
    stale_after: Duration,
    advice: Option<&Advice>,
) -> Vec<Indicator> {
    let containers: Vec<&ContainerReadings> = pods.into_iter().flat_map(|pod| pod.containers.values()).map(Box::as_ref).collect();
    let fresh = Fresh { now: snapshot.at, stale_after };
    let own = [
        ("cpu_pressure", containers.iter().filter_map(|container| fresh.pressure(container)).max(), settings.cpu_pressure),
        ("throttled", containers.iter().filter_map(|container| fresh.throttled(container)).max(), settings.throttled),
        ("cpu_sched_wait", fresh.sched_wait(snapshot, cpus), settings.cpu_sched_wait),
    ];
    let number = |share: Permille| u64::from(share.get());
    let own = own.into_iter().filter_map(|(name, current, target)| {
        let (current, target) = (number(current?), number(target?));
        Some(Indicator { name: name.to_owned(), current, target })
    });
    let valid = advice.filter(|advice| advice.is_valid(snapshot.at));
    let supplied = valid.into_iter().flat_map(|advice| advice.indicators.iter().take(MOST_SUPPLIED).cloned());
    own.chain(supplied).filter(|indicator| indicator.target > 0).collect()
}

struct Fresh {
    now: Timestamp,
    stale_after: Duration,
}

impl Fresh {
    fn pressure(&self, container: &ContainerReadings) -> Option<Permille> {
        let pressure = container.cpu_pressure.fresh(self.now, self.stale_after)?;
        let throttled = self.throttled(container).is_some_and(|share| share.get() > 0);
        (!throttled).then(|| pressure.waiting.min(pressure.pressure.some.avg10))
    }

    fn throttled(&self, container: &ContainerReadings) -> Option<Permille> {
        container.throttled.fresh(self.now, self.stale_after).copied()
    }

    fn sched_wait(&self, snapshot: &Snapshot, cpus: &CpuSet) -> Option<Permille> {
        let by_cpu = snapshot.node.sched_wait_by_cpu.fresh(self.now, self.stale_after)?;
        let waits: Vec<u64> = cpus.iter().filter_map(|cpu| by_cpu.get(&cpu)).map(|wait| u64::from(wait.get())).collect();
        let mean = waits.iter().sum::<u64>().checked_div(u64::try_from(waits.len()).unwrap_or(u64::MAX))?;
        Some(Permille::new(u32::try_from(mean).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use gleaner_model::{Absence, CpuPressure, PodUid, Pressure, PressureLine, Reading};
    use std::collections::BTreeMap;

    const NOW: Timestamp = Timestamp::since_boot(Duration::from_secs(100));
    const STALE_AFTER: Duration = Duration::from_secs(10);

    fn ago<T>(value: T, seconds: u64) -> Reading<T> {
        Reading::present(value, Timestamp::since_boot(Duration::from_secs(100 - seconds)))
    }

    fn pressure(avg10: u32, waiting: u32) -> CpuPressure {
        let some = PressureLine { avg10: Permille::new(avg10), ..PressureLine::default() };
        CpuPressure { pressure: Pressure { some, full: None }, waiting: Permille::new(waiting) }
    }

    fn container(pressure: Reading<CpuPressure>, throttled: Reading<Permille>) -> ContainerReadings {
        ContainerReadings { cpu_pressure: pressure, throttled, ..ContainerReadings::default() }
    }

    /// One pod with these containers.
    fn snapshot(containers: Vec<ContainerReadings>) -> Snapshot {
        let named = |(number, readings)| (format!("c{number}").parse().unwrap(), Box::new(readings));
        let pod = PodReadings { containers: containers.into_iter().enumerate().map(named).collect() };
        Snapshot { at: NOW, readings: BTreeMap::from([(uid(), pod)]), ..Snapshot::default() }
    }

    fn uid() -> PodUid {
        "p".parse().unwrap()
    }

    fn all() -> FeedbackSettings {
        FeedbackSettings { throttled: Some(Permille::new(50)), ..FeedbackSettings::default() }
    }

    fn shown(snapshot: &Snapshot, cpus: &str, advice: Option<&Advice>) -> Vec<(String, u64, u64)> {
        let found = indicators(snapshot, snapshot.readings.values(), &cpus.parse().unwrap(), &all(), STALE_AFTER, advice);
        found.into_iter().map(|indicator| (indicator.name, indicator.current, indicator.target)).collect()
    }

    #[test]
    fn the_worst_container_counts() {
        let zero = || ago(Permille::new(0), 0);
        let snapshot = snapshot(vec![container(ago(pressure(100, 90), 0), zero()), container(ago(pressure(300, 310), 0), zero())]);
        assert_eq!(shown(&snapshot, "", None), [("cpu_pressure".to_owned(), 300, 200), ("throttled".to_owned(), 0, 50)]);
    }

    #[test]
    fn pressure_must_last_and_still_be_there() {
        for (avg10, waiting, expected) in [(20, 900, 20), (900, 0, 0), (400, 500, 400)] {
            let snapshot = snapshot(vec![container(ago(pressure(avg10, waiting), 1), Reading::default())]);
            assert_eq!(shown(&snapshot, "", None), [("cpu_pressure".to_owned(), expected, 200)], "average {avg10}, last {waiting}");
        }
    }

    #[test]
    fn a_throttled_container_does_not_count_as_short_of_the_regions_cpu() {
        let limited = container(ago(pressure(900, 900), 0), ago(Permille::new(800), 0));
        let free = container(ago(pressure(10, 10), 0), ago(Permille::new(0), 0));
        assert_eq!(shown(&snapshot(vec![limited.clone()]), "", None), [("throttled".to_owned(), 800, 50)]);
        let both = shown(&snapshot(vec![limited, free]), "", None);
        assert_eq!(both, [("cpu_pressure".to_owned(), 10, 200), ("throttled".to_owned(), 800, 50)]);
    }

    #[test]
    fn what_is_stale_or_absent_is_not_in_the_list() {
        let stale = container(ago(pressure(900, 900), 11), ago(Permille::new(900), 11));
        let absent = container(Reading::Absent(Absence::NotOffered), Reading::Absent(Absence::Vanished));
        assert_eq!(shown(&snapshot(vec![stale, absent]), "0-3", None), []);
        assert_eq!(shown(&Snapshot { at: NOW, ..Snapshot::default() }, "0-3", None), [], "no such pod");
    }

    #[test]
    fn only_what_has_a_target_is_looked_at() {
        let snapshot = snapshot(vec![container(ago(pressure(900, 900), 0), ago(Permille::new(0), 0))]);
        let settings = FeedbackSettings { cpu_pressure: None, throttled: Some(Permille::new(0)), ..FeedbackSettings::default() };
        assert_eq!(indicators(&snapshot, snapshot.readings.values(), &CpuSet::new(), &settings, STALE_AFTER, None), []);
    }

    #[test]
    fn waiting_is_the_mean_over_the_regions_cpus_that_have_a_reading() {
        let waits = [(0, 100), (1, 500), (7, 9000)].map(|(cpu, wait)| (gleaner_model::CpuId::new(cpu), Permille::new(wait)));
        let mut snapshot = snapshot(vec![]);
        snapshot.node.sched_wait_by_cpu = ago(BTreeMap::from(waits), 6);
        assert_eq!(shown(&snapshot, "0-3", None), [("cpu_sched_wait".to_owned(), 300, 300)]);
        assert_eq!(shown(&snapshot, "2-3", None), [], "none of these was measured");
        assert_eq!(shown(&snapshot, "", None), []);
        snapshot.node.sched_wait_by_cpu = ago(BTreeMap::from(waits), 11);
        assert_eq!(shown(&snapshot, "0-3", None), []);
    }

    #[test]
    fn what_others_supply_counts_with_its_own_target_while_it_holds() {
        let indicator = |name: &str, target| Indicator { name: name.to_owned(), current: 1400, target };
        let supplied = vec![indicator("cpi", 1200), indicator("p99_us", 0), indicator("latency_us", 900)];
        let mut advice = Advice { at: NOW, valid_for: Duration::from_secs(5), requirement: None, indicators: supplied };
        let expected = [("cpi".to_owned(), 1400, 1200), ("latency_us".to_owned(), 1400, 900)];
        assert_eq!(shown(&snapshot(vec![]), "", Some(&advice)), expected);
        advice.indicators = vec![indicator("x", 1); 40];
        assert_eq!(shown(&snapshot(vec![]), "", Some(&advice)).len(), MOST_SUPPLIED);
        advice.at = Timestamp::since_boot(Duration::from_secs(94));
        assert_eq!(shown(&snapshot(vec![]), "", Some(&advice)), [], "it no longer holds");
    }
}
