//! Changes of containers that exist: by the caller of the runtime, by answers of plugins, by plugins unasked.

use super::amounts::Amounts;
use super::collect::{Owners, inspect};
use super::connection::Connection;
use super::core::Core;
use super::events::{Subject, ask, notify};
use super::options::Version;
use super::pod::ContainerState;
use super::world::{Held, World};
use super::{check, message};
use gleaner_crds::nri::{ContainerUpdate, Event, UpdateContainerRequest, UpdateContainerResponse};
use prost::Message;
use std::sync::Arc;

/// What a plugin is told when updates that it asked for failed.
pub(super) const SOME_FAILED: &str = "NRI update of some containers failed";

/// The caller's UpdateContainerResources. Returns what the container's specification is then.
pub(super) fn requested(core: &Core, id: &str, wants: &Amounts) -> Result<Amounts, String> {
    let mut world = core.world.lock().unwrap();
    let held = world.container(id)?.clone();
    if held.state == Some(ContainerState::Exited) {
        return Err(format!("container {id:?} has ended"));
    }
    let pod = message::pod(core.version, &world.pod(&held.sandbox)?);
    let (request, others) = ask_all(core, &held, &pod, wants).map_err(|why| format!("NRI container update failed: {why}"))?;
    replied(core, &mut world, &others);
    apply(core, &mut world, id, &request)?;
    let held = world.container(id)?.clone();
    let subject = Subject::container(pod, message::container(&held));
    if let Err(why) = notify(core, Event::PostUpdateContainer, &subject) {
        core.log.note(format!("NRI post-update notification failed: {why}"));
    }
    Ok(held.amounts)
}

/// What plugins make of a request, and what else they want changed. 0.6 does not show files of cgroup v2, and loses them when a plugin answers
/// for the same container.
fn ask_all(
    core: &Core,
    held: &Held,
    pod: &gleaner_crds::nri::PodSandbox,
    wants: &Amounts,
) -> Result<(Amounts, Vec<ContainerUpdate>), String> {
    let (mut request, mut others, mut owners) = (wants.clone(), Vec::new(), Owners::default());
    let subject = Subject::container(pod.clone(), message::container(held));
    for plugin in core.plugins().iter().filter(|plugin| plugin.wants(Event::UpdateContainer.into())) {
        let mut shown = request.as_asked();
        if core.version == Version::V0_6 {
            shown.unified.clear();
        }
        let asked =
            UpdateContainerRequest { pod: Some(subject.pod.clone()), container: subject.container.clone(), linux_resources: Some(shown) };
        let answer = ask::<UpdateContainerResponse>(core, plugin, "UpdateContainer", "UpdateContainer", &subject, asked.encode_to_vec());
        let updates = answer.map_err(|status| status.text())?.unwrap_or_default().update;
        let mut lost = false;
        for update in updates {
            let Some(amounts) = owners.update(core, plugin, &update)? else { continue };
            if update.container_id != held.id {
                others.push(update);
                continue;
            }
            if core.version == Version::V0_6 && !std::mem::replace(&mut lost, true) {
                request.unified.clear();
            }
            request.take(&amounts);
        }
    }
    Ok((request, others))
}

/// Makes the changes that an answer asks for. What fails is only logged.
pub(super) fn replied(core: &Core, world: &mut World, updates: &[ContainerUpdate]) {
    for update in updates {
        let Some(resources) = update.linux.as_ref().and_then(|linux| linux.resources.as_ref()) else { continue };
        if let Err(why) = apply(core, world, &update.container_id, &Amounts::of(resources)) {
            core.log.note(format!("failed to update {} as a plugin asked: {why}", update.container_id));
        }
    }
}

/// Holds the updates in an answer against the rules.
pub(super) fn inspected(core: &Core, plugin: &Arc<Connection>, updates: &[ContainerUpdate]) {
    for update in updates {
        if let Some(resources) = update.linux.as_ref().and_then(|linux| linux.resources.as_ref()) {
            inspect(core, &plugin.label(), &update.container_id, resources);
        }
    }
}

/// Updates that nobody asked for: all are tried, and one that fails fails the call unless it says otherwise.
pub(super) fn unsolicited(core: &Core, updates: &[ContainerUpdate]) -> Result<(), ()> {
    let _order = core.synchronizing.lock().unwrap();
    let mut world = core.world.lock().unwrap();
    let mut failed = false;
    for update in updates {
        let Some(resources) = update.linux.as_ref().and_then(|linux| linux.resources.as_ref()) else { continue };
        if let Err(why) = apply(core, &mut world, &update.container_id, &Amounts::of(resources)) {
            core.log.note(format!("failed to update {}: {why}", update.container_id));
            failed |= !update.ignore_failure;
        }
    }
    if failed { Err(()) } else { Ok(()) }
}

/// Puts a change into a container's specification and, when it runs, writes all of it. The start of an id is as good as the id; one that is
/// unknown, and a container that has ended, are skipped without a word.
fn apply(core: &Core, world: &mut World, id: &str, change: &Amounts) -> Result<(), String> {
    let known = |held: &&mut Held| !id.is_empty() && held.id.starts_with(id) && held.state != Some(ContainerState::Exited);
    let World { containers, writer, .. } = world;
    let Some(held) = containers.values_mut().find(known) else { return Ok(()) };
    let mut amounts = held.amounts.clone();
    amounts.take(change);
    if held.state == Some(ContainerState::Running) {
        if held.amounts.is_idle() {
            let weight = amounts.weight().to_string();
            return Err(format!("failed to write {weight:?}: write /sys/fs/cgroup{}/cpu.weight: invalid argument", held.cgroup));
        }
        check::start(&amounts, &core.machine)?;
        writer.write(&held.cgroup, &amounts)?;
    }
    held.amounts = amounts;
    Ok(())
}
