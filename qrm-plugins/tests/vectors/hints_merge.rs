//! Merging topology hints, against kubelet's and Katalyst's own cases.

use crate::load::{Case, run};
use gleaner_model::{NumaId, NumaSet};
use gleaner_qrm_plugins::{Hint, HintOrder, MergeOptions, Merged, Provider, TopologyPolicy, distance_sum, merge, single_node_hints};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn hints_are_merged_as_by_kubelet_and_katalyst() {
    run("hints_merge", |case, _| {
        let got = answer(case);
        // 10 and 10.0 are the same mean.
        let mean = |value: &Value| value["average"].as_f64();
        let same = got == case.expect || mean(&got).zip(mean(&case.expect)).is_some_and(|(a, b)| (a - b).abs() < 1e-9);
        if same { Ok(()) } else { Err(format!("is {got}, should be {}", case.expect)) }
    });
}

fn answer(case: &Case) -> Value {
    let input = &case.input;
    match case.op() {
        "merge" => merged(input),
        "can_admit" => json!({"admit": policy(input).admits(&hint(&input["hint"]))}),
        "filter_single_numa" => {
            let lists = single_node_hints(&lists(&input["hints"]));
            json!({"hints": lists.iter().map(|list| list.iter().map(shown).collect::<Vec<_>>()).collect::<Vec<_>>()})
        }
        "max_of_min_affinity_counts" => json!({"count": HintOrder::narrowest(&lists(&input["hints"])).target()}),
        "average_distance" => {
            let nodes = numa(&input["nodes"]);
            let sum = distance_sum(&nodes, &|from, to| distance(input, from, to)).expect("all distances");
            let sum = u32::try_from(sum).expect("a few nodes");
            json!({"average": f64::from(sum) / f64::from(nodes.count() * nodes.count())})
        }
        "compare_narrowest" => {
            let target = u32::try_from(input["best_non_preferred_count"].as_i64().expect("a count")).unwrap_or(0);
            let current = (!input["current"].is_null()).then(|| hint(&input["current"]));
            winner(HintOrder::with_target(target).wins(&hint(&input["candidate"]), current.as_ref()))
        }
        "closest" => {
            let [candidate, current] = ["candidate", "current"].map(|key| Hint::on(numa(&input[key]), true));
            winner(HintOrder::closest(&[], &|from, to| distance(input, from, to)).wins(&candidate, Some(&current)))
        }
        other => panic!("no such operation: {other}"),
    }
}

fn winner(candidate: bool) -> Value {
    json!({"winner": if candidate { "candidate" } else { "current" }})
}

fn merged(input: &Value) -> Value {
    let mut options =
        MergeOptions { prefer_closest_numa: input["prefer_closest_numa"].as_bool().unwrap_or(false), ..MergeOptions::default() };
    if let Some(align) = input["align_resources"].as_array() {
        options.align_resources = align.iter().map(|name| name.as_str().expect("a name").to_owned()).collect();
    }
    // `none` and `numeric` do not look at the machine, and their cases do not tell of one.
    let nodes = if input["numa_nodes"].is_null() { "0-3".parse().expect("nodes") } else { numa(&input["numa_nodes"]) };
    let providers: Vec<Provider> = input["providers"].as_array().expect("providers").iter().map(provider).collect();
    let merged = merge(policy(input), &options, &nodes, &|from, to| distance(input, from, to), &providers);
    if input["system"] == "kubelet" { one(&merged) } else { many(&merged) }
}

/// Kubelet has one hint for the container; without a look at hints it is any node.
fn one(merged: &Merged) -> Value {
    let mut hints: Vec<Hint> = merged.hints.values().cloned().collect();
    hints.dedup();
    assert!(hints.len() <= 1, "one hint for all resources: {merged:?}");
    let hint = hints.pop().unwrap_or(Hint { nodes: None, preferred: false });
    json!({"hint": shown(&hint), "admit": merged.admit})
}

/// Katalyst has one for each resource, and none when `numeric` finds none.
fn many(merged: &Merged) -> Value {
    let hints: BTreeMap<&String, Value> = merged.hints.iter().map(|(resource, hint)| (resource, shown(hint))).collect();
    let found = merged.admit || !hints.is_empty();
    json!({"hints": found.then_some(hints), "admit": merged.admit})
}

fn policy(input: &Value) -> TopologyPolicy {
    serde_json::from_value(input["policy"].clone()).expect("a policy")
}

fn provider(value: &Value) -> Provider {
    let resources = value.as_object().into_iter().flatten();
    Provider(
        resources.map(|(resource, hints)| (resource.clone(), hints.as_array().map(|hints| hints.iter().map(hint).collect()))).collect(),
    )
}

fn lists(value: &Value) -> Vec<Vec<Hint>> {
    value.as_array().expect("lists").iter().map(|list| list.as_array().expect("a list").iter().map(hint).collect()).collect()
}

fn hint(value: &Value) -> Hint {
    let nodes = (!value["numa"].is_null()).then(|| numa(&value["numa"]));
    Hint { nodes, preferred: value["preferred"].as_bool().expect("preferred") }
}

fn numa(value: &Value) -> NumaSet {
    let ids = value.as_array().expect("a list of nodes").iter();
    ids.map(|id| NumaId::new(id.as_u64().and_then(|id| u32::try_from(id).ok()).expect("a node"))).collect()
}

fn shown(hint: &Hint) -> Value {
    json!({"numa": hint.nodes.as_ref().map(|nodes| nodes.iter().collect::<Vec<NumaId>>()), "preferred": hint.preferred})
}

fn distance(input: &Value, from: NumaId, to: NumaId) -> Option<u32> {
    use gleaner_model::Id;
    let row = input["distances"].get(from.to_string())?;
    row.get(to.index() as usize)?.as_u64()?.try_into().ok()
}
