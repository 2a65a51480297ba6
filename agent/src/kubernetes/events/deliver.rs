//! One write, tried a few times.

use super::correlator::Write;
use super::object::CONTROLLER;
use crate::kubernetes::{Answer, ask, backoff};
use axum::http::Request;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use std::time::Duration;

/// Tries of one write.
pub(super) const TRIES: u32 = 5;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST: usize = 256 << 10;

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delivered {
    /// It is there.
    Written,
    /// Its namespace is going or gone: nobody would see it.
    Moot,
    /// Refused, or not possible in [`TRIES`] tries; why.
    Failed(String),
}

/// Writes it, and waits for that.
pub(super) async fn deliver(client: &Client, write: &Write, node: &str, salt: u64) -> Delivered {
    let mut write = write.clone();
    let mut tries = 0;
    loop {
        let answer = match request(&write) {
            Ok(request) => ask(client, request, PATIENCE, LARGEST).await,
            Err(cause) => return Delivered::Failed(cause),
        };
        let (cause, after) = match judge(&write, answer) {
            Verdict::Done(delivered) => return delivered,
            // The object of the series is gone: they are kept for an hour or so.
            Verdict::Missing(event) => {
                write = Write::Create(event);
                continue;
            }
            Verdict::Again(cause, after) => (cause, after),
        };
        tries += 1;
        if tries >= TRIES {
            return Delivered::Failed(format!("{cause}, {TRIES} tries"));
        }
        let own = backoff(FIRST, LONGEST, tries, node, salt.wrapping_add(tries.into()));
        tokio::time::sleep(after.map_or(own, |after| after.clamp(own, LONGEST))).await;
    }
}

enum Verdict {
    Done(Delivered),
    Missing(Box<Event>),
    Again(String, Option<Duration>),
}

fn judge(write: &Write, answer: Result<Answer, String>) -> Verdict {
    let answer = match answer {
        Ok(answer) if answer.is_good() => return Verdict::Done(Delivered::Written),
        Ok(answer) => answer,
        Err(cause) => return Verdict::Again(cause, None),
    };
    match (answer.code, write) {
        // An earlier try got through, and only its answer was lost: the name is this Event's alone.
        (409, Write::Create(_)) => Verdict::Done(Delivered::Written),
        (404, Write::Series(event)) => Verdict::Missing(event.clone()),
        (401 | 408 | 409 | 429 | 500.., _) => Verdict::Again(answer.sentence(), answer.retry_after),
        (404, Write::Create(_)) => Verdict::Done(Delivered::Moot),
        (403, _) if ends(&answer) => Verdict::Done(Delivered::Moot),
        _ => Verdict::Done(Delivered::Failed(answer.sentence())),
    }
}

/// Whether the namespace is being removed, in which nothing new may be made.
fn ends(answer: &Answer) -> bool {
    let details = answer.status().and_then(|status| status.details);
    details.is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
}

fn request(write: &Write) -> Result<Request<Vec<u8>>, String> {
    let (Write::Create(event) | Write::Series(event)) = write;
    let to = kube::core::Request::new(Event::url_path(&(), event.metadata.namespace.as_deref()));
    let manager = Some(CONTROLLER.to_owned());
    match write {
        Write::Create(event) => {
            let body = serde_json::to_vec(event).map_err(|error| error.to_string())?;
            to.create(&PostParams { field_manager: manager, ..PostParams::default() }, body).map_err(|error| error.to_string())
        }
        Write::Series(event) => {
            // Nothing else of an Event may change.
            let patch = Patch::Merge(serde_json::json!({ "series": event.series }));
            let params = PatchParams { field_manager: manager, ..PatchParams::default() };
            to.patch(event.metadata.name.as_deref().unwrap_or_default(), &params, &patch).map_err(|error| error.to_string())
        }
    }
}
