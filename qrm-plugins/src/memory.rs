//! Memory of NUMA nodes: who holds how much of it, where a pod could go, which nodes it may use, how what it holds moves, and how memory is
//! taken back.
//!
//! Amounts are what pods request, not what they use: a promise must hold when it is called in. Huge pages are counted like memory, each size
//! by itself, in whole pages.

mod account;
mod hints;
mod mems;
mod pace;
mod policy;
mod spread;
mod take_back;

pub use account::{Account, NodeMemory, memory_by_node};
pub use hints::{MemoryAsked, memory_hints};
pub(crate) use mems::MemRules;
pub use mems::mems;
pub use pace::{MemsChange, Resident, pace};
pub use policy::MemoryPolicy;
pub use take_back::{Holding, MemoryStep, Reclaiming, TakeBackPolicy, take_back};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
