use super::*;
use gleaner_model::CpuId;
use proptest::prelude::*;
use serde_json::json;

fn uid(text: &str) -> PodUid {
    text.parse().unwrap()
}

fn cpus(text: &str) -> CpuSet {
    text.parse().unwrap()
}

#[test]
fn the_cpu_managers_checkpoint_is_read() {
    let text = r#"{"policyName":"static","defaultCpuSet":"0,3-7","entries":{"uid-1":{"a":"1","b":"2"}},"checksum":353318266}"#;
    let exclusive = Exclusive::parse(text).unwrap();
    assert_eq!((exclusive.policy.as_str(), &exclusive.default), ("static", &cpus("0,3-7")));
    assert_eq!((exclusive.of_pod(&uid("uid-1")), exclusive.all(), exclusive.of_pod(&uid("uid-2"))), (cpus("1-2"), cpus("1-2"), cpus("")));
    let none = Exclusive::parse(r#"{"policyName":"none","defaultCpuSet":"","checksum":1353318690}"#).unwrap();
    assert_eq!(none, Exclusive { policy: "none".into(), ..Exclusive::default() });
}

#[test]
fn cpus_of_a_whole_pod_are_read_and_what_is_newer_is_passed_over() {
    let text = json!({
        "policyName": "static", "defaultCpuSet": "0-1", "entries": {"u": {"a": "2"}}, "podEntries": {"u": {"cpuSet": "2-5"}, "v": {}},
        "checksum": 0, "data": "{}", "dataChecksum": 1,
    });
    let exclusive = Exclusive::parse(&text.to_string()).unwrap();
    assert_eq!((exclusive.of_pod(&uid("u")), exclusive.of_pod(&uid("v"))), (cpus("2-5"), cpus("")));
}

#[test]
fn the_memory_managers_checkpoint_is_read() {
    let table = json!({"memory": {"total": 1, "systemReserved": 0, "allocatable": 1, "reserved": 0, "free": 1}});
    let block = |nodes: &[u32], kind: &str| json!({"numaAffinity": nodes, "type": kind, "size": 1024});
    let text = json!({
        "policyName": "Static", "machineState": {"0": {"numberOfAssignments": 1, "memoryMap": table, "cells": [0]}},
        "entries": {"u": {"a": [block(&[0], "memory"), block(&[0, 1], "hugepages-1Gi")], "b": []}}, "checksum": 4215593881u32,
    });
    let pinned = PinnedMemory::parse(&text.to_string()).unwrap();
    let nodes: Vec<(String, String)> = pinned.by_pod[&uid("u")].iter().map(|(name, nodes)| (name.to_string(), nodes.to_string())).collect();
    assert_eq!(nodes, [("a".into(), "0-1".into()), ("b".into(), String::new())]);
    assert_eq!(PinnedMemory::parse(r#"{"policyName":"None","machineState":{},"checksum":1}"#).unwrap().policy, "None");
}

#[test]
fn a_foreign_or_damaged_file_is_one_line() {
    let table = [
        (json!({}), "policyName is missing"),
        (json!([1]), "policyName is missing"),
        (json!({"policyName": 3}), "policyName is missing"),
        (json!({"policyName": "static", "entries": {"0123abcd": "1-2"}}), "before 1.18"),
        (json!({"policyName": "static", "defaultCpuSet": "a"}), "defaultCpuSet: "),
        (json!({"policyName": "static", "entries": {"u": {"a": "1-"}}}), "entries.u.a: "),
        (json!({"policyName": "static", "entries": {"u": {"a": "0-99999999"}}}), "entries.u.a: "),
        (json!({"policyName": "static", "entries": {"u/..": {"a": "1"}}}), "entries: "),
        (json!({"policyName": "static", "entries": {"u": {"/": "1"}}}), "entries.u: "),
        (json!({"policyName": "static", "entries": {"u": {"a": 1}}}), "invalid type"),
        (json!({"policyName": "static", "podEntries": {"u": {"cpuSet": "x"}}}), "podEntries.u: "),
    ];
    for (value, part) in table {
        let error = Exclusive::parse(&value.to_string()).unwrap_err();
        assert!(error.contains(part) && !error.contains('\n'), "{value}: {error}");
    }
    let nowhere = json!({"policyName": "Static", "entries": {"u": {"a": [{"numaAffinity": [5000]}]}}});
    assert_eq!(PinnedMemory::parse(&nowhere.to_string()).unwrap_err(), "entries.u.a: there is no NUMA node 5000");
    for text in ["", "{", "\0", "{\"policyName\":\"static\"", &"[".repeat(10_000)] {
        assert!(Exclusive::parse(text).is_err() && PinnedMemory::parse(text).is_err(), "{text:.20?}");
    }
}

fn set() -> impl Strategy<Value = CpuSet> {
    prop::collection::btree_set(0u32..300, 0..20).prop_map(|ids| ids.into_iter().map(CpuId::new).collect())
}

proptest! {
    #[test]
    fn what_kubelet_writes_is_what_is_read(
        default in set(),
        by_pod in prop::collection::btree_map("[a-f0-9]{1,9}", prop::collection::btree_map("[a-z]{1,9}", set(), 0..4), 0..5),
        whole in prop::collection::btree_map("[a-f0-9]{1,9}", set(), 0..3),
    ) {
        let entries: serde_json::Map<String, Value> = by_pod.iter().map(|(uid, c)| (uid.clone(), json!(c))).collect();
        let pods: serde_json::Map<String, Value> = whole.iter().map(|(uid, cpus)| (uid.clone(), json!({ "cpuSet": cpus }))).collect();
        let text = json!({"policyName": "static", "defaultCpuSet": default, "entries": entries, "podEntries": pods, "checksum": 1}).to_string();
        let containers = |c: BTreeMap<String, CpuSet>| c.into_iter().map(|(name, cpus)| (name.parse().unwrap(), cpus)).collect();
        let expected = Exclusive {
            policy: "static".into(),
            default,
            by_pod: by_pod.into_iter().map(|(uid, c)| (uid.parse().unwrap(), containers(c))).collect(),
            whole_pods: whole.into_iter().map(|(uid, cpus)| (uid.parse().unwrap(), cpus)).collect(),
        };
        prop_assert_eq!(Exclusive::parse(&text), Ok(expected));
    }

    #[test]
    fn no_damage_panics(at in 0usize..120, byte in any::<char>(), cut in 0usize..120) {
        let text = r#"{"policyName":"static","defaultCpuSet":"0,3-7","entries":{"uid-1":{"a":"1","b":"2"}},"podEntries":{},"checksum":3}"#;
        let damaged: String = text.chars().enumerate().map(|(i, c)| if i == at { byte } else { c }).take(cut.max(at)).collect();
        for text in [&damaged, &text.replacen('1', &byte.to_string(), 1)] {
            let _ = Exclusive::parse(text);
            let _ = PinnedMemory::parse(text);
        }
    }
}
