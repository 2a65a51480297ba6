//! The request for one eviction, and what its answer means.

use super::queue::Answered;
use crate::kubernetes::{Answer, EvictionOrder};
use axum::http::Request;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::Resource;
use kube::api::PostParams;
use kube::core::Status;
use std::time::Duration;

/// The request. It is built here, since `Api::evict` of kube 5.0 writes its options as `delete_options`, which the API server passes over: the grace would
/// be the pod's own, and another pod of the name would go.
///
/// # Errors
/// When the order names no pod.
pub(super) fn request(order: &EvictionOrder) -> Result<Request<Vec<u8>>, String> {
    let name = &order.name;
    let eviction = Eviction {
        delete_options: Some(DeleteOptions {
            grace_period_seconds: Some(grace(order.grace)),
            preconditions: Some(Preconditions { uid: Some(order.api_uid.clone()), resource_version: None }),
            ..DeleteOptions::default()
        }),
        metadata: ObjectMeta { name: Some(name.name.clone()), namespace: Some(name.namespace.clone()), ..ObjectMeta::default() },
    };
    let body = serde_json::to_vec(&eviction).map_err(|error| error.to_string())?;
    kube::core::Request::new(Pod::url_path(&(), Some(&name.namespace)))
        .create_subresource("eviction", &name.name, &PostParams::default(), body)
        .map_err(|error| error.to_string())
}

/// Whole seconds, rounded up. Never 0: the API server would then remove the pod at once, while its processes still run.
fn grace(grace: Duration) -> i64 {
    let seconds = grace.as_secs().saturating_add(u64::from(grace.subsec_nanos() > 0));
    i64::try_from(seconds).unwrap_or(i64::MAX).max(1)
}

/// What the answer means. Where several budgets cover the pod, the API server sends the failure as an object, which may come with the code of a success:
/// the code inside counts.
pub(super) fn judge(answer: Result<Answer, String>) -> Answered {
    let answer = match answer {
        Ok(answer) => answer,
        Err(cause) => return Answered::Busy { cause, after: None },
    };
    let status = answer.status();
    let inner = status.as_ref().filter(|status| answer.is_good() && !status.is_success() && status.code != 0);
    let code = inner.map_or(answer.code, |status| status.code);
    let cause = Answer { code, ..answer.clone() }.sentence();
    let details = status.as_ref().and_then(|status| status.details.as_ref());
    let after = answer.retry_after.or_else(|| details.map(|details| Duration::from_secs(details.retry_after_seconds.into())));
    match code {
        200..=299 => Answered::Accepted,
        404 if status.is_some() => Answered::Gone,
        // Any other conflict is with a change of the same pod, and passes.
        409 if cause.contains("UID in precondition") => Answered::Gone,
        // An overloaded server answers 429 too, in plain text: that is no budget.
        429 if status.is_some() => Answered::Blocked { cause: budgets(status.as_ref()).unwrap_or(cause), after },
        // 404 without a status comes from a proxy, 401 passes when the token is read again.
        401 | 404 | 408 | 409 | 429 | 500.. => Answered::Busy { cause, after },
        _ => Answered::Refused(cause),
    }
}

/// Which budget stands against it, in the server's words: more than its general sentence says.
fn budgets(status: Option<&Status>) -> Option<String> {
    let causes: Vec<&str> = status?.details.as_ref()?.causes.iter().map(|c| c.message.as_str()).filter(|m| !m.is_empty()).collect();
    (!causes.is_empty()).then(|| causes.join("; "))
}
