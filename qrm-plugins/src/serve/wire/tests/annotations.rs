use super::super::annotations::{flattened, labels};
use super::texts;
use gleaner_model::QosClass;

const LEVEL: &str = "katalyst.kubewharf.io/qos_level";
const CPU: &str = "katalyst.kubewharf.io/cpu_enhancement";
const MEMORY: &str = "katalyst.kubewharf.io/memory_enhancement";
const NETWORK: &str = "katalyst.kubewharf.io/network_enhancement";

/// Annotations of a pod, and those of an answer about it.
type Case = (&'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

/// From the reference's own tests.
const REFERENCE: [Case; 8] = [
    (&[], &[(LEVEL, "shared_cores")]),
    (&[("qrm.katalyst.kubewharf.io/debug_pod", "")], &[(LEVEL, "shared_cores")]),
    (
        &[(MEMORY, r#"{"numa_binding": "true", "numa_exclusive": "true"}"#), (LEVEL, "dedicated_cores")],
        &[("numa_binding", "true"), ("numa_exclusive", "true"), (LEVEL, "dedicated_cores")],
    ),
    (
        &[
            (CPU, r#"{"align_by_socket": "true"}"#),
            (MEMORY, r#"{"numa_binding": "true", "numa_exclusive": "true"}"#),
            (LEVEL, "dedicated_cores"),
        ],
        &[("align_by_socket", "true"), ("numa_binding", "true"), ("numa_exclusive", "true"), (LEVEL, "dedicated_cores")],
    ),
    (
        &[
            (CPU, r#"{"katalyst.kubewharf.io/numa_number": "2", "katalyst.kubewharf.io/numa_ids": "0-2"}"#),
            (MEMORY, r#"{"numa_binding": "true"}"#),
            (LEVEL, "dedicated_cores"),
        ],
        &[
            ("katalyst.kubewharf.io/numa_ids", "0-2"),
            ("katalyst.kubewharf.io/numa_number", "2"),
            ("numa_binding", "true"),
            (LEVEL, "dedicated_cores"),
        ],
    ),
    (&[(CPU, r#"{"cpuset_pool": "reserve"}"#), (LEVEL, "system_cores")], &[("cpuset_pool", "reserve"), (LEVEL, "system_cores")]),
    (&[(MEMORY, r#"{"numa_binding": "true"}"#), (LEVEL, "reclaimed_cores")], &[("numa_binding", "true"), (LEVEL, "reclaimed_cores")]),
    (&[(NETWORK, r#"{"namespace_type": "host_ns"}"#)], &[("namespace_type", "host_ns"), (LEVEL, "shared_cores")]),
];

#[test]
fn annotations_are_answered_as_the_reference_answers_them() {
    for (pod, answer) in REFERENCE {
        let level = answer.iter().find(|(key, _)| *key == LEVEL).copied().unwrap();
        let class: QosClass = level.1.parse().unwrap();
        assert_eq!(flattened(&texts(pod), class), texts(answer), "pod {pod:?}");
        let expected = texts(&[level, ("other", "x")]);
        assert_eq!(labels(&texts(&[("other", "x"), (LEVEL, "stale")]), class), expected, "labels of {pod:?}");
    }
}

#[test]
fn values_that_the_model_reads_are_answered_as_texts_and_broken_objects_not_at_all() {
    let cases: [Case; 4] = [
        (
            &[(MEMORY, r#"{"numa_binding": true, "oom_priority": -3}"#)],
            &[("numa_binding", "true"), ("oom_priority", "-3"), (LEVEL, "shared_cores")],
        ),
        (&[(MEMORY, r#"{"a": {"b": "c"}, "d": null, "e": "f"}"#)], &[("e", "f"), (LEVEL, "shared_cores")]),
        (&[(MEMORY, "no json")], &[(LEVEL, "shared_cores")]),
        (&[(CPU, "[1]"), (MEMORY, "")], &[(LEVEL, "shared_cores")]),
    ];
    for (pod, answer) in cases {
        assert_eq!(flattened(&texts(pod), QosClass::Shared), texts(answer), "pod {pod:?}");
    }
}

#[test]
fn a_class_that_a_selector_chose_is_told_whatever_the_annotations_say() {
    let pod = texts(&[("example.com/tier", "batch")]);
    assert_eq!(flattened(&pod, QosClass::Reclaimed), texts(&[(LEVEL, "reclaimed_cores")]));
    assert_eq!(labels(&texts(&[]), QosClass::Reclaimed), texts(&[(LEVEL, "reclaimed_cores")]));
}
