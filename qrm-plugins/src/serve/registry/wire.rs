//! Between the values that are decided over and the messages of a plugin that is asked: the other side of [`crate::serve::wire`]. Pure.

use crate::remote::Fault;
use crate::serve::endpoint::in_words;
use crate::{Allocation, Allocations, Amount, ContainerAllocation, ContainerType, Hint, Hints, OciProperty, PluginOptions, Request};
use gleaner_crds::keys::oci_property;
use gleaner_crds::resourceplugin as proto;
use gleaner_model::{Id, NumaId, NumaSet, ResourceName};
use std::collections::BTreeMap;

/// What is asked for one container. The amount has one name in all calls: that of the resource.
pub(in crate::serve) fn request(asked: &Request) -> proto::ResourceRequest {
    let kind = match asked.kind {
        ContainerType::Init => proto::ContainerType::Init,
        ContainerType::Main => proto::ContainerType::Main,
        ContainerType::Sidecar => proto::ContainerType::Sidecar,
        ContainerType::Ephemeral => proto::ContainerType::Ephemeral,
    };
    let hint = |hint: &Hint| proto::TopologyHint {
        nodes: hint.nodes.iter().flat_map(NumaSet::iter).map(|node| u64::from(node.index())).collect(),
        preferred: hint.preferred,
    };
    proto::ResourceRequest {
        pod_uid: asked.pod.uid.as_str().to_owned(),
        pod_namespace: asked.pod.name.namespace.clone(),
        pod_name: asked.pod.name.name.clone(),
        container_name: asked.container.as_str().to_owned(),
        container_type: kind.into(),
        container_index: asked.index,
        pod_role: asked.pod.role.clone(),
        pod_type: asked.pod.kind.clone(),
        resource_name: asked.resource.clone(),
        hint: asked.hint.as_ref().map(hint),
        resource_requests: BTreeMap::from([(asked.resource.clone(), asked.amount.get())]),
        labels: asked.pod.labels.clone(),
        annotations: asked.pod.annotations.clone(),
        native_qos_class: asked.pod.kube_qos.to_string(),
        ..Default::default()
    }
}

/// What a plugin wants.
///
/// # Errors
/// When it wants what is not done here.
pub(in crate::serve) fn options(wire: &proto::ResourcePluginOptions) -> Result<PluginOptions, String> {
    if wire.pre_start_required {
        return Err("PreStartContainer is not called here, so a plugin that needs it cannot be used".to_owned());
    }
    Ok(PluginOptions { with_topology_alignment: wire.with_topology_alignment, need_reconcile: wire.need_reconcile })
}

/// A message of a plugin that makes no sense.
#[derive(Debug, PartialEq)]
pub(in crate::serve) struct Nonsense(String);

impl From<Nonsense> for Fault {
    fn from(Nonsense(cause): Nonsense) -> Self {
        Self::Refused(in_words(&format!("its answer makes no sense: {cause}")))
    }
}

/// Where a container could go. No list is no preference, and so is an empty one, since the wire has one form for both.
///
/// # Errors
/// With the first hint that is none.
pub(in crate::serve) fn hints(resource: &ResourceName, answer: &proto::ResourceHintsResponse) -> Result<Hints, Nonsense> {
    let list = answer.resource_hints.get(resource.as_str()).map(|list| list.hints.as_slice()).unwrap_or_default();
    let hints: Vec<Hint> = list.iter().map(hint).collect::<Result<_, _>>()?;
    Ok(if hints.is_empty() { Hints::NoPreference } else { Hints::List(hints) })
}

/// What a container was given; nothing when there is no result.
///
/// # Errors
/// With the first field that makes no sense.
pub(in crate::serve) fn allocated(answer: proto::ResourceAllocationResponse) -> Result<ContainerAllocation, Nonsense> {
    answer.allocation_result.map(container).transpose().map(Option::unwrap_or_default)
}

/// What every container was given.
///
/// # Errors
/// With the first field that makes no sense.
pub(in crate::serve) fn allocations(answer: proto::GetResourcesAllocationResponse) -> Result<Allocations, Nonsense> {
    let mut all = Allocations::new();
    for (uid, containers) in answer.pod_resources {
        let uid = uid.parse().map_err(|e| Nonsense(format!("pod {uid:?}: {e}")))?;
        let of: &mut BTreeMap<_, _> = all.entry(uid).or_default();
        for (name, given) in containers.container_resources {
            let name = name.parse().map_err(|e| Nonsense(format!("container {name:?}: {e}")))?;
            of.insert(name, container(given)?);
        }
    }
    Ok(all)
}

fn container(given: proto::ResourceAllocation) -> Result<ContainerAllocation, Nonsense> {
    let named = |(name, info): (String, _)| match allocation(info) {
        Ok(allocation) => Ok((name, allocation)),
        Err(Nonsense(cause)) => Err(Nonsense(format!("{name}: {cause}"))),
    };
    given.resource_allocation.into_iter().map(named).collect()
}

fn allocation(info: proto::ResourceAllocationInfo) -> Result<Allocation, Nonsense> {
    for (name, value) in &info.envs {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Nonsense(format!("envs: {name:?} is no variable that a process can have")));
        }
    }
    let quantity = info.allocated_quantity;
    let by_node = |(id, amount): (&u64, &u64)| Ok((node(*id)?, gleaner_model::ResourceCount::new(*amount).into()));
    Ok(Allocation {
        oci_property: property(&info.oci_property_name),
        quantity: Amount::new(quantity).ok_or_else(|| Nonsense(format!("allocated_quantity: {quantity} is no amount")))?,
        result: info.allocation_result,
        hint: info.resource_hints.iter().flat_map(|list| &list.hints).map(hint).next().transpose()?,
        by_node: info.topology_assignments.iter().map(by_node).collect::<Result<_, Nonsense>>()?,
        envs: info.envs,
        annotations: info.annotations,
    })
}

/// The field that a result is for. One that is not known is one that nobody fills.
fn property(name: &str) -> Option<OciProperty> {
    match name {
        oci_property::CPUSET_CPUS => Some(OciProperty::CpusetCpus),
        oci_property::CPUSET_MEMS => Some(OciProperty::CpusetMems),
        oci_property::MEMORY_LIMIT => Some(OciProperty::MemoryLimitInBytes),
        _ => None,
    }
}

/// A hint without nodes is one for any node.
fn hint(wire: &proto::TopologyHint) -> Result<Hint, Nonsense> {
    let nodes = wire.nodes.iter().map(|id| node(*id)).collect::<Result<NumaSet, _>>()?;
    Ok(Hint { nodes: (!nodes.is_empty()).then_some(nodes), preferred: wire.preferred })
}

fn node(id: u64) -> Result<NumaId, Nonsense> {
    let known = u32::try_from(id).ok().filter(|id| *id <= NumaId::MAX);
    known.map(NumaId::new).ok_or_else(|| Nonsense(format!("node {id} is above {}", NumaId::MAX)))
}

#[cfg(test)]
mod tests;
