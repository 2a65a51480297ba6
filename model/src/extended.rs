//! Extended resources: whatever a node has besides CPU and memory, by a name of its provider's own and in whole units.

use crate::error::ValueError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of an extended resource: `example.com/fpga`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceName(Arc<str>);

/// The longest domain (RFC 1123), and the longest name after it (Kubernetes' qualified names).
const LONGEST_DOMAIN: usize = 253;
const LONGEST_NAME: usize = 63;

impl ResourceName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ResourceName {
    type Err = ValueError;

    /// Kubernetes' rule for extended resources: a domain, which is not one of Kubernetes itself, a slash and a name. A domain that begins
    /// with `requests.` would be taken for one without it in a quota, and is none either.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        const WHAT: &str = "the name of an extended resource, such as example.com/fpga";
        let legal = |(domain, name): &(&str, &str)| is_domain(domain) && is_own(domain) && is_name(name);
        let parts = text.split_once('/').filter(legal).ok_or_else(|| ValueError::malformed(text, WHAT))?;
        Ok(Self(format!("{}/{}", parts.0, parts.1).into()))
    }
}

fn is_own(domain: &str) -> bool {
    !domain.starts_with("requests.") && !domain.ends_with("kubernetes.io")
}

fn is_domain(text: &str) -> bool {
    let edge = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part = |part: &str| is_framed(part, edge, |b| edge(b) || *b == b'-');
    text.len() <= LONGEST_DOMAIN && text.split('.').all(part)
}

fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME && is_framed(text, u8::is_ascii_alphanumeric, |b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// Whether a text begins and ends with bytes of one kind, and has only bytes of another.
fn is_framed(text: &str, edge: impl Fn(&u8) -> bool, inner: impl Fn(&u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(&edge) && bytes.last().is_some_and(&edge) && bytes.iter().all(inner)
}

impl TryFrom<String> for ResourceName {
    type Error = ValueError;
    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<ResourceName> for String {
    fn from(name: ResourceName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How much of an extended resource, in whole units of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceCount(u64);

impl ResourceCount {
    /// So many units.
    #[must_use]
    pub const fn new(units: u64) -> Self {
        Self(units)
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ResourceCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_domain_of_their_own_are_extended_resources() {
        for good in ["example.com/fpga", "a/b", "resource.katalyst.kubewharf.io/net_bandwidth", "x.y/A_b.c-1"] {
            let name: Result<ResourceName, _> = good.parse();
            assert_eq!(name.as_ref().map(ResourceName::as_str).ok(), Some(good), "{name:?}");
        }
        let long = format!("a/{}", "x".repeat(64));
        let bad = ["", "cpu", "hugepages-2Mi", "/x", "a/", "a/b/c", "A/b", "a..b/c", "-a/b", "a/-b", "a/b-", "a/b c", "a/ä", &long];
        for text in bad.into_iter().chain(["kubernetes.io/x", "my-kubernetes.io/x", "node.kubernetes.io/x", "requests.a.b/c"]) {
            assert!(text.parse::<ResourceName>().is_err(), "{text:?} was taken");
        }
    }
}
