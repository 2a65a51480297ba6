//! From annotations to a [`QosSpec`]: the class, then each enhancement, then what they must not say together.

use super::object::Object;
use super::{
    CpuBurst, CpuBurstPolicy, CpuEnhancement, MemoryEnhancement, NamespaceType, NetworkEnhancement, NumaBinding, NumaPlacement, QosClass,
    QosConfig, QosError, QosSpec, annotation,
};
use crate::units::Permille;
use std::collections::BTreeMap;

type Annotations = BTreeMap<String, String>;

pub(super) fn spec(annotations: &Annotations, config: &QosConfig) -> Result<QosSpec, Vec<QosError>> {
    let mut errors = Vec::new();
    let class = class(annotations, config).unwrap_or_else(|error| {
        errors.push(error);
        QosClass::Shared
    });
    let class_known = errors.is_empty();
    let cpu = object(annotations, annotation::CPU_ENHANCEMENT, &mut errors).map(|o| cpu(o, &mut errors)).unwrap_or_default();
    let memory = object(annotations, annotation::MEMORY_ENHANCEMENT, &mut errors).map(|o| memory(o, &mut errors)).unwrap_or_default();
    let network = object(annotations, annotation::NETWORK_ENHANCEMENT, &mut errors).map(|o| network(o, &mut errors)).unwrap_or_default();
    let spec = QosSpec { class, cpu, memory, network };
    contradictions(&spec, &mut errors);
    if class_known {
        // With an unknown class these would only repeat the first error in other words.
        out_of_place(&spec, &mut errors);
    }
    errors.sort();
    if errors.is_empty() { Ok(spec) } else { Err(errors) }
}

fn class(annotations: &Annotations, config: &QosConfig) -> Result<QosClass, QosError> {
    if let Some(value) = annotations.get(annotation::QOS_LEVEL) {
        return value.parse().map_err(|_| QosError::UnknownClass { key: annotation::QOS_LEVEL.to_owned(), value: value.clone() });
    }
    // By class and key in order, so that the same two are named whatever the order of the configuration.
    let matching: BTreeMap<QosClass, &str> =
        config.selectors.iter().filter(|s| annotations.get(&s.key) == Some(&s.value)).fold(BTreeMap::new(), |mut found, s| {
            let key = found.entry(s.class).or_insert(s.key.as_str());
            *key = (*key).min(s.key.as_str());
            found
        });
    let mut matching = matching.into_iter();
    match (matching.next(), matching.next()) {
        (None, _) => Ok(QosClass::Shared),
        (Some((class, _)), None) => Ok(class),
        (Some((first, first_key)), Some((second, second_key))) => {
            Err(QosError::TwoClasses { first, first_key: first_key.to_owned(), second, second_key: second_key.to_owned() })
        }
    }
}

fn object<'a>(annotations: &Annotations, key: &'a str, errors: &mut Vec<QosError>) -> Option<Object<'a>> {
    Object::read(annotations, key).map_err(|error| errors.push(error)).ok()
}

fn cpu(mut o: Object<'_>, errors: &mut Vec<QosError>) -> CpuEnhancement {
    let pool = o.read_value(&["cpuset_pool"], "a pool name (letters, digits, '-', '_' and '.')", errors, |t| t.parse().ok());
    let burst = CpuBurst {
        policy: o.read_value(&["cpu_burst_policy"], "default, closed, static or dynamic", errors, burst_policy),
        percent: o.percent("cpu_burst_percent", errors).map(|p| p.min(Permille::new(1000))),
        threshold: o.ratio("cpu_burst_threshold", errors),
    };
    let number = o.read_value(&[annotation::NUMA_NUMBER, "numa_number"], "a number of NUMA nodes", errors, |t| t.parse::<u32>().ok());
    let ids = o.read_value(&[annotation::NUMA_IDS, "numa_ids"], "a list of NUMA nodes such as 0-1", errors, |t| {
        t.parse::<crate::idset::NumaSet>().ok()
    });
    let placement = match (ids.filter(|ids| !ids.is_empty()), number.filter(|n| *n > 0)) {
        (Some(ids), _) => NumaPlacement::Ids(ids),
        (None, Some(number)) => NumaPlacement::Number(number),
        (None, None) => NumaPlacement::Any,
    };
    let cpu = CpuEnhancement {
        pool,
        numa_share: o.flag("numa_share", true, errors),
        suppression_tolerance: o.ratio("suppression_tolerance_rate", errors),
        burst,
        align_by_socket: o.flag("align_by_socket", false, errors),
        distribute_evenly_across_numa: o.flag("distribute_evenly_across_numa", false, errors),
        full_pcpus_pairing: o.flag("full_pcpus_pairing", false, errors),
        placement,
    };
    o.finish(errors);
    cpu
}

fn burst_policy(text: &str) -> Option<CpuBurstPolicy> {
    match text {
        "default" => Some(CpuBurstPolicy::Default),
        "closed" => Some(CpuBurstPolicy::Closed),
        "static" => Some(CpuBurstPolicy::Static),
        "dynamic" => Some(CpuBurstPolicy::Dynamic),
        _ => None,
    }
}

fn memory(mut o: Object<'_>, errors: &mut Vec<QosError>) -> MemoryEnhancement {
    let bound = o.flag("numa_binding", false, errors);
    let exclusive = o.flag("numa_exclusive", false, errors);
    let numa_binding = match (bound, exclusive) {
        (false, false) => NumaBinding::Unbound,
        (true, false) => NumaBinding::Bound,
        (true, true) => NumaBinding::Exclusive,
        (false, true) => {
            errors.push(QosError::Needs {
                annotation: annotation::MEMORY_ENHANCEMENT.to_owned(),
                key: "numa_exclusive".to_owned(),
                needs: "numa_binding".to_owned(),
            });
            NumaBinding::Unbound
        }
    };
    let memory = MemoryEnhancement {
        numa_binding,
        rss_overuse_threshold: o.ratio("rss_overuse_threshold", errors),
        oom_priority: o.read_value(&["oom_priority"], "a whole number", errors, |t| t.parse().ok()),
    };
    o.finish(errors);
    memory
}

fn network(mut o: Object<'_>, errors: &mut Vec<QosError>) -> NetworkEnhancement {
    let expected = "host_ns, host_ns_preferred, anti_host_ns or anti_host_ns_preferred";
    let namespace = o.read_value(&["namespace_type"], expected, errors, |text| match text {
        "host_ns" => Some(NamespaceType::HostNs),
        "host_ns_preferred" => Some(NamespaceType::HostNsPreferred),
        "anti_host_ns" => Some(NamespaceType::AntiHostNs),
        "anti_host_ns_preferred" => Some(NamespaceType::AntiHostNsPreferred),
        _ => None,
    });
    let network = NetworkEnhancement { namespace, topology_affinity_restricted: o.flag("topology_affinity_restricted", false, errors) };
    o.finish(errors);
    network
}

/// A pod alone on whole nodes takes all of their CPUs: there is nothing left to pair or to spread.
fn contradictions(spec: &QosSpec, errors: &mut Vec<QosError>) {
    if spec.memory.numa_binding != NumaBinding::Exclusive {
        return;
    }
    let asked =
        [("distribute_evenly_across_numa", spec.cpu.distribute_evenly_across_numa), ("full_pcpus_pairing", spec.cpu.full_pcpus_pairing)];
    errors.extend(asked.into_iter().filter(|(_, asked)| *asked).map(|(key, _)| QosError::Contradiction {
        annotation: annotation::CPU_ENHANCEMENT.to_owned(),
        key: key.to_owned(),
        other: "numa_exclusive".to_owned(),
    }));
}

/// Keys that a pod of the class cannot make use of: said loudly, since their author expects something that will not happen.
fn out_of_place(spec: &QosSpec, errors: &mut Vec<QosError>) {
    let class = spec.class;
    let mut refuse = |annotation: &str, key: &str, value: String, meant: &str| {
        errors.push(QosError::NotForClass {
            annotation: annotation.to_owned(),
            key: key.to_owned(),
            value,
            class,
            meant: meant.to_owned(),
        });
    };
    if spec.memory.numa_binding == NumaBinding::Exclusive && class != QosClass::Dedicated {
        refuse(annotation::MEMORY_ENHANCEMENT, "numa_exclusive", "true".to_owned(), "dedicated_cores");
    }
    if let Some(pool) = &spec.cpu.pool
        && !matches!(class, QosClass::Shared | QosClass::System)
    {
        refuse(annotation::CPU_ENHANCEMENT, "cpuset_pool", pool.to_string(), "shared_cores and system_cores");
    }
    if let Some(pool) = spec.cpu.pool.as_ref().filter(|pool| class == QosClass::Shared && pool.is_built_in()) {
        let meant = "system_cores; shared_cores pods choose another name";
        refuse(annotation::CPU_ENHANCEMENT, "cpuset_pool", pool.to_string(), meant);
    }
    if let Some(tolerance) = spec.cpu.suppression_tolerance
        && class != QosClass::Reclaimed
    {
        refuse(annotation::CPU_ENHANCEMENT, "suppression_tolerance_rate", tolerance.ratio(), "reclaimed_cores");
    }
}
