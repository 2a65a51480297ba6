//! What a path is about.

use super::failure::Failure;
use super::resource::Resource;
use std::collections::BTreeSet;

/// Objects of one kind, one of them, or a part of one.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) resource: Resource,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) enum Place {
    Target(Target),
    /// A page about the server itself.
    About(String),
}

impl Target {
    /// `pods`, or `pods/eviction`, as rules of access have it.
    pub(super) fn rule(&self) -> String {
        self.subresource.as_ref().map_or_else(
            || self.resource.plural.to_owned(),
            |sub| {
                let part = sub.split('/').next().unwrap_or_default();
                format!("{}/{part}", self.resource.plural)
            },
        )
    }
}

pub(super) fn place(path: &str, defined: &BTreeSet<Resource>) -> Result<Place, Failure> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Ok(Place::About(path.trim_end_matches('/').to_owned())),
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
        rest => (None, rest),
    };
    let Some((plural, rest)) = rest.split_first() else { return Err(Failure::no_page()) };
    let same = |each: &&Resource| each.group == group && each.version == version && each.plural == *plural;
    let resource = *defined.iter().find(same).ok_or_else(Failure::no_page)?;
    let (name, sub) = match rest {
        [] => (None, None),
        [name] => (Some((*name).to_owned()), None),
        [name, sub @ ..] => (Some((*name).to_owned()), Some(sub.join("/"))),
    };
    // One of a namespace has no path without it, and one of the cluster none with it.
    let fits = if resource.namespaced { namespace.is_some() || name.is_none() } else { namespace.is_none() };
    if !fits {
        return Err(Failure::no_page());
    }
    Ok(Place::Target(Target { resource, namespace, name, subresource: sub }))
}
