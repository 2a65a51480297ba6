//! The samples: one of each class, taken by the parser, the readers of amounts and the policies.

use crate::files::{below, documents, root};
use crate::policy::Policy;
use gleaner_crds::reclaimed::container_amounts;
use gleaner_model::{QosClass, QosConfig, QosSpec};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Workloads and pods among the samples, with the metadata and the spec of their pods.
fn samples() -> Vec<(String, Value, Value, Value)> {
    let mut found = Vec::new();
    for file in below(&root().join("manifests/samples")).into_iter().filter(|file| !file.ends_with("gleaner.yaml")) {
        for object in documents(&file) {
            if object["kind"] == "AdminQoSConfiguration" {
                continue;
            }
            let pod = if object["kind"] == "Pod" { object.clone() } else { object["spec"]["template"].clone() };
            found.push((file.display().to_string(), object, pod["metadata"].clone(), pod["spec"].clone()));
        }
    }
    found
}

#[test]
fn there_is_a_workload_of_each_class_and_all_are_right() {
    let policy = Policy::read("validating/policy.yaml");
    let mut classes = BTreeSet::new();
    for (file, object, metadata, spec) in samples() {
        let annotations: BTreeMap<String, String> = serde_json::from_value(metadata["annotations"].clone()).unwrap_or_default();
        let parsed = QosSpec::parse(&annotations, &QosConfig::default()).unwrap_or_else(|e| panic!("{file}: {e:?}"));
        assert_eq!(policy.refusals(&object), Vec::<String>::new(), "{file}");
        for container in spec["containers"].as_array().unwrap() {
            let amounts = container_amounts(&serde_json::from_value(container["resources"].clone()).unwrap()).unwrap();
            let reclaimed = parsed.class == QosClass::Reclaimed;
            assert_eq!(amounts.cpu.is_absent(), reclaimed, "{file}: native CPU");
            assert_eq!(amounts.reclaimed_cpu.is_absent(), !reclaimed, "{file}: lent CPU");
            if object["kind"] != "Pod" && reclaimed {
                assert_eq!(amounts.reclaimed_cpu.request, amounts.reclaimed_cpu.limit, "{file}");
                assert_eq!(amounts.reclaimed_memory.request, amounts.reclaimed_memory.limit, "{file}");
            }
        }
        if object["kind"] != "Pod" {
            assert_eq!(object["spec"]["selector"]["matchLabels"], metadata["labels"], "{file}");
            assert!(object["spec"]["template"]["metadata"]["annotations"].is_object(), "{file} says its class");
            classes.insert(parsed.class);
        }
    }
    assert_eq!(classes, BTreeSet::from(QosClass::ALL));
}
