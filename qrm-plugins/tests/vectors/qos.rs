//! Annotations, CPU lists and priorities, against Katalyst's own cases.

use crate::load::{Case, run};
use gleaner_model::{CpuBurstPolicy, CpuId, CpuSet, NumaId, NumaPlacement, Permille, QosConfig, QosSpec, annotation};
use gleaner_qrm_plugins::{OomPriority, oom_priority};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn wishes_and_lists_are_read_as_by_katalyst() {
    run("qos", |case, _| {
        let failure = !case.expect["error"].is_null();
        match answer(case) {
            Ok(got) if !failure && got == case.expect => Ok(()),
            Err(_) if failure => Ok(()),
            got => Err(format!("is {got:?}, should be {}", case.expect)),
        }
    });
}

fn answer(case: &Case) -> Result<Value, String> {
    let input = &case.input;
    let pair = || (cpus(&input["a"]), cpus(&input["b"]));
    Ok(match case.op() {
        "oom_priority" => {
            let wished = input["score"].as_i64().map(|score| i32::try_from(score).expect("a score"));
            json!({"score": oom_priority(input["qos"].as_str().and_then(|class| class.parse().ok()), wished).map(OomPriority::get)})
        }
        "cpulist_parse" => {
            let set: CpuSet = input["text"].as_str().expect("a text").parse().map_err(|error| format!("{error}"))?;
            json!({"cpus": ids(&set)})
        }
        "cpulist_format" => json!({"text": cpus(&input["cpus"]).to_string()}),
        "cpuset_union" => json!({"cpus": ids(&pair().0.union(&pair().1))}),
        "cpuset_difference" => json!({"cpus": ids(&pair().0.difference(&pair().1))}),
        "cpuset_is_subset" => json!({"result": pair().0.is_subset(&pair().1)}),
        "cpuset_sorted" => json!({"ordered": ids(&cpus(&input["cpus"]))}),
        "cpu_burst_policy" => json!({"policy": spec(input)?.cpu.burst.policy.unwrap_or(CpuBurstPolicy::Default)}),
        "cpu_burst_percent" => {
            let percent = spec(input)?.cpu.burst.percent;
            json!({"percent": percent.map_or(0, Permille::get) / 10, "found": percent.is_some()})
        }
        "numa_ids" => {
            let spec = spec(input)?;
            spec.check_against(&input["numa_nodes"].as_array().expect("nodes").iter().map(node).collect())
                .map_err(|error| error.to_string())?;
            match spec.cpu.placement {
                NumaPlacement::Ids(nodes) => json!({"numa": nodes.iter().collect::<Vec<_>>()}),
                _ => json!({"numa": []}),
            }
        }
        other => panic!("no such operation: {other}"),
    })
}

/// Katalyst's cases have `numa_ids` beside the enhancement, where its webhook flattens it to; on a pod it is inside.
fn spec(input: &Value) -> Result<QosSpec, String> {
    let mut annotations: BTreeMap<String, String> = serde_json::from_value(input["annotations"].clone()).expect("annotations");
    if let Some(ids) = annotations.remove(annotation::NUMA_IDS) {
        let inside = json!({ annotation::NUMA_IDS: ids }).to_string();
        assert!(annotations.insert(annotation::CPU_ENHANCEMENT.to_owned(), inside).is_none(), "an enhancement beside it");
    }
    QosSpec::parse(&annotations, &QosConfig::default()).map_err(|errors| format!("{errors:?}"))
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|id| u32::try_from(id).ok()).expect("an id")
}

fn node(value: &Value) -> NumaId {
    NumaId::new(number(value))
}

fn cpus(value: &Value) -> CpuSet {
    value.as_array().expect("CPUs").iter().map(|id| CpuId::new(number(id))).collect()
}

fn ids(set: &CpuSet) -> Vec<CpuId> {
    set.iter().collect()
}
