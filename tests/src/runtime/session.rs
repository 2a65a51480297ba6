//! The handshake of a connection: registration, Configure, Synchronize.

use super::connection::{Connection, Failure, Registering};
use super::core::Core;
use super::log::Entry;
use super::options::{Mood, Version};
use super::{synchronize, update};
use crate::wait::pause;
use gleaner_crds::nri::{ConfigureRequest, ConfigureResponse};
use gleaner_host::clock;
use prost::Message;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// The events that there are, as a mask.
const ALL_EVENTS: i32 = 0x7ff;

pub(super) fn run(core: &Core, connection: &Arc<Connection>, registering: &Receiver<Registering>) {
    let mood = *core.mood.lock().unwrap();
    let stream = match registering.recv_timeout(core.limits.registration) {
        Ok(Registering::Accepted { stream }) => stream,
        // Not closed: that is the plugin's to do.
        Ok(Registering::Refused) | Err(RecvTimeoutError::Disconnected) => return,
        Err(RecvTimeoutError::Timeout) => {
            core.log.violation(format!("{} did not register in {:?}", connection.label(), core.limits.registration));
            return core.close(connection, "plugin registration timed out");
        }
    };
    let Some(events) = configure(core, connection, stream, mood) else { return };
    if events & !ALL_EVENTS != 0 {
        core.log.violation(format!("{}: invalid plugin events: {:#x}", connection.label(), events & !ALL_EVENTS));
        return core.close(connection, &format!("invalid plugin events: {:#x}", events & !ALL_EVENTS));
    }
    connection.subscribe(events);
    core.log.add(Entry::Configured { plugin: connection.label(), events });
    if mood.never_synchronize {
        core.log.note(format!("{} is never synchronized", connection.label()));
        return;
    }
    core.gate.pass();
    let _order = core.synchronizing.lock().unwrap();
    if core.version == Version::V0_6 {
        join_late(core, connection, mood.ballast);
    } else {
        join_locked(core, connection, mood.ballast);
    }
}

/// Sends Configure and the answer to RegisterPlugin, in either order. Returns the mask of events.
fn configure(core: &Core, connection: &Connection, stream: u32, mood: Mood) -> Option<i32> {
    if !mood.configure_first {
        connection.answer(stream, Ok(Vec::new()));
    }
    pause(mood.configure_late);
    core.gate.pass();
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let mut request = ConfigureRequest {
        runtime_name: "containerd".to_owned(),
        runtime_version: core.runtime_version.clone(),
        ..ConfigureRequest::default()
    };
    if core.version >= Version::V0_8 {
        request.registration_timeout = millis(core.limits.registration);
        request.request_timeout = millis(core.limits.request);
    }
    if core.version >= Version::V0_12 {
        request.nri_version.clone_from(&core.protocol);
    }
    let until = clock::now().after(core.limits.request);
    let begun = connection.begin("Configure", request.encode_to_vec(), core.limits.request, false);
    if mood.configure_first {
        connection.answer(stream, Ok(Vec::new()));
    }
    let answer = begun.and_then(|pending| connection.finish(&pending, until));
    let called = |outcome: &str| {
        let (plugin, method) = (connection.label(), "Configure".to_owned());
        core.log.add(Entry::Called { plugin, method, subject: String::new(), outcome: outcome.to_owned() });
    };
    let why = match answer {
        Ok(payload) => match ConfigureResponse::decode(payload.as_slice()) {
            Ok(response) => {
                called("ok");
                return Some(response.events);
            }
            Err(error) => {
                core.log.violation(format!("{}: the answer to Configure: {error}", connection.label()));
                error.to_string()
            }
        },
        Err(failure) => describe(core, connection, "Configure", failure),
    };
    called(&why);
    core.close(connection, &format!("failed to configure plugin: {why}"));
    None
}

/// What a failure is called; a late answer breaks a rule.
pub(super) fn describe(core: &Core, connection: &Connection, method: &str, failure: Failure) -> String {
    match failure {
        Failure::Status(status) => status.text(),
        Failure::Closed(why) => why,
        Failure::Late => {
            core.log.violation(format!("{}: no answer to {method} in {:?}", connection.label(), core.limits.request));
            "context deadline exceeded".to_owned()
        }
    }
}

/// What exists is told without a lock, so that what is created meanwhile is not in it; after a failure the connection stays and is dead.
fn join_late(core: &Core, connection: &Arc<Connection>, ballast: usize) {
    let existing = core.world.lock().unwrap().existing(core.version);
    let answer = synchronize::send(core, connection, existing, ballast);
    let mut world = core.world.lock().unwrap();
    match answer {
        Ok(updates) => {
            core.add(connection);
            update::replied(core, &mut world, &updates);
        }
        Err(why) => {
            core.log.note(format!("failed to synchronize plugin: {why}"));
            if !connection.is_closed() {
                core.log.add(Entry::Zombie(connection.label()));
            }
        }
    }
}

/// What exists is told under the lock; after a failure the connection is closed.
fn join_locked(core: &Core, connection: &Arc<Connection>, ballast: usize) {
    let mut world = core.world.lock().unwrap();
    match synchronize::send(core, connection, world.existing(core.version), ballast) {
        Ok(updates) => {
            core.add(connection);
            update::replied(core, &mut world, &updates);
        }
        Err(why) => core.close(connection, &format!("failed to synchronize plugin: {why}")),
    }
}
