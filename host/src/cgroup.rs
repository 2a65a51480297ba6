//! Where cgroups live on this machine, which of them are pods, and which kernel file holds a knob.
//!
//! Nothing here writes; every write goes through [`crate::arbiter`].

mod discover;
pub mod knob;
mod layout;
mod mountinfo;
pub(crate) mod scores;

pub use discover::{FoundContainer, FoundPod, discover, pod_uid};
pub(crate) use layout::within;
pub use layout::{Controller, Layout, Mode, Version};
