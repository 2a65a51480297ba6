//! The pods of this node: from objects on the wire to records, and the watch that keeps them current.

mod convert;
mod follow;
mod told;

#[cfg(test)]
pub(super) mod double;

pub(super) use convert::{Source, records};
pub(super) use follow::changed;
pub(crate) use follow::watch_pods;
pub(super) use told::{Closed, Told};
