//! Which pods hold how much of which place. Only pods that are tied to places: one in a pool over several NUMA nodes holds nothing of any of them.

use super::offer::split;
use crate::kubernetes::PodHolding;
use gleaner_crds::cnr::{Allocation, ResourceList};
use gleaner_crds::keys::resource;
use gleaner_crds::quantity::{MilliValue, WholeValue};
use gleaner_model::{CpuSet, MilliCpu, NumaId, Topology};
use std::collections::BTreeMap;

/// What pods hold of each NUMA node, by consumer.
pub(super) fn on_nodes(pods: &[PodHolding], topology: &Topology) -> BTreeMap<NumaId, Vec<Allocation>> {
    let mut all: BTreeMap<NumaId, Vec<Allocation>> = BTreeMap::new();
    for pod in pods {
        for (node, requests) in of_pod(pod, topology) {
            all.entry(node).or_default().push(Allocation { consumer: consumer(pod), requests: Some(requests) });
        }
    }
    for allocations in all.values_mut() {
        allocations.sort_by(|a, b| a.consumer.cmp(&b.consumer));
    }
    all
}

/// What pods with CPUs of their own hold of a set of CPUs, by consumer.
pub(super) fn on_cpus(pods: &[PodHolding], cpus: &CpuSet) -> Vec<Allocation> {
    let own = pods.iter().map(|pod| (pod, pod.own_cpus.intersection(cpus).count())).filter(|(_, count)| *count > 0);
    let mut all: Vec<Allocation> = own
        .map(|(pod, count)| {
            let cpu = MilliValue::new(MilliCpu::from_cpus(count).get()).to_quantity();
            Allocation { consumer: consumer(pod), requests: Some(BTreeMap::from([(resource::CPU.to_owned(), cpu)])) }
        })
        .collect();
    all.sort_by(|a, b| a.consumer.cmp(&b.consumer));
    all
}

/// `namespace/name/uid`, as Katalyst's scheduler takes it apart to forget the pods that it only assumed.
fn consumer(pod: &PodHolding) -> String {
    format!("{}/{}", pod.name, pod.api_uid)
}

/// The pod's part on each of its NUMA nodes. CPUs of its own are counted as they are, even where they are more than it asked for: they are gone
/// for all others. Everything else is divided by these CPUs, or evenly.
fn of_pod(pod: &PodHolding, topology: &Topology) -> BTreeMap<NumaId, ResourceList> {
    let own = |node: NumaId| topology.node(node).map_or(0, |known| pod.own_cpus.intersection(&known.cpus).count());
    let bound = if pod.nodes.is_empty() { topology.nodes_of(&pod.own_cpus) } else { pod.nodes.clone() };
    let homes: Vec<NumaId> = bound.iter().filter(|node| topology.node(*node).is_some()).collect();
    let weights: Vec<u64> = homes.iter().map(|node| u64::from(own(*node))).collect();
    let mut all: BTreeMap<NumaId, ResourceList> = BTreeMap::new();
    let mut add = |node: NumaId, name: &str, amount: u64, thousandths: bool| {
        if amount > 0 {
            let quantity = if thousandths { MilliValue::new(amount).to_quantity() } else { WholeValue::new(amount).to_quantity() };
            all.entry(node).or_default().insert(name.to_owned(), quantity);
        }
    };
    let divided = |whole: u64| homes.iter().copied().zip(split(whole, &weights)).collect::<Vec<_>>();
    if pod.own_cpus.is_empty() {
        divided(pod.cpu.get()).into_iter().for_each(|(node, part)| add(node, resource::CPU, part, true));
    } else {
        for node in topology.nodes_of(&pod.own_cpus).iter() {
            add(node, resource::CPU, MilliCpu::from_cpus(own(node)).get(), true);
        }
    }
    let whole = [
        (resource::MEMORY, pod.memory.get()),
        (resource::RECLAIMED_MILLICPU, pod.reclaimed_cpu.get()),
        (resource::RECLAIMED_MEMORY, pod.reclaimed_memory.get()),
    ];
    for (name, amount) in whole {
        divided(amount).into_iter().for_each(|(node, part)| add(node, name, part, false));
    }
    all
}
