//! The state as OpenMetrics.

use super::NodeState;
use gleaner_model::NumaId;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;

/// The text that a monitor scrapes. Made anew from the state each time, so that a pod that is gone leaves no figure behind.
pub(crate) fn text(state: &NodeState) -> String {
    let mut registry = Registry::with_prefix("gleaner");
    node(state, &mut registry);
    pods(state, &mut registry);
    pools(state, &mut registry);
    let decisions: Family<Labels, Counter> = Family::default();
    for (kind, count) in &state.decision_counts {
        decisions.get_or_create(&vec![("kind", kind.clone())]).inc_by(*count);
    }
    registry.register("decisions", "Decisions since the agent started", decisions);
    let events: Family<Labels, Counter> = Family::default();
    let counts = state.events;
    for (outcome, count) in [
        ("created", counts.created),
        ("repeated", counts.repeated),
        ("limited", counts.limited),
        ("overflowed", counts.overflowed),
        ("failed", counts.failed),
    ] {
        events.get_or_create(&vec![("outcome", outcome.to_owned())]).inc_by(count);
    }
    registry.register("events", "Events for the cluster, by what became of them", events);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

/// Registers one family of gauges with these values.
fn gauges(registry: &mut Registry, name: &str, help: &str, unit: Option<Unit>, values: impl IntoIterator<Item = (Labels, f64)>) {
    let family = Gauges::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, family),
        None => registry.register(name, help, family),
    }
}

/// Registers one gauge, if its value is known.
fn gauge(registry: &mut Registry, name: &str, help: &str, unit: Option<Unit>, value: Option<f64>) {
    let Some(value) = value else { return };
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(value);
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, gauge),
        None => registry.register(name, help, gauge),
    }
}

fn cores(milli: gleaner_model::MilliCpu) -> f64 {
    // More milli-CPUs than a u32 holds are four million CPUs.
    f64::from(u32::try_from(milli.get()).unwrap_or(u32::MAX)) / 1000.0
}

fn bytes(bytes: gleaner_model::Bytes) -> f64 {
    // In two halves, since a u64 has no lossless conversion; below 2^53 the sum is exact.
    let high = u32::try_from(bytes.get() >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(bytes.get() & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

fn node(state: &NodeState, registry: &mut Registry) {
    let usage = state.cpu_usage.map(cores);
    gauge(registry, "node_cpu_usage_cores", "CPU time per time of everything on the node", None, usage);
    let lent = state.estimate.as_ref();
    gauge(registry, "reclaimable_cpu_cores", "CPU that can be lent", None, lent.map(|e| cores(e.cpu)));
    gauge(registry, "reclaimable_memory", "Memory that can be lent", Some(Unit::Bytes), lent.map(|e| bytes(e.memory)));
    let parts = || lent.iter().flat_map(|e| &e.by_node);
    let of = |numa: &NumaId| vec![("numa", numa.to_string())];
    let by_node = parts().map(|(id, share)| (of(id), cores(share.cpu)));
    gauges(registry, "reclaimable_numa_cpu_cores", "CPU that can be lent on the NUMA node", None, by_node);
    let by_node = parts().map(|(id, share)| (of(id), bytes(share.memory)));
    gauges(registry, "reclaimable_numa_memory", "Memory that can be lent on the NUMA node", Some(Unit::Bytes), by_node);
    let supply = lent.map(|e| &e.supply);
    gauge(registry, "reclaimed_supply_cpu_cores", "CPU that reclaimed pods can really have", None, supply.map(|s| cores(s.cpu)));
    gauge(
        registry,
        "reclaimed_supply_memory",
        "Memory that reclaimed pods can really have",
        Some(Unit::Bytes),
        supply.map(|s| bytes(s.memory)),
    );
    let health = state.health.iter().map(|(part, h)| (vec![("part", part.clone())], if h.problem.is_none() { 1.0 } else { 0.0 }));
    gauges(registry, "part_healthy", "1 when the part works, 0 when it is degraded", None, health);
    let ticks: Counter = Counter::default();
    ticks.inc_by(state.ticks);
    registry.register("ticks", "Samples handled since the agent started", ticks);
    let refused = f64::from(u32::try_from(state.refused.len()).unwrap_or(u32::MAX));
    gauge(registry, "refused_manifests", "Manifests that cannot be run", None, Some(refused));
}

fn pods(state: &NodeState, registry: &mut Registry) {
    let labels = |pod: &super::PodState| {
        let (namespace, name) = pod.name.split_once('/').unwrap_or(("", &pod.name));
        vec![("namespace", namespace.to_owned()), ("pod", name.to_owned()), ("class", pod.class.to_string())]
    };
    let phases = state.pods.iter().map(|p| {
        let mut labels = labels(p);
        labels.push(("phase", p.phase.to_string()));
        (labels, 1.0)
    });
    gauges(registry, "pod_phase", "1 for the phase that the pod is in", None, phases);
    let usage = state.pods.iter().filter_map(|p| Some((labels(p), cores(p.cpu_usage?))));
    gauges(registry, "pod_cpu_usage_cores", "CPU time per time of the pod", None, usage);
    let requests = state.pods.iter().map(|p| (labels(p), cores(p.cpu_request)));
    gauges(registry, "pod_cpu_request_cores", "CPU requested by the pod, or promised to a reclaimed pod", None, requests);
    let memory = state.pods.iter().filter_map(|p| Some((labels(p), bytes(p.memory?))));
    gauges(registry, "pod_memory_working_set", "Working set of the pod", Some(Unit::Bytes), memory);
}

fn pools(state: &NodeState, registry: &mut Registry) {
    let of = |name: &gleaner_model::PoolName| vec![("pool", name.to_string())];
    let sizes = state.pools.iter().map(|(name, pool)| (of(name), f64::from(pool.cpus.count())));
    gauges(registry, "pool_cpus", "CPUs of the pool", None, sizes);
    let usage = state.pools.iter().map(|(name, pool)| (of(name), cores(pool.cpu_usage)));
    gauges(registry, "pool_cpu_usage_cores", "CPU time per time of the pool's pods", None, usage);
}

#[cfg(test)]
mod tests {
    use super::*;
    use gleaner_model::{Bytes, MilliCpu, Timestamp};

    #[test]
    fn the_text_ends_as_open_metrics_must() {
        let mut state = NodeState::empty(Timestamp::default());
        state.cpu_usage = Some(MilliCpu::new(1500));
        state.decision_counts = [("placed".to_owned(), 3)].into();
        let text = text(&state);
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert!(text.contains("gleaner_node_cpu_usage_cores 1.5\n"), "{text}");
        assert!(text.contains("gleaner_decisions_total{kind=\"placed\"} 3\n"), "{text}");
        assert!(!text.contains("gleaner_reclaimable_cpu_cores 0"), "what is not known is not zero: {text}");
    }

    #[test]
    fn each_numa_node_that_is_known_has_its_figures() {
        let mut state = NodeState::empty(Timestamp::default());
        state.estimate = Some(super::super::tests::three_nodes());
        let text = text(&state);
        for line in [
            "gleaner_reclaimable_numa_cpu_cores{numa=\"0\"} 1.5\n",
            "gleaner_reclaimable_numa_cpu_cores{numa=\"1\"} 0.0\n",
            "gleaner_reclaimable_numa_memory_bytes{numa=\"0\"} 2147483648.0\n",
            "gleaner_reclaimed_supply_cpu_cores 1.56\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(!text.contains("numa=\"2\""), "what is not known has no line: {text}");
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "both are exact")]
    fn bytes_are_exact() {
        assert_eq!(bytes(Bytes::new((5 << 32) + 7)), 21_474_836_487.0);
    }
}
