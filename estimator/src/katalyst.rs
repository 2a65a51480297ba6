//! Katalyst's formulas, as pure functions.
//!
//! Some of them Gleaner uses itself, where they are chosen: [`regulate_pool_sizes`], [`spread_overlap`], [`dynamic_quota`] and the two memory
//! headrooms. The others are here to be compared with: by the tests with what Katalyst's own tests expect, by the simulator with the
//! policies. They keep what Katalyst does where that is odd, and say so.

mod cpu_headroom;
mod memory_canonical;
mod memory_numa_aware;
mod pool_sizes;
mod provision;
mod quota;
mod rama;
mod regulator;

pub use cpu_headroom::{CpuHeadroomSettings, ReclaimGroup, cpu_headroom};
pub use memory_canonical::{
    CanonicalMemory, CanonicalMemorySettings, MemoryBuffer, MemoryMember, MemoryUse, MemoryUser, memory_headroom_canonical,
};
pub use memory_numa_aware::{NumaAwareMemory, NumaAwareMemorySettings, NumaMemory, memory_headroom_numa_aware};
pub use pool_sizes::{Fit, PoolSizes, regulate_pool_sizes, spread_overlap};
pub use provision::{IsolatedRegion, Provision, ProvisionInput, SharedRegion, assemble_provision};
pub use quota::{DynamicQuota, RECLAIMED_QUOTA, dynamic_quota, dynamic_quota_applies, reserved_for_reclaim, restrict_control_knob};
pub use rama::{Rama, RamaIndicator, RamaParameters, rama_step};
pub use regulator::{Regulated, RegulatorSettings, RegulatorState, regulate};

#[cfg(test)]
mod tests;
