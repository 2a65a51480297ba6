//! What one container wants of one resource, from the wish to the allocation.

use super::retry::Retry;
use crate::plugin::{Amount, ContainerAllocation, ContainerType};
use crate::{Hint, Hints};
use gleaner_model::{ContainerName, Timestamp};

/// One container's share of one resource.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Share {
    pub(super) container: ContainerName,
    pub(super) kind: ContainerType,
    pub(super) index: u64,
    pub(super) amount: Amount,
    pub(super) state: State,
    pub(super) retry: Retry,
    /// What the plugin said when it was asked last, if it said no.
    pub(super) refused: Option<String>,
    /// It may hold something: it was asked to give it, or said that it did.
    pub(super) touched: bool,
}

/// How far a share has come.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// Where it could go is not known.
    Unhinted,
    /// Where it could go, and since when that is known.
    Hinted { hints: Hints, at: Timestamp },
    /// The caller chose; the plugin is to give it.
    Chosen { hint: Option<Hint> },
    /// It was given. `missing`: the plugin no longer knows of it, and is to give it again.
    Given { hint: Option<Hint>, given: ContainerAllocation, missing: bool },
    /// Its pod runs since before anybody here knew; the plugin may tell what it was given.
    Unlisted,
}

impl Share {
    /// Whether the plugin is to give it now.
    pub(super) fn wants_allocation(&self) -> bool {
        matches!(self.state, State::Chosen { .. } | State::Given { missing: true, .. })
    }

    /// The placement that it is to follow.
    pub(super) fn hint(&self) -> Option<Hint> {
        match &self.state {
            State::Chosen { hint } | State::Given { hint, .. } => hint.clone(),
            State::Unhinted | State::Hinted { .. } | State::Unlisted => None,
        }
    }

    /// Begins anew; what failed before goes on waiting.
    pub(super) fn start_again(&mut self) {
        self.state = State::Unhinted;
        self.touched = false;
    }
}
