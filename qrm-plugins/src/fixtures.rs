//! Pods and machines for the tests of this crate.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::plugin::{Amount, ContainerType, Parsed, PodIdentity, Request};
use gleaner_model::{
    Bytes, Container, ContainerKind, CpuSet, KubeQos, MilliCpu, Pod, PodName, PodUid, QosClass, QosConfig, QosSpec, Requirement, Topology,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) fn machine(packages: u32, nodes: u32, cores: u32, threads: u32) -> Topology {
    Topology::regular(packages, nodes, cores, threads, Bytes::new(1 << 30)).unwrap()
}

pub(crate) fn cpus(text: &str) -> CpuSet {
    text.parse().unwrap()
}

pub(crate) fn uid(name: &str) -> PodUid {
    name.parse().unwrap()
}

/// A pod with one container and this native CPU request; of a reclaimed pod it is the reclaimed CPU.
pub(crate) fn pod(name: &str, class: QosClass, milli: u64) -> Pod {
    let amount = Some(MilliCpu::new(milli)).filter(|m| !m.is_zero());
    let reclaimed = class == QosClass::Reclaimed;
    let container = Container {
        name: "main".parse().unwrap(),
        kind: ContainerKind::Main,
        cpu: Requirement { request: amount.filter(|_| !reclaimed), limit: None },
        memory: Requirement::default(),
        reclaimed_cpu: amount.filter(|_| reclaimed),
        reclaimed_memory: None,
        hugepages: BTreeMap::new(),
        extended: BTreeMap::new(),
    };
    Pod {
        workload: None,
        uid: uid(name),
        name: PodName { namespace: "ns".to_owned(), name: name.to_owned() },
        qos: QosSpec::of(class),
        kube_qos: KubeQos::of(std::slice::from_ref(&container)),
        priority: 0,
        grace: Duration::from_secs(30),
        containers: vec![container],
    }
}

pub(crate) fn with_pool(mut pod: Pod, pool: &str) -> Pod {
    pod.qos.cpu.pool = Some(pool.parse().unwrap());
    pod
}

pub(crate) fn by_uid<const N: usize>(pods: [Pod; N]) -> BTreeMap<PodUid, Pod> {
    pods.into_iter().map(|pod| (pod.uid.clone(), pod)).collect()
}

/// A request for CPU of one container of a pod of this class.
pub(crate) fn request(pod: &str, container: &str, kind: ContainerType, class: QosClass, cores: f64) -> Request {
    let level = ("katalyst.kubewharf.io/qos_level".to_owned(), class.to_string());
    Request {
        pod: PodIdentity {
            uid: uid(pod),
            name: PodName { namespace: "ns".to_owned(), name: pod.to_owned() },
            role: String::new(),
            kind: String::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::from([level]),
            kube_qos: KubeQos::Burstable,
        },
        container: container.parse().unwrap(),
        kind,
        index: u64::from(kind != ContainerType::Main),
        resource: if class == QosClass::Reclaimed { "resource.katalyst.kubewharf.io/reclaimed_millicpu" } else { "cpu" }.to_owned(),
        amount: Amount::new(cores).unwrap(),
        whole_pod: None,
        hint: None,
        resizing: false,
    }
}

/// Hands a request on with its annotations read.
pub(crate) fn asked<T>(request: &Request, then: impl FnOnce(&Parsed<'_>) -> T) -> T {
    let qos = QosSpec::parse(&request.pod.annotations, &QosConfig::default()).unwrap();
    then(&Parsed { request, qos: &qos })
}
