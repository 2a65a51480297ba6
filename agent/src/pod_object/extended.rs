//! Extended resources of a container, by the rules that the API server checks before a kubelet sees a pod.

use gleaner_crds::quantity::milli_value;
use gleaner_model::{ResourceCount, ResourceName};
use gleaner_qrm_plugins::is_own_resource;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::{BTreeMap, BTreeSet};

/// What a container asks for of resources that others provide.
///
/// # Errors
/// The first amount that is not whole, has no limit, or a request that is not its limit; or a name that is none.
pub(super) fn extended(resources: &ResourceRequirements) -> Result<BTreeMap<ResourceName, ResourceCount>, String> {
    let (requests, limits) = (resources.requests.as_ref(), resources.limits.as_ref());
    let names: BTreeSet<&String> = requests.into_iter().chain(limits).flat_map(BTreeMap::keys).filter(|name| is_foreign(name)).collect();
    let mut found = BTreeMap::new();
    for text in names {
        let name: ResourceName = text.parse().map_err(|e| format!("resources: {e}"))?;
        if is_own_resource(&name) {
            continue;
        }
        let request = count("requests", requests, text)?;
        let limit = count("limits", limits, text)?;
        match (request, limit) {
            (_, None) => return Err(format!("resources.limits[{text}] is missing; an extended resource needs one")),
            (Some(request), Some(limit)) if request != limit => {
                return Err(format!("resources.requests[{text}] is {request}, but must be the limit, which is {limit}"));
            }
            (_, Some(limit)) => found.insert(name, limit),
        };
    }
    Ok(found)
}

/// Names without a domain, and with one of Kubernetes, are Kubernetes' own.
fn is_foreign(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/")
}

fn count(list: &str, amounts: Option<&BTreeMap<String, Quantity>>, name: &str) -> Result<Option<ResourceCount>, String> {
    let Some(Quantity(text)) = amounts.and_then(|all| all.get(name)) else { return Ok(None) };
    let thousandths = milli_value(text).map_err(|e| format!("resources.{list}[{name}]: {text:?}: {e}"))?.get();
    let whole = || format!("resources.{list}[{name}]: {text:?} is not a whole number, as an extended resource needs");
    if thousandths.is_multiple_of(1000) { Ok(Some(ResourceCount::new(thousandths / 1000))) } else { Err(whole()) }
}
