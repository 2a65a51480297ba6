//! Choosing CPUs: kubelet's sets exactly, Katalyst's by the measure of `docs/cpu-take.md`.

use crate::load::{Case, Machine, MachineCpu, run};
use gleaner_model::{CpuId, CpuSet, Id};
use gleaner_qrm_plugins::kubelet::{Accumulator, Counts, KubeletMachine, Place, Sorting, Unit, distributed, packed};
use gleaner_qrm_plugins::{Nodes, Order, TakePolicy, Wanted, take_cpus};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn the_static_policy_takes_what_kubelet_takes_and_the_dynamic_one_is_no_worse_than_katalyst() {
    run("cpu_take", |case, machines| {
        let machine = machines.of(case);
        match case.op().split_once('_') {
            Some(("kubelet", _)) => kubelet(case, machine),
            Some(("katalyst", _)) => katalyst(case, machine),
            _ => Err("unknown operation".to_owned()),
        }
    });
}

fn set(value: &Value) -> CpuSet {
    value.as_str().expect("a CPU list").parse().expect("a CPU list")
}

fn number(case: &Case, key: &str) -> u32 {
    // Fewer than no CPUs are none.
    u32::try_from(case.input[key].as_i64().unwrap_or_else(|| panic!("{}: no {key}", case.id)).max(0)).expect("a count")
}

fn same(got: &Value, expect: &Value) -> Result<(), String> {
    if got == expect { Ok(()) } else { Err(format!("got {got}, expected {expect}")) }
}

/// The machine by the fixture's own numbers, with the counts that it declares.
fn as_kubelet(machine: &Machine) -> KubeletMachine {
    let place = |c: &MachineCpu| Place { core: c.core, socket: c.socket, numa: c.numa, uncore: c.cache };
    let places: BTreeMap<CpuId, Place> = machine.cpus.iter().map(|c| (CpuId::new(c.cpu), place(c))).collect();
    let declared = &machine.declared;
    let counts = Counts {
        cpus: declared.cpus.unwrap_or(0),
        cores: declared.cores.unwrap_or(0),
        sockets: declared.sockets.unwrap_or(0),
        numa_nodes: declared.numa_nodes.unwrap_or(0),
        uncore_caches: declared.caches.unwrap_or(0),
    };
    KubeletMachine::new(places, counts)
}

fn kubelet(case: &Case, machine: &Machine) -> Result<(), String> {
    let machine = &as_kubelet(machine);
    let available = set(&case.input["available"]);
    let sorting = if case.input["sorting"] == "spread" { Sorting::Spread } else { Sorting::Packed };
    let request = |count| Accumulator::new(machine, &available, count, sorting);
    let taken = match case.op() {
        "kubelet_numa_packed" => {
            let align = case.input["align_uncore"].as_bool().expect("a bool");
            packed(machine, &available, number(case, "count"), sorting, align)
        }
        "kubelet_numa_distributed" => distributed(machine, &available, number(case, "count"), number(case, "cpu_group_size"), sorting),
        "kubelet_accumulate" => {
            let mut request = request(number(case, "count"));
            case.input["take"].as_array().expect("sets").iter().for_each(|cpus| request.take(&set(cpus)));
            return same(&json!({"satisfied": request.is_satisfied(), "failed": request.is_failed()}), &case.expect);
        }
        "kubelet_free_sockets" => {
            let mut sockets = request(0).free_units(Unit::Socket);
            sockets.sort_unstable();
            return same(&json!({ "ordered": sockets }), &case.expect);
        }
        "kubelet_free_numa" => return same(&json!({"ordered": request(0).free_units(Unit::Numa)}), &case.expect),
        "kubelet_free_cores" => return same(&json!({"ordered": request(0).free_units(Unit::Core)}), &case.expect),
        "kubelet_free_cpus" => {
            let cpus: Vec<u32> = request(0).free_cpus().into_iter().map(CpuId::index).collect();
            return same(&json!({ "ordered": cpus }), &case.expect);
        }
        "kubelet_free_sockets_and_numa" => {
            let (sockets, nodes) = (request(0).free_units(Unit::Socket), request(0).free_units(Unit::Numa));
            return same(&json!({"sockets": sockets, "numa_nodes": nodes}), &case.expect);
        }
        _ => return Err("unknown operation".to_owned()),
    };
    match (taken, case.expect.get("error")) {
        (None, Some(_)) => Ok(()),
        (Some(taken), None) if taken == set(&case.expect["cpus"]) => Ok(()),
        (taken, _) => Err(format!("got {taken:?}, expected {}", case.expect)),
    }
}

fn katalyst(case: &Case, machine: &Machine) -> Result<(), String> {
    let order = if case.op().ends_with("_reverse") { Order::Highest } else { Order::Lowest };
    let none = CpuSet::new();
    let wanted = Wanted { cpus: number(case, "count"), whole_cores: false, own: &none, held: &none, cost: &|_| 0 };
    let free = set(&case.input["available"]);
    // A machine without CPUs is refused before anything can be asked of it.
    let take = || take_cpus(&machine.topology(), &free, &wanted, Nodes::Any, &TakePolicy::Dynamic(order));
    let taken = if machine.cpus.is_empty() { None } else { take() };
    let taken = match (taken, case.expect.get("error")) {
        (None, Some(_)) => return Ok(()),
        (Some(taken), None) => taken,
        (taken, _) => return Err(format!("got {taken:?}, expected {}", case.expect)),
    };
    if taken.count() != wanted.cpus || !taken.is_subset(&free) {
        return Err(format!("{taken} is not {} of {free}", wanted.cpus));
    }
    let theirs = set(&case.expect["cpus"]);
    let (ours, best) = (measure(machine, &taken), measure(machine, &theirs));
    if ours <= best { Ok(()) } else { Err(format!("got {taken} with {ours:?}, {theirs} has {best:?}")) }
}

/// Packages, NUMA nodes, L3 caches and cores touched, then how uneven the nodes are: the less, the better, in this order.
fn measure(machine: &Machine, cpus: &CpuSet) -> [usize; 5] {
    let taken: Vec<_> = machine.cpus.iter().filter(|c| cpus.contains(CpuId::new(c.cpu))).collect();
    let count = |group: &dyn Fn(&MachineCpu) -> u32| taken.iter().map(|c| group(c)).collect::<BTreeSet<u32>>().len();
    let on_node = |node: u32| taken.iter().filter(|c| c.numa == node).count();
    let nodes: BTreeSet<u32> = taken.iter().map(|c| c.numa).collect();
    let uneven = nodes.into_iter().map(|node| on_node(node).pow(2)).sum();
    [count(&|c| c.socket), count(&|c| c.numa), count(&|c| c.cache), count(&|c| c.core), uneven]
}
