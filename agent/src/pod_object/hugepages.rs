//! `hugepages-<size>` among a container's resources.

use gleaner_crds::quantity;
use gleaner_model::{Bytes, PageSize};
use k8s_openapi::api::core::v1::ResourceRequirements;
use std::collections::BTreeMap;

/// The huge pages that a container asks for, by size. As for the API server they cannot be overcommitted, so the limit must be there and the
/// request is the same or missing; as for kubelet they are whole pages.
pub(super) fn of_container(resources: &ResourceRequirements) -> Result<BTreeMap<PageSize, Bytes>, String> {
    let (mut pages, none) = (BTreeMap::new(), BTreeMap::new());
    let (requests, limits) = (resources.requests.as_ref().unwrap_or(&none), resources.limits.as_ref().unwrap_or(&none));
    for name in requests.keys().chain(limits.keys().filter(|name| !requests.contains_key(*name))) {
        let Some(size) = PageSize::of_resource(name) else { continue };
        let size = size.map_err(|e| format!("resources[{name}]: {e}"))?;
        let read = |list: &str, text: &str| {
            let amount = quantity::value(text).map_err(|e| format!("resources.{list}[{name}]: {text:?}: {e}"))?;
            Ok::<Bytes, String>(Bytes::new(amount.get()))
        };
        let limit = limits.get(name).map(|limit| read("limits", &limit.0)).transpose()?;
        let request = requests.get(name).map(|request| read("requests", &request.0)).transpose()?;
        let amount = limit.ok_or_else(|| format!("resources.limits[{name}] is missing: huge pages cannot be overcommitted"))?;
        if request.is_some_and(|request| request != amount) {
            return Err(format!("resources.requests[{name}] is not the limit: huge pages cannot be overcommitted"));
        }
        if size.count_in(amount).is_none() {
            return Err(format!("resources.limits[{name}]: {amount} is no multiple of the page size {size}"));
        }
        if pages.insert(size, amount).is_some() {
            return Err(format!("resources[{name}]: huge pages of {size} stand there twice"));
        }
    }
    pages.retain(|_, amount: &mut Bytes| !amount.is_zero());
    Ok(pages)
}
