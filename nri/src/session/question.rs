//! From a call to an event with a place for its answer, and from the answer to what is sent.

use super::Step;
use crate::event::{Answer, Event, KnownRuntime};
use crate::translate::{self, Asked, Sent, Unknown};
use gleaner_crds::nri as wire;
use gleaner_crds::nri::Event as Kind;
use gleaner_model::ValueError;
use prost::Message as _;
use prost::bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long the one who decides has at most. The runtime waits 2 s, then it closes the connection.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What is answered to a call.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its number.
    pub(super) call: u32,
    /// The payload, or a refusal that was decided.
    pub(super) outcome: Result<Bytes, String>,
}

/// An answer that is awaited. It comes to its end by itself, with the answer or without.
pub(crate) struct Question(Pin<Box<dyn Future<Output = Reply> + Send>>);

impl Question {
    /// Waits for the answer, for three quarters of the time that the runtime waits.
    pub(crate) async fn wait(self) -> Reply {
        self.0.await
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Question")
    }
}

/// A place for an answer and the waiting for it. `encode` makes the payload of it and lines about what of it could not be sent. Without an answer the
/// payload is empty, which for each call is to have no opinion; so it is with a refusal of a call that must not fail (`refusable`).
pub(super) fn ask<T: Send + 'static>(
    about: String,
    call: u32,
    waits: Duration,
    refusable: bool,
    encode: impl FnOnce(T) -> (Vec<u8>, Vec<String>) + Send + 'static,
) -> (Answer<T>, Question) {
    let (answer, place) = oneshot::channel();
    let patience = PATIENCE.min(waits.saturating_sub(waits / 4));
    let waiting = async move {
        let outcome = match timeout(patience, place).await {
            Ok(Ok(Ok(opinion))) => {
                let (payload, left_out) = encode(opinion);
                left_out.iter().for_each(|line| tracing::warn!("nri: {about}: left out: {line}"));
                Ok(payload.into())
            }
            Ok(Ok(Err(refusal))) if refusable => Err(refusal),
            Ok(Ok(Err(refusal))) => {
                tracing::warn!("nri: {about}: refused, but cannot be: {refusal}");
                Ok(Bytes::new())
            }
            Ok(Err(_dropped)) => Ok(Bytes::new()),
            Err(_elapsed) => {
                tracing::warn!("nri: {about}: nothing was decided within {} ms; answered without an opinion", patience.as_millis());
                Ok(Bytes::new())
            }
        };
        Reply { call, outcome }
    };
    (answer, Question(Box::pin(waiting)))
}

/// What an event is to the one who decides; `None`: nothing.
///
/// # Errors
/// A line, when its pod or container cannot be understood.
pub(super) fn on_event(call: u32, kind: Kind, about: wire::ContainerEvent, waits: Duration, unified: bool) -> Result<Option<Step>, String> {
    let (pod, container) = (about.pod.unwrap_or_default(), about.container.unwrap_or_default());
    let step = match kind {
        Kind::RunPodSandbox => Step::Tell(Event::PodStarted(translate::sandbox(pod).map_err(line)?)),
        Kind::StopPodSandbox | Kind::RemovePodSandbox => Step::Tell(pod_gone(pod).map_err(line)?),
        Kind::CreateContainer => {
            let (pod, container) = both(pod, container)?;
            let has = container.resources.clone();
            let name = format!("CreateContainer of {} in {}", container.name, pod.name);
            let (answer, question) = ask(name, call, waits, true, move |wanted| {
                let Sent { message, left_out } = translate::creation(&wanted, &has, unified);
                (wire::CreateContainerResponse { adjust: message, update: Vec::new() }.encode_to_vec(), left_out)
            });
            Step::Ask(Event::CreateContainer(pod, container, answer), question)
        }
        Kind::StartContainer => {
            let (pod, container) = both(pod, container)?;
            let name = format!("StartContainer of {} in {}", container.name, pod.name);
            let (answer, question) = ask(name, call, waits, true, |()| (Vec::new(), Vec::new()));
            Step::Ask(Event::StartContainer(pod, container, answer), question)
        }
        Kind::PostUpdateContainer => {
            let (pod, container) = both(pod, container)?;
            Step::Tell(Event::Updated(pod, container))
        }
        Kind::StopContainer | Kind::RemoveContainer => Step::Tell(container_gone(container).map_err(line)?),
        Kind::Unknown | Kind::PostCreateContainer | Kind::PostStartContainer | Kind::UpdateContainer => return Ok(None),
    };
    Ok(Some(step))
}

/// What a request to change a container is to the one who decides.
///
/// # Errors
/// A line, when it cannot be understood.
pub(super) fn on_update(
    call: u32,
    request: wire::UpdateContainerRequest,
    runtime: &KnownRuntime,
    waits: Duration,
    unified: bool,
) -> Result<Option<Step>, String> {
    let (pod, container) = both(request.pod.unwrap_or_default(), request.container.unwrap_or_default())?;
    let wants = translate::requested(&container.id, request.linux_resources.unwrap_or_default()).map_err(line)?;
    let asked =
        Asked { id: container.id.clone(), has: container.resources.clone(), wants: wants.clone(), shows_unified: runtime.shows_unified };
    let name = format!("UpdateContainer of {} in {}", container.name, pod.name);
    let (answer, question) = ask(name, call, waits, true, move |wanted: Option<_>| {
        let Sent { message, left_out } = translate::replacement(&asked, &wanted.unwrap_or_default(), unified);
        (wire::UpdateContainerResponse { update: message.into_iter().collect() }.encode_to_vec(), left_out)
    });
    Ok(Some(Step::Ask(Event::UpdateContainer { pod, container, wants, answer }, question)))
}

fn line(unknown: Unknown) -> String {
    unknown.to_string()
}

fn both(pod: wire::PodSandbox, container: wire::Container) -> Result<(crate::Sandbox, crate::SeenContainer), String> {
    Ok((translate::sandbox(pod).map_err(line)?, translate::container(container).map_err(line)?))
}

/// Of a pod that goes only the names are left in some versions.
fn pod_gone(pod: wire::PodSandbox) -> Result<Event, Unknown> {
    let unknown = |cause: ValueError| Unknown::new("sandbox", &pod.id, cause);
    translate::legal(&pod.id).map_err(unknown)?;
    Ok(Event::PodGone { pod: pod.uid.parse().map_err(unknown)?, sandbox: pod.id })
}

fn container_gone(container: wire::Container) -> Result<Event, Unknown> {
    translate::legal(&container.id).map_err(|cause| Unknown::new("container", &container.id, cause))?;
    Ok(Event::ContainerGone { container: container.id })
}
