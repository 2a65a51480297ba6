//! The readings that a case lists.

use crate::load::{Case, cpus};
use gleaner_model::{CpuSet, NumaId};
use serde_json::Value;

impl Case {
    fn metric(&self, kind: &str, metric: &str, is: impl Fn(&Value) -> bool) -> Option<f64> {
        let found = self.list("metrics").iter().find(|m| m["kind"] == kind && m["metric"] == metric && is(m))?;
        Some(found["value"].as_f64().unwrap_or_else(|| panic!("{}: {found} has no value", self.id)))
    }

    /// Of the machine.
    pub(crate) fn of_machine(&self, metric: &str) -> Option<f64> {
        self.metric("node", metric, |_| true)
    }

    /// Of one NUMA node.
    pub(crate) fn of_node(&self, node: NumaId, metric: &str) -> Option<f64> {
        self.metric("numa", metric, |m| m["numa"] == node.to_string().parse::<u32>().unwrap())
    }

    /// Of a container.
    pub(crate) fn of_container(&self, container: &Value, metric: &str) -> Option<f64> {
        self.metric("container", metric, |m| m["pod"] == container["pod"] && m["container"] == container["container"])
    }

    /// Of the cgroup of reclaimed pods: that of one NUMA node, or the one above these.
    pub(crate) fn of_reclaimed(&self, node: Option<NumaId>, metric: &str) -> Option<f64> {
        let path = node.map_or("/kubepods/besteffort".to_owned(), |node| format!("/kubepods/besteffort-{node}"));
        self.metric("cgroup", metric, |m| m["cgroup"] == path.as_str())
    }

    /// The sum over these CPUs; `None` where one has no reading.
    pub(crate) fn of_cpus(&self, set: &CpuSet, metric: &str) -> Option<f64> {
        set.iter().map(|cpu| self.metric("cpu", metric, |m| cpus(&m["cpus"]).contains(cpu))).sum()
    }
}
