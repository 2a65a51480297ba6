//! What the facts mean for this node: pure.

mod agent;
mod kernel;
mod kubernetes;
mod rights;

use super::facts::Facts;
use super::{Finding, Group, State};

/// Everything that was looked at, in the order of the page.
pub(crate) fn findings(facts: &Facts) -> Vec<Finding> {
    [agent::findings(facts), kernel::findings(facts), rights::findings(facts), kubernetes::findings(facts)].concat()
}

/// Makes the findings of one group.
#[derive(Debug, Clone, Copy)]
struct Of(Group);

impl Of {
    fn ok(self, name: impl Into<String>, what: impl Into<String>) -> Finding {
        self.make(name.into(), State::Ok, what.into(), None)
    }

    fn limited(self, name: impl Into<String>, what: impl Into<String>, effect: impl Into<String>) -> Finding {
        self.make(name.into(), State::Limited, what.into(), Some(effect.into()))
    }

    fn missing(self, name: impl Into<String>, what: impl Into<String>, effect: impl Into<String>) -> Finding {
        self.make(name.into(), State::Missing, what.into(), Some(effect.into()))
    }

    fn unknown(self, name: impl Into<String>, what: impl Into<String>) -> Finding {
        self.make(name.into(), State::Unknown, what.into(), None)
    }

    fn make(self, name: String, state: State, what: String, effect: Option<String>) -> Finding {
        Finding { group: self.0, name, state, needed: false, what, effect }
    }
}

impl Finding {
    /// The mode cannot do its work without it.
    fn needed(mut self) -> Self {
        self.needed = true;
        self
    }

    fn needed_if(mut self, needed: bool) -> Self {
        self.needed = needed;
        self
    }
}
