//! Tells plugins what happens, one after the other in their order.

use super::connection::{Connection, Failure};
use super::core::Core;
use super::log::Entry;
use super::options::Version;
use super::session::describe;
use super::ttrpc::{Status, code};
use gleaner_crds::nri::{Container, ContainerEvent, Event, PodEvent, PodSandbox, StateChangeEvent};
use gleaner_host::clock;
use prost::Message;

/// What an event is about.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) pod: PodSandbox,
    pub(super) container: Option<Container>,
    /// Whether somebody called the runtime; else it noticed by itself.
    pub(super) from_cri: bool,
}

impl Subject {
    pub(super) fn pod(pod: PodSandbox) -> Self {
        Self { pod, container: None, from_cri: true }
    }

    pub(super) fn container(pod: PodSandbox, container: Container) -> Self {
        Self { pod, container: Some(container), from_cri: true }
    }

    fn id(&self) -> String {
        self.container.as_ref().map_or(&self.pod.id, |container| &container.id).clone()
    }
}

/// One call of one plugin. `None` when the plugin was lost over it: things go on without it.
///
/// # Errors
/// The plugin's refusal, or that its answer makes no sense.
pub(super) fn ask<A: Message + Default>(
    core: &Core,
    plugin: &Connection,
    method: &str,
    shown: &str,
    subject: &Subject,
    request: Vec<u8>,
) -> Result<Option<A>, Status> {
    let limit = core.limits.request;
    let until = clock::now().after(limit);
    let answer = plugin.begin(method, request, limit, subject.from_cri).and_then(|pending| plugin.finish(&pending, until));
    let answer = match answer {
        Ok(payload) => A::decode(payload.as_slice()).map(Some).map_err(|error| {
            core.log.violation(format!("{}: the answer to {shown}: {error}", plugin.label()));
            Status::new(code::INVALID, error.to_string())
        }),
        Err(Failure::Status(status)) => Err(status),
        Err(failure) => {
            let why = describe(core, plugin, shown, failure);
            core.close(plugin, &format!("failed to handle {shown} request: {why}"));
            called(core, plugin, shown, subject, &why);
            return Ok(None);
        }
    };
    let outcome = answer.as_ref().err().map_or_else(|| "ok".to_owned(), Status::text);
    called(core, plugin, shown, subject, &outcome);
    answer
}

fn called(core: &Core, plugin: &Connection, method: &str, subject: &Subject, outcome: &str) {
    let (plugin, method, outcome) = (plugin.label(), method.to_owned(), outcome.to_owned());
    core.log.add(Entry::Called { plugin, method, subject: subject.id(), outcome });
}

/// Tells every plugin that wants it of an event that has nothing but an empty answer.
///
/// # Errors
/// The words of the first that refuses; those after it are not told.
pub(super) fn notify(core: &Core, event: Event, subject: &Subject) -> Result<(), String> {
    for plugin in core.plugins().iter().filter(|plugin| plugin.wants(event.into())) {
        tell(core, plugin, event, subject).map_err(|status| status.text())?;
    }
    Ok(())
}

fn tell(core: &Core, plugin: &Connection, event: Event, subject: &Subject) -> Result<(), Status> {
    if core.version >= Version::V0_12 {
        let (pod, container) = (Some(subject.pod.clone()), subject.container.clone());
        let request = match &container {
            None => PodEvent { pod }.encode_to_vec(),
            Some(_) => ContainerEvent { pod, container }.encode_to_vec(),
        };
        match ask::<()>(core, plugin, method(event), method(event), subject, request) {
            Err(status) if status.code == code::UNIMPLEMENTED => {}
            other => return other.map(|_| ()),
        }
    }
    let (pod, container) = (Some(subject.pod.clone()), subject.container.clone());
    let request = StateChangeEvent { event: event.into(), pod, container }.encode_to_vec();
    let shown = format!("StateChange:{}", method(event));
    let answer = ask::<()>(core, plugin, "StateChange", &shown, subject, request);
    if answer.as_ref().is_err_and(|status| status.code == code::UNIMPLEMENTED) {
        core.log.violation(format!("{}: {shown} is not implemented, which fails a pod", plugin.label()));
    }
    answer.map(|_| ())
}

/// The name of an event's own call.
fn method(event: Event) -> &'static str {
    match event {
        Event::Unknown => "Unknown",
        Event::RunPodSandbox => "RunPodSandbox",
        Event::StopPodSandbox => "StopPodSandbox",
        Event::RemovePodSandbox => "RemovePodSandbox",
        Event::CreateContainer => "CreateContainer",
        Event::PostCreateContainer => "PostCreateContainer",
        Event::StartContainer => "StartContainer",
        Event::PostStartContainer => "PostStartContainer",
        Event::UpdateContainer => "UpdateContainer",
        Event::PostUpdateContainer => "PostUpdateContainer",
        Event::StopContainer => "StopContainer",
        Event::RemoveContainer => "RemoveContainer",
    }
}
