//! What a container asks for, of the node's own CPU and memory and of what is lent.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::error::{CrdsError, QuantityError};
use crate::keys::resource;
use crate::quantity::{self, MilliValue, WholeValue};

/// Which of a container's two lists of amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountList {
    /// `resources.requests`.
    Requests,
    /// `resources.limits`.
    Limits,
}

impl fmt::Display for AmountList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::Limits => "limits",
        })
    }
}

/// Request and limit of one resource, as written; absent is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared<T> {
    /// What the container is to have.
    pub request: Option<T>,
    /// What it may not exceed; absent means no limit.
    pub limit: Option<T>,
}

impl<T: Copy> Declared<T> {
    /// The request, or the limit where only that is written: the API server fills in the one from the other (`SetDefaults_Pod`), but a
    /// manifest read from a folder has not passed it.
    #[must_use]
    pub fn effective_request(self) -> Option<T> {
        self.request.or(self.limit)
    }

    /// Whether neither is written.
    #[must_use]
    pub fn is_absent(self) -> bool {
        self.effective_request().is_none()
    }
}

/// All amounts of a container that Gleaner acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerAmounts {
    /// `cpu`, in thousandths of a core.
    pub cpu: Declared<MilliValue>,
    /// `memory`, in bytes.
    pub memory: Declared<WholeValue>,
    /// `resource.katalyst.kubewharf.io/reclaimed_millicpu`, in thousandths of a core.
    pub reclaimed_cpu: Declared<MilliValue>,
    /// `resource.katalyst.kubewharf.io/reclaimed_memory`, in bytes.
    pub reclaimed_memory: Declared<WholeValue>,
}

/// Reads all amounts of a container.
///
/// # Errors
/// The first amount that is no quantity, is negative or overflows; see [`CrdsError::Amount`].
pub fn container_amounts(resources: &ResourceRequirements) -> Result<ContainerAmounts, CrdsError> {
    Ok(ContainerAmounts {
        cpu: native_cpu(resources)?,
        memory: native_memory(resources)?,
        reclaimed_cpu: reclaimed_cpu(resources)?,
        reclaimed_memory: reclaimed_memory(resources)?,
    })
}

/// `cpu`, in thousandths of a core.
///
/// # Errors
/// As for [`container_amounts`].
pub fn native_cpu(resources: &ResourceRequirements) -> Result<Declared<MilliValue>, CrdsError> {
    declared(resources, resource::CPU, quantity::milli_value)
}

/// `memory`, in bytes.
///
/// # Errors
/// As for [`container_amounts`].
pub fn native_memory(resources: &ResourceRequirements) -> Result<Declared<WholeValue>, CrdsError> {
    declared(resources, resource::MEMORY, quantity::value)
}

/// Lent CPU, in thousandths of a core. The plain number counts them already, so `2k` is two cores and `500` is half of one.
///
/// # Errors
/// As for [`container_amounts`].
pub fn reclaimed_cpu(resources: &ResourceRequirements) -> Result<Declared<MilliValue>, CrdsError> {
    declared(resources, resource::RECLAIMED_MILLICPU, |text| quantity::value(text).map(|millicores| MilliValue::new(millicores.get())))
}

/// Lent memory, in bytes.
///
/// # Errors
/// As for [`container_amounts`].
pub fn reclaimed_memory(resources: &ResourceRequirements) -> Result<Declared<WholeValue>, CrdsError> {
    declared(resources, resource::RECLAIMED_MEMORY, quantity::value)
}

fn declared<T>(
    resources: &ResourceRequirements,
    name: &'static str,
    read: impl Fn(&str) -> Result<T, QuantityError>,
) -> Result<Declared<T>, CrdsError> {
    let amount = |list: AmountList, amounts: Option<&BTreeMap<String, Quantity>>| {
        let Some(Quantity(text)) = amounts.and_then(|all| all.get(name)) else {
            return Ok(None);
        };
        let source = match read(text) {
            Ok(amount) => return Ok(Some(amount)),
            Err(source) => source,
        };
        Err(CrdsError::Amount { list, resource: name, text: text.clone(), source })
    };
    Ok(Declared {
        request: amount(AmountList::Requests, resources.requests.as_ref())?,
        limit: amount(AmountList::Limits, resources.limits.as_ref())?,
    })
}

#[cfg(test)]
mod tests;
