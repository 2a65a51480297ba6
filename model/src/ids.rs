//! Identities of hardware parts; each is its own type, so that a core's number can never be used as a CPU's.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A small number that names one part of the machine.
pub trait Id: Copy + Ord + fmt::Debug {
    /// The largest index that a set of this id accepts; it bounds the memory of a set built from foreign text.
    const MAX: u32;
    /// The id with this number.
    fn from_index(index: u32) -> Self;
    /// The number of this id.
    fn index(self) -> u32;
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u32);

        impl Id for $name {
            const MAX: u32 = $max;
            fn from_index(index: u32) -> Self {
                Self(index)
            }
            fn index(self) -> u32 {
                self.0
            }
        }

        impl $name {
            /// The id with this number.
            #[must_use]
            pub const fn new(index: u32) -> Self {
                Self(index)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id!(
    /// A logical CPU (hardware thread), by the kernel's number. The kernel's largest `NR_CPUS` is 8192.
    CpuId,
    8191
);
id!(
    /// A NUMA node, by the kernel's number. The kernel's largest `MAX_NUMNODES` is 1024.
    NumaId,
    1023
);
id!(
    /// A physical package (socket), numbered from 0 in the order of each package's lowest online CPU.
    PackageId,
    8191
);
id!(
    /// A physical core, numbered over the whole machine from 0 in the order of each core's lowest online CPU.
    CoreId,
    8191
);
id!(
    /// A group of CPUs that share a last-level (L3) cache, numbered from 0 in the order of each group's lowest online CPU.
    CacheId,
    8191
);
