//! What stands behind the question mark of a path.

use super::failure::Failure;
use axum::extract::Query as Extract;
use hyper::Uri;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub(super) struct Query(BTreeMap<String, String>);

/// What each verb knows. `watch` is a list with more.
fn known(verb: &str) -> &'static [&'static str] {
    match verb {
        "get" => &["pretty", "resourceVersion"],
        "list" => &[
            "pretty",
            "watch",
            "labelSelector",
            "fieldSelector",
            "limit",
            "continue",
            "resourceVersion",
            "resourceVersionMatch",
            "timeoutSeconds",
        ],
        "watch" => &[
            "pretty",
            "watch",
            "labelSelector",
            "fieldSelector",
            "resourceVersion",
            "resourceVersionMatch",
            "timeoutSeconds",
            "allowWatchBookmarks",
            "sendInitialEvents",
        ],
        "create" | "update" => &["pretty", "dryRun", "fieldManager", "fieldValidation"],
        "patch" => &["pretty", "dryRun", "fieldManager", "fieldValidation", "force"],
        "delete" => &["pretty", "dryRun", "gracePeriodSeconds", "propagationPolicy"],
        _ => &[],
    }
}

impl Query {
    pub(super) fn parse(uri: &Uri) -> Result<Self, Failure> {
        let pairs = Extract::<Vec<(String, String)>>::try_from_uri(uri).map_err(|e| Failure::bad(e.to_string()))?.0;
        let mut all = BTreeMap::new();
        for (key, value) in pairs.into_iter().filter(|(key, _)| !key.is_empty()) {
            if all.insert(key.clone(), value).is_some() {
                return Err(Failure::bad(format!("query parameter {key} is there twice")));
            }
        }
        Ok(Self(all))
    }

    /// Refuses what a request of this verb does not know.
    pub(super) fn check(&self, verb: &str) -> Result<(), Failure> {
        let unknown = self.0.keys().find(|key| !known(verb).contains(&key.as_str()));
        unknown.map_or(Ok(()), |key| Err(Failure::bad(format!("unknown query parameter {key} of {verb}"))))
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, Failure> {
        match self.text(key) {
            "" | "0" | "false" => Ok(false),
            "1" | "true" => Ok(true),
            other => Err(Failure::bad(format!("query parameter {key} is {other:?}, no boolean"))),
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, Failure> {
        match self.text(key) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| Failure::bad(format!("invalid {key}: {text:?}"))),
        }
    }

    /// Whether the request is only to be tried.
    pub(super) fn dry_run(&self) -> Result<bool, Failure> {
        match self.text("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(Failure::bad(format!("invalid dryRun: {other:?}"))),
        }
    }
}
