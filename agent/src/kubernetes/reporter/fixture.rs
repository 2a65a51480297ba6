//! Reports and objects for tests.

use crate::kubernetes::{Lent, Load, NodeReport, PodHolding};
use gleaner_model::{Bytes, CpuSet, MilliCpu, NumaId, NumaSet, PodName, QosClass, Topology};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Memory of each NUMA node.
pub(super) const GIB: u64 = 1 << 30;

/// Two sockets, four NUMA nodes of four cores with two threads, 8 GiB each; CPU 0 and 1 GiB are reserved.
pub(super) fn report() -> NodeReport {
    let topology = Topology::regular(2, 2, 4, 2, Bytes::new(8 * GIB)).unwrap_or_else(|error| panic!("{error}"));
    NodeReport {
        lent: Some(lent(8000, 16 * GIB)),
        memory: topology.memory(),
        topology: Arc::new(topology),
        reserved: cpus("0"),
        memory_reserve: Bytes::new(GIB),
        pods: Vec::new(),
        load: Load::default(),
        problems: BTreeMap::new(),
        configuration_refused: None,
        shadow: false,
        alignment: gleaner_qrm_plugins::TopologyChoice::default(),
        attributes: BTreeMap::from([("cgroup".to_owned(), "v2".to_owned())]),
    }
}

/// So much lent, a quarter on each of four nodes.
pub(super) fn lent(cpu: u64, memory: u64) -> Lent {
    let by_node = (0..4).map(|node| (NumaId::new(node), (MilliCpu::new(cpu / 4), Bytes::new(memory / 4)))).collect();
    Lent { cpu: MilliCpu::new(cpu), memory: Bytes::new(memory), by_node }
}

/// The report with so much lent.
pub(super) fn lending(cpu: u64, memory: u64) -> NodeReport {
    NodeReport { lent: Some(lent(cpu, memory)), ..report() }
}

/// A pod that asks for two cores and 3 GiB.
pub(super) fn pod(name: &str, class: QosClass, own_cpus: &str, nodes: &str) -> PodHolding {
    let reclaimed = class == QosClass::Reclaimed;
    let (cpu, memory) = (MilliCpu::new(2000), Bytes::new(3 * GIB));
    PodHolding {
        name: PodName { namespace: "ns".to_owned(), name: name.to_owned() },
        api_uid: format!("uid-{name}"),
        class,
        cpu: if reclaimed { MilliCpu::ZERO } else { cpu },
        memory: if reclaimed { Bytes::ZERO } else { memory },
        reclaimed_cpu: if reclaimed { cpu } else { MilliCpu::ZERO },
        reclaimed_memory: if reclaimed { memory } else { Bytes::ZERO },
        own_cpus: cpus(own_cpus),
        nodes: nodes.parse::<NumaSet>().unwrap_or_else(|error| panic!("{error}")),
    }
}

/// From the kernel's list.
pub(super) fn cpus(list: &str) -> CpuSet {
    list.parse().unwrap_or_else(|error| panic!("{error}"))
}
