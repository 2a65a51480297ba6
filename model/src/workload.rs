use crate::error::ValueError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

const LONGEST: usize = 600;

/// What a pod is one of: the workload that its replicas and its successors share, as `NAMESPACE/KIND/NAME` (`shop/Deployment/web`). A pod that nobody owns is
/// a workload of its own (`shop/Pod/once`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkloadName(Arc<str>);

impl WorkloadName {
    /// The workload of this kind and name.
    ///
    /// # Errors
    /// When a part is empty, holds a slash or a control character, or the whole is too long.
    pub fn new(namespace: &str, kind: &str, name: &str) -> Result<Self, ValueError> {
        format!("{namespace}/{kind}/{name}").parse()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WorkloadName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let parts: Vec<&str> = text.split('/').collect();
        let legal = |part: &&str| !part.is_empty() && !part.chars().any(char::is_control);
        if parts.len() == 3 && parts.iter().all(legal) && text.len() <= LONGEST {
            Ok(Self(text.into()))
        } else {
            Err(ValueError::malformed(text, "a workload as NAMESPACE/KIND/NAME"))
        }
    }
}

impl TryFrom<String> for WorkloadName {
    type Error = ValueError;
    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<WorkloadName> for String {
    fn from(name: WorkloadName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_parts_are_a_workload() {
        for text in ["shop/Deployment/web", "a/Pod/b.c-1"] {
            assert_eq!(text.parse::<WorkloadName>().map(String::from), Ok(text.to_owned()));
        }
        for text in ["", "web", "shop/web", "shop//web", "shop/Deployment/web/x", "a/b/\n"] {
            assert!(text.parse::<WorkloadName>().is_err(), "{text:?}");
        }
    }
}
