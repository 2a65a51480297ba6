use super::QosClass;
use crate::idset::NumaSet;
use thiserror::Error;

/// Something wrong with a pod's annotations; each names the key and, where there is one, the value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum QosError {
    /// The class annotation names no class.
    #[error("annotation {key}: unknown QoS class {value:?}; known are dedicated_cores, shared_cores, reclaimed_cores, system_cores")]
    UnknownClass {
        /// The annotation.
        key: String,
        /// Its value.
        value: String,
    },
    /// Selectors of two classes match.
    #[error("two classes are selected: {first} by annotation {first_key}, {second} by annotation {second_key}")]
    TwoClasses {
        /// One class.
        first: QosClass,
        /// The annotation that selects it.
        first_key: String,
        /// The other.
        second: QosClass,
        /// The annotation that selects that one.
        second_key: String,
    },
    /// An enhancement is not a JSON object of plain values.
    #[error("annotation {annotation}: {value:?} is not a JSON object of strings, numbers and booleans: {cause}")]
    NotAnObject {
        /// The annotation.
        annotation: String,
        /// Its value.
        value: String,
        /// What the reader found.
        cause: String,
    },
    /// A key that the enhancement does not have.
    #[error("annotation {annotation}: unknown key {key:?} with value {value:?}")]
    UnknownKey {
        /// The annotation.
        annotation: String,
        /// The key inside it.
        key: String,
        /// Its value.
        value: String,
    },
    /// A value that the key does not take.
    #[error("annotation {annotation}: {key} is {value:?}, but must be {expected}")]
    BadValue {
        /// The annotation.
        annotation: String,
        /// The key inside it.
        key: String,
        /// Its value.
        value: String,
        /// What the key takes.
        expected: String,
    },
    /// A key that says nothing for the pod's class.
    #[error("annotation {annotation}: {key} is {value:?}, but a {class} pod cannot have it; it is for {meant}")]
    NotForClass {
        /// The annotation.
        annotation: String,
        /// The key inside it.
        key: String,
        /// Its value.
        value: String,
        /// The pod's class.
        class: QosClass,
        /// The classes that it is for.
        meant: String,
    },
    /// A key that needs another.
    #[error("annotation {annotation}: {key} is \"true\", but {needs} is not")]
    Needs {
        /// The annotation.
        annotation: String,
        /// The key inside it.
        key: String,
        /// The key that must be true too.
        needs: String,
    },
    /// Two keys that exclude each other.
    #[error("annotation {annotation}: {key} is \"true\", which contradicts {other} being \"true\"")]
    Contradiction {
        /// The annotation.
        annotation: String,
        /// The key inside it.
        key: String,
        /// The key that it contradicts.
        other: String,
    },
    /// A wish that this machine cannot meet.
    #[error("annotation {annotation}: {key} is {value:?}, but the machine has NUMA nodes {has}")]
    NotOnMachine {
        /// The annotation.
        annotation: String,
        /// The key inside it.
        key: String,
        /// Its value.
        value: String,
        /// The machine's NUMA nodes.
        has: NumaSet,
    },
}
