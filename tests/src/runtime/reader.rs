//! Reads what a plugin sends, until its end.

use super::connection::Connection;
use super::core::Core;
use super::mux::{self, Inbox, PLUGIN, RUNTIME, TooLong};
use super::service;
use super::ttrpc::{Message, RESPONSE};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// What is known of the two streams.
#[derive(Debug, Default)]
struct Streams {
    plugin: Inbox,
    runtime: Inbox,
    last_call: u32,
}

pub(super) fn run(core: &Arc<Core>, connection: &Arc<Connection>, mut socket: UnixStream) {
    let mut streams = Streams::default();
    let why = loop {
        match mux::read(&mut socket) {
            Ok(Some((id, payload))) => {
                core.gate.pass();
                frame(core, connection, &mut streams, id, &payload);
            }
            Ok(None) => break "the plugin hung up".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    core.close(connection, &why);
}

fn frame(core: &Arc<Core>, connection: &Arc<Connection>, streams: &mut Streams, id: u32, payload: &[u8]) {
    let inbox = match id {
        PLUGIN => &mut streams.plugin,
        RUNTIME => &mut streams.runtime,
        other => return core.log.violation(format!("{}: a frame for stream {other}, which nobody serves", connection.label())),
    };
    if inbox.is_dead() {
        return;
    }
    match inbox.take(payload) {
        Ok(messages) if id == PLUGIN => messages.into_iter().for_each(|message| answer(core, connection, message)),
        Ok(messages) => messages.into_iter().for_each(|message| service::handle(core, connection, &mut streams.last_call, message)),
        Err(TooLong { frame, room }) => {
            let label = connection.label();
            core.log
                .violation(format!("{label}: a frame of {frame} bytes on stream {id} where the runtime reads {room}; the stream is dead"));
            core.log.note("error receiving message: cannot allocate memory");
            if id == PLUGIN {
                connection.give_up_calls();
            }
        }
    }
}

/// An answer to a call of the runtime.
fn answer(core: &Core, connection: &Connection, message: Message) {
    let (label, stream) = (connection.label(), message.stream);
    if message.flags != 0 {
        core.log.violation(format!("{label}: an answer on id {stream} with flags {}", message.flags));
    }
    if message.kind != RESPONSE {
        core.log.violation(format!("{label}: a message of type {} on the stream where the runtime calls", message.kind));
    } else if !connection.answered(stream, message.body) {
        core.log.violation(format!("{label}: an answer on id {stream}, where there is no call"));
    }
}
