//! CPU: quotas, the controller, reserves, the headroom.

use crate::load::{Case, Outcome, by_name, by_node, count, cpu, cpus, nodes, same};
use gleaner_estimator::{Indicator, katalyst};
use gleaner_model::{Limit, MilliCpu, NumaId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Whether two amounts of CPU are one, of which ours is rounded to a thousandth.
fn near(got: MilliCpu, expect: f64) -> Outcome {
    let got = value(got);
    if (got - expect).abs() <= 0.0005 { Outcome::Passed } else { Outcome::Wrong(format!("got {got}, expected {expect}")) }
}

fn value(cpu: MilliCpu) -> f64 {
    f64::from(u32::try_from(cpu.get()).expect("an amount of CPU")) / 1000.0
}

pub(crate) fn dynamic_quota(case: &Case) -> Outcome {
    let indicator = Indicator { name: "cpu_usage_ratio".to_owned(), current: 0, target: 0 };
    let quota = katalyst::dynamic_quota_applies(case.flag("numa_binding"), &[indicator])
        .then(|| {
            let bound = nodes(&case.input["binding_numa"]);
            let of_bound =
                |by_node: BTreeMap<NumaId, u32>| by_node.into_iter().filter(|(node, _)| bound.contains(*node)).map(|(_, n)| n).sum();
            let pool = Some(&case.input["reclaim_pool"]).filter(|pool| !pool.is_null());
            let cpus = pool.map(|pool| by_node(pool, |set| cpus(set).count()));
            katalyst::dynamic_quota(&katalyst::DynamicQuota {
                cpus: of_bound(cpus.unwrap_or_else(|| by_node(&case.input["numa_cpus"], count))),
                target: case.share("target"),
                current: case.share("current"),
                usage: case.input["reclaim_usage"].as_f64().map(cpu),
                reserved: case.cpu("reserved_for_reclaim"),
            })
        })
        .flatten();
    match (quota, case.expect["quota"].as_f64()) {
        (Some(got), Some(expect)) => near(got, expect),
        (got, expect) => same(&got.map(value), &expect),
    }
}

pub(crate) fn dynamic_quota_applies(case: &Case) -> Outcome {
    let named = |name: &Value| Indicator { name: name.as_str().expect("a name").to_owned(), current: 0, target: 0 };
    let indicators: Vec<Indicator> = case.list("indicators").iter().map(named).collect();
    let found = katalyst::dynamic_quota_applies(case.flag("numa_binding"), &indicators);
    same(&Some(found), &case.expect["result"].as_bool())
}

pub(crate) fn rama_step(case: &Case) -> Outcome {
    assert_eq!(case.input["knob"], "non-reclaimed-cpu-requirement", "{}", case.id);
    let indicator = |value: &Value| {
        let number = |value: &Value| value.as_f64().expect("a number");
        let params = |key: &str| number(&value["params"][key]);
        // The term on the change of the error is not there at the first step.
        assert_eq!((params("kd_positive"), params("kd_negative")), (0.0, 0.0), "{}", case.id);
        let parameters = katalyst::RamaParameters {
            kp_positive: params("kp_positive"),
            kp_negative: params("kp_negative"),
            adjust_upper: params("adjust_upper"),
            adjust_lower: params("adjust_lower"),
            deadband_upper: params("deadband_upper"),
            deadband_lower: params("deadband_lower"),
        };
        katalyst::RamaIndicator { target: number(&value["target"]), current: number(&value["current"]), parameters }
    };
    let indicators: Vec<_> = by_name::<String, _>(&case.input["indicators"], indicator).into_values().collect();
    let found = katalyst::rama_step(&katalyst::Rama {
        requirement: case.cpu("knob_value"),
        upper: case.cpu("upper"),
        lower: case.cpu("lower"),
        reserved_for_allocate: case.cpu("reserved_for_allocate"),
        reclaim: case.flag("enable_reclaim"),
        indicators: &indicators,
    });
    let expect = case.expect["value"].as_f64().expect("a value");
    found.map_or(Outcome::Wrong("the policy does not run".to_owned()), |got| near(got, expect))
}

pub(crate) fn restrict_control_knob(case: &Case) -> Outcome {
    let policies = |value: &Value| {
        let mut policies: BTreeMap<String, BTreeMap<String, MilliCpu>> =
            by_name(&value["policies"], |knobs| by_name(knobs, |value| cpu(value.as_f64().expect("a number"))));
        // The case names its knob by letter, and the reference restricts one knob alone.
        for knobs in policies.values_mut() {
            let quota = knobs.remove("c1").expect("the knob");
            knobs.insert(katalyst::RECLAIMED_QUOTA.to_owned(), quota);
        }
        policies
    };
    let restrict = by_name(&case.input["restrict"], |name| name.as_str().expect("a policy").to_owned());
    same(&katalyst::restrict_control_knob(&policies(&case.input), &restrict), &policies(&case.expect))
}

pub(crate) fn reserved_for_reclaim(case: &Case) -> Outcome {
    let (cpus, count_of_nodes) = (case.count("cpus"), case.count("numa_nodes"));
    let nodes = (0..count_of_nodes).map(|node| (NumaId::new(node), cpus / count_of_nodes)).collect();
    let ratio = case.input["numa_min_ratio"].as_f64().map(|_| case.share("numa_min_ratio"));
    let found = katalyst::reserved_for_reclaim(&nodes, case.cpu("min_reclaimed_cpu"), ratio);
    same(&found, &by_node(&case.expect["per_numa"], count))
}

pub(crate) fn cpu_headroom(case: &Case) -> Outcome {
    if !case.flag("enable_reclaim") {
        return Outcome::Wrong("nothing is lent, which no case tested so far".to_owned());
    }
    let machine = by_node(&case.input["numa_cpus"], |set| cpus(set).count());
    let pool: BTreeSet<NumaId> = by_node(&case.input["reclaim_pool"], |_| ()).into_keys().collect();
    // A bind result that is no node, or none of the machine, binds nothing.
    let result = |pod: &Value| pod["annotations"]["katalyst.kubewharf.io/numa_bind_result"].as_str()?.parse::<u32>().ok();
    let results: BTreeSet<u32> = case.list("pods").iter().filter_map(result).collect();
    let (bound, free): (BTreeSet<NumaId>, BTreeSet<NumaId>) =
        pool.into_iter().partition(|node| results.iter().any(|id| NumaId::new(*id) == *node));
    let mut groups: Vec<_> = bound.into_iter().map(|node| (Some(node), BTreeSet::from([node]))).collect();
    if !free.is_empty() {
        groups.push((None, free));
    }
    let groups: Option<Vec<_>> = groups.into_iter().map(|(bound, nodes)| group(case, bound, &nodes, &machine)).collect();
    let Some(groups) = groups else { return Outcome::Wrong("a reading is missing".to_owned()) };
    let settings = katalyst::CpuHeadroomSettings {
        util_based: case.flag("util_based"),
        target: case.share("target_utilization"),
        max: case.share("max_utilization"),
        max_oversold: case.share("max_oversold_rate"),
        max_capacity: case.share("max_headroom_capacity_rate"),
    };
    let found: u32 = katalyst::cpu_headroom(&groups, &settings).values().sum();
    same(&f64::from(found), &case.expect["headroom_cores"].as_f64().expect("cores"))
}

fn group(case: &Case, bound: Option<NumaId>, nodes: &BTreeSet<NumaId>, machine: &BTreeMap<NumaId, u32>) -> Option<katalyst::ReclaimGroup> {
    let pool = by_node(&case.input["reclaim_pool"], cpus);
    let of_group = || pool.iter().filter(|(node, _)| nodes.contains(node)).map(|(_, set)| set);
    let usage = of_group().map(|set| case.of_cpus(set, "cpu.usage.ratio.cpu")).sum::<Option<f64>>()?;
    let last = by_node(&case.input["last_reclaimed_cpu"], |value| cpu(value.as_f64().expect("cores")));
    let quota = case.of_reclaimed(bound, "cpu.quota.cgroup")? / case.of_reclaimed(bound, "cpu.period.cgroup")?;
    Some(katalyst::ReclaimGroup {
        nodes: machine.iter().filter(|(node, _)| nodes.contains(node)).map(|(node, cpus)| (*node, *cpus)).collect(),
        pool: of_group().map(gleaner_model::CpuSet::count).sum(),
        pool_usage: cpu(usage),
        usage: cpu(case.of_reclaimed(bound, "cpu.usage.cgroup")?),
        quota: if quota > 0.0 { Limit::At(cpu(quota)) } else { Limit::Max },
        last: last.into_iter().filter(|(node, _)| nodes.contains(node)).map(|(_, cpu)| cpu).sum(),
    })
}
