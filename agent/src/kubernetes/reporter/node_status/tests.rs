#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::super::fixture::{GIB, lending, report};
use super::super::pacer::{Pacer, Verdict};
use super::*;
use gleaner_model::Timestamp;
use k8s_openapi::jiff;
use std::time::Duration;

fn date(seconds: i64) -> Time {
    Time(jiff::Timestamp::from_second(seconds).unwrap())
}

fn settings() -> ReportSettings {
    ReportSettings { node_taint: true, ..ReportSettings::default() }
}

/// A Node as the API server has it after `report` was written at second 100, in its own spelling.
fn node(report: &NodeReport, cpu: &str, memory: &str) -> NodeView {
    let condition = |type_: &str, saying: &Saying| {
        json!({"type": type_, "status": saying.status(), "reason": saying.reason, "message": saying.message,
               "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": date(100)})
    };
    let amounts = json!({"cpu": "32", "pods": "110", resource(0): cpu, resource(1): memory});
    serde_json::from_value(json!({
        "metadata": {"name": "n", "resourceVersion": "7"},
        "spec": {"taints": [{"key": "other", "effect": "NoExecute"}], "podCIDR": "10.0.0.0/24"},
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready"},
                condition(READY, &ready(report)),
                condition(CONFIGURED, &configured(report)),
            ],
            "images": [{"names": ["a"], "sizeBytes": 5}],
        },
    }))
    .unwrap()
}

fn resource(index: usize) -> &'static str {
    RECLAIMED[index]
}

#[test]
fn amounts_in_the_spelling_of_the_api_server_are_no_difference() {
    let report = lending(3000, 16 * GIB);
    for (cpu, memory) in [("3k", "16Gi"), ("3000", "17179869184"), ("3000000m", "16Gi")] {
        let (told, wanted) = (node(&report, cpu, memory), wanted(&report, Load::default(), &settings()));
        let gap = gap(&told, &wanted, [0; 2]);
        assert_eq!(gap.other, Other::Same, "{cpu} {memory}");
        assert!(gap.amounts.iter().all(|amount| amount.told == amount.wanted), "{gap:?}");
        assert!(same_status(&told, &wanted));
    }
}

#[test]
fn a_node_that_does_not_know_the_resources_is_not_told_of_none() {
    let shadow = NodeReport { shadow: true, ..report() };
    let told = NodeView::default();
    let patch = status_patch(&told, &node_status(&shadow), &date(0));
    assert!(patch["status"].get("capacity").is_none() && patch["status"]["conditions"].is_array(), "{patch}");
}

#[test]
fn in_shadow_and_when_nothing_is_known_what_was_told_becomes_zero() {
    for now in [NodeReport { shadow: true, ..report() }, NodeReport { lent: None, ..report() }] {
        let told = node(&report(), "8k", "16Gi");
        let wanted = wanted(&now, Load::default(), &settings());
        let patch = status_patch(&told, wanted.status.as_ref().unwrap(), &date(0));
        for list in ["capacity", "allocatable"] {
            assert_eq!(patch["status"][list], json!({resource(0): "0", resource(1): "0"}), "{patch}");
        }
        let mut pacer = Pacer::new("n");
        let at = |seconds| Timestamp::since_boot(Duration::from_secs(seconds));
        pacer.wrote(&gap(&told, &NodeWanted { status: Some(node_status(&report())), taint: false }, [0; 2]), at(0));
        assert_eq!(pacer.decide(&gap(&told, &wanted, [0; 2]), at(1), &settings()), Verdict::Write);
    }
}

#[test]
fn milli_cores_are_plain_numbers_and_memory_is_bytes() {
    let status = node_status(&lending(2500, 3 * GIB));
    let told: Vec<(String, String)> = status.resources().into_iter().map(|(name, quantity)| (name, quantity.0)).collect();
    assert_eq!(told, [(resource(1).to_owned(), (3 * GIB).to_string()), (resource(0).to_owned(), "2500".to_owned())]);
}

#[test]
fn a_condition_keeps_its_transition_while_its_status_stays() {
    let told = node(&report(), "8k", "16Gi");
    let mut failing = report();
    failing.problems.insert("knobs".to_owned(), "not written".to_owned());
    failing.configuration_refused = Some("unknown key".to_owned());
    let of = |report: &NodeReport, type_: &str| {
        let patch = status_patch(&told, &node_status(report), &date(500));
        patch["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == type_).unwrap().clone()
    };
    let same = of(&report(), READY);
    assert_eq!((&same["lastTransitionTime"], &same["lastHeartbeatTime"]), (&json!(date(100)), &json!(date(500))));
    let changed = of(&failing, READY);
    assert_eq!((&changed["lastTransitionTime"], &changed["reason"]), (&json!(date(500)), &json!("PartsFailing")));
    assert_eq!(changed["message"], "knobs: not written");
    assert_eq!(of(&failing, CONFIGURED)["message"], "unknown key");
}

#[test]
fn trouble_in_reporting_alone_does_not_make_the_agent_unready() {
    let mut report = report();
    report.problems.insert("report, custom node resource".to_owned(), "no CRD".to_owned());
    let saying = ready(&report);
    assert_eq!((saying.holds, saying.reason), (true, "Degraded"));
}

#[test]
fn a_long_message_is_cut_between_letters() {
    let mut report = report();
    report.configuration_refused = Some("ü".repeat(2000));
    let saying = configured(&report);
    assert!(saying.message.len() < 1100 && saying.message.ends_with('…'), "{}", saying.message.len());
}

#[test]
fn the_taint_leaves_all_others_alone() {
    let told = node(&report(), "8k", "16Gi");
    let patch = taint_patch(&told, true).unwrap();
    assert_eq!(patch["metadata"]["resourceVersion"], "7");
    let taints = [json!({"key": "other", "effect": "NoExecute"}), json!({"key": TAINT, "effect": "NoSchedule"})];
    assert_eq!(patch["spec"]["taints"], json!(taints));
    let mut tainted = told.clone();
    tainted.spec.taints = serde_json::from_value(patch["spec"]["taints"].clone()).unwrap();
    assert_eq!(taint_patch(&tainted, true), None);
    assert_eq!(taint_patch(&tainted, false).unwrap()["spec"]["taints"], json!([taints[0]]));
    assert_eq!(taint_patch(&told, false), None);
}

#[test]
fn a_new_taint_is_urgent_and_an_old_one_is_not() {
    let load = Load { memory_short: true, cpu_suppressed: false };
    let mut told = node(&report(), "8k", "16Gi");
    assert_eq!(gap(&told, &wanted(&report(), load, &settings()), [0; 2]).other, Other::Urgent);
    assert_eq!(gap(&told, &wanted(&report(), load, &ReportSettings::default()), [0; 2]).other, Other::Same, "without node_taint");
    told.spec.taints.push(Taint { key: TAINT.to_owned(), effect: "NoSchedule".to_owned(), time_added: None, value: None });
    assert_eq!(gap(&told, &wanted(&report(), Load::default(), &settings()), [0; 2]).other, Other::Changed);
}
