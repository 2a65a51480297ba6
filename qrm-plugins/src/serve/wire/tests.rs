#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod annotations;
mod answer;
mod request;

use crate::serve::decider::{ContainerHoldings, PodHoldings};
use crate::{Allocation, Amount, ContainerAllocation, Hint, OciProperty, PodIdentity};
use gleaner_crds::resourceplugin as proto;
use gleaner_model::{KubeQos, NumaId, NumaSet, PodName};
use std::collections::BTreeMap;

fn texts(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn nodes(list: &str) -> NumaSet {
    list.parse().unwrap()
}

fn amount(value: f64) -> Amount {
    Amount::new(value).unwrap()
}

fn by_node(amounts: &[(u32, f64)]) -> BTreeMap<NumaId, Amount> {
    amounts.iter().map(|(node, value)| (NumaId::new(*node), amount(*value))).collect()
}

/// A request that has every field.
fn asked() -> proto::ResourceRequest {
    proto::ResourceRequest {
        pod_uid: "uid-1".to_owned(),
        pod_namespace: "space".to_owned(),
        pod_name: "pod".to_owned(),
        container_name: "main".to_owned(),
        container_type: proto::ContainerType::Sidecar.into(),
        container_index: 3,
        pod_role: "role".to_owned(),
        pod_type: "type".to_owned(),
        resource_name: "cpu".to_owned(),
        hint: Some(proto::TopologyHint { nodes: vec![0, 2], preferred: true }),
        resource_requests: BTreeMap::from([("cpu".to_owned(), 1.5)]),
        labels: texts(&[("l", "m")]),
        annotations: texts(&[("katalyst.kubewharf.io/memory_enhancement", r#"{"numa_binding": "true"}"#)]),
        native_qos_class: "Guaranteed".to_owned(),
        runtime_class: "class".to_owned(),
    }
}

/// An allocation that has every field.
fn allocation() -> Allocation {
    Allocation {
        oci_property: Some(OciProperty::CpusetCpus),
        quantity: amount(2.0),
        result: "0-1".to_owned(),
        hint: Some(Hint::on(nodes("0-1"), true)),
        by_node: by_node(&[(0, 1.5), (1, 0.5)]),
        envs: texts(&[("E", "f")]),
        annotations: texts(&[("a", "b")]),
    }
}

fn holdings(exclusive: bool, given: ContainerAllocation) -> PodHoldings {
    let pod = PodIdentity {
        uid: "uid-1".parse().unwrap(),
        name: PodName { namespace: "space".to_owned(), name: "pod".to_owned() },
        role: "role".to_owned(),
        kind: "type".to_owned(),
        labels: texts(&[("l", "m")]),
        annotations: texts(&[("a", "b")]),
        kube_qos: KubeQos::Burstable,
    };
    PodHoldings { pod, containers: BTreeMap::from([("main".parse().unwrap(), ContainerHoldings { exclusive, given })]) }
}
