//! What is asked of a plugin in another process, and what comes back.

use crate::{Allocations, ContainerAllocation, Hints, PluginOptions, Request};
use gleaner_model::{PodUid, ResourceName};
use std::fmt;

/// Tells the answer of one call from that of any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(super) u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One call that is to be made now.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Comes back with the answer.
    pub id: CallId,
    /// Whose plugin is to be asked.
    pub resource: ResourceName,
    /// What.
    pub ask: Ask,
}

/// A question to a plugin.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// What it wants of its caller; also asked to learn whether it answers again.
    Options,
    /// Where a container could be placed.
    Hints(Box<Request>),
    /// To give a container what it asks for.
    Allocate(Box<Request>),
    /// To free what a pod holds.
    RemovePod(PodUid),
    /// What every container was given.
    Allocations,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// To [`Ask::Options`].
    Options(PluginOptions),
    /// To [`Ask::Hints`].
    Hints(Hints),
    /// To [`Ask::Allocate`], by the resource's name and those of what goes with it.
    Allocated(ContainerAllocation),
    /// To [`Ask::RemovePod`].
    Removed,
    /// To [`Ask::Allocations`].
    Allocations(Allocations),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The plugin answered that it will not, or what makes no sense.
    #[error("{0}")]
    Refused(String),
    /// Nothing came back in time, or nobody is there. What was asked may have been done.
    #[error("{0}")]
    Silent(String),
}

/// What came of one call.
pub type Answer = Result<Told, Fault>;
