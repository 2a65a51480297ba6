//! The socket: connections are taken one at a time, each until its handshake has ended one way or the other.

use super::connection::Connection;
use super::core::Core;
use super::{reader, session};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;

/// Listens anew; a socket that an earlier process left is removed.
pub(super) fn open(socket: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = socket.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(socket)
}

pub(super) fn run(core: &Arc<Core>, listener: &UnixListener) {
    while let Ok((socket, _)) = listener.accept() {
        core.gate.pass();
        if core.is_stopping() {
            return;
        }
        if let Err(error) = take(core, socket) {
            core.log.note(format!("a connection failed at once: {error}"));
        }
    }
}

fn take(core: &Arc<Core>, socket: UnixStream) -> io::Result<()> {
    let (sender, registering) = channel();
    let number = core.taken.fetch_add(1, Ordering::Relaxed) + 1;
    let reads = socket.try_clone()?;
    let connection = Arc::new(Connection::new(number, socket, core.version, core.limits.request, sender)?);
    core.connected(&connection);
    let theirs = Arc::clone(&connection);
    core.spawn("runtime-reader", move |core| reader::run(core, &theirs, reads));
    session::run(core, &connection, &registering);
    Ok(())
}
