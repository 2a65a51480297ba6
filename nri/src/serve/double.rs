//! A runtime that does what a test tells it, on a real socket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::{Settings, serve};
use crate::event::Event;
use crate::fixture::{self, Seen};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything waits here; with a paused clock it costs nothing.
const LONG: Duration = Duration::from_secs(120);

/// The plugin under test, with its end of the events.
pub(super) struct Plugin {
    folder: TempDir,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) serving: JoinHandle<()>,
}

impl Plugin {
    /// Serves; its socket is not there yet. `room` is how many events may wait for the loop.
    pub(super) fn start(room: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sender, events) = mpsc::channel(room);
        let settings = Settings { socket: folder.path().join("nri.sock"), index: "10".to_owned(), unified: true };
        Self { serving: tokio::spawn(serve(settings, sender)), folder, events }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("nri.sock")
    }

    pub(super) fn listen(&self) -> UnixListener {
        UnixListener::bind(self.socket()).unwrap()
    }

    pub(super) async fn event(&mut self) -> Event {
        timeout(LONG, self.events.recv()).await.expect("an event in time").expect("the plugin serves")
    }

    /// The text of the next event, which is a loss.
    pub(super) async fn lost(&mut self) -> String {
        match self.event().await {
            Event::Lost(text) => text,
            other => panic!("lost was expected, not {other:?}"),
        }
    }

    /// Passes over a whole handshake.
    pub(super) async fn synchronized(&mut self) {
        loop {
            if let Event::Synchronize(_, answer) = self.event().await {
                return answer.send(Ok(Vec::new())).unwrap();
            }
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The runtime's end of one connection.
pub(super) struct Peer {
    stream: UnixStream,
    unread: Vec<u8>,
    seen: Vec<Seen>,
}

impl Peer {
    pub(super) async fn accept(listener: &UnixListener) -> Self {
        let (stream, _) = timeout(LONG, listener.accept()).await.expect("a connection in time").unwrap();
        Self { stream, unread: Vec::new(), seen: Vec::new() }
    }

    /// Accepts and goes through the handshake up to the question what exists, as 0.6 does.
    pub(super) async fn greet(listener: &UnixListener) -> Self {
        let mut peer = Self::accept(listener).await;
        peer.next().await;
        peer.send(&fixture::registered()).await;
        peer.send(&fixture::call(1, "Configure", &fixture::old_runtime())).await;
        assert_eq!(peer.next().await.call, 1);
        peer
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message of the plugin.
    pub(super) async fn next(&mut self) -> Seen {
        while self.seen.is_empty() {
            assert!(self.read().await, "the plugin closed the connection");
        }
        self.seen.remove(0)
    }

    /// Waits until the plugin closes the connection.
    pub(super) async fn end(&mut self) {
        while self.read().await {}
    }

    async fn read(&mut self) -> bool {
        let read = timeout(LONG, self.stream.read_buf(&mut self.unread)).await.expect("the plugin says something in time");
        self.seen.extend(fixture::take(&mut self.unread));
        // A connection that is closed with unread bytes is reset.
        read.is_ok_and(|count| count > 0)
    }
}
