//! Asks the API server, which may be slow, silent or not there.

use super::facts::{Answers, Cluster, Said};
use super::rights::{KINDS, RIGHTS, Right};
use crate::kubernetes::{Answer, Connected, KubernetesSettings, ask, connect};
use axum::http::Request;
use futures_util::stream::{self, StreamExt};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Client;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// For all questions together.
pub(super) const LIMIT: Duration = Duration::from_secs(3);
/// Questions at once: a node must not be a burden to its API server.
const AT_ONCE: usize = 4;
/// A list of the resources of one group is far smaller.
const LARGEST: usize = 1 << 20;

/// Finds the cluster and asks it everything, in at most [`LIMIT`].
pub(super) async fn cluster(settings: &KubernetesSettings, hostname: &str) -> Cluster {
    match connect(settings, hostname).await {
        Ok(connected) => questions(&connected).await,
        Err(error) => Cluster::NoWay(error.to_string().trim_start_matches("no way to the cluster: ").to_owned()),
    }
}

pub(super) async fn questions(connected: &Connected) -> Cluster {
    let asking = Asking { client: &connected.client, until: Instant::now() + LIMIT };
    let version = match asking.get("/version").await {
        Ok(answer) => version(&answer),
        Err(cause) => return Cluster::Silent(cause),
    };
    let node = &connected.node;
    let knows_node = asking.get(&format!("/api/v1/nodes/{node}")).await;
    let mut answers = Answers {
        node: node.clone(),
        version,
        knows_node: knows_node.map_or_else(Said::NotKnown, |answer| said(&answer)),
        kinds: [].into(),
        rights: [].into(),
    };
    let asking = &asking;
    let kinds =
        KINDS.map(|(kind, path)| async move { (kind, asking.get(path).await.map_or_else(Said::NotKnown, |answer| has(&answer, kind))) });
    answers.kinds = stream::iter(kinds).buffer_unordered(AT_ONCE).collect().await;
    let rights = RIGHTS.iter().flat_map(|right| right.verbs.iter().map(move |verb| (right, *verb)));
    let rights = rights.map(|(right, verb)| async move { ((right.resource, verb), asking.may(right, verb, node).await) });
    answers.rights = stream::iter(rights).buffer_unordered(AT_ONCE).collect().await;
    Cluster::Answers(Box::new(answers))
}

struct Asking<'a> {
    client: &'a Client,
    until: Instant,
}

impl Asking<'_> {
    async fn get(&self, path: &str) -> Result<Answer, String> {
        self.ask(Request::get(path).body(Vec::new())).await
    }

    async fn may(&self, right: &Right, verb: &str, node: &str) -> Said {
        let body = serde_json::to_vec(&review(right, verb, node)).unwrap_or_default();
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let request = Request::post(path).header("content-type", "application/json").body(body);
        self.ask(request).await.map_or_else(Said::NotKnown, |answer| allowed(&answer))
    }

    async fn ask(&self, request: Result<Request<Vec<u8>>, axum::http::Error>) -> Result<Answer, String> {
        let request = request.map_err(|error| error.to_string())?;
        let late = || Err(format!("no answer within {} s", LIMIT.as_secs()));
        timeout_at(self.until, ask(self.client, request, LIMIT, LARGEST)).await.unwrap_or_else(|_| late())
    }
}

/// The question whether something is allowed, as narrow as the agent's own calls are.
fn review(right: &Right, verb: &str, node: &str) -> SelfSubjectAccessReview {
    let (resource, subresource) = right.resource.split_once('/').map_or((right.resource, None), |(r, s)| (r, Some(s.to_owned())));
    let attributes = ResourceAttributes {
        group: Some(right.group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(verb.to_owned()),
        // The API server does not know the name of what is to be created.
        name: (right.own && verb != "create").then(|| node.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), non_resource_attributes: None };
    SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() }
}

fn allowed(answer: &Answer) -> Said {
    let review: Option<SelfSubjectAccessReview> = serde_json::from_str(&answer.body).ok().filter(|_| answer.is_good());
    match review.and_then(|review| review.status) {
        Some(status) if status.allowed => Said::Yes,
        // A rule that cannot be evaluated allows nothing either.
        Some(status) => {
            let cause = status.reason.filter(|reason| !reason.is_empty()).or(status.evaluation_error);
            Said::No(cause.unwrap_or_else(|| "not allowed".to_owned()))
        }
        None => Said::NotKnown(answer.sentence()),
    }
}

fn version(answer: &Answer) -> Result<String, String> {
    let value: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let text = value.get("gitVersion").and_then(Value::as_str).filter(|_| answer.is_good());
    text.map(str::to_owned).ok_or_else(|| answer.sentence())
}

/// Whether something is there.
fn said(answer: &Answer) -> Said {
    match answer.code {
        200 => Said::Yes,
        404 => Said::No(answer.sentence()),
        _ => Said::NotKnown(answer.sentence()),
    }
}

/// Whether a group has this resource.
fn has(answer: &Answer, resource: &str) -> Said {
    let list: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let Some(resources) = list.get("resources").and_then(Value::as_array).filter(|_| answer.is_good()) else {
        return match said(answer) {
            Said::Yes => Said::NotKnown("its answer is not understood".to_owned()),
            other => other,
        };
    };
    let found = resources.iter().any(|one| one.get("name").and_then(Value::as_str) == Some(resource));
    if found { Said::Yes } else { Said::No("the group does not have it".to_owned()) }
}

#[cfg(test)]
mod tests;
