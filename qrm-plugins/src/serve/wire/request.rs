//! What is asked: from the message to the value. Everything that makes no sense is an error that names its field.

use super::{Malformed, units};
use crate::{Amount, ContainerType, Hint, PodIdentity, Request};
use gleaner_crds::keys::{pod_annotation, resource};
use gleaner_crds::quantity;
use gleaner_crds::resourceplugin as proto;
use gleaner_model::{Bytes, ContainerName, Id, KubeQos, MilliCpu, NumaId, NumaSet, PodName, PodUid};
use serde_json::Value;
use std::collections::BTreeMap;

/// One request for one container.
///
/// # Errors
/// With the first field that makes no sense.
pub(in crate::serve) fn request(wire: &proto::ResourceRequest) -> Result<Request, Malformed> {
    let (resource, amount) = asked(&wire.resource_requests)?;
    let resizing = wire.annotations.get(pod_annotation::INPLACE_RESIZING).is_some_and(|text| text == "true");
    Ok(Request {
        pod: identity(wire)?,
        container: container_name(&wire.container_name)?,
        kind: kind(wire.container_type)?,
        index: wire.container_index,
        amount,
        whole_pod: whole_pod(&wire.annotations, &resource)?,
        hint: wire.hint.as_ref().map(hint).transpose()?,
        resizing,
        resource,
    })
}

/// A pod's uid.
///
/// # Errors
/// When it is none.
pub(in crate::serve) fn pod_uid(text: &str) -> Result<PodUid, Malformed> {
    if text.len() > 253 {
        return Err(Malformed::new("pod_uid", "has more than 253 bytes"));
    }
    text.parse().map_err(|e| Malformed::new("pod_uid", e))
}

/// A container's name.
///
/// # Errors
/// When it is none.
pub(in crate::serve) fn container_name(text: &str) -> Result<ContainerName, Malformed> {
    if text.len() > 63 {
        return Err(Malformed::new("container_name", "has more than 63 bytes"));
    }
    text.parse().map_err(|e| Malformed::new("container_name", e))
}

fn identity(wire: &proto::ResourceRequest) -> Result<PodIdentity, Malformed> {
    let named = |field: &str, text: &str| {
        // As the API server has it: letters, digits, '-' and '.'. They go into logs and decisions.
        let legal = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        match text {
            "" => Err(Malformed::new(field, "is empty")),
            text if text.len() > 253 => Err(Malformed::new(field, "has more than 253 bytes")),
            text if !legal(text) => Err(Malformed::new(field, "is no name (letters, digits, '-', '_' and '.')")),
            text => Ok(text.to_owned()),
        }
    };
    Ok(PodIdentity {
        uid: pod_uid(&wire.pod_uid)?,
        name: PodName { namespace: named("pod_namespace", &wire.pod_namespace)?, name: named("pod_name", &wire.pod_name)? },
        role: wire.pod_role.clone(),
        kind: wire.pod_type.clone(),
        labels: wire.labels.clone(),
        annotations: wire.annotations.clone(),
        kube_qos: kube_qos(&wire.native_qos_class)?,
    })
}

/// Exactly one resource, as Katalyst's plugins have it, by the name and in the unit of the caller.
fn asked(requests: &BTreeMap<String, f64>) -> Result<(String, Amount), Malformed> {
    const FIELD: &str = "resource_requests";
    let mut each = requests.iter();
    let (Some((name, number)), None) = (each.next(), each.next()) else {
        return Err(Malformed::new(FIELD, format!("has {} entries and must have one", requests.len())));
    };
    let no_amount = || Malformed::new(format!("{FIELD}[{name}]"), format!("{number} is no amount"));
    Ok((name.clone(), Amount::new(number / units(name)).ok_or_else(no_amount)?))
}

fn kind(number: i32) -> Result<ContainerType, Malformed> {
    match proto::ContainerType::try_from(number) {
        Ok(proto::ContainerType::Init) => Ok(ContainerType::Init),
        Ok(proto::ContainerType::Main) => Ok(ContainerType::Main),
        Ok(proto::ContainerType::Sidecar) => Ok(ContainerType::Sidecar),
        Ok(proto::ContainerType::Ephemeral) => Ok(ContainerType::Ephemeral),
        Err(_) => Err(Malformed::new("container_type", format!("{number} is none"))),
    }
}

/// Callers that do not tell the class get the one in the middle: neither alone nor last.
fn kube_qos(text: &str) -> Result<KubeQos, Malformed> {
    match text {
        "Guaranteed" => Ok(KubeQos::Guaranteed),
        "Burstable" | "" => Ok(KubeQos::Burstable),
        "BestEffort" => Ok(KubeQos::BestEffort),
        other => Err(Malformed::new("native_qos_class", format!("{other:?} is none"))),
    }
}

/// A hint without nodes is one for any node: the wire knows no empty set.
fn hint(wire: &proto::TopologyHint) -> Result<Hint, Malformed> {
    let node = |number: &u64| {
        let id = u32::try_from(*number).ok().filter(|id| *id <= NumaId::MAX);
        id.map(NumaId::new).ok_or_else(|| Malformed::new("hint.nodes", format!("{number} is above {}", NumaId::MAX)))
    };
    let nodes = wire.nodes.iter().map(node).collect::<Result<NumaSet, _>>()?;
    Ok(Hint { nodes: (!nodes.is_empty()).then_some(nodes), preferred: wire.preferred })
}

/// What the annotation says of this resource. Amounts are quantities, written as texts or as plain numbers.
fn whole_pod(annotations: &BTreeMap<String, String>, resource: &str) -> Result<Option<Amount>, Malformed> {
    let Some(list) = annotations.get(pod_annotation::AGGREGATED_REQUESTS) else { return Ok(None) };
    let malformed = |cause: String| Malformed::new(format!("annotations[{}]", pod_annotation::AGGREGATED_REQUESTS), cause);
    let list: BTreeMap<String, Value> = serde_json::from_str(list).map_err(|e| malformed(e.to_string()))?;
    let text = match list.get(resource) {
        None => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    quantity_of(resource, &text).map(Some).map_err(|e| malformed(format!("{resource}: {text:?}: {e}")))
}

fn quantity_of(resource: &str, text: &str) -> Result<Amount, gleaner_crds::QuantityError> {
    match resource {
        resource::CPU => quantity::milli_value(text).map(|cpu| MilliCpu::new(cpu.get()).into()),
        // The plain number counts thousandths already.
        resource::RECLAIMED_MILLICPU => quantity::value(text).map(|cpu| MilliCpu::new(cpu.get()).into()),
        _ => quantity::value(text).map(|amount| Bytes::new(amount.get()).into()),
    }
}
