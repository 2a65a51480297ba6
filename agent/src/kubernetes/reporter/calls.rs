//! Calls of the API server with a time limit, and what is to be made of one that fails.

use super::pacer::{part, seed};
use k8s_openapi::jiff;
use kube::api::PatchParams;
use std::time::Duration;

/// An API server that takes longer counts as not answering.
const LIMIT: Duration = Duration::from_secs(10);
/// The first wait after a failure; it doubles.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait after failures: a fall has to be told.
const LONGEST: Duration = Duration::from_secs(60);

/// The name that the API server notes beside our fields.
pub(super) const MANAGER: &str = "gleaner";

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is no such object, or no such kind of object.
    NotFound,
    /// The object is another by now, or is there already.
    Conflict,
    /// Everything else.
    Other,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// How it failed.
    pub(crate) kind: Kind,
    /// Verb, resource and cause, in one line.
    pub(crate) line: String,
    /// How long the API server asks to be left alone.
    pub(crate) leave_alone: Duration,
}

impl Trouble {
    /// After which the API server asked for nothing.
    pub(super) const fn new(kind: Kind, line: String) -> Self {
        Self { kind, line, leave_alone: Duration::ZERO }
    }
}

/// Makes a call; `what` is its verb and resource, such as `patch nodes/status`.
///
/// # Errors
/// When it fails or takes too long.
pub(crate) async fn call<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
    match tokio::time::timeout(LIMIT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(trouble(what, &error)),
        Err(_) => Err(Trouble::new(Kind::Other, format!("{what}: no answer in {}s", LIMIT.as_secs()))),
    }
}

/// Makes a call about something that may not be there, or whose kind is not known, which the API server says otherwise.
///
/// # Errors
/// As [`call`], but for what is not there.
pub(crate) async fn find<T>(what: &str, looked_for: impl Future<Output = kube::Result<T>>) -> Result<Option<T>, Trouble> {
    match call(what, looked_for).await {
        Ok(found) => Ok(Some(found)),
        Err(trouble) if trouble.kind == Kind::NotFound => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// For patches: the API server notes who wrote which field.
pub(super) fn params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

fn trouble(what: &str, error: &kube::Error) -> Trouble {
    let kube::Error::Api(status) = error else {
        return Trouble::new(Kind::Other, format!("{what}: {error}"));
    };
    let (kind, word) = match status.code {
        403 => (Kind::Other, "forbidden: "),
        404 => (Kind::NotFound, "not found: "),
        409 => (Kind::Conflict, "conflict: "),
        _ => (Kind::Other, ""),
    };
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    Trouble {
        kind,
        line: format!("{what}: {word}{} (status {})", status.message.trim(), status.code),
        leave_alone: Duration::from_secs(u64::from(seconds)).min(LONGEST),
    }
}

/// How long to wait after failures in a row.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    seed: u64,
    failures: u32,
    total: u64,
}

impl Backoff {
    /// For calls about this node; `what` keeps two series on one node apart.
    pub(crate) fn new(node: &str, what: &str) -> Self {
        Self { seed: seed(&format!("{node} {what}")), failures: 0, total: 0 }
    }

    /// It worked.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure: doubled each time, with up to a half more by the node's name.
    pub(crate) fn next(&mut self, leave_alone: Duration) -> Duration {
        let wait = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).clamp(FIRST, LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.total = self.total.wrapping_add(1);
        (wait + part(wait, self.seed, self.total) / 2).max(leave_alone)
    }
}

/// The date and time for objects; nothing is decided by it.
pub(crate) type Wall = fn() -> jiff::Timestamp;

#[cfg(test)]
mod tests;
