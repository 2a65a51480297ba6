//! The runtime's calls, whatever version of it makes them: up to 0.11 most events come as `StateChange`, from 0.12 each has a call of its own.

use super::parts::Part;
use crate::event::KnownRuntime;
use gleaner_crds::nri::{ConfigureRequest, ContainerEvent, Event, StateChangeEvent, UpdateContainerRequest};
use prost::Message as _;
use prost::bytes::Bytes;

const SERVICE: &str = "nri.pkg.api.v1alpha1.Plugin";

/// What the runtime is asked to tell. Each event that is not needed costs a round trip of every container on the node, under one lock.
const WANTED: [Event; 9] = [
    // A pod is known, and its cgroup can be written, before its first container is asked about.
    Event::RunPodSandbox,
    // The CPUs of a pod are free when its sandbox stops, not only when it is removed, which may take minutes. That one comes even if the stop failed.
    Event::StopPodSandbox,
    Event::RemovePodSandbox,
    // The container has its CPUs at its first instruction.
    Event::CreateContainer,
    // What a runtime cannot set at creation is written before the user's code runs.
    Event::StartContainer,
    // What kubelet wants to change is set right on its way, without a moment in between.
    Event::UpdateContainer,
    // All files of the container were written anew by the runtime: those that are ours are compared at once.
    Event::PostUpdateContainer,
    // It has ended, also by itself, and its promises can be given to others. The removal comes also for those that were never created.
    Event::StopContainer,
    Event::RemoveContainer,
];

/// One call.
#[derive(Debug)]
pub(super) enum Call {
    /// The runtime tells of itself.
    Configure(ConfigureRequest),
    /// What exists, or a part of it.
    Synchronize(Part),
    /// A container is to be changed.
    Update(Box<UpdateContainerRequest>),
    /// Anything else about a pod or a container.
    Event(Event, Box<ContainerEvent>),
    /// A call that is served and means nothing here.
    Nothing,
}

/// Why it is none.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is not served here: the runtime may use another way.
    Unknown,
    /// Its message is none. A line.
    Malformed(String),
}

/// The events that are wanted, as the runtime reads them: bit N - 1 for event N.
pub(super) fn mask() -> i32 {
    WANTED.into_iter().fold(0, |mask, event| mask | 1 << (i32::from(event) - 1))
}

/// What the runtime tells of itself. One that tells its time limits or its protocol is 0.7 or newer.
pub(super) fn runtime(told: ConfigureRequest) -> KnownRuntime {
    let is_new = told.registration_timeout != 0 || told.request_timeout != 0 || !told.nri_version.is_empty();
    KnownRuntime {
        name: told.runtime_name,
        version: told.runtime_version,
        protocol: Some(told.nri_version).filter(|version| !version.is_empty()),
        shows_unified: is_new,
    }
}

/// What is said of a call that is not served.
pub(super) fn unknown(method: &str) -> String {
    format!("method {}", method.chars().take(100).collect::<String>())
}

/// Reads a call.
///
/// # Errors
/// When it is not served here, or its message is none.
pub(super) fn read(service: &str, method: &str, payload: Bytes) -> Result<Call, Unread> {
    if service != SERVICE {
        return Err(Unread::Unknown);
    }
    read_method(method, payload)?.map_err(|e| Unread::Malformed(format!("the runtime's call {method} cannot be read: {e}")))
}

fn read_method(method: &str, payload: Bytes) -> Result<Result<Call, prost::DecodeError>, Unread> {
    let event = match method {
        // The answer, our mask, is due in any case; what of it cannot be read is not known.
        "Configure" => return Ok(Ok(Call::Configure(ConfigureRequest::decode(payload).unwrap_or_default()))),
        "Synchronize" => return Ok(Part::decode(payload).map(Call::Synchronize)),
        "UpdateContainer" => return Ok(UpdateContainerRequest::decode(payload).map(|request| Call::Update(Box::new(request)))),
        "StateChange" => return Ok(StateChangeEvent::decode(payload).map(state_change)),
        "Shutdown" => return Ok(Ok(Call::Nothing)),
        "RunPodSandbox" => Event::RunPodSandbox,
        "StopPodSandbox" => Event::StopPodSandbox,
        "RemovePodSandbox" => Event::RemovePodSandbox,
        "CreateContainer" => Event::CreateContainer,
        "PostCreateContainer" => Event::PostCreateContainer,
        "StartContainer" => Event::StartContainer,
        "PostStartContainer" => Event::PostStartContainer,
        "PostUpdateContainer" => Event::PostUpdateContainer,
        "StopContainer" => Event::StopContainer,
        "RemoveContainer" => Event::RemoveContainer,
        _ => return Err(Unread::Unknown),
    };
    // All of these begin with the pod and the container, where they have one.
    Ok(ContainerEvent::decode(payload).map(|about| Call::Event(event, Box::new(about))))
}

fn state_change(change: StateChangeEvent) -> Call {
    let event = change.event();
    match event {
        // These are asked by calls of their own; as a change of state they have no answer.
        Event::Unknown | Event::CreateContainer | Event::UpdateContainer => Call::Nothing,
        _ => Call::Event(event, Box::new(ContainerEvent { pod: change.pod, container: change.container })),
    }
}
