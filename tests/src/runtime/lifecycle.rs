//! Pods and containers come and go, and plugins are told in the order that was recorded.

use super::collect::Owners;
use super::core::Core;
use super::events::{Subject, ask, notify};
use super::pod::{ContainerSpec, ContainerState, PodSpec};
use super::world::{Held, Sandbox, World, pod_cgroup};
use super::{Created, check, message, update};
use gleaner_crds::nri::{
    ContainerUpdate, CreateContainerRequest, CreateContainerResponse, Event, StopContainerRequest, StopContainerResponse,
};
use prost::Message;

pub(super) fn run_pod(core: &Core, spec: PodSpec) -> Result<String, String> {
    let mut world = core.world.lock().unwrap();
    let cgroup = pod_cgroup(&spec.cgroup_parent)?;
    world.writer.make(&cgroup)?;
    let mut sandbox = Sandbox { id: world.id(), spec, cgroup, pid: world.pid() };
    let told = notify(core, Event::RunPodSandbox, &Subject::pod(message::pod(core.version, &sandbox)));
    if let Err(why) = told {
        sandbox.pid = 0;
        tell(core, Event::StopPodSandbox, &Subject::pod(message::pod(core.version, &sandbox)));
        tell(core, Event::RemovePodSandbox, &Subject::pod(message::short_pod(&sandbox)));
        return Err(format!("NRI RunPodSandbox failed: {why}"));
    }
    let id = sandbox.id.clone();
    world.pods.insert(id.clone(), sandbox);
    Ok(id)
}

/// Tells of what cannot be refused any more.
fn tell(core: &Core, event: Event, subject: &Subject) {
    if let Err(why) = notify(core, event, subject) {
        core.log.note(format!("{event:?}: {why}"));
    }
}

pub(super) fn create_container(core: &Core, sandbox: &str, spec: ContainerSpec) -> Result<Created, String> {
    let mut world = core.world.lock().unwrap();
    let sandbox = world.pod(sandbox)?;
    if sandbox.pid == 0 {
        return Err(format!("sandbox container {:?} is not running", sandbox.id));
    }
    let mut held = Held::new(world.id(), &sandbox, spec)?;
    let pod = message::pod(core.version, &sandbox);
    let before = held.clone();
    let (by, updates) = match adjust(core, &pod, &mut held) {
        Ok(adjusted) => adjusted,
        Err(why) => {
            let subject = Subject::container(pod, message::container(&before));
            tell_stop(core, &mut world, &subject);
            tell(core, Event::RemoveContainer, &subject);
            return Err(format!("failed to get NRI adjustment for container: {why}"));
        }
    };
    update::replied(core, &mut world, &updates);
    held.state = Some(ContainerState::Created);
    let (id, cgroup, annotations, env) = (held.id.clone(), held.cgroup.clone(), held.annotations.clone(), held.env.clone());
    let created = Created { id, cgroup, resources: held.amounts.clone(), annotations, env, by };
    world.containers.insert(held.id.clone(), held.clone());
    tell(core, Event::PostCreateContainer, &Subject::container(pod, message::container(&held)));
    Ok(created)
}

/// Asks every plugin how a container is to be; each sees what those before it made of it. Returns who answered, and what else is to be changed.
fn adjust(core: &Core, pod: &gleaner_crds::nri::PodSandbox, held: &mut Held) -> Result<(Vec<String>, Vec<ContainerUpdate>), String> {
    let (mut by, mut updates, mut owners) = (Vec::new(), Vec::new(), Owners::default());
    for plugin in core.plugins().iter().filter(|plugin| plugin.wants(Event::CreateContainer.into())) {
        let subject = Subject::container(pod.clone(), message::container(held));
        let request = CreateContainerRequest { pod: Some(subject.pod.clone()), container: subject.container.clone() };
        let answer = ask::<CreateContainerResponse>(core, plugin, "CreateContainer", "CreateContainer", &subject, request.encode_to_vec());
        let Some(answer) = answer.map_err(|status| status.text())? else { continue };
        by.push(plugin.label());
        if let Some(adjustment) = &answer.adjust {
            owners.adjust(core, plugin, held, adjustment)?;
        }
        for update in answer.update {
            if owners.update(core, plugin, &update)?.is_some() {
                updates.push(update);
            }
        }
    }
    Ok((by, updates))
}

/// StopContainer, a notice whose answer may ask for changes of others.
fn tell_stop(core: &Core, world: &mut World, subject: &Subject) {
    for plugin in core.plugins().iter().filter(|plugin| plugin.wants(Event::StopContainer.into())) {
        let request = StopContainerRequest { pod: Some(subject.pod.clone()), container: subject.container.clone() };
        match ask::<StopContainerResponse>(core, plugin, "StopContainer", "StopContainer", subject, request.encode_to_vec()) {
            Ok(answer) => {
                let updates = answer.unwrap_or_default().update;
                update::inspected(core, plugin, &updates);
                update::replied(core, world, &updates);
            }
            Err(status) => core.log.note(format!("NRI container stop failed: {}", status.text())),
        }
    }
}

pub(super) fn start_container(core: &Core, id: &str) -> Result<(), String> {
    let mut world = core.world.lock().unwrap();
    let mut held = world.container(id)?.clone();
    if held.state != Some(ContainerState::Created) {
        return Err(format!("container {id:?} is in state {:?}", held.state));
    }
    let sandbox = world.pod(&held.sandbox)?;
    let failed = |why: String| format!("failed to create containerd task: failed to create shim task: OCI runtime create failed: {why}");
    check::start(&held.amounts, &core.machine).map_err(failed)?;
    if let Err(why) = world.writer.make(&held.cgroup).and_then(|()| world.writer.write(&held.cgroup, &held.amounts)) {
        world.writer.remove(&held.cgroup)?;
        return Err(failed(why));
    }
    held.pid = world.pid();
    let pod = message::pod(core.version, &sandbox);
    let told = notify(core, Event::StartContainer, &Subject::container(pod.clone(), message::container(&held)));
    held.state = Some(if told.is_ok() { ContainerState::Running } else { ContainerState::Exited });
    if let Err(why) = told {
        held.stop_told = true;
        tell_stop(core, &mut world, &Subject::container(pod, message::container(&held)));
        world.writer.remove(&held.cgroup)?;
        world.containers.insert(held.id.clone(), held);
        return Err(format!("NRI container start failed: {why}"));
    }
    // Updates in the answers of others may have changed it meanwhile: only what happened here is written back.
    let kept = world.container(id)?;
    (kept.pid, kept.state) = (held.pid, held.state);
    let now = message::container(kept);
    tell(core, Event::PostStartContainer, &Subject::container(pod, now));
    Ok(())
}

/// Ends a container: by the caller's wish, or by itself.
pub(super) fn stop_container(core: &Core, id: &str, from_cri: bool) -> Result<(), String> {
    let mut world = core.world.lock().unwrap();
    stop(core, &mut world, id, from_cri)
}

fn stop(core: &Core, world: &mut World, id: &str, from_cri: bool) -> Result<(), String> {
    let held = world.container(id)?.clone();
    if held.state != Some(ContainerState::Running) {
        return Ok(());
    }
    world.writer.kill(&held.cgroup)?;
    let pod = message::pod(core.version, &world.pod(&held.sandbox)?);
    let kept = world.container(id)?;
    kept.stop_told = true;
    // It runs as far as plugins are told, with the id of the process that is dead.
    let subject = Subject { from_cri, ..Subject::container(pod, message::container(kept)) };
    // Ended first, so that an answer cannot change it.
    kept.state = Some(ContainerState::Exited);
    kept.pid = 0;
    tell_stop(core, world, &subject);
    world.writer.remove(&held.cgroup)
}

pub(super) fn remove_container(core: &Core, id: &str) -> Result<(), String> {
    let mut world = core.world.lock().unwrap();
    remove(core, &mut world, id)
}

fn remove(core: &Core, world: &mut World, id: &str) -> Result<(), String> {
    stop(core, world, id, true)?;
    let mut held = world.container(id)?.clone();
    let pod = message::pod(core.version, &world.pod(&held.sandbox)?);
    if !held.stop_told {
        tell_stop(core, world, &Subject::container(pod.clone(), message::container(&held)));
    }
    world.containers.remove(id);
    held.state = Some(ContainerState::Exited);
    tell(core, Event::RemoveContainer, &Subject::container(pod, message::container(&held)));
    Ok(())
}

fn containers_of(world: &World, sandbox: &str) -> Vec<String> {
    world.containers.values().filter(|held| held.sandbox == sandbox).map(|held| held.id.clone()).collect()
}

pub(super) fn stop_pod(core: &Core, id: &str) -> Result<(), String> {
    let mut world = core.world.lock().unwrap();
    stop_sandbox(core, &mut world, id)
}

fn stop_sandbox(core: &Core, world: &mut World, id: &str) -> Result<(), String> {
    let mut sandbox = world.pod(id)?;
    if sandbox.pid == 0 {
        return Ok(());
    }
    for container in containers_of(world, id) {
        stop(core, world, &container, true)?;
    }
    sandbox.pid = 0;
    world.pods.insert(id.to_owned(), sandbox.clone());
    tell(core, Event::StopPodSandbox, &Subject::pod(message::pod(core.version, &sandbox)));
    Ok(())
}

pub(super) fn remove_pod(core: &Core, id: &str) -> Result<(), String> {
    let mut world = core.world.lock().unwrap();
    stop_sandbox(core, &mut world, id)?;
    for container in containers_of(&world, id) {
        remove(core, &mut world, &container)?;
    }
    let sandbox = world.pod(id)?;
    world.pods.remove(id);
    tell(core, Event::RemovePodSandbox, &Subject::pod(message::short_pod(&sandbox)));
    Ok(())
}
