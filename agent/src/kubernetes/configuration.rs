//! Configuration by objects of the cluster: which object counts for this node, and what it means for the agent's own configuration.
//!
//! [`follow`] is the shell: a task that watches the objects and tells which one counts. [`Followed`] is what the event loop keeps: it merges that
//! object into the configuration of the file, remembers it on disk, and says what went wrong. Everything between them is pure. The status of
//! the objects is not written: ten thousand nodes would write one object. Each node tells through its own conditions instead.

mod followed;
mod last_good;
mod mapping;
mod merge;
mod mirror;
mod object;
mod select;
mod selector;
mod watch;

pub(crate) use followed::{Followed, Outcome};
use object::{ConfigObject, Source};
pub(crate) use watch::{Follow, follow};

use serde_json::{Map, Value};

/// The name of this part in the agent's health.
pub(crate) const PART: &str = "clusterConfiguration";

/// What the cluster has for this node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ConfigurationEvent {
    /// This object counts for the node.
    Chosen(Box<Chosen>),
    /// No object counts for the node: the file alone does.
    NoneChosen,
    /// The object that counts cannot be used at all; what is in force stays.
    Refused {
        /// Which object.
        source: Source,
        /// Everything that is wrong with it, a line each.
        problems: Vec<String>,
    },
    /// Objects of which nobody can say for which nodes they are, a line each; they count for none.
    Unusable(Vec<String>),
    /// Whether the objects can be watched; the text says what is wrong.
    Reach(Option<String>),
}

/// The object that counts for the node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chosen {
    /// Which it is.
    pub(crate) source: Source,
    /// Hash of its content.
    pub(crate) hash: String,
    /// The hash by which a `CustomNodeConfig` names it: while it stays, so does what is in force.
    pub(crate) named: Option<String>,
    /// Why it counts for this node.
    pub(crate) why: String,
    /// Why the node is not to take it over for now (paused, or not among the first nodes); what is in force stays.
    pub(crate) hold: Option<String>,
    /// Its `spec` without what says which nodes it is for.
    pub(crate) content: Map<String, Value>,
}

/// The first lines of many, for a message of bounded length.
fn shortened(lines: &[String], shown: usize) -> String {
    let first = lines.iter().take(shown).map(String::as_str).collect::<Vec<_>>().join("; ");
    if lines.len() <= shown { first } else { format!("{first}; and {} more", lines.len() - shown) }
}

#[cfg(test)]
mod tests;
