//! What was asked of the server.

use gleaner_model::Timestamp;
use serde_json::Value;

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Of HTTP.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// What stood behind the question mark.
    pub query: String,
    /// As rules of access have it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`; empty for pages about the server.
    pub verb: &'static str,
    /// Such as `pods`.
    pub resource: String,
    /// Such as `status`.
    pub subresource: Option<String>,
    /// The namespace in the path, if any.
    pub namespace: Option<String>,
    /// The object's name; of a new one from its body, as far as it has one there.
    pub name: Option<String>,
    /// What was sent, as far as it is JSON.
    pub body: Option<Value>,
    /// When it came.
    pub at: Timestamp,
    /// The code of the answer; `None` while there is none, and when there was no answer at all.
    pub code: Option<u16>,
}

/// What was written to, through which path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// Such as `nodes/status`.
    pub resource: String,
    /// Empty for one of the cluster.
    pub namespace: String,
    /// Empty for a new one that the server names.
    pub name: String,
}

impl Seen {
    /// Such as `nodes/status`.
    #[must_use]
    pub fn rule(&self) -> String {
        let sub = self.subresource.as_deref().and_then(|sub| sub.split('/').next());
        sub.map_or_else(|| self.resource.clone(), |sub| format!("{}/{sub}", self.resource))
    }

    /// Whether it changes anything.
    #[must_use]
    pub fn writes(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb)
    }

    pub(super) fn written(&self) -> Written {
        Written {
            resource: self.rule(),
            namespace: self.namespace.clone().unwrap_or_default(),
            name: self.name.clone().unwrap_or_default(),
        }
    }
}
