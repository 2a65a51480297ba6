//! What can go wrong when the vocabulary is read or written.

use crate::reclaimed::AmountList;

/// Failures of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrdsError {
    /// A container's amount of a resource is not a usable quantity.
    #[error("cannot read resources.{list}[{resource}] = {text:?}")]
    Amount {
        /// Whether it stands among the requests or the limits.
        list: AmountList,
        /// The resource's name.
        resource: &'static str,
        /// The text found.
        text: String,
        /// What is wrong with it.
        source: QuantityError,
    },
    /// A definition cannot be written as YAML.
    #[error("cannot write the definition of {name} as yaml: {cause}")]
    Yaml {
        /// Name of the definition.
        name: String,
        /// The writer's words; kept as text, so that this error can be compared.
        cause: String,
    },
}

/// Why a text is not a quantity that Gleaner can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// There is no digit before the suffix.
    #[error("a quantity needs at least one digit")]
    NoDigits,
    /// What follows the number is neither a suffix nor an exponent.
    #[error("unknown suffix; known are n u m k M G T P E, Ki Mi Gi Ti Pi Ei and exponents such as e3")]
    Suffix,
    /// Amounts of resources are never below zero.
    #[error("a negative quantity of a resource means nothing")]
    Negative,
    /// More than Kubernetes can hold, which is 2^63 - 1 after scaling.
    #[error("the quantity is above 2^63 - 1")]
    Overflow,
}
