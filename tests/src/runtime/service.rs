//! What plugins may call: the service Runtime.

use super::connection::{Connection, Registering};
use super::core::Core;
use super::log::Entry;
use super::options::Version;
use super::ttrpc::{LARGEST, Message, REQUEST, Request, Status, code};
use super::update;
use gleaner_crds::nri::{RegisterPluginRequest, UpdateContainersRequest};
use prost::Message as _;
use std::sync::Arc;

/// Takes one message of a plugin. `last` is the id of the call before.
pub(super) fn handle(core: &Arc<Core>, connection: &Arc<Connection>, last: &mut u32, message: Message) {
    let label = connection.label();
    let stream = message.stream;
    if message.flags != 0 {
        core.log.violation(format!("{label}: a call on id {stream} with flags {}", message.flags));
    }
    if message.kind != REQUEST {
        return core.log.violation(format!("{label}: a message of type {} on the stream of the runtime's service", message.kind));
    }
    match legal(last, &message) {
        Err(status) => {
            core.log.violation(format!("{label}: a call on id {stream}: {}", status.message));
            connection.answer(stream, Err(status));
        }
        Ok(request) => {
            core.log.add(Entry::Received { plugin: label, method: request.method.clone() });
            call(core, connection, stream, &request);
        }
    }
}

fn legal(last: &mut u32, message: &Message) -> Result<Request, Status> {
    if message.body.len() > LARGEST {
        return Err(Status::too_large(message.body.len()));
    }
    if message.stream.is_multiple_of(2) {
        return Err(Status::new(code::INVALID, "StreamID must be odd for client initiated streams"));
    }
    if message.stream <= *last {
        return Err(Status::new(code::INVALID, "StreamID cannot be re-used and must increment"));
    }
    *last = message.stream;
    let request = Request::decode(message.body.as_slice());
    let request = request.map_err(|error| Status::new(code::INVALID, format!("the body is no request: {error}")))?;
    if request.service != "nri.pkg.api.v1alpha1.Runtime" {
        return Err(Status::new(code::UNIMPLEMENTED, format!("service {}", request.service)));
    }
    if !["RegisterPlugin", "UpdateContainers"].contains(&request.method.as_str()) {
        return Err(Status::new(code::UNIMPLEMENTED, format!("method {}", request.method)));
    }
    Ok(request)
}

fn call(core: &Arc<Core>, connection: &Arc<Connection>, stream: u32, request: &Request) {
    if request.method == "RegisterPlugin" {
        match RegisterPluginRequest::decode(request.payload.as_slice()) {
            Ok(asked) => register(core, connection, stream, &asked),
            Err(error) => undecodable(core, connection, stream, &error),
        }
        return;
    }
    match UpdateContainersRequest::decode(request.payload.as_slice()) {
        Err(error) => undecodable(core, connection, stream, &error),
        Ok(asked) => {
            let label = connection.label();
            if !core.takes_updates {
                core.log.violation(format!("{label}: UpdateContainers, which can lock this runtime up for good"));
            }
            let connection = Arc::clone(connection);
            // Beside the reader: it waits for whatever the runtime does now.
            core.spawn("runtime-update", move |core| {
                let answer = update::unsolicited(core, &asked.update).map_err(|()| Status::new(code::UNKNOWN, update::SOME_FAILED));
                core.gate.pass();
                connection.answer(stream, answer.map(|()| Vec::new()));
            });
        }
    }
}

fn undecodable(core: &Core, connection: &Connection, stream: u32, error: &prost::DecodeError) {
    core.log.violation(format!("{}: a call on id {stream}: {error}", connection.label()));
    connection.answer(stream, Err(Status::new(code::INVALID, error.to_string())));
}

/// What is wrong with a registration, in the runtime's words.
fn refusal(version: Version, asked: &RegisterPluginRequest) -> Option<String> {
    let (name, index) = (&asked.plugin_name, &asked.plugin_idx);
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
    if name.is_empty() {
        return Some("invalid (empty) plugin name".to_owned());
    }
    // Only that 0.12 looks at the characters is known; these are the ones that any rule would take.
    if version >= Version::V0_12 && name.contains(odd) {
        return Some(format!("invalid plugin name: {name:?}"));
    }
    if index.len() != 2 {
        return Some(format!("invalid plugin index {index:?}, must be 2 digits"));
    }
    index.contains(|c: char| !c.is_ascii_digit()).then(|| format!("invalid plugin index {index:?} (not [0-9][0-9])"))
}

fn register(core: &Core, connection: &Connection, stream: u32, asked: &RegisterPluginRequest) {
    let Some(waits) = connection.registering.lock().unwrap().take() else {
        core.log.violation(format!("{}: RegisterPlugin a second time on a connection", connection.label()));
        return connection.answer(stream, Err(Status::new(code::UNKNOWN, "already registered")));
    };
    let number = connection.number;
    if let Some(reason) = refusal(core.version, asked) {
        core.log.violation(format!("{}: RegisterPlugin: {reason}", connection.label()));
        connection.answer(stream, Err(Status::new(code::UNKNOWN, &reason)));
        core.log.add(Entry::Refused { connection: number, reason });
        let _ = waits.send(Registering::Refused);
        return;
    }
    let plugin = format!("{}-{}", asked.plugin_idx, asked.plugin_name);
    if core.connections().iter().any(|other| other.number != number && other.label() == plugin && !other.is_hung_up()) {
        core.log.violation(format!("{plugin} registers while its other connection is open"));
    }
    connection.name(plugin.clone());
    core.log.add(Entry::Registered { connection: number, plugin, nri_version: asked.nri_version.clone() });
    // Gone when registration timed out just now.
    let _ = waits.send(Registering::Accepted { stream });
}
