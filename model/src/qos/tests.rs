#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

fn parse(pairs: &[(&str, &str)]) -> Result<QosSpec, Vec<QosError>> {
    parse_with(pairs, &QosConfig::default())
}

fn parse_with(pairs: &[(&str, &str)], config: &QosConfig) -> Result<QosSpec, Vec<QosError>> {
    QosSpec::parse(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(), config)
}

fn messages(result: Result<QosSpec, Vec<QosError>>) -> Vec<String> {
    result.unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_silent_pod_is_shared() {
    assert_eq!(parse(&[]), Ok(QosSpec::of(QosClass::Shared)));
}

#[test]
fn each_class_is_known_by_its_name() {
    for class in QosClass::ALL {
        assert_eq!(parse(&[(annotation::QOS_LEVEL, class.as_str())]).unwrap().class, class);
    }
}

#[test]
fn strings_numbers_and_booleans_mean_the_same() {
    let strings = parse(&[
        (annotation::QOS_LEVEL, "dedicated_cores"),
        (annotation::MEMORY_ENHANCEMENT, r#"{"numa_binding":"true","oom_priority":"120","rss_overuse_threshold":"1.05"}"#),
        (annotation::CPU_ENHANCEMENT, r#"{"full_pcpus_pairing":"true","katalyst.kubewharf.io/numa_number":"2","cpu_burst_percent":"250"}"#),
    ]);
    let plain = parse(&[
        (annotation::QOS_LEVEL, "dedicated_cores"),
        (annotation::MEMORY_ENHANCEMENT, r#"{"numa_binding":true,"oom_priority":120,"rss_overuse_threshold":1.05}"#),
        (annotation::CPU_ENHANCEMENT, r#"{"full_pcpus_pairing":true,"numa_number":2,"cpu_burst_percent":250}"#),
    ]);
    assert_eq!(strings, plain);
    let spec = plain.unwrap();
    assert_eq!(spec.memory.numa_binding, NumaBinding::Bound);
    assert_eq!(spec.memory.rss_overuse_threshold, Some(Permille::new(1050)));
    assert_eq!(spec.cpu.placement, NumaPlacement::Number(2));
    assert_eq!(spec.cpu.burst.percent, Some(Permille::new(1000)));
}

#[test]
fn every_key_has_its_place() {
    let spec = parse(&[
        (
            annotation::CPU_ENHANCEMENT,
            r#"{"cpuset_pool":"web","numa_share":"false","cpu_burst_policy":"static","align_by_socket":"true","numa_ids":"0-1","numa_number":1,
                "distribute_evenly_across_numa":"true","cpu_burst_threshold":0.8}"#,
        ),
        (annotation::NETWORK_ENHANCEMENT, r#"{"namespace_type":"anti_host_ns","topology_affinity_restricted":"true"}"#),
    ])
    .unwrap();
    assert_eq!(spec.cpu.pool, Some("web".parse().unwrap()));
    assert!(!spec.cpu.numa_share && spec.cpu.align_by_socket && spec.cpu.distribute_evenly_across_numa);
    assert_eq!(spec.cpu.placement, NumaPlacement::Ids("0-1".parse().unwrap()), "numa_ids outranks numa_number");
    assert_eq!(spec.cpu.burst.policy, Some(CpuBurstPolicy::Static));
    assert_eq!(spec.network.namespace, Some(NamespaceType::AntiHostNs));
}

#[test]
fn what_is_wrong_is_named_with_key_and_value() {
    for (pairs, expected) in [
        (vec![(annotation::QOS_LEVEL, "besteffort")], vec!["unknown QoS class \"besteffort\""]),
        (vec![(annotation::CPU_ENHANCEMENT, r#"{"cpuset_pol":"x"}"#)], vec!["unknown key \"cpuset_pol\" with value \"x\""]),
        (vec![(annotation::CPU_ENHANCEMENT, r#"{"numa_share":"maybe"}"#)], vec!["numa_share is \"maybe\", but must be"]),
        (vec![(annotation::CPU_ENHANCEMENT, r#"{"cpu_burst_percent":-5}"#)], vec!["cpu_burst_percent is \"-5\""]),
        (vec![(annotation::CPU_ENHANCEMENT, r#"{"a":{}}"#)], vec!["key \"a\" holds no plain value"]),
        (vec![(annotation::CPU_ENHANCEMENT, r#"{"numa_share":true,"numa_share":false}"#)], vec!["key \"numa_share\" comes twice"]),
        (vec![(annotation::CPU_ENHANCEMENT, "[1]")], vec!["is not a JSON object"]),
        (vec![(annotation::MEMORY_ENHANCEMENT, r#"{"numa_exclusive":true}"#)], vec!["numa_exclusive is \"true\", but numa_binding is not"]),
        (
            vec![(annotation::MEMORY_ENHANCEMENT, r#"{"numa_exclusive":true,"numa_binding":true}"#)],
            vec!["a shared_cores pod cannot have it; it is for dedicated_cores"],
        ),
        (
            vec![
                (annotation::QOS_LEVEL, "dedicated_cores"),
                (annotation::MEMORY_ENHANCEMENT, r#"{"numa_exclusive":true,"numa_binding":true}"#),
                (annotation::CPU_ENHANCEMENT, r#"{"full_pcpus_pairing":true,"cpuset_pool":"x"}"#),
            ],
            vec!["cpuset_pool is \"x\"", "full_pcpus_pairing is \"true\", which contradicts numa_exclusive"],
        ),
        (
            vec![(annotation::CPU_ENHANCEMENT, r#"{"cpuset_pool":"reclaim"}"#)],
            vec!["cpuset_pool is \"reclaim\", but a shared_cores pod cannot"],
        ),
        (vec![(annotation::CPU_ENHANCEMENT, r#"{"suppression_tolerance_rate":1.2}"#)], vec!["it is for reclaimed_cores"]),
    ] {
        let got = messages(parse(&pairs));
        assert_eq!(got.len(), expected.len(), "{pairs:?} gave {got:?}");
        for (message, part) in got.iter().zip(expected) {
            assert!(message.contains(part), "{pairs:?}: {message:?} lacks {part:?}");
        }
    }
}

fn selector(class: QosClass, key: &str, value: &str) -> ClassSelector {
    ClassSelector { class, key: key.to_owned(), value: value.to_owned() }
}

#[test]
fn precedence_does_not_depend_on_the_order_of_selectors() {
    let selectors = vec![
        selector(QosClass::Reclaimed, "team/batch", "yes"),
        selector(QosClass::Dedicated, "team/db", "yes"),
        selector(QosClass::Reclaimed, "team/also-batch", "yes"),
    ];
    let mut turned = selectors.clone();
    turned.reverse();
    for selectors in [selectors, turned] {
        let config = QosConfig { selectors };
        assert_eq!(parse_with(&[("team/batch", "yes"), ("team/also-batch", "yes")], &config).unwrap().class, QosClass::Reclaimed);
        assert_eq!(parse_with(&[("team/batch", "no")], &config).unwrap().class, QosClass::Shared);
        let explicit = [("team/batch", "yes"), (annotation::QOS_LEVEL, "system_cores")];
        assert_eq!(parse_with(&explicit, &config).unwrap().class, QosClass::System);
        let both = messages(parse_with(&[("team/batch", "yes"), ("team/db", "yes")], &config));
        assert_eq!(both, ["two classes are selected: reclaimed_cores by annotation team/batch, dedicated_cores by annotation team/db"]);
    }
}

proptest! {
    #[test]
    fn reading_never_panics(class in ".{0,20}", cpu in ".{0,60}", memory in "\\{\"numa_(binding|exclusive)\":.{0,10}\\}") {
        let _ = parse(&[(annotation::QOS_LEVEL, &class), (annotation::CPU_ENHANCEMENT, &cpu), (annotation::MEMORY_ENHANCEMENT, &memory)]);
    }
}
