//! Refusals, as `Status` objects.

use super::resource::Resource;
use serde_json::{Value, json};

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    details: Value,
    /// Seconds in the header of this name.
    pub(super) retry_after: Option<u32>,
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null, retry_after: None }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = json!({"name": name, "group": resource.group, "kind": resource.plural});
        self
    }

    /// The kind, the path or the part of the API is not there.
    pub(super) fn no_page() -> Self {
        Self::new(404, "", "404 page not found\n")
    }

    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} {name:?} not found")).about(resource, name)
    }

    pub(super) fn exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{resource} {name:?} already exists")).about(resource, name)
    }

    pub(super) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {resource} {name:?}: {why}")).about(resource, name)
    }

    /// Another version than the one that the writer had read.
    pub(super) fn stale(resource: &Resource, name: &str) -> Self {
        Self::conflict(resource, name, "the object has been modified; please apply your changes to the latest version and try again")
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A field has a value that it cannot have.
    pub(super) fn invalid(resource: &Resource, name: &str, field: &str, why: &str) -> Self {
        let mut failure = Self::new(422, "Invalid", format!("{} {name:?} is invalid: {field}: {why}", resource.kind)).about(resource, name);
        failure.details["causes"] = json!([{"reason": "FieldValueInvalid", "message": why, "field": field}]);
        failure
    }

    pub(super) fn forbidden(resource: &str, name: &str, why: &str) -> Self {
        Self::new(403, "Forbidden", format!("{resource} {name:?} is forbidden: {why}"))
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(super) fn method() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    pub(super) fn media(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// The version asked for is not there yet.
    pub(super) fn future(asked: u64, current: u64) -> Self {
        let mut failure = Self::new(504, "Timeout", format!("Too large resource version: {asked}, current: {current}"));
        failure.details = json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]});
        failure.details["retryAfterSeconds"] = json!(1);
        failure.retry_after = Some(1);
        failure
    }

    /// A budget does not allow another disruption now.
    pub(super) fn disruption(budget: &str, needs: usize, has: usize) -> Self {
        let mut failure = Self::new(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
        let message = format!("The disruption budget {budget} needs {needs} healthy pods and has {has} currently");
        failure.details = json!({"causes": [{"reason": "DisruptionBudget", "message": message}], "retryAfterSeconds": 10});
        failure.retry_after = Some(10);
        failure
    }

    /// What a server in trouble answers, by code.
    pub(super) fn made(code: u16) -> Self {
        let made = |reason, message: &str| Self::new(code, reason, message);
        let mut failure = match code {
            400 => made("BadRequest", "made by the test"),
            401 => Self::unauthorized(),
            403 => made("Forbidden", "made by the test"),
            404 => made("NotFound", "made by the test"),
            409 => made("Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
            410 => made("Expired", "too old resource version"),
            429 => made("TooManyRequests", "too many requests, please try again later"),
            503 => made("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => made("Timeout", "request did not complete within the allotted timeout"),
            _ => made("InternalError", "an error on the server has prevented the request from succeeding"),
        };
        if matches!(code, 429 | 503) {
            failure.details = json!({"retryAfterSeconds": 1});
            failure.retry_after = Some(1);
        }
        failure
    }

    /// The body, and what type of content it is.
    pub(super) fn body(&self) -> (&'static str, String) {
        if self.reason.is_empty() {
            return ("text/plain; charset=utf-8", self.message.clone());
        }
        ("application/json", self.status().to_string())
    }

    /// As an object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}
