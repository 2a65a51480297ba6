//! Sizes of pools.

use crate::load::{Case, Outcome, by_name, by_node, count, nodes, same};
use gleaner_estimator::katalyst;
use gleaner_model::{NumaId, PoolName};
use serde_json::Value;
use std::collections::BTreeMap;

fn sizes(value: &Value) -> BTreeMap<PoolName, u32> {
    by_name(value, count)
}

pub(crate) fn regulate_pool_sizes(case: &Case) -> Outcome {
    let (expandable, fixed) = (sizes(&case.input["expandable"]), sizes(&case.input["fixed"]));
    let found = katalyst::regulate_pool_sizes(case.count("available"), &expandable, &fixed, case.flag("allow_expand"));
    same(&found.sizes, &sizes(&case.expect["sizes"]))
}

pub(crate) fn regulate_overlap_reclaim(case: &Case) -> Outcome {
    let found = katalyst::spread_overlap(&sizes(&case.input["share_pools"]), case.count("required"));
    same(&found, &sizes(&case.expect["sizes"]))
}

/// A pool's size on each NUMA node, `-1` being those without bound pods; and how much of which shared pool reclaimed pods run on.
type Pools = (BTreeMap<(String, String), u32>, BTreeMap<(String, PoolName), u32>);

pub(crate) fn assemble_provision(case: &Case) -> Outcome {
    let (mut shared, mut isolated) = (Vec::new(), Vec::new());
    for region in case.list("regions") {
        let pool: PoolName = region["pool"].as_str().expect("a pool").parse().expect("a pool");
        let node = region["numa_binding"].as_bool().expect("a flag").then(|| nodes(&region["numa"]).first().expect("a node"));
        let knob = |name: &str| count(&region["provision"][name]["value"]);
        match region["region_type"].as_str() {
            // The cases do not tell what the pools' pods request. With equal requests the sizes that are expected come out, and with others
            // not.
            Some("share") => {
                let requirement = knob("non-reclaimed-cpu-requirement");
                shared.push(katalyst::SharedRegion { pool, node, requirement, requested: 1 });
            }
            Some("isolation") => {
                let (lower, upper) = (knob("isolated-lower-cpu-size"), knob("isolated-upper-cpu-size"));
                isolated.push(katalyst::IsolatedRegion { pool, node, lower, upper });
            }
            other => return Outcome::Wrong(format!("unknown region {other:?}")),
        }
    }
    let found = katalyst::assemble_provision(&katalyst::ProvisionInput {
        available: &by_node(&case.input["numa_available"], count),
        reserved: &by_node(&case.input["reserved_for_reclaim"], count),
        shared: &shared,
        isolated: &isolated,
        reclaim: case.flag("enable_reclaim"),
        overlap: case.flag("shared_overlaps_reclaimed"),
    });
    same(&ours(found), &theirs(&case.expect))
}

fn ours(found: BTreeMap<Option<NumaId>, katalyst::Provision>) -> Pools {
    let (mut pools, mut overlaps) = (BTreeMap::new(), BTreeMap::new());
    for (group, provision) in found {
        let group = group.map_or("-1".to_owned(), |node| node.to_string());
        pools.insert(("reclaim".to_owned(), group.clone()), provision.reclaim);
        pools.extend(provision.pools.into_iter().map(|(pool, size)| ((pool.to_string(), group.clone()), size)));
        overlaps.extend(provision.overlaps.into_iter().map(|(pool, size)| ((group.clone(), pool), size)));
    }
    (pools, overlaps)
}

/// Without the reserve pool, which passes through and is empty here, and without quotas, of which there are none here.
fn theirs(expect: &Value) -> Pools {
    let (mut pools, mut overlaps) = (BTreeMap::new(), BTreeMap::new());
    for (pool, of_groups) in expect["pools"].as_object().expect("pools") {
        for (group, of_group) in of_groups.as_object().expect("sizes by node") {
            assert_eq!(of_group["quota"], -1, "{pool} on {group} has a quota");
            pools.insert((pool.clone(), group.clone()), count(&of_group["size"]));
        }
    }
    assert_eq!(pools.remove(&("reserve".to_owned(), "-1".to_owned())), Some(0), "the reserve pool");
    for (group, of_group) in expect.get("overlap").and_then(|by_pool| by_pool["reclaim"].as_object()).into_iter().flatten() {
        overlaps.extend(sizes(of_group).into_iter().map(|(pool, size)| ((group.clone(), pool), size)));
    }
    (pools, overlaps)
}
